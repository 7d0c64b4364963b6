/** Planned switches and clean stops, in either order and at once: no degraded moment, nothing lost, and nobody left behind (claim 26, clean stop). */
import test from "ava";
import { limits, Stage } from "./stage.ts";

const polls = Math.ceil(limits.registryPollMs / limits.heartbeatMs) + 1;
const untilRegistryIsLost = Math.ceil((limits.registryLostMs + limits.registryPollMs) / limits.heartbeatMs) + 1;

test("a switch waits for a handler that runs, and not for ever (planned switch, rule 17)", (t) => {
  const stage = Stage.normal();
  const offers = () => stage.sent.filter(({ message }) => message.type === "handover").length;
  stage.do("alpha", "1", { isSlow: true });
  stage.do("alpha", "stuck", { isSlow: true });
  t.is(stage.replica("alpha").onSwitch(stage.nowMs), null);
  stage.run();
  stage.tick(3);
  stage.finish("alpha", "1");
  t.deepEqual(stage.replies(), ["1: ok at 1"]);
  t.is(offers(), 0);
  stage.tick(10);
  t.true(offers() > 0);
  t.deepEqual(stage.states(), ["following.warm", "hot.normal"]);
});

test("no handover is offered while a record is not committed (planned switch)", (t) => {
  const stage = Stage.normal();
  stage.cuts.add("beta>alpha");
  stage.do("alpha", "1");
  stage.replica("alpha").onSwitch(stage.nowMs);
  stage.server("alpha").hasInput = true;
  stage.run();
  t.is(stage.replica("alpha").state, "hot.switching");
  t.throws(() => stage.lastSent("alpha", "handover"));
  stage.cuts.clear();
  stage.tick(4);
  t.is(stage.lastSent("alpha", "handover").sequence, 1);
  t.deepEqual(stage.states(), ["following.warm", "hot.normal"]);
});

test("a handover of another epoch, primary or log is not taken (rule 4)", (t) => {
  const stage = Stage.normal();
  stage.do("alpha", "1");
  const { sequence, hash } = stage.replica("alpha").log.closed;
  const good = { type: "handover", from: "alpha.1", to: "beta.1", epoch: 3, sequence, hash } as const;
  for (const wrong of [
    { from: "alpha.0" },
    { to: "beta.0" },
    { epoch: 2 },
    { sequence: 0, hash: 0 },
    { hash: hash ^ 1 },
    { sequence: 2 },
  ])
    stage.forge("alpha", "beta", { ...good, ...wrong });
  t.is(stage.replica("beta").state, "following.warm");
  stage.server("beta").held.add("compareAndSet");
  stage.forge("alpha", "beta", good);
  t.is(stage.replica("beta").state, "receiving");
});

test("a switch that nobody takes fails in time, and the primary goes on", (t) => {
  const stage = Stage.normal();
  stage.replica("beta").onBus(false, stage.nowMs);
  stage.tick(2);
  stage.replica("alpha").onSwitch(stage.nowMs);
  stage.tick((4 * limits.suspicionMs) / limits.heartbeatMs + 2);
  t.deepEqual(stage.states(), ["hot.normal", "following.warm"]);
  t.is(stage.record.epoch, 3, "not even for a moment");
  stage.do("alpha", "1");
  t.deepEqual(stage.replies(), ["1: ok at 1"]);
});

test("a switch that nobody takes ends in its time, however often the primary is paused: its intake is shut meanwhile", (t) => {
  const stage = Stage.normal();
  stage.unanswered.add("beta");
  stage.tick(polls);
  stage.replica("alpha").onSwitch(stage.nowMs);
  t.is(stage.replica("alpha").state, "hot.switching");
  for (let second = 0; second < 3; second += 1) {
    stage.tick(8);
    stage.nowMs += 2 * limits.heartbeatMs;
  }
  stage.tick();
  t.deepEqual(stage.states(), ["hot.normal", "following.warm"]);
  t.is(stage.record.epoch, 3, "and nobody is judged");
});

test("a switch is refused, with the reason, where it cannot be", (t) => {
  const stage = new Stage();
  stage.start("alpha");
  stage.tick(2);
  t.regex(stage.replica("alpha").onSwitch(stage.nowMs) ?? "", /a backup must be in sync/);
  stage.start("beta");
  stage.tick(4);
  t.regex(stage.replica("beta").onSwitch(stage.nowMs) ?? "", /not the primary/);
});

