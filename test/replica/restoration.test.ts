/** A registry that was lost, or is an older copy, and what an operator puts back (the registry record; situations 8 and 54). */

import test from "ava";
import { initialRecord } from "../../machines/replica/registry/initial-record.ts";
import {
  type Restoration,
  type RestorationFacts,
  restoration,
  whyNotFirst,
} from "../../machines/replica/registry/restoration.ts";
import { shippedRules } from "../../machines/replica/rules.ts";
import type { RegistryRecord } from "../../schemas/registry.ts";
import type { Standing } from "../../schemas/standing.ts";
import { inside } from "../helpers/inside.ts";
import { limits, Stage } from "./stage.ts";

const polls = Math.ceil(limits.registryPollMs / limits.heartbeatMs) + 1;
const heard = Math.ceil(limits.suspicionMs / limits.heartbeatMs) + 2;

function standingsOf(stage: Stage): Standing[] {
  return [...stage.servers.values()].flatMap(({ replica }) => (replica === null ? [] : [replica.standing()]));
}

function judge(stage: Stage, changes: Partial<RestorationFacts> = {}): Restoration {
  const standings = standingsOf(stage);
  return restoration({
    service: "stage",
    standings,
    silent: [...stage.servers.keys()].filter((name) => !standings.some(({ server }) => server === name)),
    present: stage.registry?.record ?? null,
    acceptsLoss: false,
    writeId: "restore.1",
    history: "h9",
    rules: shippedRules,
    ...changes,
  });
}

/** Puts the record in a new bucket, whose revisions begin anew, under the first one that no server knows. */
function restore(stage: Stage, changes: Partial<RestorationFacts> = {}): RegistryRecord {
  const made = judge(stage, changes);
  if (made.outcome !== "write") throw new Error(made.says);
  let revision = 1;
  while (made.taken.includes(revision)) revision += 1;
  stage.registry = { record: made.record, revision };
  return made.record;
}

test("init creates nothing where servers of the service have seen a record: it was lost (situation 54)", (t) => {
  const stage = Stage.normal();
  t.regex(
    whyNotFirst(standingsOf(stage), []) ?? "",
    /alpha \(epoch 3\), beta \(epoch 3\)\. It was lost: put it back with `twinlog init --restore`/,
  );
  const fresh = new Stage();
  fresh.registry = null;
  fresh.start("alpha");
  t.is(whyNotFirst(standingsOf(fresh), []), null);
  t.is(whyNotFirst([], []), null);
  t.regex(
    whyNotFirst(standingsOf(fresh), ["beta"]) ?? "",
    /beta does not answer, though NATS knows it: it may have seen one/,
  );
});

for (const [what, present] of [
  ["is gone", null],
  ["was made anew", { record: initialRecord("stage", "alpha", "h2"), revision: 1 }],
] as const)
  test(`a registry that ${what} is restored above all that was seen, and the pair goes on as it was (situation 54)`, (t) => {
    const stage = Stage.normal();
    stage.do("alpha", "1");
    stage.registry = present;
    stage.tick(polls);
    t.regex(
      stage
        .replica("alpha")
        .troubles()
        .find(([code]) => code === "registry.frozen")?.[1] ?? "",
      /init --restore/,
    );
    const record = restore(stage);
    t.is(record.epoch, 5);
    stage.take();
    stage.tick(polls);
    t.deepEqual(stage.states(), ["hot.normal", "following.warm"]);
    t.deepEqual(stage.take(), [], "nobody moves");
    t.is(inside(stage.replica("alpha")).core.membership.frozen, "");
    t.is(inside(stage.replica("beta")).core.membership.epoch, 5);
    stage.do("alpha", "2");
    t.deepEqual(stage.replies(), ["1: ok at 1", "2: ok at 2"]);
    stage.kill("alpha");
    stage.tellGone("alpha");
    stage.tick(polls);
    t.is(stage.replica("beta").state, "hot.alone", "and the next failover works");
    stage.do("beta", "2");
    t.deepEqual(stage.replies(), ["2: ok at 2 again"]);
    t.is(stage.record.epoch, 6);
    t.is(stage.record.restoredFrom, undefined);
  });

