/** A shortened story keeps what weighs most, in its order, and says what it leaves out. */
import test from "ava";
import { requestStory } from "../../../actors/testing/simulation/request-story.ts";
import { Story, shortStory } from "../../../actors/testing/world/story.ts";
import type { HistoryEvent } from "../../../machines/checker/history.ts";

test("faults and what went wrong stay, idle talk goes, and the order is that of time", (t) => {
  const story = new Story();
  for (let at = 0; at < 100; at += 1) story.tell(10 * at, "alpha#1", `says ${at}`);
  story.within(7, () => story.tell(305, "beta", "is killed"));
  story.tell(600, "invariant 4", "lost", "violation");
  const text = shortStory(story.lines, 10, 600);
  const lines = text.split("\n");
  t.is(lines.filter((line) => !line.includes("left out")).length, 10);
  t.regex(text, /305\.0 ms {2}f7 beta {7}is killed/);
  t.regex(text, /600\.0 ms {2}!! invariant 4 lost/);
  t.true(text.indexOf("is killed") < text.indexOf("lost"));
  const left = [...text.matchAll(/… (\d+) lines left out/g)].reduce((sum, [, count]) => sum + Number(count), 0);
  t.is(left + 10, story.lines.length);
  t.regex(text, /alpha-1/, "a process is named as its incarnation");
});

test("the same words again and again are told twice: first and last", (t) => {
  const story = new Story();
  for (let at = 0; at < 50; at += 1) story.tell(at, "beta#1", "joins alpha");
  t.is(shortStory(story.lines, 10, 50).split("\n").length, 2);
});

test("the request that a violation names is told with its copies, its answers and its place in the log", (t) => {
  const reply = JSON.stringify({ client: "c", id: "c-1", ok: true, result: { status: "done" }, sequence: 5, epoch: 2 });
  const record = { sequence: 5, epoch: 2, hash: 1, client: "c", id: "c-1", name: "", resultNumber: 1, reply };
  const busy = JSON.stringify({
    client: "c",
    id: "c-1",
    ok: false,
    error: { code: "BUSY", message: "", executed: false },
  });
  const events: HistoryEvent[] = [
    { type: "invoke", client: "c", id: "c-1", copy: 1, body: { type: "open", account: "a1" }, atMs: 1 },
    { type: "reply", client: "c", id: "c-1", copy: 1, bytes: busy, duplicate: false, atMs: 2 },
    { type: "invoke", client: "c", id: "c-1", copy: 2, body: { type: "open", account: "a1" }, atMs: 3 },
    { type: "invoke", client: "c", id: "c-2", copy: 1, body: { type: "open", account: "a2" }, atMs: 3 },
    {
      type: "commit",
      server: "alpha",
      incarnation: "alpha-1",
      history: "h",
      records: [{ ...record, kind: "final" }],
      atMs: 4,
    },
    { type: "reply", client: "c", id: "c-1", copy: 2, bytes: reply, duplicate: false, atMs: 5 },
  ];
  const told = requestStory(events, [{ of: "invariant 6", text: "c/c-1: two different answers", atMs: 5 }]);
  t.deepEqual(
    told.map(({ who, text }) => `${who} ${text}`),
    [
      "c sends c-1: type open, account a1",
      "c is told of c-1 (copy 1): refused, BUSY, this copy was not executed",
      "c sends c-1 again (copy 2): type open, account a1",
      "alpha-1 knows c-1 committed, at sequence 5 of epoch 2",
      "c is told of c-1 (copy 2): done, at sequence 5 of epoch 2: status done",
    ],
  );
});
