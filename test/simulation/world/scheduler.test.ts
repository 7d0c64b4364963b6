/** The scheduler and process life: order, complete turns, and nothing ever runs for the dead. */
import test from "ava";
import { Scheduler } from "../../../actors/testing/world/scheduler.ts";
import { type CrashPlan, SimProcess } from "../../../actors/testing/world/sim-process.ts";

const silent = { onProcessError: () => {}, onPlannedCrash: () => {} };

test("events run in time's order, and in the order of their making at one time", async (t) => {
  const scheduler = new Scheduler();
  const seen: string[] = [];
  for (const [atMs, name] of [
    [5, "c"],
    [1, "a"],
    [5, "d"],
    [3, "b"],
  ] as const)
    scheduler.at(atMs, null, "e", () => seen.push(name));
  await scheduler.run(10);
  t.deepEqual(seen, ["a", "b", "c", "d"]);
  t.is(scheduler.nowMs, 10);
});

test("every promise of an event is run to its end before the next event", async (t) => {
  const scheduler = new Scheduler();
  const seen: string[] = [];
  const long = async (name: string) => {
    for (let turn = 0; turn < 50; turn += 1) await Promise.resolve();
    seen.push(name);
  };
  const begin = (name: string) => () => {
    seen.push(`begin ${name}`);
    long(name).catch(() => {});
  };
  scheduler.at(1, null, "e", begin("a"));
  scheduler.at(1, null, "e", begin("b"));
  await scheduler.run(2);
  t.deepEqual(seen, ["begin a", "a", "begin b", "b"]);
});

test("nothing of a killed process runs: no timer, and no promise settles", async (t) => {
  const scheduler = new Scheduler();
  const process = new SimProcess(scheduler, "alpha", 1, silent);
  const seen: string[] = [];
  process.later(5, "timer", () => seen.push("timer"));
  process
    .promise<void>((settle) => settle(5, () => undefined))
    .then(
      () => seen.push("settled"),
      () => seen.push("failed"),
    );
  scheduler.at(3, null, "fault", () => process.kill());
  await scheduler.run(20);
  t.deepEqual(seen, []);
});

test("a paused process runs nothing; resumed, late timers come first, then its input, each once", async (t) => {
  const scheduler = new Scheduler();
  const process = new SimProcess(scheduler, "alpha", 1, silent);
  const seen: string[] = [];
  process.later(2, "link.main", () => seen.push("input"));
  process.later(3, "timer", () => seen.push("timer"));
  const cancelled = process.later(4, "timer", () => seen.push("cancelled"));
  process.later(9, "timer", () => {
    cancelled.cancelled = true;
    seen.push("later timer");
  });
  scheduler.at(1, null, "fault", () => process.pause());
  scheduler.at(8, null, "fault", () => process.resume());
  await scheduler.run(8);
  t.deepEqual(seen, ["timer", "cancelled", "input"]);
  await scheduler.run(20);
  t.deepEqual(seen, ["timer", "cancelled", "input", "later timer"]);
});

test("a timer cancelled between its coming due in a pause and its turn does not run", async (t) => {
  const scheduler = new Scheduler();
  const process = new SimProcess(scheduler, "alpha", 1, silent);
  const seen: string[] = [];
  process.later(2, "timer", () => {
    second.cancelled = true;
    seen.push("first");
  });
  const second = process.later(3, "timer", () => seen.push("second"));
  process.pause();
  scheduler.at(8, null, "fault", () => process.resume());
  await scheduler.run(20);
  t.deepEqual(seen, ["first"]);
});

test("a planned crash fires at the countdown's boundary, before or after, and only there", (t) => {
  const scheduler = new Scheduler();
  const crashed: CrashPlan[] = [];
  const watcher = { onProcessError: () => {}, onPlannedCrash: (_: SimProcess, plan: CrashPlan) => crashed.push(plan) };
  const process = new SimProcess(scheduler, "alpha", 1, watcher);
  process.plan = { what: "store", when: "after", countdown: 2, kind: "process", mayStrike: () => true, fault: 1 };
  t.true(process.boundary("store.sync", "before"));
  t.true(process.boundary("store.sync", "after"));
  t.true(process.boundary("registry.cas", "after"));
  t.false(process.boundary("store.write", "after"));
  t.is(process.state, "dead");
  t.is(crashed.length, 1);
});

test("a planned crash that may not strike any more is dropped, and never comes true", (t) => {
  const process = new SimProcess(new Scheduler(), "alpha", 1, silent);
  let mayStrike = false;
  const judge = () => mayStrike;
  process.plan = { what: "store.sync", when: "before", countdown: 1, kind: "process", mayStrike: judge, fault: 1 };
  t.true(process.boundary("store.sync", "before"));
  mayStrike = true;
  t.true(process.boundary("store.sync", "before"));
  t.is(process.state, "running");
});

test("an error of a process is its own death, told to its watcher; an error of the world ends the run", async (t) => {
  const scheduler = new Scheduler();
  const errors: unknown[] = [];
  const watcher = { onProcessError: (_: SimProcess, error: unknown) => errors.push(error), onPlannedCrash: () => {} };
  const process = new SimProcess(scheduler, "alpha", 1, watcher);
  process.later(1, "timer", () => {
    throw new Error("broken");
  });
  await scheduler.run(2);
  t.is(errors.length, 1);
  scheduler.at(3, null, "fault", () => {
    throw new Error("the world is broken");
  });
  await t.throwsAsync(scheduler.run(4), { message: "the world is broken" });
});

test("time that stands still ends the run", async (t) => {
  const scheduler = new Scheduler();
  const again = () => {
    scheduler.after(0, null, "loop", again);
  };
  again();
  await t.throwsAsync(scheduler.run(1), { message: /time stands still/ });
});

test("a process that does not come back is freed by nobody but its end", async (t) => {
  const scheduler = new Scheduler();
  const process = new SimProcess(scheduler, "alpha", 1, silent);
  const seen: string[] = [];
  process.later(2, "timer", () => seen.push("timer"));
  scheduler.at(1, null, "fault", () => process.block());
  scheduler.at(3, null, "fault", () => process.resume());
  await scheduler.run(10);
  t.deepEqual([process.state, seen], ["paused", []]);
  process.kill();
  t.is(process.state, "dead");
});
