/** Joining: by the log, across a fork, by a snapshot; when a joiner is taken in, and when it is not (rules 4, 7, 8). */

import test from "ava";
import { MemoryLog } from "../../machines/log/memory-log.ts";
import { FollowedSession } from "../../machines/replica/follower/followed-session.ts";
import { shippedRules } from "../../machines/replica/rules.ts";
import { inside, primaryOf } from "../helpers/inside.ts";
import { batchOf, fieldsOf } from "../helpers/records.ts";
import { limits, Stage } from "./stage.ts";

const polls = Math.ceil(limits.registryPollMs / limits.heartbeatMs) + 1;

/** Alpha alone with three records, beta not started. */
function alone(): Stage {
  const stage = new Stage();
  stage.start("alpha");
  stage.tick(2);
  for (const id of ["1", "2", "3"]) stage.do("alpha", id);
  stage.replies();
  stage.take();
  return stage;
}

const sameLogs = (stage: Stage): boolean =>
  stage.replica("alpha").log.closed.hash === stage.replica("beta").log.closed.hash &&
  stage.replica("alpha").log.last === stage.replica("beta").log.last;

test("a joiner that lacks a record, or confirmed in an earlier epoch, is not asked for (rule 8, situation 46)", (t) => {
  const stage = alone();
  stage.server("beta").held.add("saveEpoch");
  stage.start("beta");
  stage.tick(3);
  const alpha = stage.replica("alpha");
  t.is(alpha.state, "hot.alone", "an epoch that is not saved confirms nothing");
  const { session, from, to, epoch } = stage.lastSent("beta", "follow");
  const confirm = (sequence: number) =>
    ({
      type: "confirm",
      session,
      from,
      to,
      epoch,
      sequence,
      hash: alpha.log.hashAt(sequence) ?? 0,
      probe: 0,
      gap: false,
    }) as const;
  stage.forge("beta", "alpha", confirm(2));
  stage.tick(1);
  t.is(alpha.state, "hot.alone");
  stage.forge("beta", "alpha", { ...confirm(3), epoch: epoch - 1 });
  stage.tick(1);
  t.is(alpha.state, "hot.alone");
  stage.server("alpha").held.add("compareAndSet");
  stage.forge("beta", "alpha", confirm(3));
  t.is(alpha.state, "hot.adding");
});

test("while the adding is unknown an acknowledgement needs the disk and the joiner (rule 3)", (t) => {
  const stage = alone();
  const alpha = stage.server("alpha");
  alpha.held.add("compareAndSet");
  stage.start("beta");
  stage.tick(3);
  t.is(alpha.up.state, "hot.adding");
  alpha.held.add("sync");
  stage.do("alpha", "4");
  t.deepEqual(stage.replies(), []);
  stage.unhold("alpha", "sync");
  t.deepEqual(stage.replies(), ["4: ok at 4"]);
  stage.cuts.add("beta>alpha");
  stage.do("alpha", "5");
  t.is(inside(alpha.up).core.own.synced, 5);
  t.deepEqual(stage.replies(), []);
});

test("a joiner whose primary dies goes back to the table with its memory and its incarnation (rule 8, situation 49)", (t) => {
  const stage = alone();
  stage.server("alpha").held.add("compareAndSet");
  stage.start("beta");
  stage.tick(3);
  stage.take();
  const cas = stage.heldCas("alpha");
  stage.kill("alpha");
  stage.tellGone("alpha");
  stage.tick(polls);
  t.is(stage.replica("beta").state, "waiting");
  t.regex(stage.replica("beta").waitingFor, /waits for alpha: only its disk has everything/);
  t.is(stage.replica("beta").log.last, 3);
  // The adding lands unseen: now the registry counts on this very memory.
  t.is(stage.compareAndSet(cas).outcome, "won");
  stage.tick(polls + 2);
  t.is(stage.replica("beta").self, "beta.1");
  t.is(stage.replica("beta").state, "hot.alone");
  stage.do("beta", "3");
  t.deepEqual(stage.replies(), ["3: ok at 3 again"]);
});

