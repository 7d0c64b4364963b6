/** Where answers may go, and what is told of those who want theirs elsewhere. */
import test from "ava";
import { ReplyGate } from "../../actors/reply-gate.ts";
import { inboxes, maxReplySubjectBytes, mayAnswerTo } from "../../schemas/subjects.ts";
import { TestClock } from "../helpers/hand-world.ts";
import { keptLog } from "../helpers/kept-log.ts";

const longest = `_INBOX.${"x".repeat(maxReplySubjectBytes - 7)}`;

for (const reply of ["", "_INBOX.abc.1", "_R_.abc", "mine", "a.b-c_d=e%f'\"~!", "a.*b", "exchanges.x", longest])
  test(`an answer may go to ${JSON.stringify(reply.slice(0, 20))}`, (t) => {
    t.true(mayAnswerTo("exchange", reply));
  });

for (const reply of [
  "$KV.twinlog.exchange",
  "$SRV.INFO",
  "exchange.control.alpha.pause",
  "exchange.server.alpha.replication",
  "a.*",
  "*",
  ">",
  "a.>",
  "a..b",
  ".a",
  "a.",
  "a b",
  "a\tb",
  "a\u0001",
  "\u007f",
  "caf\u00e9",
  "\ufffd".repeat(10),
  `${longest}x`,
])
  test(`an answer may not go to ${JSON.stringify(reply.slice(0, 20))}`, (t) => {
    t.false(mayAnswerTo("exchange", reply));
  });

test("where the settings name prefixes, answers go there and nowhere else", (t) => {
  t.true(mayAnswerTo("exchange", "_INBOX.a", ["_R_.", "_INBOX."]));
  t.true(mayAnswerTo("exchange", "", ["_INBOX."]), "no answer is wanted");
  t.false(mayAnswerTo("exchange", "other.a", ["_R_.", "_INBOX."]));
  t.false(mayAnswerTo("exchange", "$KV.twinlog.exchange", ["$KV."]), "no setting opens the broker's own");
});

test("beside the prefixes a server answers whoever has its own name, so that a doubled name shows (rule 1)", (t) => {
  const world = { clock: new TestClock(1), log: keptLog() };
  const gate = (replyPrefixes: string[]) =>
    new ReplyGate({ service: "exchange", server: "alpha", replyPrefixes }, world);
  const narrow = gate(["_INBOX.client."]);
  t.true(narrow.passes("_INBOX.client.alice.1", "questions"));
  t.true(narrow.passes(`${inboxes.server("exchange", "alpha")}.1`, "questions"));
  t.false(narrow.passes(`${inboxes.server("exchange", "alpha")}x.1`, "questions"), "another one's, that begins alike");
  t.false(narrow.passes(`${inboxes.server("exchange", "beta")}.1`, "questions"));
  t.true(gate([]).passes("mine", "questions"), "without prefixes nothing is narrowed");
});

test("what is dropped is told once a minute, with its count and no byte of it", async (t) => {
  const clock = new TestClock(1);
  const log = keptLog();
  const gate = new ReplyGate({ service: "exchange", server: "alpha", replyPrefixes: [] }, { clock, log });
  for (let time = 0; time < 1_000; time += 1) t.false(gate.passes(`$KV.secret.${time}`, "queries"));
  t.true(gate.passes("_INBOX.x", "queries"));
  t.is(log.lines.length, 1);
  await clock.run(60_000);
  gate.passes("$KV.secret", "queries");
  t.is(log.lines.length, 2);
  t.regex(log.lines[1] ?? "", /"leftOut":999/);
  t.notRegex(log.lines.join(), /secret/);
});
