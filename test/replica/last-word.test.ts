/** When the primary was heard last, as the server that takes over tells it: no later than the old one's end, whatever comes after that. */
import test from "ava";
import { LastWord } from "../../machines/replica/peers/last-word.ts";
import { limits, Stage } from "./stage.ts";

const silence = Math.ceil(limits.suspicionMs / limits.heartbeatMs) + 1;
const wordOf = (stage: Stage, name = "beta") => stage.replica(name).lastWord;

test("a heartbeat and a mirror are words of the primary; from its end on the last one stands, through the takeover", (t) => {
  const stage = Stage.normal();
  stage.tick();
  t.deepEqual(wordOf(stage), { server: "alpha", heardMs: stage.nowMs }, "a heartbeat");
  stage.nowMs += 7;
  stage.do("alpha", "1");
  const endMs = stage.nowMs;
  t.deepEqual(wordOf(stage), { server: "alpha", heardMs: endMs }, "a mirror");
  t.is(wordOf(stage, "alpha"), null, "it follows nobody");
  stage.kill("alpha");
  stage.tick(silence);
  t.is(stage.replica("beta").state, "hot.alone");
  t.deepEqual(wordOf(stage), { server: "alpha", heardMs: endMs });
});

test("what another incarnation of its name says is none", (t) => {
  const stage = Stage.normal();
  stage.server("beta").held.add("compareAndSet");
  stage.tick();
  const endMs = stage.nowMs;
  stage.kill("alpha");
  stage.start("alpha");
  stage.nowMs += 10;
  stage.replica("alpha").onTick(stage.nowMs, stage.wallMs);
  stage.run();
  stage.tick();
  t.is(stage.replica("beta").state, "candidate.asking", "it was heard, and is another one than was followed");
  t.deepEqual(wordOf(stage), { server: "alpha", heardMs: endMs });
});

test("what comes right after a pause of this server may be older than the pause, and is none", (t) => {
  const stage = Stage.normal();
  stage.tick();
  const beforeMs = stage.nowMs;
  stage.nowMs += limits.suspicionMs;
  stage.do("alpha", "1");
  t.is(stage.replica("beta").log.last, 1, "it was heard");
  t.deepEqual(wordOf(stage), { server: "alpha", heardMs: beforeMs });
  stage.tick(2);
  t.deepEqual(wordOf(stage), { server: "alpha", heardMs: stage.nowMs }, "it goes on being heard");
});

test("whoever is followed next has not been heard before; who is followed again, has", (t) => {
  const word = new LastWord();
  const [alpha, beta] = [
    { server: "alpha", incarnation: "a1" },
    { server: "beta", incarnation: "b1" },
  ];
  word.onFollow(alpha);
  t.is(word.told, null);
  word.onHeard(7);
  word.onFollow(alpha);
  t.deepEqual(word.told, { server: "alpha", heardMs: 7 });
  word.onFollow({ ...alpha, incarnation: "a2" });
  t.is(word.told, null);
  word.onHeard(8);
  word.onFollow(beta);
  t.is(word.told, null);
});