test("an adding that lands after the joiner restarted empty harms nothing (situation 5)", (t) => {
  const stage = alone();
  stage.server("alpha").held.add("compareAndSet");
  stage.start("beta");
  stage.tick(3);
  const cas = stage.heldCas("alpha");
  stage.kill("beta");
  stage.start("beta");
  stage.tick(1);
  stage.server("alpha").held.delete("compareAndSet");
  stage.answerCas("alpha", cas.record.writeId, stage.compareAndSet(cas));
  stage.do("alpha", "4");
  stage.tick(polls + 4);
  t.deepEqual(stage.replies(), ["4: ok at 4"]);
  t.deepEqual(
    stage.record.inSync.map(({ incarnation }) => incarnation),
    ["alpha.1", "beta.2"],
  );
  t.true(sameLogs(stage));
});

test("after a takeover the old primary joins as backup: roles swapped (claim 26), its unconfirmed tail dropped (rule 7)", (t) => {
  const stage = Stage.normal();
  stage.do("alpha", "1");
  stage.cuts.add("alpha>beta");
  stage.do("alpha", "lost");
  stage.replica("alpha").outbox.length = 0;
  // What alpha alone has is on its disk when it dies.
  stage.server("alpha").disk.log = stage.replica("alpha").log.clone();
  stage.kill("alpha");
  stage.cuts.clear();
  stage.tellGone("alpha");
  stage.do("beta", "2");
  stage.take();
  stage.start("alpha");
  stage.tick(4);
  const lines = stage.take();
  t.true(lines.includes("alpha truncates to 1"));
  t.deepEqual(stage.states(), ["following.warm", "hot.normal"]);
  t.deepEqual(
    stage.record.inSync.map(({ incarnation }) => incarnation),
    ["beta.1", "alpha.2"],
  );
  t.true(sameLogs(stage));
  t.is(stage.replica("alpha").log.epochEnds.at(-1)?.epoch, 4);
  stage.replies();
  stage.do("beta", "lost");
  t.deepEqual(stage.replies(), ["lost: ok at 3"], "it was never acknowledged, and is new");
});

test("a server of another history gets a snapshot, and then joins (rule 7)", (t) => {
  const stage = alone();
  const other = alone();
  other.do("alpha", "x");
  stage.server("beta").disk = { ...other.server("alpha").disk, history: "strange" };
  stage.start("beta");
  stage.tick(2);
  const lines = stage.take();
  t.true(lines.includes("alpha says decline to beta"));
  t.true(lines.includes("alpha: sendSnapshot"));
  t.true(lines.includes("beta: receiveSnapshot"));
  t.is(stage.record.inSync.length, 1);
  // The snapshot came through: another disk, another life.
  const { disk } = stage.server("alpha");
  stage.kill("beta");
  stage.server("beta").disk = { ...disk, log: disk.log.clone(), startCount: 7, epochSeen: 0 };
  stage.start("beta");
  stage.tick(4);
  t.deepEqual(stage.states(), ["hot.normal", "following.warm"]);
  t.true(sameLogs(stage));
});

test("a snapshot that did not come through is asked for again", (t) => {
  const stage = alone();
  stage.server("beta").disk = { ...alone().server("alpha").disk, history: "strange" };
  stage.start("beta");
  stage.tick(2);
  const first = stage.lastSent("beta", "follow").session;
  stage.take();
  stage.replica("beta").onSnapshotEnded(first, stage.nowMs);
  stage.server("beta").hasInput = true;
  stage.run();
  stage.tick(2);
  t.not(stage.lastSent("beta", "follow").session, first);
  t.is(stage.take().filter((line) => line === "alpha: sendSnapshot").length, 1);
});

