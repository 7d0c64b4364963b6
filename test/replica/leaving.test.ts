/**
 * A server that stops while it joins comes to its end, whatever becomes of its primary, and nothing that was asked for before
 * can name it afterwards (clean stop; situation 65). What one does all by itself changes nothing for a primary that lives.
 */

import test from "ava";
import { limits, Stage } from "./stage.ts";

const polls = Math.ceil(limits.registryPollMs / limits.heartbeatMs) + 1;

/** alpha is alone, is told to stop and cannot yet, for a handler runs; beta holds everything, and is not taken in. */
function joining(baseMs = limits.baseMs): Stage {
  const stage = new Stage({ replica: { limits: { ...limits, baseMs } } });
  stage.start("alpha");
  stage.tick(2);
  stage.do("alpha", "1");
  stage.do("alpha", "2", { isSlow: true });
  stage.stop("alpha");
  stage.start("beta");
  stage.tick(4);
  stage.take();
  return stage;
}

const namesOf = (stage: Stage) => stage.record.inSync.map(({ incarnation }) => incarnation);

test("both stop, the primary is out first, and the joiner sees by itself that nothing names it (situation 65)", (t) => {
  const stage = joining();
  t.deepEqual(stage.states(), ["hot.alone", "following.joining"]);
  stage.finish("alpha", "2");
  t.is(stage.server("alpha").replica, null);
  const { writeId, ...before } = stage.record;
  stage.stop("beta");
  t.truthy(stage.server("beta").replica, "the primary may be there: it is asked first");
  stage.tellGone("alpha");
  t.is(stage.server("beta").replica, null);
  t.deepEqual(
    { ...stage.record, writeId, previousWriteId: before.previousWriteId },
    { ...before, writeId, left: ["beta.1"] },
    "the record is what it was, under another name, and tells who left",
  );
  stage.start("alpha");
  stage.tick(2);
  t.is(stage.replica("alpha").state, "hot.alone", "and the disk of the one that is alone is as good as before");
  t.is(stage.record.left, undefined);
});

test("the primary dies while both stop: the joiner does not wait for it (situation 65)", (t) => {
  const stage = joining();
  stage.cuts.add("beta>alpha");
  stage.stop("beta");
  stage.tick();
  t.regex(stage.replica("beta").waitingFor, /alpha to let this server go/);
  stage.kill("alpha");
  stage.tellGone("alpha");
  t.is(stage.server("beta").replica, null);
});

test("the last one out lets go of those that stop with it (situation 65)", (t) => {
  const stage = joining(limits.heartbeatMs);
  const alpha = stage.server("alpha");
  alpha.held.add("compareAndSet");
  stage.finish("alpha", "2");
  t.truthy(alpha.up.asked, "the base is being moved");
  stage.stop("beta");
  stage.tick(2);
  t.truthy(stage.server("beta").replica, "what is open might name it");
  stage.unhold("alpha", "compareAndSet");
  t.is(alpha.replica, null);
  t.is(stage.server("beta").replica, null);
  t.is(stage.record.left, undefined, "and the registry needs no second word");
});

test("a primary that lives and does not hear the one that stops goes on, and takes in nobody who left (rule 8, clean stop)", (t) => {
  const stage = new Stage();
  stage.start("alpha");
  stage.tick(2);
  stage.server("alpha").held.add("compareAndSet");
  stage.start("beta");
  stage.tick(3);
  const adding = stage.heldCas("alpha");
  t.is(stage.replica("alpha").state, "hot.adding");
  stage.cuts.add("beta>alpha").add("alpha>beta");
  stage.stop("beta");
  stage.tick(limits.suspicionMs / limits.heartbeatMs + 2);
  t.is(stage.server("beta").replica, null);
  t.deepEqual(stage.record.left, ["beta.1"]);
  // The question of before has lost, whenever it comes.
  t.deepEqual(stage.compareAndSet(adding), { outcome: "lost" });
  stage.take();
  stage.server("alpha").held.delete("compareAndSet");
  stage.answerCas("alpha", adding.record.writeId, { outcome: "lost" });
  stage.tick(polls);
  t.deepEqual(stage.take(), ["alpha: cas.void.alone -> hot.alone"]);
  t.deepEqual(namesOf(stage), ["alpha.1"]);
  stage.do("alpha", "1");
  t.deepEqual(stage.replies(), ["1: ok at 1"]);
});

