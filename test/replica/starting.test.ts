/** The start table, row by row, and what servers make of it after a total loss (modes and start; rules 1 and 18). */

import test from "ava";
import { consultTable, type Presence, type StartFacts } from "../../machines/replica/registry/start-table.ts";
import { shippedRules } from "../../machines/replica/rules.ts";
import type { RegistryRecord } from "../../schemas/registry.ts";
import { inside } from "../helpers/inside.ts";
import { limits, Stage } from "./stage.ts";
import { Server } from "./staged-server.ts";

const member = (server: string, life = 1) => ({ server, incarnation: `${server}.${life}` });
const alone = (server: string): RegistryRecord => ({
  service: "stage",
  history: "h1",
  epoch: 5,
  mode: "primary-only",
  writeId: "w",
  previousWriteId: "v",
  primary: member(server),
  inSync: [member(server)],
  durability: "disk",
  base: { sequence: 4, hash: 44 },
  schema: "s",
});
const pair: RegistryRecord = {
  ...alone("alpha"),
  mode: "normal",
  durability: "memory",
  inSync: [member("alpha"), member("beta")],
};
const peer = (server: string, change: Partial<Presence> = {}): Presence => ({
  server,
  incarnation: `${server}.1`,
  hot: false,
  lastEpoch: 5,
  last: 9,
  history: "h1",
  disk: `disk of ${server}`,
  proven: true,
  ...change,
});
/** Alpha in its second life, with a disk that holds the base. */
const facts: StartFacts = {
  record: alone("alpha"),
  recovery: "recover by force",
  self: member("alpha", 2),
  schema: "s",
  application: undefined,
  disk: { id: "disk of alpha", history: "h1", lastEpoch: 5, last: 9, hashAtBase: 44, memberEpoch: 5, syncedEpoch: 0 },
  present: [],
  doubled: [],
  configured: ["alpha", "beta"],
  afterTotalLoss: "longest",
  isFailoverPaused: false,
  limits,
  rules: shippedRules,
};
const emptyDisk = {
  id: "disk of alpha",
  history: "",
  lastEpoch: 0,
  last: 0,
  hashAtBase: 0,
  memberEpoch: 0,
  syncedEpoch: 0,
};
const restarted = (server: string, change: Partial<Presence> = {}) =>
  peer(server, { incarnation: `${server}.2`, ...change });

/** Records that say on which disks they count, as those of older programs do not. */
const onDisk = (server: string) => ({ ...member(server), disk: `disk of ${server}` });
const aloneOnDisk = { ...alone("alpha"), inSync: [onDisk("alpha")] };
const pairOnDisks: RegistryRecord = { ...pair, inSync: [onDisk("alpha"), onDisk("beta")] };

