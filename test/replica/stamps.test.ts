/**
 * Stamps and the clocks by which they are judged (rule 12, situations 43, 57): clients' that are fast or slow, a primary's
 * that is a day off, and what a refusal says. One party's clock costs that party alone.
 */

import test from "ava";
import type { StampRange } from "../../schemas/envelope.ts";
import { inside } from "../helpers/inside.ts";
import { limits, Stage } from "./stage.ts";

const dayMs = 86_400_000;
const minuteMs = 60_000;

/** A stage in our time, on which these clocks are off. */
function staged(offsets: Record<string, number>, more: Partial<typeof limits> = {}): Stage {
  const stage = Stage.normal({ replica: { limits: { ...limits, ...more } } });
  stage.wallMs = 1_764_000_000_000;
  for (const [name, offsetMs] of Object.entries(offsets)) stage.wallOffsets.set(name, offsetMs);
  stage.tick(2);
  return stage;
}

function ask(stage: Stage, name: string, from: number, count: number, aheadMs = 0, client = "c"): string[] {
  for (let request = from; request < from + count; request += 1)
    stage.do(name, `${request}`, { client, issuedAtMs: stage.wallMs + aheadMs + request });
  stage.tick(4);
  return stage.replies().map((line) => line.split(" ")[1] ?? "");
}

const ok = (count: number) => Array.from({ length: count }, () => "ok");

function refusal(stage: Stage): { code: string; message: string; stamps?: StampRange } {
  stage.tick(4);
  const [given] = stage.given.splice(0);
  return JSON.parse(given?.text ?? "{}").error;
}

test("a primary whose clock is a day slow takes requests as long as it has heard of another's that is not (situation 43)", (t) => {
  const stage = staged({ alpha: -dayMs });
  t.deepEqual(ask(stage, "alpha", 1, 3), ok(3));
  stage.kill("beta");
  stage.tellGone("beta");
  stage.tick(10);
  t.is(stage.replica("alpha").state, "hot.alone");
  t.deepEqual(ask(stage, "alpha", 4, 3), ok(3));
  stage.wallMs += 3 * minuteMs;
  stage.nowMs += 3 * minuteMs;
  t.deepEqual(ask(stage, "alpha", 7, 3), ok(3), "and that one's goes on");
});

test("a primary whose clock jumps a day back takes requests, alone too (situation 43)", (t) => {
  const stage = new Stage({ servers: ["alpha"] });
  stage.wallMs = 1_764_000_000_000;
  stage.start("alpha");
  stage.tick(5);
  stage.take();
  t.is(stage.replica("alpha").state, "hot.alone");
  stage.wallOffsets.set("alpha", -dayMs);
  stage.tick(2);
  t.deepEqual(ask(stage, "alpha", 1, 3), ok(3));
});

test("what a primary whose clock is a day fast did and forgot refuses nothing on the next one, and it forgets nothing before its time (situation 57)", (t) => {
  const stage = staged({ alpha: dayMs }, { rememberReplies: 10 });
  for (let request = 1; request <= 30; request += 1) stage.do("alpha", `u${request}`);
  stage.replies();
  t.deepEqual(ask(stage, "alpha", 1, 15, 0, "other"), ok(15));
  t.is(
    inside(stage.replica("alpha")).core.applied.requests.done.count,
    11,
    "as many as the limit says, whatever the clock says",
  );
  stage.kill("alpha");
  stage.tellGone("alpha");
  stage.tick(10);
  t.deepEqual(ask(stage, "beta", 31, 3), ok(3), "who came without a stamp has one now");
  t.deepEqual(ask(stage, "beta", 31, 3, 0, "other"), ok(3));
});

test("a wall clock that jumps forgets nothing; time that passes does (rule 12, situation 43)", (t) => {
  const stage = staged({}, { rememberMs: 10_000 });
  t.deepEqual(ask(stage, "alpha", 1, 5), ok(5));
  stage.wallMs += 2 * dayMs;
  stage.tick(2);
  t.deepEqual(ask(stage, "alpha", 6, 5), ok(5));
  t.is(inside(stage.replica("alpha")).core.applied.requests.done.count, 10);
  stage.tick(110);
  t.deepEqual(ask(stage, "alpha", 11, 1), ok(1));
  t.deepEqual(ask(stage, "alpha", 12, 1), ok(1), "and another record says it");
  t.is(inside(stage.replica("alpha")).core.applied.requests.done.count, 2);
});