test("the primary alone loses NATS: it hands its role over through the main link (situation 44)", (t) => {
  const stage = Stage.normal();
  stage.replica("alpha").onBus(false, stage.nowMs);
  stage.tick(Math.ceil(limits.suspicionMs / limits.heartbeatMs) + 4);
  t.deepEqual(stage.states(), ["following.warm", "hot.normal"]);
  t.is(stage.record.mode, "normal");
});

test("both lose NATS and the backup has it back a moment before: the same primary goes on (situation 31)", (t) => {
  const stage = Stage.normal();
  const suspicion = Math.ceil(limits.suspicionMs / limits.heartbeatMs);
  for (const name of ["alpha", "beta"]) stage.replica(name).onBus(false, stage.nowMs);
  stage.tick(suspicion + 4);
  stage.replica("beta").onBus(true, stage.nowMs);
  stage.tick(suspicion - 1);
  t.deepEqual(stage.states(), ["hot.normal", "following.warm"]);
  stage.tick(4);
  t.deepEqual(stage.states(), ["following.warm", "hot.normal"], "it has it for long, and alpha has not");
});

test("a primary stops, and its backup reaches NATS again in time: the role changes, no degraded moment (clean stop)", (t) => {
  const stage = Stage.normal();
  stage.replica("beta").onBus(false, stage.nowMs);
  stage.tick(2);
  stage.stop("alpha");
  stage.tick(limits.stopMs / limits.heartbeatMs - 5);
  stage.replica("beta").onBus(true, stage.nowMs);
  stage.tick(4);
  t.is(stage.server("alpha").replica, null);
  t.is(stage.replica("beta").state, "hot.alone");
});

test("a primary that is paused while it stops waits the rest of its time, and hands over to a backup that is back (rule 9, clean stop)", (t) => {
  const stage = Stage.normal();
  const alpha = stage.server("alpha");
  stage.replica("beta").onBus(false, stage.nowMs);
  stage.tick(2);
  stage.stop("alpha");
  stage.tick(2);
  stage.nowMs += 2 * limits.stopMs;
  alpha.up.onTick(stage.nowMs, stage.wallMs);
  t.is(alpha.up.state, "hot.normal", "what it last heard of its backup is as old as its sleep");
  stage.replica("beta").onBus(true, stage.nowMs);
  stage.tick(4);
  t.is(alpha.replica, null);
  t.is(stage.replica("beta").state, "hot.alone");
});

test("a primary stops, and its backup takes no offer: it stops alone after a switch that failed (clean stop)", (t) => {
  const stage = Stage.normal();
  stage.unanswered.add("beta");
  stage.tick(polls);
  stage.stop("alpha");
  stage.tick(limits.stopMs / limits.heartbeatMs + (4 * limits.suspicionMs) / limits.heartbeatMs + 5);
  t.is(stage.server("alpha").replica, null);
  t.is(stage.record.primary.server, "alpha");
  t.is(stage.record.durability, "disk");
});

test("a primary stops while the registry answers nobody: it waits, and says for what (clean stop)", (t) => {
  const stage = Stage.normal();
  stage.replica("beta").onBus(false, stage.nowMs);
  stage.unanswered.add("alpha").add("beta");
  stage.server("alpha").held.add("compareAndSet");
  stage.tick(polls);
  stage.stop("alpha");
  stage.tick((2 * limits.stopMs) / limits.heartbeatMs);
  t.regex(
    stage.replica("alpha").waitingFor,
    /the registry \(timeout\), which names this server and beta; killed now, it loses nothing/,
  );
  stage.unanswered.clear();
  stage.unhold("alpha", "compareAndSet");
  stage.tick(polls + 2);
  t.is(stage.server("alpha").replica, null);
});

test("both lose NATS: nobody moves, and the same primary goes on (situation 31)", (t) => {
  const stage = Stage.normal();
  stage.replica("alpha").onBus(false, stage.nowMs);
  stage.replica("beta").onBus(false, stage.nowMs);
  stage.tick(30);
  t.deepEqual(stage.states(), ["hot.normal", "following.warm"]);
  t.is(stage.record.epoch, 3);
});