const rows: readonly [what: string, change: Partial<StartFacts>, verdict: string][] = [
  ["sole member, the disk holds the base", {}, "claim"],
  ["sole member, the disk ends exactly at the base", { disk: { ...facts.disk, last: 4 } }, "claim"],
  ["sole member, the disk ends before the base", { disk: { ...facts.disk, last: 3, hashAtBase: undefined } }, "refuse"],
  ["sole member, another hash at the base", { disk: { ...facts.disk, hashAtBase: 45 } }, "refuse"],
  ["sole member, an empty disk", { disk: { ...emptyDisk, hashAtBase: undefined } }, "refuse"],
  [
    "sole member, the right disk, which did not come to save that it won",
    { disk: { ...facts.disk, memberEpoch: 4 } },
    "claim",
  ],
  ["sole member, a disk that did not count in the epoch before", { disk: { ...facts.disk, memberEpoch: 3 } }, "refuse"],
  [
    "sole member, another history that does not have the base",
    { disk: { ...facts.disk, history: "h0", hashAtBase: 45 } },
    "refuse",
  ],
  ["sole member, the history before this one, which has the base", { disk: { ...facts.disk, history: "h0" } }, "claim"],
  [
    "sole member of an empty service, an empty disk",
    {
      record: { ...alone("alpha"), epoch: 1, base: { sequence: 0, hash: 0 } },
      disk: emptyDisk,
    },
    "claim",
  ],
  [
    "sole member of a service that has begun, its base still 0, an empty disk",
    {
      record: { ...alone("alpha"), epoch: 2, base: { sequence: 0, hash: 0 } },
      disk: emptyDisk,
    },
    "refuse",
  ],
  [
    "sole member of an empty service, a strange disk",
    {
      record: { ...alone("alpha"), base: { sequence: 0, hash: 0 } },
      disk: { ...emptyDisk, history: "h0", lastEpoch: 2, last: 7 },
    },
    "refuse",
  ],
  [
    "a restored store that would be the right disk, by its own word",
    { disk: { ...facts.disk, restored: { sequence: 9, takenAt: "then" } } },
    "refuse",
  ],
  [
    "a restored store, where a total loss would be made good by the longest log, and records name no disks",
    {
      record: pair,
      disk: { ...facts.disk, restored: { sequence: 9, takenAt: "then" } },
      present: [restarted("beta", { proven: true, history: "h1" })],
    },
    "refuse",
  ],
  [
    "a restored store beside a primary that serves",
    {
      record: alone("beta"),
      disk: { ...facts.disk, restored: { sequence: 9, takenAt: "then" } },
      present: [peer("beta", { hot: true })],
    },
    "join",
  ],
  ["another application or schema", { schema: "t" }, "refuse"],
  ["a record that names no schema yet", { record: { ...alone("alpha"), schema: "" }, schema: "t" }, "claim"],
  ["another one is sole member and silent", { record: alone("beta") }, "wait"],
  ["another one is sole member and hot", { record: alone("beta"), present: [peer("beta", { hot: true })] }, "join"],
  ["another one is sole member and present, not hot yet", { record: alone("beta"), present: [peer("beta")] }, "wait"],
  [
    "another life of the sole member is hot",
    { record: alone("beta"), present: [restarted("beta", { hot: true })] },
    "wait",
  ],
  ["this very incarnation is named", { record: pair, self: member("alpha") }, "member"],
  ["this very incarnation is named, whatever else", { record: pair, self: member("alpha"), schema: "t" }, "member"],
  ["the primary was this server, an in-sync peer lives", { record: pair, present: [peer("beta")] }, "wait"],
  [
    "the peer has taken over",
    { record: { ...alone("beta"), mode: "backup-only" }, present: [peer("beta", { hot: true })] },
    "join",
  ],
  [
    "a primary of several that is hot",
    { record: { ...pair, primary: member("beta") }, present: [peer("beta", { hot: true })] },
    "join",
  ],
  ["all restarted, the other absent", { record: pair }, "wait"],
  [
    "all restarted, the other present without proof",
    { record: pair, present: [restarted("beta", { proven: false })] },
    "wait",
  ],
  [
    "all restarted and present, the other's log ends in an older epoch",
    { record: pair, present: [restarted("beta", { lastEpoch: 4, last: 99 })] },
    "newHistory",
  ],
  [
    "all restarted and present, the other's log ends in a newer epoch",
    { record: pair, present: [restarted("beta", { lastEpoch: 6, last: 1 })] },
    "wait",
  ],
  [
    "all restarted and present, the other's log is longer",
    { record: pair, present: [restarted("beta", { last: 10 })] },
    "wait",
  ],
  [
    "all restarted and present, the other's log is shorter",
    { record: pair, present: [restarted("beta", { last: 8 })] },
    "newHistory",
  ],
  [
    "all restarted and present, equal logs, the first by name",
    { record: pair, present: [restarted("beta")] },
    "newHistory",
  ],
  [
    "all restarted and present, equal logs, not the first by name",
    {
      record: pair,
      self: member("beta", 2),
      present: [restarted("alpha")],
    },
    "wait",
  ],
  [
    "all restarted and present, an operator is to decide",
    { record: pair, present: [restarted("beta", { last: 8 })], afterTotalLoss: "wait" },
    "wait",
  ],
  [
    "all restarted, one of three that was never in sync is absent",
    { record: pair, configured: ["alpha", "beta", "gamma"], present: [restarted("beta")] },
    "wait",
  ],
  [
    "all restarted, all of three present",
    {
      record: pair,
      configured: ["alpha", "beta", "gamma"],
      present: [restarted("beta", { last: 8 }), restarted("gamma", { last: 8 })],
    },
    "newHistory",
  ],
  [
    "all restarted, one that was in sync has an empty disk: another process in its name may have that",
    { record: pair, present: [restarted("beta", { lastEpoch: 0, last: 0, history: "" })] },
    "wait",
  ],
  [
    "all restarted, this one has an empty disk",
    { record: pair, disk: emptyDisk, present: [restarted("beta")] },
    "wait",
  ],
  [
    "all restarted, one that was not in sync has an empty disk",
    {
      record: pair,
      configured: ["alpha", "beta", "gamma"],
      present: [restarted("beta", { last: 8 }), restarted("gamma", { lastEpoch: 0, last: 0, history: "" })],
    },
    "newHistory",
  ],
  ["sole member, the right disk by its name too", { record: aloneOnDisk }, "claim"],
  [
    "sole member, another disk that holds the base and counted in the epoch before",
    { record: aloneOnDisk, disk: { ...facts.disk, id: "another" } },
    "refuse",
  ],
  ["sole member of a record that names no disk", { disk: { ...facts.disk, id: "another" } }, "claim"],
  [
    "all restarted on the disks that were in sync",
    { record: pairOnDisks, present: [restarted("beta", { last: 8 })] },
    "newHistory",
  ],
  [
    "all restarted, one on another disk that has the history: it may have been in sync once",
    { record: pairOnDisks, present: [restarted("beta", { last: 8, disk: "another" })] },
    "wait",
  ],
  [
    "all restarted, one does not say on which disk",
    { record: pairOnDisks, present: [restarted("beta", { last: 8, disk: "" })] },
    "wait",
  ],
  [
    "all restarted, this one on another disk that has the history",
    { record: pairOnDisks, disk: { ...facts.disk, id: "another" }, present: [restarted("beta", { last: 8 })] },
    "wait",
  ],
  [
    "all restarted, one on the right disk, which has nothing of the history",
    { record: pairOnDisks, present: [restarted("beta", { lastEpoch: 0, last: 0, history: "" })] },
    "wait",
  ],
  [
    "all restarted, a record that names no disks",
    { record: pair, present: [restarted("beta", { last: 8, disk: "another" })] },
    "newHistory",
  ],
  [
    "all restarted, one that was not in sync has another disk than before",
    {
      record: pairOnDisks,
      configured: ["alpha", "beta", "gamma"],
      present: [restarted("beta", { last: 8 }), restarted("gamma", { last: 8, disk: "another" })],
    },
    "newHistory",
  ],
  [
    "all restarted, the third has the longest log",
    {
      record: pair,
      configured: ["alpha", "beta", "gamma"],
      present: [restarted("beta", { last: 8 }), restarted("gamma", { last: 10 })],
    },
    "wait",
  ],
];