test("a snapshot may take a log's place in the session that asked for it, and only until something counts on that log (situation 135)", (t) => {
  const receiving = () => {
    const stage = alone();
    stage.server("beta").disk = { ...alone().server("alpha").disk, history: "strange" };
    stage.start("beta");
    stage.tick(2);
    const { session } = stage.lastSent("beta", "follow");
    t.is(stage.replica("beta").snapshotSession, session);
    return { stage, beta: stage.replica("beta"), session };
  };
  const accepted = receiving();
  accepted.stage.forge("alpha", "beta", {
    type: "accept",
    session: accepted.session,
    from: accepted.stage.replica("alpha").self,
    to: accepted.beta.self,
    epoch: accepted.stage.record.epoch,
    sequence: accepted.beta.log.last,
    hash: accepted.beta.log.hashAt(accepted.beta.log.last) ?? null,
  });
  t.is(accepted.beta.snapshotSession, null, "the log was accepted after all");
  const anew = receiving();
  anew.beta.onSnapshotEnded(anew.session, anew.stage.nowMs);
  t.is(anew.beta.snapshotSession, null, "another session");
  const lost = receiving();
  lost.stage.kill("alpha");
  lost.stage.tick(Math.ceil(limits.suspicionMs / limits.heartbeatMs) + 3);
  t.is(lost.beta.snapshotSession, null, "it follows nobody");
});

test("a log with the same names and other bytes is found out, and replaced (rules 4, 7)", (t) => {
  const stage = alone();
  const other = alone();
  const { disk } = other.server("alpha");
  // The same epochs and sequences, and one reply that differs.
  const strange = new Stage();
  strange.start("alpha");
  strange.tick(2);
  for (const id of ["1", "2", "x"]) strange.do("alpha", id);
  stage.server("beta").disk = { ...disk, log: strange.replica("alpha").log.clone(), startCount: 1, history: "h1" };
  t.is(stage.replica("alpha").log.lastEpoch, strange.replica("alpha").log.lastEpoch);
  stage.start("beta");
  stage.tick(6);
  const lines = stage.take();
  t.true(lines.includes("beta: receiveSnapshot"));
  t.true(lines.includes("beta: log.differs"), "an operator is told");
  t.is(stage.record.inSync.length, 1);
});

test("a question to follow that comes late ends no newer session (rule 4, situation 19)", (t) => {
  const stage = alone();
  stage.start("beta");
  stage.tick(4);
  const first = stage.lastSent("beta", "follow");
  // It does not hear its primary for a while, and begins anew.
  stage.cuts.add("alpha>beta");
  stage.tick(Math.ceil(limits.suspicionMs / limits.heartbeatMs) - 1);
  const beta = stage.replica("beta");
  stage.cuts.clear();
  beta.onSnapshotEnded(first.session, stage.nowMs);
  stage.server("beta").hasInput = true;
  stage.run();
  stage.tick(3);
  const { session } = primaryOf(stage.replica("alpha")).followers.get("beta") ?? {};
  t.is(stage.lastSent("beta", "follow").number, 2);
  t.is(session?.id, stage.lastSent("beta", "follow").session);
  t.not(session?.id, first.session);
  for (const late of [first, { ...first, session: "older", from: "beta.0" }]) {
    stage.forge("beta", "alpha", late);
    t.is(primaryOf(stage.replica("alpha")).followers.get("beta")?.session, session);
  }
  stage.do("alpha", "4");
  t.deepEqual(stage.replies(), ["4: ok at 4"], "at once: the session stands");
});

test("a server with another application or schema is declined (claim 12)", (t) => {
  const stage = Stage.normal();
  const confirm = stage.lastSent("beta", "confirm");
  const follow = { session: "s9", from: confirm.from, to: confirm.to, epoch: confirm.epoch, history: "h1" };
  const ends = { last: 0, committed: 0, epochEnds: [] };
  stage.cuts.add("alpha>beta");
  stage.forge("beta", "alpha", { type: "follow", ...follow, ...ends, schema: "another" });
  t.is(stage.lastSent("alpha", "decline").reason, "schema");
  t.not(stage.lastSent("alpha", "accept").session, "s9");
});