test("the registry answers the backup alone: the primary hands its role over through the main link (situation 38)", (t) => {
  const stage = Stage.normal();
  stage.unanswered.add("alpha");
  stage.tick(untilRegistryIsLost - polls - 2);
  t.deepEqual(stage.states(), ["hot.normal", "following.warm"], "not before a split cluster has settled");
  stage.tick(polls + 6);
  t.deepEqual(stage.states(), ["following.warm", "hot.normal"]);
  t.is(stage.record.mode, "normal");
});

test("the registry answers nobody: nobody moves, whoever asks for it (situations 30 and 31)", (t) => {
  const stage = Stage.normal();
  for (const name of ["alpha", "beta"]) stage.unanswered.add(name);
  stage.tick(untilRegistryIsLost + 20);
  t.deepEqual(stage.states(), ["hot.normal", "following.warm"]);
  t.false(
    stage.take().some((line) => line.includes("hot.switching")),
    "and nobody stops its intake for it",
  );
  // An offer is not taken where the compare-and-set could not be settled: beta would confirm nothing from then on.
  stage.replica("alpha").onSwitch(stage.nowMs);
  stage.tick((4 * limits.suspicionMs) / limits.heartbeatMs + 2);
  t.deepEqual(stage.states(), ["hot.normal", "following.warm"]);
  t.false(stage.transcript.some((line) => line.startsWith("beta asks for")));
  stage.do("alpha", "1");
  t.deepEqual(stage.replies(), ["1: ok at 1"]);
});

test("the registry is back in time: the measure begins again, and nobody moves", (t) => {
  const stage = Stage.normal();
  for (let round = 0; round < 3; round += 1) {
    stage.unanswered.add("alpha");
    stage.tick(untilRegistryIsLost - polls - 2);
    stage.unanswered.clear();
    stage.tick(polls);
  }
  t.deepEqual(stage.states(), ["hot.normal", "following.warm"]);
});

test("a primary without the registry whose switch failed serves on before it tries again", (t) => {
  const stage = Stage.normal();
  stage.unanswered.add("alpha");
  stage.tick(untilRegistryIsLost - polls - 2);
  // Beta says that the registry answers, but takes nothing: it applies its log.
  stage.server("beta").held.add("compareAndSet");
  stage.tick(polls + 6);
  t.is(stage.replica("alpha").state, "hot.switching");
  const switches = () => stage.transcript.filter((line) => line.includes("-> hot.switching")).length;
  t.is(switches(), 1);
  stage.tick((4 * limits.suspicionMs) / limits.heartbeatMs + 2);
  t.not(stage.replica("alpha").state, "hot.switching");
  t.is(switches(), 1);
});

/** Stops both in turn; then both start again, and nothing is missing. */
function stopBoth(stage: Stage, order: readonly string[], between: number): void {
  for (const id of ["1", "2"]) stage.do("alpha", id);
  for (const name of order) {
    stage.stop(name);
    stage.tick(between);
  }
  stage.tick(30);
}

for (const order of [
  ["alpha", "beta"],
  ["beta", "alpha"],
]) {
  for (const [how, between] of [
    ["one after the other", 30],
    ["at once", 0],
    ["almost at once", 1],
  ] as const) {
    test(`${order.join(", then ")} stop, ${how}: the last one out leaves everything on its disk (situation 24, 48)`, (t) => {
      const stage = Stage.normal();
      stopBoth(stage, order, between);
      t.deepEqual(stage.states(), ["down", "down"]);
      t.is(stage.record.durability, "disk");
      t.is(stage.record.inSync.length, 1);
      const { server } = stage.record.primary;
      t.is(stage.server(server).disk.log.last, 2);
      stage.replies();
      for (const name of order) stage.start(name);
      stage.tick(polls + 6);
      t.deepEqual(stage.states().filter((state) => state === "hot.normal").length, 1);
      const hot = stage.record.primary.server;
      for (const id of ["1", "2"]) stage.do(hot, id);
      t.deepEqual(stage.replies(), ["1: ok at 1 again", "2: ok at 2 again"]);
    });
  }
}

test("the last server exits only when its log is committed and synced and nothing runs (clean stop)", (t) => {
  const stage = new Stage();
  stage.start("alpha");
  stage.tick(2);
  const alpha = stage.server("alpha");
  stage.do("alpha", "1", { isSlow: true });
  stage.stop("alpha");
  t.truthy(alpha.replica, "a handler runs");
  alpha.held.add("sync");
  stage.finish("alpha", "1");
  stage.tick();
  t.truthy(alpha.replica, "its record is not synced");
  stage.unhold("alpha", "sync");
  stage.tick();
  t.is(alpha.replica, null);
  t.deepEqual(stage.replies(), ["1: ok at 1"]);
});