test("a primary that is heard, and does not let a server go, is waited for no longer than stopMs (clean stop)", (t) => {
  const stage = joining();
  stage.cuts.add("beta>alpha");
  stage.stop("beta");
  stage.tick(limits.stopMs / limits.heartbeatMs - 1);
  t.truthy(stage.server("beta").replica);
  stage.tick(3);
  t.is(stage.server("beta").replica, null);
  stage.tick(polls);
  t.is(stage.replica("alpha").state, "hot.alone");
  stage.finish("alpha", "2");
  stage.tick();
  t.is(stage.server("alpha").replica, null, "and it exits as ever");
});

test("a primary of an older program would not know its own record again: it is waited for (clean stop)", (t) => {
  const stage = joining();
  const beta = stage.replica("beta");
  const { rereads: _, ...older } = stage.lastSent("alpha", "heartbeat");
  stage.cuts.add("beta>alpha").add("alpha>beta");
  stage.forge("alpha", "beta", { ...older, beat: older.beat + 1_000 });
  stage.stop("beta");
  stage.tick(limits.stopMs / limits.heartbeatMs + 10);
  t.is(stage.server("beta").replica, beta);
  t.is(stage.record.left, undefined);
});

for (const lands of [false, true])
  test(`a backup of three stops while one that joins lets itself go: its removal is asked for again${lands ? ", be it told late" : ""}`, (t) => {
    const stage = Stage.normal({ servers: ["alpha", "beta", "gamma"] });
    stage.kill("gamma");
    stage.tellGone("gamma");
    stage.tick(polls);
    const alpha = stage.server("alpha");
    stage.start("gamma");
    alpha.held.add("compareAndSet");
    stage.tick(4);
    const adding = stage.heldCas("alpha");
    for (const name of ["alpha", "beta"]) stage.cuts.add(`gamma>${name}`).add(`${name}>gamma`);
    stage.stop("gamma");
    stage.tick(limits.suspicionMs / limits.heartbeatMs + 2);
    t.is(stage.server("gamma").replica, null);
    if (lands) stage.tick(2 * polls);
    alpha.held.delete("compareAndSet");
    stage.answerCas("alpha", adding.record.writeId, stage.compareAndSet(adding));
    stage.tick(polls);
    t.is(stage.replica("alpha").state, "hot.normal");
    t.deepEqual(namesOf(stage), ["alpha.1", "beta.1"]);
    stage.stop("beta");
    stage.tick(2);
    t.deepEqual(namesOf(stage), ["alpha.1"]);
    t.is(stage.server("beta").replica, null);
  });

test("the registry went back and NATS is gone: both that stop say for what they wait, and what it costs to end them now (situation 66)", (t) => {
  const stage = Stage.normal();
  const { registry } = stage;
  if (registry === null) throw new Error("there is a record");
  stage.registry = { record: { ...registry.record, epoch: 1, writeId: "old" }, revision: 1 };
  stage.tick(polls);
  for (const name of ["alpha", "beta"]) {
    stage.unanswered.add(name);
    stage.replica(name).onBus(false, stage.nowMs);
  }
  stage.tick(polls);
  for (const name of ["alpha", "beta"]) stage.stop(name);
  stage.tick((2 * limits.stopMs) / limits.heartbeatMs);
  t.deepEqual(stage.states(), ["hot.normal", "following.warm"], "the protocol lets neither go");
  t.regex(
    stage.replica("alpha").waitingFor,
    /the registry \(timeout\), which names this server and beta; killed now, it loses nothing that beta has/,
  );
  t.regex(
    stage.replica("beta").waitingFor,
    /the registry \(timeout\), which counts on this server; killed now, only alpha has what was acknowledged last/,
  );
});

test("the registry went back and NATS is gone: one that is alone, with everything on its disk, exits (situation 66)", (t) => {
  const stage = new Stage();
  stage.start("alpha");
  stage.tick(2);
  stage.do("alpha", "1");
  const registry = stage.registry;
  if (registry === null) throw new Error("there is a record");
  stage.registry = { record: { ...registry.record, epoch: 1, writeId: "old" }, revision: 1 };
  stage.tick(polls);
  stage.unanswered.add("alpha");
  stage.replica("alpha").onBus(false, stage.nowMs);
  stage.tick(polls);
  stage.stop("alpha");
  stage.tick();
  t.is(stage.server("alpha").replica, null);
});