test("a refusal says whose clock it is, by how much, and what would be taken", (t) => {
  const stage = staged({}, { rememberReplies: 10 });
  t.deepEqual(ask(stage, "alpha", 1, 30), ok(30));
  stage.do("alpha", "slow", { issuedAtMs: stage.wallMs - 5 * 60 * minuteMs });
  const slow = refusal(stage);
  t.is(slow.code, "EXPIRED");
  t.regex(
    slow.message,
    /whether it was executed is not known; if this is a new one, the client's clock is slow: 5 h behind/,
  );
  t.true((slow.stamps?.after ?? 0) <= stage.wallMs);
  t.deepEqual(
    ask(stage, "alpha", 100, 1, (slow.stamps?.after ?? 0) + 1 - stage.wallMs - 100),
    ok(1),
    "the first that would be",
  );

  stage.do("alpha", "fast", { issuedAtMs: stage.wallMs + 3 * dayMs });
  const fast = refusal(stage);
  t.is(fast.code, "INVALID_REQUEST");
  t.regex(fast.message, /3 d ahead of the service's clock/);
  t.true((fast.stamps?.until ?? 0) <= stage.wallMs + limits.maxFutureMs);

  t.deepEqual(ask(stage, "alpha", 200, 30, 9 * minuteMs, "once"), ok(30));
  stage.do("alpha", "right", { client: "once", issuedAtMs: stage.wallMs });
  const once = refusal(stage);
  t.is(once.code, "EXPIRED");
  t.regex(once.message, /stamped 9 min ahead of the service's clock are forgotten already: its clock was fast then/);
});

test("a chain of requests whose stamps are not taken is refused for them at once, and not one by one (rules 11, 12)", (t) => {
  const stage = staged({}, { rememberClients: 2, skewMs: 0 });
  const chain = (client: string, aheadMs: number) => {
    for (let request = 1; request <= 4; request += 1) {
      const after = request === 1 ? {} : { after: `${request - 1}` };
      stage.do("alpha", `${request}`, { client, issuedAtMs: stage.wallMs + aheadMs + request, ...after });
    }
    stage.tick(4);
    return stage.replies().map((line) => line.split(" ")[1] ?? "");
  };
  const refused = Array.from({ length: 4 }, () => "INVALID_REQUEST");
  t.deepEqual(chain("far", limits.maxFutureMs), refused);
  t.deepEqual(chain("first", minuteMs), ok(4), "as many clients as may be are ahead");
  t.deepEqual(chain("second", minuteMs), refused);
  t.deepEqual(chain("second", -10), ok(4));
});

test("nobody is ahead whom another server's clock is level with (rule 12, situation 43)", (t) => {
  const stage = staged({ alpha: -minuteMs }, { rememberClients: 2, skewMs: 0 });
  for (const client of ["first", "second", "third"]) t.deepEqual(ask(stage, "alpha", 1, 2, -10, client), ok(2));
});

test("who is ahead of the clock, and is refused for another reason, leaves others their place (rule 12)", (t) => {
  const stage = staged({}, { rememberClients: 2, skewMs: 0 });
  stage.do("alpha", "2", { client: "first", issuedAtMs: stage.wallMs + minuteMs, after: "1" });
  stage.tick(4);
  t.deepEqual(stage.replies(), ["2: OUT_OF_ORDER"]);
  t.deepEqual(ask(stage, "alpha", 1, 2, minuteMs, "second"), ok(2));
  t.deepEqual(ask(stage, "alpha", 1, 1, minuteMs, "first"), ["INVALID_REQUEST"]);
});

test("refusals for stamps, and a clock far from another server's, are troubles; a late copy is none", (t) => {
  const stage = staged({ beta: -10 * minuteMs }, { rememberReplies: 10 });
  const open = (name: string) =>
    stage
      .replica(name)
      .troubles()
      .flatMap(([code, message]) => (message === null || !/clock|stamps/.test(code) ? [] : [`${code}: ${message}`]));
  t.deepEqual(open("alpha"), [
    "clock.apart: this server's clock is 10 min ahead of beta's: requests' stamps are judged by it; set the clocks",
  ]);
  t.regex(open("beta").join(), /10 min behind alpha's/);
  stage.wallOffsets.delete("beta");
  stage.tick(2);
  t.deepEqual(open("alpha"), []);
  t.deepEqual(ask(stage, "alpha", 1, 30), ok(30));
  for (let copy = 0; copy < 5; copy += 1) stage.do("alpha", "1", { issuedAtMs: stage.wallMs - 1_000, resend: true });
  t.deepEqual(open("alpha"), []);
  for (let request = 100; request < 105; request += 1)
    stage.do("alpha", `${request}`, { client: 'a "b"', issuedAtMs: stage.wallMs + dayMs });
  stage.tick(2);
  t.regex(
    open("alpha").join(),
    /stamps.refused: 5 requests .* the newest of client "a \\"b\\"": 24 h ahead of the service's clock/,
  );
  stage.nowMs += 3 * minuteMs;
  stage.tick(2);
  t.deepEqual(open("alpha"), [], "they came to an end");
});

test("servers that keep floors of different numbers of clients say so, until they are the same or the other one is gone (rule 12)", (t) => {
  const replica = { limits };
  const stage = new Stage({ replica });
  stage.start("alpha");
  stage.tick(3);
  replica.limits = { ...limits, rememberClients: 512 };
  stage.start("beta");
  stage.tick(10);
  const told = (name: string) =>
    stage
      .replica(name)
      .troubles()
      .find(([code]) => code === "settings.differ")?.[1];
  t.regex(
    told("alpha") ?? "",
    /^limits\.rememberClients is 1024 here and 512 on beta: .*; set the same on all servers$/,
  );
  t.regex(told("beta") ?? "", /is 512 here and 1024 on alpha/);
  stage.kill("beta");
  stage.tellGone("beta");
  t.is(told("alpha"), null, "one that is gone is not asked to change");
  replica.limits = limits;
  stage.start("beta");
  stage.tick(10);
  t.deepEqual([told("alpha"), told("beta")], [null, null]);
  const { rememberClients: _, ...older } = stage.lastSent("beta", "heartbeat");
  stage.forge("beta", "alpha", { ...older, beat: older.beat + 1 });
  stage.tick();
  t.is(told("alpha"), null, "an older program does not say it");
});