for (const [what, change, wanted] of rows) {
  test(`start table: ${what}`, (t) => {
    const verdict = consultTable({ ...facts, ...change });
    t.is(verdict.event, `verdict.${wanted}` as typeof verdict.event, verdict.why);
    t.true(verdict.why.length > 0);
  });
}

const polls = Math.ceil(limits.registryPollMs / limits.heartbeatMs) + 1;

/** Both die in normal mode; alpha's disk has the first record, beta's has both that were acknowledged. */
function totalLoss(afterTotalLoss: "longest" | "wait" = "longest"): Stage {
  const stage = Stage.normal({ replica: { afterTotalLoss } });
  stage.do("alpha", "1");
  stage.server("alpha").disk.log = stage.replica("alpha").log.clone();
  stage.do("alpha", "2");
  stage.server("beta").disk.log = stage.replica("beta").log.clone();
  stage.kill("alpha");
  stage.kill("beta");
  stage.replies();
  stage.take();
  return stage;
}

test("both died: the one that is back waits for the other, and says for whom (situation 23)", (t) => {
  const stage = totalLoss();
  stage.start("beta");
  stage.tick(30);
  t.is(stage.replica("beta").state, "waiting");
  t.regex(stage.replica("beta").waitingFor, /waits for alpha/);
  t.is(stage.record.epoch, 3);
});

