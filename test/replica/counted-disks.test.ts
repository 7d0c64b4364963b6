/** The registry's record says on which disk each member counts: whoever writes members writes it, and what is not known is left out. */
import test from "ava";
import { limits, Stage } from "./stage.ts";
import { emptyDisk } from "./staged-server.ts";

const polls = Math.ceil(limits.registryPollMs / limits.heartbeatMs) + 1;
const disksOf = (stage: Stage) => stage.record.inSync.map(({ server, disk }) => `${server}: ${disk}`);

test("a claim, an adding, a removal, a switch and a takeover name the disks of those who are in sync (the registry record)", (t) => {
  const stage = new Stage({ servers: ["alpha", "beta", "gamma"] });
  stage.start("alpha");
  stage.tick(2);
  t.deepEqual(disksOf(stage), ["alpha: disk of alpha"], "a claim");
  for (const name of ["beta", "gamma"]) {
    stage.start(name);
    stage.tick(polls);
  }
  const all = ["alpha: disk of alpha", "beta: disk of beta", "gamma: disk of gamma"];
  t.deepEqual(disksOf(stage), all, "those who joined");
  stage.replica("alpha").onSwitch(stage.nowMs);
  stage.server("alpha").hasInput = true;
  stage.run();
  stage.tick(8);
  t.not(stage.record.primary.server, "alpha");
  t.deepEqual(disksOf(stage), all, "a switch");
  stage.kill("alpha");
  stage.tellGone("alpha");
  stage.tick(4);
  t.deepEqual(disksOf(stage), all.slice(1), "a removal");
  const { server } = stage.record.primary;
  stage.kill(server);
  stage.tellGone(server);
  stage.tick(4);
  t.is(stage.record.mode, "backup-only");
  t.deepEqual(
    disksOf(stage),
    all.slice(1).filter((one) => !one.startsWith(server)),
    "a takeover",
  );
});

test("a server that is back on another disk counts on that one (the registry record)", (t) => {
  const stage = Stage.normal();
  stage.kill("beta");
  stage.tellGone("beta");
  stage.tick(polls);
  stage.server("beta").disk = { ...emptyDisk("second disk of beta"), startCount: 10 };
  stage.start("beta");
  stage.tick(polls + 8);
  t.deepEqual(disksOf(stage), ["alpha: disk of alpha", "beta: second disk of beta"]);
});

test("a joiner of an older program, which says no disk, is taken in without one (the registry record)", (t) => {
  const stage = new Stage();
  stage.start("alpha");
  stage.tick(2);
  stage.server("beta").disk = emptyDisk("");
  stage.start("beta");
  stage.tick(polls + 4);
  t.deepEqual(
    stage.record.inSync.map((member) => Object.keys(member)),
    [
      ["server", "incarnation", "disk"],
      ["server", "incarnation"],
    ],
  );
});

test("where an older program wrote the record, the disks come with the next one that is written (the registry record)", (t) => {
  const stage = Stage.normal({ servers: ["alpha", "beta", "gamma"] });
  const { registry } = stage;
  if (registry === null) throw new Error("there is no record");
  // As a program writes it that knows no disks: it is another primary's, in the next epoch.
  const inSync = registry.record.inSync.map(({ server, incarnation }) => ({ server, incarnation }));
  const record = { ...registry.record, inSync, epoch: registry.record.epoch + 1, writeId: "older" };
  stage.registry = { record, revision: registry.revision + 1 };
  stage.tick(polls);
  t.deepEqual(stage.states(), ["hot.normal", "following.warm", "following.warm"], "members are who they were");
  stage.kill("gamma");
  stage.tellGone("gamma");
  stage.tick(4);
  t.deepEqual(disksOf(stage), ["alpha: disk of alpha", "beta: disk of beta"]);
});
