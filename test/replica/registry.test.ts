/** The registry seen from one server: answers that are late, unknown, lost or older than what was seen (rule 3, the registry's section). */

import test from "ava";
import { inside } from "../helpers/inside.ts";
import { limits, Stage } from "./stage.ts";

const polls = Math.ceil(limits.registryPollMs / limits.heartbeatMs) + 1;
const silence = Math.ceil(limits.suspicionMs / limits.heartbeatMs) + 1;

/** Alpha has asked to be alone; the asking is held back. */
function removing(): Stage {
  const stage = Stage.normal();
  stage.do("alpha", "1");
  stage.replies();
  stage.server("alpha").held.add("compareAndSet");
  stage.kill("beta");
  stage.tellGone("beta");
  stage.do("alpha", "2");
  stage.take();
  return stage;
}

test("an unknown answer is won when the registry shows the write (rule 3)", (t) => {
  const stage = removing();
  const cas = stage.heldCas("alpha");
  stage.compareAndSet(cas);
  stage.answerCas("alpha", cas.record.writeId, { outcome: "unknown", reason: "timeout" });
  t.is(stage.replica("alpha").state, "hot.alone", "it reads at once");
  t.deepEqual(stage.replies(), ["2: ok at 2"]);
  t.is(stage.record.epoch, 4);
});

test("an unknown answer is forced when the registry shows the old value: that proves nothing (rule 3)", (t) => {
  const stage = removing();
  const first = stage.heldCas("alpha");
  stage.answerCas("alpha", first.record.writeId, { outcome: "unknown", reason: "timeout" });
  stage.tick();
  t.is(stage.replica("alpha").state, "hot.fencing.asking");
  t.deepEqual(stage.replies(), []);
  const second = stage.heldCas("alpha");
  t.not(second.record.writeId, first.record.writeId, "another write");
  t.deepEqual(
    [second.expectedRevision, second.record.epoch, second.record.inSync],
    [first.expectedRevision, first.record.epoch, first.record.inSync],
    "of the same",
  );
  stage.answerCas("alpha", second.record.writeId, stage.compareAndSet(second));
  t.is(stage.replica("alpha").state, "hot.alone");
  t.deepEqual(stage.replies(), ["2: ok at 2"]);
});

test("the first try lands late, after a second one was sent: that one's clear loss is still won (rule 3, situation 4)", (t) => {
  const stage = removing();
  const first = stage.heldCas("alpha");
  stage.answerCas("alpha", first.record.writeId, { outcome: "unknown", reason: "timeout" });
  const second = stage.heldCas("alpha");
  t.is(stage.compareAndSet(first).outcome, "won");
  const answer = stage.compareAndSet(second);
  t.is(answer.outcome, "lost");
  stage.server("alpha").held.add("readRegistry");
  stage.answerCas("alpha", second.record.writeId, answer);
  t.false(inside(stage.replica("alpha")).core.membership.wasLost, "after a retry nothing is clear");
  stage.unhold("alpha", "readRegistry");
  stage.tick();
  t.is(stage.replica("alpha").state, "hot.alone");
  t.is(stage.record.writeId, first.record.writeId);
  t.deepEqual(stage.replies(), ["2: ok at 2"]);
});

test("a clear loss on the first try: nothing more is acknowledged, the winner is read and followed (rules 3, 7)", (t) => {
  const stage = Stage.normal();
  const alpha = stage.server("alpha");
  alpha.held.add("compareAndSet").add("readRegistry");
  stage.cuts.add("alpha>beta").add("beta>alpha");
  stage.tick(silence);
  t.is(stage.record.primary.server, "beta");
  stage.do("alpha", "1");
  const cas = stage.heldCas("alpha");
  const answer = stage.compareAndSet(cas);
  t.is(answer.outcome, "lost");
  stage.answerCas("alpha", cas.record.writeId, answer);
  t.true(alpha.up.hot, "to whom it lost is not known yet");
  stage.do("alpha", "2");
  t.deepEqual(stage.replies(), []);
  stage.unhold("alpha", "readRegistry");
  t.is(alpha.replica, null, "not named: it starts again");
  t.deepEqual(stage.replies(), []);
});

test("a write of a dead life lands late: the servers follow what the registry says (situation 4)", (t) => {
  const stage = removing();
  const late = stage.heldCas("alpha");
  stage.kill("alpha");
  stage.start("alpha");
  stage.tick(polls);
  // Every in-sync incarnation is gone, and beta is absent: alpha waits.
  t.is(stage.replica("alpha").state, "waiting");
  t.is(stage.compareAndSet(late).outcome, "won");
  stage.tick(polls);
  t.is(stage.replica("alpha").state, "claiming.asking", "now it is the sole member, and its disk holds the base");
  stage.unhold("alpha", "compareAndSet");
  stage.do("alpha", "1");
  t.deepEqual(stage.replies(), ["1: ok at 1 again"]);
});

test("an answer to a write that nobody waits for any more changes nothing", (t) => {
  const asking = removing();
  asking.answerCas("alpha", "alpha.1.77", { outcome: "won", revision: 99 });
  t.is(asking.replica("alpha").state, "hot.fencing.asking");
  const stage = Stage.normal();
  const { record } = stage;
  stage.answerCas("alpha", "alpha.1.77", { outcome: "won", revision: 99 });
  stage.answerCas("alpha", record.writeId, { outcome: "lost" });
  t.deepEqual(stage.states(), ["hot.normal", "following.warm"]);
  t.is(inside(stage.replica("alpha")).core.membership.record?.epoch, record.epoch);
});