for (const order of [
  ["alpha", "beta"],
  ["beta", "alpha"],
]) {
  test(`both died, and ${order.join(", then ")} are back: the longest log goes on as a new history (situation 23)`, (t) => {
    const stage = totalLoss();
    for (const name of order) {
      stage.start(name);
      stage.tick(polls);
    }
    stage.tick(8);
    t.deepEqual(stage.states(), ["following.joining", "hot.alone"]);
    t.not(stage.record.history, "h1");
    t.is(stage.replica("beta").log.last, 3, "the history's record comes after the old log");
    const lines = stage.take();
    t.true(lines.includes("beta syncs through 2"), "synced before the asking");
    t.true(lines.includes("alpha: receiveSnapshot"), "a log of the old history is not gone on with");
    t.true(lines.some((line) => line.includes("primary-only beta.2 of [beta.2] on disk from 2 in history")));
    t.is(stage.replica("beta").results, 0);
    stage.do("beta", "2");
    stage.do("beta", "3");
    t.deepEqual(stage.replies(), ["2: ok at 2 again", "3: ok at 4"]);
    const result = stage.replica("beta").log.last;
    t.is(result, 4);
    t.is(stage.replica("beta").results, 1, "results are counted from 1 in each history");
  });
}

/** Both died, beta went on as a new history, and both are whole again. */
function renewed(): Stage {
  const stage = totalLoss();
  for (const name of ["alpha", "beta"]) stage.start(name);
  stage.tick(polls + 8);
  return stage;
}

test("a new history remembers the one that it goes on with, its end and its last result, on the disk (situation 63)", (t) => {
  const stage = renewed();
  const { own } = inside(stage.replica("beta")).core;
  const { last, lastEpoch } = stage.server("alpha").disk.log;
  t.deepEqual(own.ancestors[0]?.end.epoch, lastEpoch);
  t.like(own.ancestors, [{ history: "h1", start: 0, results: 2 }]);
  t.is(own.ancestors[0]?.end.sequence, 2);
  t.true(last <= 2);
  t.deepEqual(stage.server("beta").disk.ancestors, own.ancestors);
  t.is(stage.server("beta").disk.history, own.history);
});

test("who joins by the log alone is told of the histories before this one, and knows them when it takes over (situation 63)", (t) => {
  const stage = renewed();
  stage.kill("alpha");
  // An empty disk.
  stage.server("alpha").disk = new Server("alpha").disk;
  stage.start("alpha");
  stage.tick(polls + 8);
  t.deepEqual(stage.states(), ["following.warm", "hot.normal"]);
  const { ancestors } = inside(stage.replica("beta")).core.own;
  t.is(ancestors.length, 1);
  t.deepEqual(stage.server("alpha").disk.ancestors, ancestors);
});

test("a history whose first record was lost before it reached the disk begins with it once more: numbers start at 1 (situation 63)", (t) => {
  const stage = renewed();
  stage.kill("beta");
  const { disk } = stage.server("beta");
  t.is(disk.log.last, 3);
  disk.log.truncate(2);
  disk.committed = Math.min(disk.committed, 2);
  stage.kill("alpha");
  stage.start("beta");
  stage.tick(polls + 8);
  const beta = stage.replica("beta");
  t.is(beta.log.last, 3);
  t.is(beta.ancestors.length, 1);
  t.is(beta.results, 0);
});

test("both died, and an operator is to decide: they wait; recover goes on with what that server has (rule 18)", (t) => {
  const stage = totalLoss("wait");
  for (const name of ["alpha", "beta"]) stage.start(name);
  stage.tick(30);
  t.deepEqual(stage.states(), ["waiting", "waiting"]);
  const newer = `beta@h1/3/2`;
  t.regex(stage.replica("alpha").onRecover([], stage.nowMs) ?? "", new RegExp(`newer copy, ${newer}`));
  t.is(stage.replica("alpha").onRecover([newer], stage.nowMs), null);
  stage.server("alpha").hasInput = true;
  stage.run();
  stage.tick(polls + 4);
  t.is(stage.replica("alpha").state.split(".")[0], "hot");
  t.not(stage.record.history, "h1");
  stage.do("alpha", "1");
  t.deepEqual(stage.replies(), ["1: ok at 1 again"]);
});