test("a question that was open when the registry was lost is void, and asked again above (rule 3, situation 54)", (t) => {
  const stage = Stage.normal();
  stage.do("alpha", "1");
  stage.kill("beta");
  stage.server("alpha").held.add("compareAndSet");
  stage.tellGone("beta");
  stage.tick(2);
  t.is(stage.replica("alpha").state, "hot.fencing.asking");
  stage.registry = null;
  const lost = stage.heldCas("alpha");
  stage.answerCas("alpha", lost.record.writeId, { outcome: "unknown", reason: "timeout" });
  stage.tick(polls);
  t.is(judge(stage).outcome, "refused", "beta is silent");
  stage.start("beta");
  stage.tick(heard);
  restore(stage);
  stage.server("alpha").held.clear();
  stage.tick(polls + heard);
  t.deepEqual(stage.states(), ["hot.normal", "following.warm"]);
  t.true(stage.record.epoch > 5);
  stage.do("alpha", "2");
  t.deepEqual(stage.replies(), ["1: ok at 1", "2: ok at 2"]);
});

test("the sole member that was stopped, and the registry lost: its disk is the right one still, by what it remembers (situation 54)", (t) => {
  const stage = Stage.normal();
  stage.do("alpha", "1");
  stage.server("alpha").disk.log = stage.replica("alpha").log.clone();
  stage.stop("alpha");
  stage.tick(10);
  stage.do("beta", "2");
  stage.stop("beta");
  stage.tick(10);
  stage.registry = null;
  for (const name of ["alpha", "beta"]) stage.start(name);
  stage.tick(heard);
  t.deepEqual(stage.states(), ["refusing", "refusing"]);
  t.is(standingsOf(stage)[1]?.record?.primary.server, "beta", "alpha knows an older one");
  restore(stage);
  stage.tick(polls + heard);
  t.deepEqual(stage.states(), ["following.warm", "hot.normal"]);
  t.is(stage.record.history, "h1");
  stage.do("beta", "2");
  t.deepEqual(stage.replies().slice(-1), ["2: ok at 2 again"]);
});

test("both died in memory and the registry is lost: the longest log goes on as a new history, as it would have (situations 23, 54)", (t) => {
  const stage = Stage.normal();
  stage.do("alpha", "1");
  stage.server("beta").disk.log = stage.replica("beta").log.clone();
  for (const name of ["alpha", "beta"]) stage.kill(name);
  stage.registry = null;
  for (const name of ["alpha", "beta"]) stage.start(name);
  stage.tick(heard);
  restore(stage);
  stage.tick(polls + heard);
  t.is(stage.record.primary.server, "beta");
  t.not(stage.record.history, "h1");
});

test("who asked before the registry was lost, and sees only what was won after it was put back, follows that (rule 3, situation 133)", (t) => {
  const stage = Stage.normal();
  stage.do("alpha", "1");
  stage.server("beta").held.add("compareAndSet");
  stage.kill("alpha");
  stage.tellGone("alpha");
  stage.tick(2);
  const asked = stage.heldCas("beta");
  stage.answerCas("beta", asked.record.writeId, { outcome: "unknown", reason: "timeout" });
  // Counted anew: under the revision on which beta asked. Somebody else went on from what was put back.
  const { restoredFrom: _, ...later } = { ...stage.record, epoch: 7, writeId: "gamma's" };
  stage.registry = { record: later, revision: 2 };
  stage.tick(polls);
  t.is(stage.replica("beta").epoch, 7);
});

test("nothing is restored while a server is silent, or a name is used twice, or there is no need (situation 54)", (t) => {
  const stage = Stage.normal();
  t.like(judge(stage), { outcome: "unneeded" });
  stage.registry = null;
  stage.tick(polls);
  const [alpha] = standingsOf(stage);
  if (alpha === undefined) throw new Error("no alpha");
  t.regex(judge(stage, { standings: [alpha], silent: ["beta"] }).says, /beta does not answer, and may have seen more/);
  t.regex(judge(stage, { standings: [alpha, { ...alpha, incarnation: "x" }] }).says, /two servers named alpha answer/);
  t.regex(judge(stage, { standings: [] }).says, /no server answers/);
  t.regex(judge(stage, { standings: [{ ...alpha, epochSeen: 9 }] }).says, /knows the record of epoch 9/);
});

/** The registry went back, and each of two servers won the same epoch: the record that alpha knows, and the present one. */
function forked(mine: Partial<RegistryRecord>, present: Partial<RegistryRecord>): Restoration {
  const stage = Stage.normal();
  const [alpha, beta] = standingsOf(stage);
  if (alpha === undefined || beta === undefined) throw new Error("no pair");
  const theirs = { ...stage.record, epoch: 4, writeId: "beta's", ...present };
  const standings = [
    { ...alpha, epochSeen: 4, frozen: "another record", record: { ...theirs, writeId: "alpha's", ...mine } },
    { ...beta, epochSeen: 4, record: theirs },
  ];
  return judge(stage, { standings, present: theirs });
}

