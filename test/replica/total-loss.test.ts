/**
 * After a total loss: the old history goes on only where a disk proves that it has all that was acknowledged, and nobody goes on by
 * himself where a disk that was in sync is not there (modes and start).
 */
import test from "ava";
import { limits, Stage } from "./stage.ts";
import { emptyDisk, Server } from "./staged-server.ts";

/** From one reading of the registry to the next, in beats. */
const polls = Math.ceil(limits.registryPollMs / limits.heartbeatMs) + 1;

test("at confirm level synced a total loss starts no new history: nothing is missing (modes and start)", (t) => {
  const stage = Stage.normal({ replica: { confirm: "synced" } });
  stage.do("alpha", "1");
  t.deepEqual(stage.replies(), ["1: ok at 1"]);
  stage.kill("alpha");
  stage.kill("beta");
  stage.start("alpha");
  stage.start("beta");
  stage.tick(polls + 8);
  t.is(stage.record.history, "h1");
  const hot = stage.record.primary.server;
  stage.do(hot, "1");
  t.deepEqual(stage.replies(), ["1: ok at 1 again"]);
});

/** Servers that confirm what is synced are in sync in epoch 3 or later, acknowledged a request, and died together. */
function syncedLoss(servers = ["alpha", "beta"]): Stage {
  const stage = Stage.normal({ servers, replica: { confirm: "synced" } });
  stage.do("alpha", "1");
  for (const name of servers) stage.kill(name);
  stage.replies();
  stage.take();
  return stage;
}
const loseDisk = (stage: Stage, name: string) => {
  stage.server(name).disk = { ...new Server(name).disk, startCount: 1 };
};
const copyOf = (stage: Stage, name: string) => {
  const { disk } = stage.server(name);
  return { ...disk, log: disk.log.clone() };
};
function recover(stage: Stage, name: string): void {
  const refusal = stage.replica(name).onRecover([], stage.nowMs);
  if (refusal !== null) throw new Error(refusal);
  stage.server(name).hasInput = true;
  stage.run();
}

test("disks that were lost with their servers do not go on by themselves, at no confirm level: an operator decides (situation 131)", (t) => {
  const stage = syncedLoss();
  for (const name of ["alpha", "beta"]) loseDisk(stage, name);
  for (const name of ["alpha", "beta"]) stage.start(name);
  stage.tick(polls + 8);
  t.deepEqual(stage.states(), ["waiting", "waiting"]);
  t.regex(stage.replica("alpha").waitingFor, /alpha, beta came without the disk that was in sync/);
  recover(stage, "alpha");
  stage.tick(polls);
  t.is(stage.record.primary.server, "alpha");
  t.not(stage.record.history, "h1", "records that were acknowledged are gone, and it says so");
});

test("a server that was told to go on with an empty disk, and died, does not take that for the right one the next time (situation 128)", (t) => {
  const stage = syncedLoss();
  for (const name of ["alpha", "beta"]) loseDisk(stage, name);
  for (const name of ["alpha", "beta"]) stage.start(name);
  stage.tick(polls + 8);
  const alpha = stage.server("alpha");
  alpha.held.add("compareAndSet");
  recover(stage, "alpha");
  stage.tick(polls);
  t.is(stage.replica("alpha").state, "renewing.asking");
  t.is(alpha.disk.memberEpoch, stage.record.epoch, "its disk vouches for what an operator lets it lack");
  stage.kill("alpha");
  alpha.waiting.length = 0;
  alpha.held.clear();
  stage.start("alpha");
  stage.tick(polls + 8);
  t.is(stage.replica("alpha").state, "waiting");
  t.is(stage.record.history, "h1", "and nobody has written into it");
});

test("at confirm level synced old copies of the disks begin a new history (modes and start, situation 128)", (t) => {
  const servers = ["alpha", "beta", "gamma"];
  const stage = Stage.normal({ servers, replica: { confirm: "synced" } });
  stage.do("alpha", "1");
  const copies = new Map(servers.map((name) => [name, copyOf(stage, name)] as const));
  stage.kill("gamma");
  stage.tick(polls);
  stage.do("alpha", "2");
  t.deepEqual(stage.replies(), ["1: ok at 1", "2: ok at 2"]);
  for (const name of ["alpha", "beta"]) stage.kill(name);
  for (const [name, copy] of copies) stage.server(name).disk = { ...copy, startCount: 7 };
  for (const name of servers) stage.start(name);
  stage.tick(polls + 8);
  t.is(stage.replica(stage.record.primary.server).state.split(".")[0], "hot");
  t.not(stage.record.history, "h1");
});

test("what was acknowledged from memory is not on the disk because servers now confirm what is synced (modes and start)", (t) => {
  const replica: { confirm: "memory" | "synced" } = { confirm: "memory" };
  const stage = Stage.normal({ replica });
  stage.do("alpha", "1");
  t.deepEqual(stage.replies(), ["1: ok at 1"]);
  for (const name of ["alpha", "beta"]) stage.kill(name);
  replica.confirm = "synced";
  for (const name of ["alpha", "beta"]) stage.start(name);
  stage.tick(polls + 8);
  t.not(stage.record.history, "h1");
});