test("a backup exits only when the primary has let it go (clean stop)", (t) => {
  const stage = Stage.normal();
  stage.server("alpha").held.add("compareAndSet");
  stage.stop("beta");
  stage.tick(3);
  t.is(stage.replica("beta").state, "following.warm");
  stage.unhold("alpha", "compareAndSet");
  stage.tick(2);
  t.is(stage.server("beta").replica, null);
  t.deepEqual(
    stage.record.inSync.map(({ server }) => server),
    ["alpha"],
  );
});

test("a joiner that stops while its adding is open waits until it is settled (situation 48)", (t) => {
  const stage = new Stage();
  stage.start("alpha");
  stage.tick(2);
  stage.server("alpha").held.add("compareAndSet");
  stage.start("beta");
  stage.tick(3);
  const cas = stage.heldCas("alpha");
  stage.stop("beta");
  stage.tick(3);
  t.truthy(stage.server("beta").replica, "a record may name it yet");
  stage.server("alpha").held.delete("compareAndSet");
  stage.answerCas("alpha", cas.record.writeId, stage.compareAndSet(cas));
  stage.tick(6);
  t.is(stage.server("beta").replica, null);
  t.deepEqual(
    stage.record.inSync.map(({ server }) => server),
    ["alpha"],
  );
});

test("a primary lets nobody go whom the record still names, even before it has asked (clean stop)", (t) => {
  const stage = Stage.normal();
  stage.server("alpha").held.add("sync");
  stage.do("alpha", "1");
  stage.stop("beta");
  stage.tick(3);
  t.is(stage.replica("alpha").state, "hot.fencing.syncing");
  t.throws(() => stage.lastSent("alpha", "left"));
  t.truthy(stage.server("beta").replica);
  stage.unhold("alpha", "sync");
  stage.tick(3);
  t.is(stage.server("beta").replica, null);
});

test("a removal that landed unseen and was written again by one that let itself go: the primary is alone, and knows it (rule 3, clean stop)", (t) => {
  const stage = Stage.normal();
  stage.do("alpha", "1");
  stage.server("alpha").held.add("compareAndSet");
  stage.cuts.add("beta>alpha");
  for (let beats = 0; beats < 60 && stage.server("alpha").waiting.length === 0; beats += 1) stage.tick();
  const asked = stage.heldCas("alpha");
  stage.compareAndSet(asked);
  stage.unanswered.add("alpha");
  stage.answerCas("alpha", asked.record.writeId, { outcome: "unknown", reason: "timeout" });
  stage.server("alpha").held.delete("compareAndSet");
  stage.cuts.clear();
  stage.tick(polls + 1);
  stage.stop("beta");
  stage.tick(Math.ceil(limits.stopMs / limits.heartbeatMs) + 5);
  t.deepEqual(stage.record.left, ["beta.1"]);
  stage.unanswered.clear();
  stage.tick(polls);
  t.is(stage.replica("alpha").state, "hot.alone");
  stage.start("beta");
  stage.tick(60);
  t.deepEqual(stage.states(), ["hot.normal", "following.warm"]);
});

test("a primary that is told to stop again and again stops alone in its time all the same (clean stop)", (t) => {
  const stage = Stage.normal();
  stage.unanswered.add("beta");
  stage.tick(polls);
  const ticks = (limits.stopMs + 4 * limits.suspicionMs) / limits.heartbeatMs + 5;
  for (let told = 0; told < ticks && stage.server("alpha").replica !== null; told += 1) {
    stage.stop("alpha");
    stage.tick();
  }
  t.is(stage.server("alpha").replica, null);
  t.deepEqual([stage.record.durability, stage.record.primary.server], ["disk", "alpha"]);
});

test("a server that has stopped says whether its disk is the only one with everything (clean stop)", (t) => {
  const stage = Stage.normal();
  stage.do("alpha", "1");
  const [alpha, beta] = [stage.replica("alpha"), stage.replica("beta")];
  stage.stop("beta");
  stage.tick(2 * polls);
  t.is(beta.why, "stops: nothing names this server");
  stage.do("alpha", "2");
  stage.stop("alpha");
  stage.tick(2 * polls);
  t.is(alpha.why, "stops: it was alone, and everything is on its disk, as on no other");
});
