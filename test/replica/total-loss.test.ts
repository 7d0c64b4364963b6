/**
 * After a total loss at confirm level `synced`: the old history goes on only where a disk proves that it has all that was
 * acknowledged (modes and start).
 */
import test from "ava";
import { limits, Stage } from "./stage.ts";
import { Server } from "./staged-server.ts";

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
  stage.server(name).disk = { ...new Server(name).disk, life: 1 };
};

test("at confirm level synced disks that were lost with their servers do not go on under the old history's name (modes and start)", (t) => {
  const stage = syncedLoss();
  for (const name of ["alpha", "beta"]) loseDisk(stage, name);
  for (const name of ["alpha", "beta"]) stage.start(name);
  stage.tick(polls + 8);
  t.is(stage.replica("alpha").state.split(".")[0], "hot");
  t.not(stage.record.history, "h1", "records that were acknowledged are gone, and it says so");
});

test("at confirm level synced an empty disk that had asked to go on, and died, goes on as a new history the next time too", (t) => {
  const stage = syncedLoss();
  for (const name of ["alpha", "beta"]) loseDisk(stage, name);
  const alpha = stage.server("alpha");
  alpha.held.add("compareAndSet");
  for (const name of ["alpha", "beta"]) stage.start(name);
  stage.tick(polls + 8);
  t.is(stage.replica("alpha").state, "renewing.asking");
  t.is(alpha.disk.memberEpoch, stage.record.epoch, "its disk vouches for what an operator, or the table, lets it lack");
  stage.kill("alpha");
  alpha.waiting.length = 0;
  alpha.held.clear();
  stage.start("alpha");
  stage.tick(polls + 8);
  t.is(stage.record.primary.server, "alpha");
  t.not(stage.record.history, "h1");
});

test("at confirm level synced an old disk of the same history, the longest that is left, begins a new one (modes and start)", (t) => {
  const stage = Stage.normal({ servers: ["alpha", "beta", "gamma"], replica: { confirm: "synced" } });
  stage.do("alpha", "1");
  stage.kill("gamma");
  stage.tick(polls);
  stage.do("alpha", "2");
  t.deepEqual(stage.replies(), ["1: ok at 1", "2: ok at 2"]);
  for (const name of ["alpha", "beta"]) stage.kill(name);
  for (const name of ["alpha", "beta"]) loseDisk(stage, name);
  for (const name of ["alpha", "beta", "gamma"]) stage.start(name);
  stage.tick(polls + 8);
  t.is(stage.record.primary.server, "gamma");
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