test("one that was in sync and is cut off is not dead because another process with an empty disk has its name (situation 131)", (t) => {
  const stage = Stage.normal();
  stage.do("alpha", "1");
  t.deepEqual(stage.replies(), ["1: ok at 1"], "from the memory of both");
  const beta = stage.server("beta");
  // The process that the registry counts on lives and hears nobody; what speaks as beta has another disk.
  const living = { replica: beta.up, disk: beta.disk };
  loseDisk(stage, "beta");
  beta.replica = null;
  stage.start("beta");
  stage.kill("alpha");
  stage.start("alpha");
  stage.tick(polls + 8);
  t.is(stage.replica("alpha").state, "waiting", "its disk does not have what was acknowledged");
  t.regex(stage.replica("alpha").waitingFor, /^beta came without the disk that was in sync/);
  stage.kill("beta");
  Object.assign(beta, living);
  stage.tick(polls + 8);
  t.deepEqual(stage.states()[1]?.split(".")[0], "hot", "it is back, and takes over with all that was acknowledged");
  stage.do("beta", "1");
  t.deepEqual(stage.replies(), ["1: ok at 1 again"]);
});

/** Beta in sync again, on a new disk; the one that was in sync before it, with all that it had, is given back. */
function onNewDisk(stage: Stage) {
  stage.do("alpha", "1");
  stage.kill("beta");
  const beta = stage.server("beta");
  const before = copyOf(stage, "beta");
  stage.tellGone("beta");
  stage.tick(polls);
  beta.disk = { ...emptyDisk("second disk of beta"), startCount: 10 };
  stage.start("beta");
  stage.tick(polls + 8);
  return before;
}

test("one that was in sync and is cut off is not dead because another process that was in sync once has its name (situation 132)", (t) => {
  const stage = Stage.normal();
  const before = onNewDisk(stage);
  t.deepEqual(stage.states(), ["hot.normal", "following.warm"]);
  stage.do("alpha", "2");
  t.deepEqual(stage.replies(), ["1: ok at 1", "2: ok at 2"], "from the memory of both");
  const beta = stage.server("beta");
  const living = { replica: beta.up, disk: beta.disk };
  t.is(before.history, stage.record.history, "it knows the history");
  beta.disk = { ...before, startCount: 20 };
  beta.replica = null;
  stage.start("beta");
  stage.kill("alpha");
  stage.start("alpha");
  stage.tick(polls + 8);
  t.deepEqual(stage.states(), ["waiting", "waiting"]);
  for (const name of ["alpha", "beta"])
    t.regex(
      stage.replica(name).waitingFor,
      /^beta \(on disk disk of beta, not second disk of beta\) came without the disk that was in sync, .*: start it on that disk, or/,
    );
  stage.kill("beta");
  Object.assign(beta, living);
  stage.tick(polls + 8);
  t.deepEqual(stage.states()[1]?.split(".")[0], "hot", "it is back, and takes over with all that was acknowledged");
  stage.do("beta", "2");
  t.deepEqual(stage.replies(), ["2: ok at 2 again"]);
});

test("on the disks that were in sync a total loss needs no operator, whatever other disks were before (situation 132)", (t) => {
  const stage = Stage.normal();
  onNewDisk(stage);
  for (const name of ["alpha", "beta"]) stage.kill(name);
  for (const name of ["alpha", "beta"]) stage.start(name);
  stage.tick(polls + 8);
  t.not(stage.record.history, "h1");
});

test("the sole member's name on another disk that was in sync once is refused, and told which disk is the right one (situation 132)", (t) => {
  const stage = Stage.normal();
  const before = onNewDisk(stage);
  stage.kill("alpha");
  stage.tellGone("alpha");
  stage.tick(polls);
  t.deepEqual(stage.record.inSync, [{ server: "beta", incarnation: "beta.11", disk: "second disk of beta" }]);
  const beta = stage.server("beta");
  stage.kill("beta");
  const right = beta.disk;
  beta.disk = { ...before, startCount: 20 };
  // Though all else fits, as it may after many changes of the mode.
  Object.assign(beta.disk, { log: right.log.clone(), history: right.history, memberEpoch: right.memberEpoch });
  stage.start("beta");
  stage.tick(polls);
  t.is(beta.up.state, "refusing");
  t.regex(beta.up.waitingFor, /this is disk disk of beta, but beta was alone on disk second disk of beta/);
  t.is(beta.up.onRecover([], stage.nowMs), null, "an operator may go on with it all the same");
  stage.kill("beta");
  beta.disk = right;
  stage.start("beta");
  stage.tick(polls);
  t.is(beta.up.state, "hot.alone");
});
