/**
 * An operator's pause belongs to the registry's record: it outlives a switch, a takeover and a restart, ends when it is
 * resumed or its time is over, and a record without one is as ever.
 */

import test from "ava";
import { RegistryRecord } from "../../schemas/registry.ts";
import { primaryOf } from "../helpers/inside.ts";
import { limits, Stage } from "./stage.ts";

const polls = Math.ceil(limits.registryPollMs / limits.heartbeatMs) + 1;

function paused(forMs?: number): Stage {
  const stage = Stage.normal();
  stage.do("alpha", "1");
  stage.replies();
  if (stage.replica("alpha").onPause(true, forMs, stage.nowMs) !== null) throw new Error("it is the primary");
  stage.do("alpha", "2");
  stage.tick();
  return stage;
}

test("a pause is written into the record, and counts at once", (t) => {
  const stage = paused();
  t.deepEqual(stage.replies(), ["2: BUSY"]);
  t.is(stage.record.pause?.forMs, undefined);
  t.truthy(stage.record.pause);
  t.deepEqual(stage.states(), ["hot.normal", "following.warm"]);
  stage.do("alpha", "1");
  t.deepEqual(stage.replies(), ["1: ok at 1 again"], "what is done is told all the same");
});

test("a pause outlives a switch, a takeover and a restart, until it is resumed", (t) => {
  const stage = paused();
  stage.replica("alpha").onSwitch(stage.nowMs);
  stage.tick(3);
  t.is(stage.replica("beta").state, "hot.normal");
  t.regex(
    stage
      .replica("beta")
      .troubles()
      .find(([code]) => code === "intake.paused")?.[1] ?? "",
    /paused the intake: /,
  );
  stage.kill("beta");
  stage.tellGone("beta");
  stage.tick(2);
  t.is(stage.replica("alpha").state, "hot.alone");
  stage.kill("alpha");
  stage.start("alpha");
  stage.tick(2);
  stage.replies();
  stage.do("alpha", "2");
  t.deepEqual(stage.replies(), ["2: BUSY"]);
  stage.replica("alpha").onPause(false, undefined, stage.nowMs);
  stage.do("alpha", "2");
  stage.tick();
  t.true(stage.replies().includes("2: ok at 2"));
  t.is(stage.record.pause, undefined);
});

test("a pause with a time ends by itself, also where a takeover came between, and the record says so", (t) => {
  const stage = paused(10_000);
  stage.kill("alpha");
  stage.tellGone("alpha");
  stage.tick(polls);
  const beta = stage.replica("beta");
  t.is(beta.state, "hot.alone");
  t.true(primaryOf(beta).intake.isPaused);
  stage.tick(10_000 / limits.heartbeatMs);
  t.false(primaryOf(beta).intake.isPaused);
  t.is(stage.record.pause, undefined);
});

test("a wall clock that was set back does not make a pause longer than it was meant", (t) => {
  const stage = paused(10_000);
  stage.wallMs -= 86_400_000;
  stage.tick(10_000 / limits.heartbeatMs + 2);
  t.false(primaryOf(stage.replica("alpha")).intake.isPaused);
  t.is(stage.record.pause, undefined);
});

test("the registry is silent: a pause counts on the primary, says that it is not written, and is written later", (t) => {
  const stage = Stage.normal();
  stage.isFull = true;
  stage.replica("alpha").onPause(true, undefined, stage.nowMs);
  stage.tick(polls);
  t.true(primaryOf(stage.replica("alpha")).intake.isPaused);
  t.regex(
    stage
      .replica("alpha")
      .troubles()
      .find(([code]) => code === "intake.paused")?.[1] ?? "",
    /does not have that yet/,
  );
  stage.isFull = false;
  stage.tick(polls);
  t.truthy(stage.record.pause);
});

test("a record of an older program, without a pause, is read as ever", (t) => {
  const { pause: _, ...older } = paused().record;
  t.is(RegistryRecord.parse(older).pause, undefined);
});

test("one that is alone writes another pause only when its disk says that the epoch before counted (situation 139)", (t) => {
  const stage = Stage.normal();
  stage.kill("beta");
  stage.tellGone("beta");
  stage.tick(2);
  const alpha = stage.server("alpha");
  t.is(alpha.up.state, "hot.alone");
  const { epoch } = stage.record;
  alpha.held.add("saveEpoch");
  alpha.up.onPause(true, undefined, stage.nowMs);
  stage.tick();
  t.is(stage.record.epoch, epoch + 1);
  t.truthy(stage.record.pause);
  alpha.up.onPause(false, undefined, stage.nowMs);
  stage.tick(polls);
  t.is(stage.record.epoch, epoch + 1, "its disk could not prove itself the right one");
  stage.unhold("alpha", "saveEpoch");
  stage.tick();
  t.is(stage.record.epoch, epoch + 2);
  t.is(stage.record.pause, undefined);
});
