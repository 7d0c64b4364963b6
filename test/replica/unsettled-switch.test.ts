/**
 * A planned switch that the registry does not settle in time (situation 62): the primary serves on, and the one that was to take
 * the role confirms to it. Both configurations have the same members, so what is acknowledged holds in both, whoever wins.
 */
import test from "ava";
import { limits, Stage } from "./stage.ts";

const polls = Math.ceil(limits.registryPollMs / limits.heartbeatMs) + 1;
const untilSwitchFails = (4 * limits.suspicionMs) / limits.heartbeatMs + 2;

const troubleOf = (stage: Stage, name: string, code: string) =>
  stage
    .replica(name)
    .troubles()
    .find(([one]) => one === code)?.[1] ?? null;

/** beta has asked for the role, and was not told more; alpha serves again. */
function unsettled(): Stage {
  const stage = Stage.normal();
  stage.do("alpha", "1");
  stage.server("beta").held.add("compareAndSet");
  stage.replica("alpha").onSwitch(stage.nowMs);
  stage.tick();
  t0(stage);
  stage.tick(untilSwitchFails);
  stage.replies();
  return stage;
}
function t0(stage: Stage): void {
  if (stage.states().join() !== "hot.switching,receiving") throw new Error(stage.states().join());
}

test("a switch that the registry does not settle: the primary serves on, and its backup confirms (situation 62)", (t) => {
  const stage = unsettled();
  t.deepEqual(stage.states(), ["hot.normal", "following.unsettled"]);
  stage.do("alpha", "2");
  t.deepEqual(stage.replies(), ["2: ok at 2"]);
  t.is(stage.record.epoch, 3, "no degraded moment, and nobody is dropped");
  t.regex(stage.transcript.join("\n"), /beta: handover.unsettled -> following.unsettled/);
});

test("no snapshot takes the log's place of one that asked for the role (situation 135)", (t) => {
  const stage = unsettled();
  const [alpha, beta] = [stage.replica("alpha"), stage.replica("beta")];
  stage.cuts.add("alpha>beta");
  beta.onSnapshotEnded(stage.lastSent("beta", "follow").session, stage.nowMs);
  stage.server("beta").hasInput = true;
  stage.run();
  const { session } = stage.lastSent("beta", "follow");
  stage.cuts.clear();
  stage.forge("alpha", "beta", { type: "decline", session, from: alpha.self, to: beta.self, reason: "snapshot" });
  t.is(beta.state, "following.unsettled");
  t.is(beta.snapshotSession, null);
});

test("the successor is told late that it won: it has all that was acknowledged meanwhile, and the old primary follows (situation 62)", (t) => {
  const stage = unsettled();
  stage.do("alpha", "2");
  const cas = stage.heldCas("beta");
  const answer = stage.compareAndSet(cas);
  // Until beta knows, alpha serves on; what it acknowledges beta has.
  stage.do("alpha", "3");
  stage.answerCas("beta", cas.record.writeId, answer);
  stage.tick(2);
  t.deepEqual(stage.states(), ["following.warm", "hot.normal"]);
  t.is(stage.record.primary.server, "beta");
  stage.replies();
  for (const id of ["1", "2", "3"]) stage.do("beta", id);
  t.deepEqual(stage.replies(), ["1: ok at 1 again", "2: ok at 2 again", "3: ok at 3 again"]);
});

test("the successor that gave up takes its question back when the registry answers: the role stays where it is (situation 62)", (t) => {
  const stage = Stage.normal();
  stage.isFull = true;
  stage.replica("alpha").onSwitch(stage.nowMs);
  stage.tick(untilSwitchFails);
  t.deepEqual(stage.states(), ["hot.normal", "following.unsettled"]);
  t.regex(troubleOf(stage, "beta", "registry.refuses") ?? "", /takes no change of mode .*insufficient storage/);
  stage.do("alpha", "1");
  stage.tick(polls);
  t.deepEqual(stage.replies(), ["1: ok at 1"]);
  stage.isFull = false;
  stage.tick(polls);
  t.deepEqual(stage.states(), ["hot.normal", "following.warm"]);
  t.is(stage.record.primary.server, "alpha");
  t.is(troubleOf(stage, "beta", "registry.refuses"), null);
  stage.replica("alpha").onSwitch(stage.nowMs);
  stage.tick(3);
  t.deepEqual(stage.states(), ["following.warm", "hot.normal"], "and the next switch is as ever");
});

test("the primary dies while the successor's question is not settled: it goes on when that is (situation 62)", (t) => {
  const stage = unsettled();
  stage.do("alpha", "2");
  stage.kill("alpha");
  stage.tellGone("alpha");
  stage.tick(2);
  t.is(stage.replica("beta").state, "following.unsettled", "it may be the primary already");
  stage.unhold("beta", "compareAndSet");
  stage.tick(polls);
  t.is(stage.replica("beta").state, "hot.alone");
  stage.replies();
  stage.do("beta", "2");
  t.deepEqual(stage.replies(), ["2: ok at 2 again"]);
});