test("two records of one epoch, and who is in sync is the same: either will do, and the one whose primary lives is put back (situations 8, 133)", (t) => {
  const { primary, inSync } = Stage.normal().record;
  const gone = { server: "beta", incarnation: "beta-0" };
  const made = forked({ primary }, { primary: gone });
  t.like(made, { outcome: "write", record: { epoch: 6, previousWriteId: "alpha's", primary, inSync } });
  const other = forked({ primary: gone }, { primary });
  t.like(other, { outcome: "write", record: { previousWriteId: "beta's", primary } });
  const left = forked({ left: ["beta-1"] }, {});
  t.like(left, { outcome: "write", record: { left: ["beta-1"] } });
});

test("two records of one epoch, and one counts on fewer: each may have what the other lacks, and an operator accepts that or does not (situations 8, 133)", (t) => {
  const { primary } = Stage.normal().record;
  const refused = forked({ inSync: [primary] }, {});
  t.is(refused.outcome, "refused");
  t.regex(refused.says, /alpha's \(in sync: alpha, beta\) and alpha's \(in sync: alpha\) are both of epoch 4/);
});

/** Epoch 7 only put that of 3 back, and alpha has read it; the registry went back, and there epoch 6 was won by beta. */
function wonBeside(won: Partial<RegistryRecord>, acceptsLoss = false): Restoration {
  const stage = Stage.normal();
  const [alpha, beta] = standingsOf(stage);
  if (alpha === undefined || beta === undefined) throw new Error("no pair");
  const putBack = { ...stage.record, epoch: 7, writeId: "restore.2", restoredFrom: 3 };
  const present = { ...stage.record, epoch: 6, writeId: "beta's", mode: "backup-only" as const, ...won };
  const standings = [
    { ...alpha, epochSeen: 7, frozen: "the registry went back to epoch 6", record: putBack },
    { ...beta, epochSeen: 6, record: present },
  ];
  return judge(stage, { standings, present, acceptsLoss });
}

test("what was won where the registry went back is put back, and not what only put an older record back (situation 140)", (t) => {
  const { inSync } = Stage.normal().record;
  const alone = inSync.filter(({ server }) => server === "beta");
  t.like(wonBeside({ inSync: alone, durability: "disk" }), {
    outcome: "write",
    record: { epoch: 9, restoredFrom: 6, previousWriteId: "beta's", inSync: alone, durability: "disk" },
  });
  t.like(wonBeside({ epoch: 2, inSync: alone }), { record: { restoredFrom: 3, inSync } }, "that was before it");
  const stranger = { server: "gamma", incarnation: "gamma-1" };
  const refused = wonBeside({ inSync: [...alone, stranger] });
  t.is(refused.outcome, "refused");
  t.regex(
    refused.says,
    /\(in sync: alpha, beta\) and .*\(in sync: beta, gamma\) are of the epochs 7 and 6, and either may/,
  );
  t.like(wonBeside({ inSync: [...alone, stranger] }, true), { outcome: "write", record: { history: "h9" } });
});

test("what a silent server may have is given up only where that is accepted: far above, and as a new history (situation 54)", (t) => {
  const stage = Stage.normal();
  stage.do("alpha", "1");
  stage.kill("alpha");
  stage.registry = null;
  stage.tick(polls);
  t.is(judge(stage).outcome, "refused");
  const record = restore(stage, { acceptsLoss: true });
  t.true(record.epoch > 1_000);
  t.is(record.history, "h9");
  t.deepEqual(record.inSync, [{ server: "beta", incarnation: "none", disk: "disk of beta" }]);
  stage.tick(polls);
  stage.start("beta");
  stage.tick(polls);
  t.is(stage.replica("beta").state, "hot.alone");
  stage.start("alpha");
  stage.tick(polls + heard);
  t.is(stage.record.history, "h9");
  t.is(stage.replica("beta").state.startsWith("hot"), true);
  // One that is alone has everything: who is silent was not counted on.
  const alone = new Stage();
  alone.start("alpha");
  alone.tick(polls);
  alone.registry = null;
  alone.tick(polls);
  t.is(restore(alone, { acceptsLoss: true }).history, "h1");
  alone.tick(polls);
  t.is(alone.replica("alpha").state, "hot.alone");
});

