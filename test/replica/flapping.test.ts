/** Links that break and heal again and again while NATS lives: how often the mode changes (rule 9, situation 20). */
import test from "ava";
import { limits, Stage } from "./stage.ts";

const silence = Math.ceil(limits.suspicionMs / limits.heartbeatMs) + 1;
/** Longer than a backup takes to join, and shorter than the first time that it is kept waiting. */
const healed = 8;

const six = <T>(value: T): T[] => Array.from({ length: 6 }, () => value);

function other(name: string): string {
  return name === "alpha" ? "beta" : "alpha";
}

/** Neither hears the other for longer than the suspicion time, and the registry answers `winner` first. */
function breakLinks(stage: Stage, winner: string): void {
  const loser = stage.server(other(winner));
  stage.cuts.add("alpha>beta").add("beta>alpha");
  loser.held.add("compareAndSet");
  stage.tick(silence);
  stage.unhold(loser.name, "compareAndSet");
  if (loser.replica === null) stage.start(loser.name);
  stage.cuts.clear();
  stage.tick(healed);
}

/** Changes of the mode in so many breaks. */
function changes(stage: Stage, winners: readonly ("primary" | "backup")[]): number {
  const before = stage.record.epoch;
  for (const winner of winners) {
    const primary = stage.record.primary.server;
    breakLinks(stage, winner === "primary" ? primary : other(primary));
  }
  return stage.record.epoch - before;
}

test("a backup that is dropped with each break is kept waiting for longer each time", (t) => {
  const stage = Stage.normal();
  const counted = changes(stage, six("primary"));
  t.log(counted);
  t.true(counted <= 7);
  stage.tick(100);
  t.deepEqual(stage.states().sort(), ["following.warm", "hot.normal"], "and is taken in when the links are quiet");
});

test("a break that costs the primary its role counts as well: the one that takes it over goes on counting", (t) => {
  const stage = Stage.normal();
  const counted = changes(stage, six("backup"));
  t.log(counted);
  t.true(counted <= 7);
  stage.tick(100);
  t.deepEqual(stage.states().sort(), ["following.warm", "hot.normal"]);
});

test("situation 20: whoever wins, the breaks are not forgotten", (t) => {
  const stage = Stage.normal();
  const counted = changes(stage, ["backup", "primary", "backup", "backup", "primary", "backup"]);
  t.log(counted);
  t.true(counted <= 7);
});

test("a primary that died is not kept waiting: nobody flaps", (t) => {
  const stage = Stage.normal();
  for (const primary of ["alpha", "beta", "alpha"]) {
    t.is(stage.record.primary.server, primary);
    stage.kill(primary);
    stage.tellGone(primary);
    stage.tick(2);
    stage.start(primary);
    stage.tick(4);
    t.is(stage.record.mode, "normal");
  }
});