test("confirms of another session, epoch, incarnation or hash count for nothing (rule 4, situation 18)", (t) => {
  const stage = Stage.normal();
  stage.cuts.add("beta>alpha");
  stage.do("alpha", "1");
  const good = stage.lastSent("beta", "confirm");
  t.is(good.sequence, 1);
  for (const wrong of [
    { session: "old" },
    { epoch: good.epoch - 1 },
    { from: "beta.0" },
    { to: "alpha.0" },
    { hash: good.hash ^ 1 },
    { sequence: 2 },
  ])
    stage.forge("beta", "alpha", { ...good, ...wrong });
  t.deepEqual(stage.replies(), []);
  stage.forge("beta", "alpha", good);
  t.deepEqual(stage.replies(), ["1: ok at 1"]);
});

test("mirrors of another session, epoch or primary, damaged or out of order, are not appended (rule 4, situation 19)", (t) => {
  const stage = Stage.normal();
  stage.do("alpha", "1");
  stage.cuts.add("alpha>beta");
  stage.do("alpha", "2");
  stage.replies();
  const good = stage.lastSent("alpha", "mirror");
  t.deepEqual([good.first, good.last], [2, 2]);
  const batch = [...stage.replica("alpha").log.batches(2, 2)][0];
  const bytes = Buffer.from(batch?.bytes ?? "");
  const damaged = Buffer.from(bytes);
  damaged[100] = (damaged[100] ?? 0) ^ 1;
  for (const wrong of [
    { session: "old" },
    { epoch: good.epoch - 1 },
    { from: "alpha.0" },
    { to: "beta.0" },
    { first: 3, last: 3 },
  ])
    stage.forge("alpha", "beta", { ...good, ...wrong }, bytes);
  stage.forge("alpha", "beta", good, damaged);
  t.is(stage.replica("beta").log.last, 1);
  stage.forge("alpha", "beta", good, bytes);
  stage.forge("alpha", "beta", good, bytes);
  t.is(stage.replica("beta").log.last, 2, "once, however often it comes");
  stage.cuts.clear();
  stage.tick(6);
  t.deepEqual(stage.replies(), ["2: ok at 2"]);
});

test("records that were lost on the way are sent again, in order (rule 4)", (t) => {
  const stage = Stage.normal();
  stage.cuts.add("alpha>beta");
  stage.do("alpha", "1");
  stage.cuts.clear();
  stage.do("alpha", "2");
  stage.tick(6);
  t.deepEqual(stage.replies(), ["1: ok at 1", "2: ok at 2"]);
  t.true(sameLogs(stage));
  t.is(stage.record.epoch, 3);
});

test("a hole is told at once, and filled without waiting for a tick (rule 4)", (t) => {
  const stage = Stage.normal();
  stage.cuts.add("alpha>beta");
  stage.do("alpha", "1");
  stage.cuts.clear();
  stage.do("alpha", "2");
  t.deepEqual(stage.replies(), ["1: ok at 1", "2: ok at 2"]);
});

test("what nobody confirms is sent again after some heartbeats, though nothing new comes (rule 4)", (t) => {
  const stage = Stage.normal();
  stage.cuts.add("alpha>beta");
  stage.do("alpha", "1");
  stage.cuts.clear();
  stage.tick(6);
  t.deepEqual(stage.replies(), ["1: ok at 1"]);
});