test("a primary that did not see what was put back before goes on as the primary that the record names (rule 7, situation 54)", (t) => {
  const stage = Stage.normal();
  stage.do("alpha", "1");
  stage.unanswered.add("alpha");
  stage.cuts.add("beta>alpha failsafe");
  stage.registry = null;
  stage.tick(polls);
  const first = restore(stage);
  stage.tick(1);
  const { record: _told, revision: _revision, ...heartbeat } = stage.lastSent("beta", "heartbeat");
  t.is(heartbeat.epochSeen, 3, "beta has not looked yet either");
  stage.registry = { record: restoredAgain(first), revision: 1 };
  stage.unanswered.clear();
  stage.cuts.clear();
  stage.take();
  stage.tick(polls);
  t.deepEqual(stage.states(), ["hot.normal", "following.warm"]);
  t.false(
    stage.take().some((line) => line.includes("asks for")),
    "and asks for nothing",
  );
  stage.do("alpha", "2");
  t.deepEqual(stage.replies(), ["1: ok at 1", "2: ok at 2"]);
});

/** By what a server that saw the first one says. */
function restoredAgain(first: RegistryRecord): RegistryRecord {
  const standing = {
    ...Stage.normal().replica("alpha").standing(),
    epochSeen: first.epoch,
    record: first,
    frozen: "gone",
  };
  const made = judge(new Stage(), { standings: [standing], silent: [], present: null, writeId: "restore.2" });
  if (made.outcome !== "write") throw new Error(made.says);
  return made.record;
}

test("a claim that was won unseen before the registry was lost is the claimer's when it is put back (rule 3, situation 54)", (t) => {
  const stage = Stage.normal();
  stage.do("alpha", "1");
  stage.server("beta").held.add("compareAndSet");
  stage.kill("alpha");
  stage.tellGone("alpha");
  stage.tick(2);
  t.is(stage.replica("beta").state, "candidate.asking");
  const won = stage.heldCas("beta");
  stage.compareAndSet(won);
  stage.answerCas("beta", won.record.writeId, { outcome: "unknown", reason: "timeout" });
  // Somebody else saw it: that server says so when it is asked.
  stage.server("beta").held.clear();
  stage.registry = { record: restoredAgain(won.record), revision: 1 };
  stage.tick(polls);
  t.is(stage.replica("beta").state, "hot.alone");
  stage.do("beta", "1");
  t.deepEqual(stage.replies().slice(-1), ["1: ok at 1 again"]);
});

test("what is put back is not written under a revision that a server knows: a late question cannot land on it (situations 4, 54)", (t) => {
  const stage = Stage.normal();
  const revision = stage.registry?.revision ?? 0;
  stage.registry = null;
  stage.tick(polls);
  const made = judge(stage);
  t.true(made.outcome === "write" && made.taken.includes(revision));
});

for (const [what, restored] of [
  [
    "put back by an operator",
    (record: RegistryRecord) => ({ ...record, epoch: record.epoch + 2, writeId: "operator" }),
  ],
  ["put back as it was", (record: RegistryRecord) => record],
] as const)
  test(`a primary that has not seen that its record was ${what} tells the old one: no question is settled by it (rules 2, 3, situation 134)`, (t) => {
    const stage = Stage.normal();
    stage.do("alpha", "1");
    const { record: old } = stage;
    stage.registry = {
      record: { ...restored(old), previousWriteId: old.writeId, restoredFrom: old.epoch },
      revision: 1,
    };
    stage.cuts.add("alpha>beta").add("beta>alpha");
    stage.unanswered.add("alpha");
    const beta = stage.server("beta");
    beta.held.add("compareAndSet");
    // Alpha stands still: only beta looks at the registry, and at what is due.
    for (let beats = 0; beats < polls + heard && beta.waiting.length === 0; beats += 1) {
      stage.nowMs += limits.heartbeatMs;
      stage.wallMs += limits.heartbeatMs;
      stage.replica("beta").onTick(stage.nowMs, stage.wallMs);
      beta.hasInput = true;
      stage.run();
    }
    t.is(stage.replica("beta").state, "candidate.asking");
    const { asked, epoch } = stage.replica("beta");
    stage.unanswered.add("beta");
    stage.cuts.clear();
    stage.tick(3);
    t.is(stage.replica("beta").state, "candidate.asking", "and confirms nothing");
    t.deepEqual(stage.replica("beta").asked, asked);
    t.is(stage.replica("beta").epoch, epoch);
    stage.do("alpha", "2");
    stage.tick(1);
    t.deepEqual(stage.replies(), ["1: ok at 1"], "alpha acknowledges nothing that beta may not have");
  });