/** Alpha and beta died, beta went on by force, and alpha is in sync with it again. */
function forcedPair(): Stage {
  const stage = Stage.normal();
  stage.do("alpha", "1");
  for (const name of ["alpha", "beta"]) stage.kill(name);
  stage.start("beta");
  stage.tick(polls + 8);
  recover(stage, "beta");
  stage.tick(4);
  stage.start("alpha");
  stage.tick(polls);
  return stage;
}

function recover(stage: Stage, name: string): void {
  stage.replica(name).onRecover([], stage.nowMs);
  stage.server(name).hasInput = true;
  stage.run();
}

test("a loss was accepted once: who went on by force waits like any other when it loses its primary later (rule 18)", (t) => {
  const stage = forcedPair();
  t.deepEqual(stage.states(), ["following.warm", "hot.normal"]);
  t.is(stage.replica("beta").onSwitch(stage.nowMs), null);
  stage.server("beta").hasInput = true;
  stage.run();
  stage.tick(10);
  t.is(stage.record.primary.server, "alpha");
  // Alpha leaves beta out and acknowledges alone; then it dies, with a sound disk.
  stage.cuts.add("beta>alpha");
  stage.tick(10);
  stage.unanswered.delete("beta");
  stage.replies();
  stage.do("alpha", "2");
  stage.tick(1);
  t.deepEqual(stage.replies(), ["2: ok at 1"]);
  stage.kill("alpha");
  stage.tick(2 * polls);
  t.deepEqual(stage.states(), ["down", "waiting"]);
  stage.cuts.clear();
  stage.start("alpha");
  stage.tick(2 * polls);
  t.deepEqual(stage.states(), ["hot.normal", "following.warm"]);
  stage.do("alpha", "2");
  t.deepEqual(stage.replies(), ["2: ok at 1 again"]);
});

test("the disk that went on by force is the right one after a crash, before the new epoch was saved (rule 18)", (t) => {
  const stage = Stage.normal();
  stage.do("alpha", "1");
  stage.tick(3);
  stage.kill("beta");
  stage.tellGone("beta");
  stage.tick(3);
  for (let restart = 0; restart < 3; restart += 1) {
    stage.kill("alpha");
    stage.start("alpha");
    stage.tick(polls);
  }
  stage.kill("alpha");
  stage.start("beta");
  stage.tick(polls);
  recover(stage, "beta");
  // What is saved once the question is won does not reach the disk any more.
  stage.server("beta").held.add("saveEpoch");
  stage.tick(2);
  t.is(stage.record.primary.server, "beta");
  stage.kill("beta");
  stage.server("beta").held.clear();
  stage.start("beta");
  stage.tick(polls);
  t.deepEqual(stage.states(), ["down", "hot.alone"]);
});

test("recover is refused where nothing is waited for, and where there is no record (rule 18)", (t) => {
  const stage = Stage.normal();
  t.regex(stage.replica("alpha").onRecover([], stage.nowMs) ?? "", /not waiting or refusing/);
  const empty = new Stage();
  empty.registry = null;
  empty.start("alpha");
  t.regex(empty.replica("alpha").onRecover([], empty.nowMs) ?? "", /twinlog init/);
});

test("a primary that is back within the suspicion time is another incarnation: its peer takes over (situation 1, rule 1)", (t) => {
  const stage = Stage.normal();
  stage.do("alpha", "1");
  stage.kill("alpha");
  stage.start("alpha");
  stage.tick(polls);
  t.deepEqual(stage.states(), ["following.warm", "hot.normal"]);
  stage.replies();
  stage.do("beta", "1");
  t.deepEqual(stage.replies(), ["1: ok at 1 again"]);
});

test("an old copy of the sole member's disk is refused (situation 28)", (t) => {
  const stage = new Stage();
  stage.start("alpha");
  stage.tick(2);
  const old = { ...stage.server("alpha").disk, log: stage.server("alpha").disk.log.clone() };
  for (const id of ["1", "2"]) stage.do("alpha", id);
  stage.kill("alpha");
  stage.start("alpha");
  stage.tick(2);
  t.is(stage.record.base.sequence, 2);
  stage.kill("alpha");
  stage.server("alpha").disk = { ...old, startCount: 10 };
  stage.start("alpha");
  stage.tick(polls);
  t.is(stage.replica("alpha").state, "refusing");
  t.regex(stage.replica("alpha").waitingFor, /older|went back|ends at record 0/);
});