test("a confirm that comes while what it confirms is to be sent again leaves nothing on its way for ever (rule 4)", (t) => {
  const stage = Stage.normal();
  stage.do("alpha", "1");
  const first = stage.lastSent("beta", "confirm");
  stage.cuts.add("beta>alpha");
  stage.do("alpha", "2");
  stage.do("alpha", "3");
  const last = stage.lastSent("beta", "confirm");
  t.deepEqual([first.sequence, last.sequence], [1, 3]);
  const before = stage.sent.length;
  // Both in one turn: beta misses something, and had it all the same.
  const alpha = stage.replica("alpha");
  alpha.onMessage("beta", "main", { ...first, gap: true }, new Uint8Array(0), stage.nowMs);
  stage.forge("beta", "alpha", last);
  t.deepEqual(stage.replies(), ["1: ok at 1", "2: ok at 2", "3: ok at 3"]);
  const records = stage.sent
    .slice(before)
    .filter(({ message }) => message.type === "mirror" && message.last >= message.first);
  t.is(records.length, 0, "nothing is sent a third time");
  stage.cuts.clear();
  stage.do("alpha", "4");
  t.deepEqual(stage.replies(), ["4: ok at 4"]);
  t.deepEqual(primaryOf(alpha).followers.get("beta")?.session?.facts.flight, []);
});

test("a follower drops nothing that it knows to be committed, whatever a primary agrees to (rule 7)", (t) => {
  const session = () => new FollowedSession("alpha.1", "s", 1, 0);
  const log = new MemoryLog();
  log.appendBatch(batchOf([fieldsOf({ sequence: 1 }), fieldsOf({ sequence: 2 })], 0));
  const accept = { type: "accept", session: "s", from: "alpha.1", to: "beta.1", epoch: 3, sequence: 1 } as const;
  const hash = log.hashAt(1) ?? null;
  t.is(session().onAccept({ ...accept, hash }, log, 2, true, shippedRules), "differs");
  t.is(log.last, 2);
  t.is(session().onAccept({ ...accept, hash }, log, 1, true, shippedRules), "taken");
  t.is(log.last, 1);
});

test("a full log takes no record, and is compared all the same: what fitted counts as committed, and makes room (rules 4, 15)", (t) => {
  const log = new MemoryLog();
  log.appendBatch(batchOf([fieldsOf({ sequence: 1 }), fieldsOf({ sequence: 2 })], 0));
  const mirror = (sequence: number, previousHash: number) => {
    const { bytes, ...batch } = batchOf([fieldsOf({ sequence })], previousHash);
    const of = { type: "mirror", session: "s", epoch: 1, from: "alpha.1", to: "beta.1" } as const;
    return { message: { ...of, ...batch, committed: 3, published: 0, probe: 1 }, payload: bytes };
  };
  const taken = (sequence: number, previousHash: number, isFull: boolean) => {
    const following = new FollowedSession("alpha.1", "s", 1, 0);
    const { message, payload } = mirror(sequence, previousHash);
    const outcome = following.onMirror(message, payload, log, isFull, shippedRules);
    return [outcome, following.verified, following.gap, log.last];
  };
  const { hash } = log.closed;
  t.deepEqual(taken(3, hash, true), ["nothing", true, false, 2]);
  t.deepEqual(taken(3, hash + 1, true), ["differs", false, false, 2]);
  t.deepEqual(
    taken(4, hash, true),
    ["nothing", false, false, 2],
    "nothing was compared, and nothing is asked for again",
  );
  t.deepEqual(taken(4, hash, false), ["nothing", false, true, 2]);
  t.deepEqual(taken(3, hash, false), ["appended", true, false, 3]);
});

test("a late heartbeat of an older life is not believed (rule 1)", (t) => {
  const stage = Stage.normal();
  const old = stage.lastSent("beta", "heartbeat");
  stage.kill("beta");
  stage.start("beta");
  stage.tick();
  t.is(inside(stage.replica("alpha")).core.peers.get("beta")?.heartbeat?.incarnation, "beta.2");
  stage.forge("beta", "alpha", { ...old, beat: old.beat + 1_000 });
  t.is(inside(stage.replica("alpha")).core.peers.get("beta")?.heartbeat?.incarnation, "beta.2");
});