test("a registry that went backwards freezes changes of mode, and the running mode goes on (situation 7)", (t) => {
  const stage = Stage.normal();
  const now = stage.registry;
  stage.registry = { record: { ...stage.record, epoch: 2, writeId: "old" }, revision: 2 };
  stage.tick(polls);
  stage.do("alpha", "1");
  t.deepEqual(stage.replies(), ["1: ok at 1"]);
  t.regex(inside(stage.replica("alpha")).core.membership.frozen, /went back to epoch 2, this server has seen 3/);
  stage.kill("beta");
  stage.tellGone("beta");
  stage.tick(polls);
  t.is(stage.replica("alpha").state, "hot.normal", "no change of mode");
  stage.registry = now;
  stage.tick(polls);
  t.is(stage.replica("alpha").state, "hot.alone", "until it is right again");
});

test("a server that starts refuses a registry older than what its disk has seen (situation 7)", (t) => {
  const stage = Stage.normal();
  const old = { record: { ...stage.record, epoch: 2, writeId: "old" }, revision: 2 };
  stage.kill("alpha");
  stage.kill("beta");
  const now = stage.registry;
  stage.registry = old;
  stage.start("alpha");
  stage.tick(polls);
  t.is(stage.replica("alpha").state, "refusing");
  t.regex(stage.replica("alpha").waitingFor, /went back/);
  stage.registry = now;
  stage.tick(polls);
  t.is(stage.replica("alpha").state, "waiting", "for beta, which may hold more");
});

test("a registry that went back and was written again up to the same epoch is said, and what is newer deposes (situation 7)", (t) => {
  const stage = Stage.normal();
  const { record } = stage;
  const revision = stage.registry?.revision ?? 0;
  const beta = { server: "beta", incarnation: "beta.9" };
  const other = { ...record, writeId: "beta.9.1", primary: beta, inSync: [beta], durability: "disk" as const };
  stage.registry = { record: other, revision: revision - 1 };
  stage.tick(polls);
  t.is(stage.replica("alpha").state, "hot.normal");
  t.regex(
    stage.replica("alpha").waitingFor,
    /another record of epoch 3 than this server: it went back, and beta went on/,
  );
  stage.registry = { record: { ...other, epoch: 4, writeId: "beta.9.2" }, revision };
  stage.tick(polls);
  t.true(stage.take().includes("alpha: deposed.unnamed -> deposed"));
});

test("a missing registry record is not a first start: it is refused, and a server that runs goes on (situation 8)", (t) => {
  const stage = Stage.normal();
  stage.registry = null;
  stage.tick(polls);
  stage.do("alpha", "1");
  t.deepEqual(stage.replies(), ["1: ok at 1"]);
  t.regex(inside(stage.replica("alpha")).core.membership.frozen, /gone/);
  const fresh = new Stage();
  fresh.registry = null;
  fresh.start("alpha");
  fresh.tick(polls);
  t.is(fresh.replica("alpha").state, "refusing");
  t.false(fresh.take().some((line) => line.includes("asks for")));
});

test("a told record of an older epoch than the one seen is not followed (rule 3)", (t) => {
  const stage = Stage.normal();
  const heartbeat = stage.lastSent("alpha", "heartbeat");
  stage.cuts.add("alpha>beta").add("beta>alpha");
  stage.server("alpha").held.add("compareAndSet").add("readRegistry");
  stage.tick(silence);
  t.is(stage.replica("beta").state, "hot.alone");
  stage.forge("alpha", "beta", { ...heartbeat, beat: heartbeat.beat + 1_000 });
  t.is(stage.replica("beta").state, "hot.alone");
  t.is(inside(stage.replica("beta")).core.membership.epoch, 4);
});

test("a peer's word that there is a newer epoch is not enough, but makes a server read (rule 3)", (t) => {
  const stage = Stage.normal();
  const beta = stage.server("beta");
  beta.held.add("readRegistry");
  const { record: _record, revision: _revision, ...heartbeat } = stage.lastSent("alpha", "heartbeat");
  t.false(beta.waiting.some(({ type }) => type === "readRegistry"));
  stage.forge("alpha", "beta", { ...heartbeat, beat: heartbeat.beat + 1_000, epochSeen: 9 });
  t.true(beta.waiting.some(({ type }) => type === "readRegistry"));
  t.is(beta.up.state, "following.warm");
});

test("situation 7: the registry goes back while a question is under way: it is asked with the ticks, not as fast as it answers", (t) => {
  const stage = Stage.normal();
  stage.do("alpha", "1");
  const { record, revision } = stage.registry ?? { record: stage.record, revision: 0 };
  const alpha = stage.server("alpha");
  alpha.held.add("compareAndSet");
  stage.kill("beta");
  stage.tellGone("beta");
  t.is(alpha.up.state, "hot.fencing.asking");
  stage.registry = { record: { ...record, epoch: record.epoch - 1, writeId: "older" }, revision: revision + 5 };
  // The stage gives up on what has no end while no time passes.
  stage.unhold("alpha", "compareAndSet");
  stage.tick(5);
  t.regex(new Map(alpha.up.troubles()).get("registry.frozen") ?? "", /the registry went back to epoch 2/);
  stage.registry = {
    record: { ...record, epoch: record.epoch + 2, writeId: "restored", restoredFrom: 3 },
    revision: 99,
  };
  stage.tick(20);
  t.is(stage.record.inSync.length, 1, "an operator put it back, and what is asked for lands");
  t.is(alpha.up.state, "hot.alone");
});