/** Alone, with records that were acknowledged since the base, which is still 0. */
function aloneWithoutBase(): Stage {
  const stage = new Stage();
  stage.start("alpha");
  stage.tick(2);
  for (const id of ["1", "2"]) stage.do("alpha", id);
  if (stage.record.base.sequence !== 0 || stage.replies().length !== 2)
    throw new Error("not the moment that was meant");
  return stage;
}

test("an empty disk in place of the sole member's is refused, also while the base is 0 (situation 28)", (t) => {
  const stage = aloneWithoutBase();
  stage.kill("alpha");
  const { disk } = stage.server("alpha");
  stage.server("alpha").disk = { ...new Server("alpha").disk, startCount: 10 };
  // Seeing the epoch is not enough: it does so in each life, and is refused in each.
  for (let life = 1; life <= 3; life += 1) {
    stage.start("alpha");
    stage.tick(polls);
    t.is(stage.replica("alpha").state, "refusing");
    t.regex(stage.replica("alpha").waitingFor, /counted last in epoch 0, but the right one did in epoch 2/);
    stage.kill("alpha");
  }
  stage.server("alpha").disk = disk;
  stage.start("alpha");
  stage.tick(polls);
  t.is(stage.replica("alpha").state, "hot.alone");
  stage.do("alpha", "2");
  t.deepEqual(stage.replies(), ["2: ok at 2 again"]);
});

test("a copy from before the sole member was alone is refused, whatever the base says (situation 28)", (t) => {
  const stage = Stage.normal();
  stage.kill("alpha");
  const alpha = stage.server("alpha");
  const old = { ...alpha.disk, log: alpha.disk.log.clone() };
  stage.start("alpha");
  stage.tick(polls);
  // Roles and epochs change, and no record is made: the base stays where it is.
  stage.kill("beta");
  stage.tellGone("beta");
  stage.tick(2);
  t.is(stage.record.primary.server, "alpha");
  t.is(stage.record.base.sequence, 0);
  stage.do("alpha", "1");
  t.deepEqual(stage.replies(), ["1: ok at 1"]);
  stage.kill("alpha");
  alpha.disk = { ...old, startCount: 10 };
  stage.start("alpha");
  stage.tick(polls);
  t.is(stage.replica("alpha").state, "refusing");
});

test("a sole member that dies again and again before what it won is on its disk is not refused", (t) => {
  const stage = aloneWithoutBase();
  const alpha = stage.server("alpha");
  for (let epoch = 3; epoch <= 6; epoch += 1) {
    stage.kill("alpha");
    alpha.waiting.length = 0;
    alpha.held.delete("saveEpoch");
    alpha.held.add("compareAndSet");
    stage.start("alpha");
    alpha.held.add("saveEpoch");
    stage.unhold("alpha", "compareAndSet");
    t.is(alpha.up.state, "hot.alone");
    t.is(stage.record.epoch, epoch);
    t.true(alpha.disk.memberEpoch < epoch);
  }
});

test("a server that asks to be alone has on its disk first that the epoch before counted on it", (t) => {
  const stage = aloneWithoutBase();
  const alpha = stage.server("alpha");
  stage.kill("alpha");
  alpha.disk.memberEpoch = 1;
  alpha.held.add("saveEpoch");
  stage.start("alpha");
  t.is(alpha.up.state, "claiming.syncing");
  stage.unhold("alpha", "saveEpoch");
  t.is(alpha.up.state, "hot.alone");
});

test("a disk error ends the life, whatever it was doing (rule 14)", (t) => {
  const stage = Stage.normal();
  stage.do("alpha", "1");
  stage.replies();
  stage.ask("alpha", "2");
  stage.replica("alpha").onDiskFailed("no space", stage.nowMs);
  stage.run();
  t.is(stage.server("alpha").replica, null);
  t.deepEqual(stage.replies(), []);
  t.true(stage.take().includes("alpha: fail"));
});
