/**
 * A backup that could not take over, because it does not reach NATS or the registry, is not counted on (rules 8 and 9,
 * situation 59): its primary mirrors to it and has what it acknowledges on its own disk, so that it may go on alone.
 */
import test from "ava";
import { limits, Stage } from "./stage.ts";

const polls = Math.ceil(limits.registryPollMs / limits.heartbeatMs) + 1;
const patience = limits.registryLostMs / limits.heartbeatMs;

const namesOf = (stage: Stage) => stage.record.inSync.map(({ incarnation }) => incarnation);
const unfitOf = (stage: Stage, name: string) =>
  stage
    .replica(name)
    .troubles()
    .find(([code]) => code === "backup.unfit")?.[1] ?? null;

const lacks = {
  NATS: {
    take: (stage: Stage) => stage.replica("beta").onBus(false, stage.nowMs),
    why: /beta \(it does not reach NATS\)/,
  },
  "the registry's answers": {
    take: (stage: Stage) => stage.unanswered.add("beta"),
    why: /beta \(the registry does not answer it\)/,
  },
};
const givesBack = (stage: Stage) => {
  stage.replica("beta").onBus(true, stage.nowMs);
  stage.unanswered.clear();
};

for (const [what, { take, why }] of Object.entries(lacks)) {
  test(`a backup that lacks ${what} for long is left out, is mirrored to all the same, and is taken in again when it has it (situation 59)`, (t) => {
    const stage = Stage.normal();
    take(stage);
    stage.tick(polls + 1);
    t.regex(unfitOf(stage, "alpha") ?? "", why);
    stage.tick(patience - polls - 2);
    t.deepEqual(namesOf(stage), ["alpha.1", "beta.1"], "not at once");
    stage.tick(2 * polls + 2);
    t.deepEqual(namesOf(stage), ["alpha.1"]);
    t.is(stage.record.durability, "disk");
    stage.do("alpha", "1");
    t.deepEqual(stage.replies(), ["1: ok at 1"]);
    t.is(stage.server("alpha").disk.log.last, 1);
    stage.tick(3 * polls);
    t.is(stage.replica("beta").log.last, 1, "mirrored to");
    t.deepEqual(namesOf(stage), ["alpha.1"], "and not taken in");
    t.regex(unfitOf(stage, "alpha") ?? "", why);
    givesBack(stage);
    stage.tick(polls + 2);
    t.deepEqual(namesOf(stage), ["alpha.1", "beta.1"]);
    t.is(unfitOf(stage, "alpha"), null);
  });

  test(`a joiner that lacks ${what} is not taken in; its primary may die and come back, and goes on (situation 59)`, (t) => {
    const stage = new Stage();
    stage.start("alpha");
    stage.tick(2);
    stage.do("alpha", "1");
    if (what !== "NATS") take(stage);
    stage.start("beta");
    if (what === "NATS") take(stage);
    stage.tick(6);
    t.deepEqual(namesOf(stage), ["alpha.1"]);
    t.is(stage.replica("beta").log.last, 1);
    stage.kill("alpha");
    stage.tellGone("alpha");
    stage.start("alpha");
    stage.tick(polls);
    t.is(stage.replica("alpha").state, "hot.alone");
    stage.do("alpha", "2");
    t.true(stage.replies().includes("2: ok at 2"));
  });
}

test("nobody is left out while the registry does not answer the primary either, nor soon after it does again (rule 9)", (t) => {
  const stage = Stage.normal();
  for (const name of ["alpha", "beta"]) stage.unanswered.add(name);
  stage.replica("beta").onBus(false, stage.nowMs);
  stage.tick(2 * patience);
  t.deepEqual(namesOf(stage), ["alpha.1", "beta.1"]);
  t.is(unfitOf(stage, "alpha"), null, "that is the registry's trouble, not beta's");
  stage.unanswered.delete("alpha");
  stage.tick(patience - 2);
  t.deepEqual(namesOf(stage), ["alpha.1", "beta.1"]);
  givesBack(stage);
  stage.tick(2 * polls);
  t.deepEqual(namesOf(stage), ["alpha.1", "beta.1"]);
});

test("a primary that was paused judges nobody by what it heard before (rule 9)", (t) => {
  const stage = Stage.normal();
  stage.replica("beta").onBus(false, stage.nowMs);
  stage.tick(patience - 5);
  stage.nowMs += limits.registryLostMs;
  stage.tick(10);
  t.deepEqual(namesOf(stage), ["alpha.1", "beta.1"]);
});
