/** Takeovers, beside the transcripts in `testdata/`: what a server wants done when its peer is lost or comes back (rules 2, 3, 5, 7). */

import test from "ava";
import { KeyHasher } from "../../machines/log/key-index.ts";
import { RequestTable } from "../../machines/replica/log/requests.ts";
import { inside, primaryOf } from "../helpers/inside.ts";
import { limits, Stage } from "./stage.ts";

const silence = Math.ceil(limits.suspicionMs / limits.heartbeatMs) + 1;

test("nothing is asked of the registry before the tail is synced, and nothing is hot before it is won (rule 2)", (t) => {
  const stage = Stage.normal();
  stage.do("alpha", "1");
  const beta = stage.server("beta");
  beta.held.add("sync");
  beta.held.add("compareAndSet");
  stage.kill("alpha");
  stage.tellGone("alpha");
  stage.tick(5);
  t.is(beta.up.state, "candidate.syncing");
  t.deepEqual(
    beta.waiting.filter(({ type }) => type === "compareAndSet"),
    [],
  );
  stage.unhold("beta", "sync");
  t.is(beta.up.state, "candidate.asking");
  t.false(beta.up.hot);
  stage.unhold("beta", "compareAndSet");
  t.is(beta.up.state, "hot.alone");
});

test("ready and replies wait until the inherited tail is committed and the epoch is saved (rule 5, invariant 8)", (t) => {
  const stage = Stage.normal({ servers: ["alpha", "beta", "gamma"] });
  stage.cuts.add("alpha>gamma");
  stage.ask("alpha", "1");
  stage.run();
  t.deepEqual(stage.replies(), [], "gamma did not confirm");
  stage.cuts.clear();
  stage.cuts.add("gamma>beta");
  stage.kill("alpha");
  stage.tellGone("alpha");
  stage.tick();
  const hot = stage.replica("beta").hot ? "beta" : "gamma";
  t.is(hot, "beta", "it is the first that is told");
  t.is(stage.replica("beta").log.last, 1);
  t.false(stage.take().some((line) => line.startsWith("beta is ready")));
  stage.do("beta", "1");
  t.deepEqual(stage.replies(), [], "the stored reply is of an uncommitted record");
  stage.cuts.clear();
  stage.tick(8);
  t.deepEqual(stage.replies(), ["1: ok at 1 again"]);
  t.true(stage.take().includes("beta is ready at 1"));
});

test("an epoch that is not saved acknowledges nothing (invariant 8)", (t) => {
  const stage = Stage.normal();
  const beta = stage.server("beta");
  beta.held.add("saveEpoch");
  stage.kill("alpha");
  stage.tellGone("alpha");
  t.is(beta.up.state, "hot.alone");
  stage.do("beta", "1");
  stage.tick(2);
  t.deepEqual(stage.replies(), []);
  t.false(stage.take().some((line) => line.includes("is ready")));
  stage.unhold("beta", "saveEpoch");
  t.deepEqual(stage.replies(), ["1: ok at 1"]);
  t.true(stage.take().includes("beta is ready at 1"));
});

test("a candidate's fence is lifted when its primary is back before the asking (rule 2)", (t) => {
  const stage = Stage.normal();
  const beta = stage.server("beta");
  beta.held.add("sync");
  stage.do("alpha", "1");
  stage.cuts.add("alpha>beta");
  stage.tick(silence);
  t.is(beta.up.state, "candidate.syncing");
  stage.cuts.clear();
  stage.tick(2);
  t.deepEqual(stage.states(), ["hot.normal", "following.warm"]);
  stage.unhold("beta", "sync");
  stage.replies();
  stage.do("alpha", "2");
  t.deepEqual(stage.replies(), ["2: ok at 2"]);
  t.is(stage.record.epoch, 3, "nobody asked for anything");
});

test("a fenced primary acknowledges nothing, and what is confirmed again leaves when the fence is lifted (rule 2)", (t) => {
  const stage = Stage.normal();
  const alpha = stage.server("alpha");
  alpha.held.add("sync");
  stage.cuts.add("beta>alpha");
  stage.do("alpha", "1");
  stage.tick(silence);
  t.is(alpha.up.state, "hot.fencing.syncing");
  // A confirm that was on its way comes late: it counts for nothing now.
  stage.forge("beta", "alpha", { ...stage.lastSent("beta", "confirm"), epoch: 3 });
  t.deepEqual(stage.replies(), []);
  t.is(stage.replica("alpha").committed, 0);
  stage.cuts.clear();
  stage.tick(3);
  t.deepEqual(stage.states(), ["hot.normal", "following.warm"]);
  t.deepEqual(stage.replies(), ["1: ok at 1"]);
});

test("while the removal is unknown an acknowledgement needs the backup and the disk (rule 3)", (t) => {
  const stage = Stage.normal();
  const alpha = stage.server("alpha");
  alpha.held.add("compareAndSet");
  stage.cuts.add("beta>alpha");
  stage.tick(silence);
  t.is(alpha.up.state, "hot.fencing.asking");
  stage.cuts.clear();
  stage.tick();
  stage.do("alpha", "1");
  t.deepEqual(stage.replies(), ["1: ok at 1"], "confirmed and synced");
  alpha.held.add("sync");
  stage.do("alpha", "2");
  t.deepEqual(stage.replies(), [], "confirmed alone does not do");
  stage.unhold("alpha", "sync");
  t.deepEqual(stage.replies(), ["2: ok at 2"]);
  stage.cuts.add("beta>alpha");
  stage.do("alpha", "3");
  t.is(inside(alpha.up).core.own.synced, 3);
  t.deepEqual(stage.replies(), [], "synced alone does not do");
});

test("a deposed primary that is named keeps its memory and follows (rule 7)", (t) => {
  const stage = Stage.normal({ servers: ["alpha", "beta", "gamma"] });
  stage.do("alpha", "1");
  // Somebody makes beta the primary and counts on alpha's memory.
  const { record } = stage;
  stage.take();
  stage.registry = {
    record: { ...record, epoch: record.epoch + 1, writeId: "x", primary: { server: "beta", incarnation: "beta.1" } },
    revision: (stage.registry?.revision ?? 0) + 1,
  };
  stage.replies();
  stage.cuts.add("alpha>beta").add("alpha>gamma").add("beta>alpha").add("gamma>alpha");
  stage.ask("alpha", "2");
  stage.tick(5);
  t.is(stage.replica("alpha").state, "following.warm");
  t.is(stage.replica("alpha").self, "alpha.1");
  t.deepEqual(stage.replies(), [], "nothing is said of what was in flight");
  t.is(stage.replica("alpha").log.last, 2);
  const lines = stage.take();
  t.true(lines.includes("alpha: deposed.named -> following.warm"));
  t.true(lines.includes("alpha: cold"));
  t.true(lines.includes("alpha reloads"), "its state ran ahead of the commit point (invariant 5)");
});

test("a server that loses the role again while its state is still built again builds it once (rule 7)", (t) => {
  const stage = Stage.normal({ servers: ["alpha", "beta", "gamma"] });
  const alpha = stage.server("alpha");
  alpha.held.add("reload");
  stage.do("alpha", "1");
  /** Alpha reads that it is not the primary any more; its memory is counted on. */
  const depose = (server: string) => {
    const { record } = stage;
    const primary = { server, incarnation: `${server}.1` };
    const revision = (stage.registry?.revision ?? 0) + 1;
    stage.registry = { record: { ...record, epoch: record.epoch + 1, writeId: `${revision}`, primary }, revision };
    alpha.up.onRegistryRead({ outcome: "found", ...stage.registry }, stage.nowMs);
    alpha.hasInput = true;
    stage.run();
    t.is(alpha.up.state, "following.warm");
  };
  stage.ask("alpha", "2");
  depose("beta");
  stage.cuts.add("gamma>alpha");
  alpha.up.onLink("beta", "main", false, stage.nowMs);
  alpha.up.onLink("beta", "failsafe", false, stage.nowMs);
  alpha.hasInput = true;
  stage.run();
  t.is(alpha.up.state, "hot.normal");
  t.false(alpha.up.takesRequests);
  depose("gamma");
  stage.cuts.clear();
  t.is(alpha.waiting.filter(({ type }) => type === "reload").length, 1);
  stage.unhold("alpha", "reload");
  stage.tick(6);
  t.true(inside(alpha.up).core.applied.isLoaded);
  t.is(alpha.up.state, "following.warm");
});

test("a state built again has all that it lacks in memory, also when a flush ended meanwhile (rule 7)", (t) => {
  const stage = Stage.normal({
    servers: ["alpha", "beta", "gamma"],
    replica: { limits: { ...limits, maxRetainedBytes: 0 } },
  });
  const alpha = stage.server("alpha");
  alpha.held.add("reload");
  stage.do("alpha", "1");
  stage.ask("alpha", "2");
  const { record, revision } = stage.registry ?? t.fail();
  const primary = { server: "beta", incarnation: "beta.1" };
  stage.registry = { record: { ...record, epoch: record.epoch + 1, writeId: "x", primary }, revision: revision + 1 };
  alpha.up.onRegistryRead({ outcome: "found", ...stage.registry }, stage.nowMs);
  alpha.hasInput = true;
  stage.run();
  t.false(inside(alpha.up).core.applied.isLoaded);
  const { committed } = alpha.up;
  t.true(committed > 0);
  // The flush was under way when the disk was read for the new state, and ends before that has applied the rest.
  alpha.up.onReloaded(
    new RequestTable({
      through: 0,
      resultNumber: 0,
      rememberClients: 9,
      maxRememberedBytes: Number.POSITIVE_INFINITY,
      hasher: new KeyHasher("test"),
    }),
    stage.nowMs,
  );
  alpha.up.onFlushed(committed, 1, stage.nowMs);
  alpha.up.onPublished(committed, stage.nowMs);
  t.is(alpha.up.log.base.sequence, 0, "what it lacks is kept, whatever the disk has");
  alpha.up.endTurn(stage.nowMs, stage.wallMs);
  const apply = alpha.up.outbox.at(-1);
  if (apply?.type !== "apply") return t.fail();
  t.is(apply.through, committed);
  t.deepEqual(
    apply.batches.map(({ first, last }) => [first, last]),
    [[1, committed]],
  );
  alpha.up.onPublished(committed, stage.nowMs);
  t.is(alpha.up.log.base.sequence, committed, "memory has let go of them");
});

test("a candidate that loses, named, keeps its memory and follows the winner (rule 7, situation 47)", (t) => {
  const stage = Stage.normal({ servers: ["alpha", "beta", "gamma"] });
  stage.do("alpha", "1");
  stage.server("gamma").held.add("compareAndSet");
  stage.cuts.add("beta>gamma");
  stage.kill("alpha");
  stage.tellGone("alpha");
  stage.tick();
  t.is(stage.replica("beta").state, "hot.normal");
  t.is(stage.replica("gamma").state, "candidate.electing");
  const { record } = stage.heldCas("gamma");
  stage.answerCas("gamma", record.writeId, { outcome: "lost" });
  t.is(stage.replica("gamma").state, "following.warm");
  t.is(stage.replica("gamma").self, "gamma.1");
  stage.cuts.clear();
  stage.tick(4);
  stage.do("beta", "2");
  t.deepEqual(stage.replies(), ["1: ok at 1", "2: ok at 2"]);
  t.is(stage.replica("gamma").log.last, 2);
});

test("a server that was itself paused judges nobody (rule 9)", (t) => {
  const stage = Stage.normal();
  stage.nowMs += 60_000;
  stage.tick(2);
  t.deepEqual(stage.states(), ["hot.normal", "following.warm"]);
  t.is(stage.record.epoch, 3);
});

test("a primary that was itself paused judges nobody by what it hears first, before a tick comes (rule 9)", (t) => {
  const stage = Stage.normal();
  const alpha = stage.server("alpha");
  stage.cuts.add("beta>alpha");
  stage.do("alpha", "1");
  stage.nowMs += 60_000;
  alpha.up.onLink("beta", "main", true, stage.nowMs);
  alpha.hasInput = true;
  stage.run();
  t.is(alpha.up.state, "hot.normal");
  stage.cuts.clear();
  stage.tick(8);
  t.deepEqual(stage.states(), ["hot.normal", "following.warm"]);
  t.is(stage.record.epoch, 3);
});

test("a primary that was paused gives a member that did not follow it yet its time (rule 9)", (t) => {
  const stage = Stage.normal({ servers: ["alpha", "beta", "gamma"] });
  stage.server("gamma").held.add("send");
  stage.kill("alpha");
  stage.tellGone("alpha");
  const beta = stage.replica("beta");
  t.is(beta.state, "hot.normal");
  t.is(primaryOf(beta).followers.get("gamma")?.session, null);
  const { epoch } = stage.record;
  stage.nowMs += 60_000;
  stage.tick();
  t.is(beta.state, "hot.normal");
  t.is(stage.record.epoch, epoch, "nobody is removed");
  stage.unhold("gamma", "send");
  stage.tick(4);
  t.deepEqual(stage.states(), ["down", "hot.normal", "following.warm"]);
  t.is(stage.record.epoch, epoch);
});

test("a primary that is paused again and again removes a member that never follows it all the same (rules 9, 10)", (t) => {
  const stage = Stage.normal({ servers: ["alpha", "beta", "gamma"] });
  const gamma = stage.server("gamma");
  gamma.held.add("send");
  stage.kill("alpha");
  stage.tellGone("alpha");
  const beta = stage.replica("beta");
  t.is(beta.state, "hot.normal");
  const isNamed = () => stage.record.inSync.some(({ server }) => server === "gamma");
  // It is heard, and asks for nothing.
  const second = () => {
    stage.nowMs += 2 * limits.heartbeatMs;
    for (let tick = 0; tick < 8; tick += 1) {
      stage.tick();
      for (const entry of gamma.waiting.splice(0))
        if (entry.type === "send" && entry.message.type === "heartbeat") stage.perform(gamma, entry);
      stage.run();
    }
  };
  second();
  t.true(isNamed(), "not before its time");
  second();
  second();
  t.false(isNamed());
});

test("a main link that is cut moves the mirror to NATS, and nobody is removed (rule 9)", (t) => {
  const stage = Stage.normal();
  stage.cuts.add("alpha>beta main").add("beta>alpha main");
  stage.tick(silence);
  stage.do("alpha", "1");
  t.deepEqual(stage.replies(), ["1: ok at 1"]);
  t.is(stage.sent.findLast(({ message }) => message.type === "mirror")?.link, "failsafe");
  t.is(stage.record.epoch, 3);
  stage.cuts.clear();
  stage.tick(4);
  stage.do("alpha", "2");
  t.is(stage.sent.findLast(({ message }) => message.type === "mirror")?.link, "main");
  t.deepEqual(stage.replies(), ["2: ok at 2"]);
});

test("a main link that is dead one way only is not used for records (situation 42)", (t) => {
  const stage = Stage.normal();
  stage.cuts.add("alpha>beta main");
  stage.tick(silence + 2);
  stage.do("alpha", "1");
  t.deepEqual(stage.replies(), ["1: ok at 1"]);
  t.is(stage.sent.findLast(({ message }) => message.type === "mirror")?.link, "failsafe");
  t.deepEqual(stage.states(), ["hot.normal", "following.warm"]);
});

test("a backup that is heard and confirms nothing is removed after its time (rule 10)", (t) => {
  const stage = Stage.normal();
  stage.server("beta").held.add("send");
  const { incarnation } = stage.record.primary;
  stage.do("alpha", "1");
  const ticks = Math.ceil(limits.stalledBackupMs / limits.heartbeatMs);
  for (let tick = 0; tick <= ticks; tick += 1) {
    stage.tick();
    // Its heartbeats come, its confirms do not.
    const beta = stage.server("beta");
    for (const entry of beta.waiting.splice(0))
      if (entry.type === "send" && entry.message.type === "heartbeat") stage.perform(beta, entry);
    stage.run();
  }

  t.deepEqual(stage.replies(), ["1: ok at 1"]);
  t.deepEqual([stage.record.mode, stage.record.primary.incarnation], ["primary-only", incarnation]);
});

test("a backup whose memory is full takes nothing more, and is removed after its time (rules 10, 15, situation 41)", (t) => {
  const stage = Stage.normal();
  const beta = stage.replica("beta");
  Object.assign(inside(beta).core, { limits: { ...limits, maxRetainedBytes: 0, maxUnflushedBytes: 200 } });
  for (const id of ["1", "2", "3", "4"]) stage.do("alpha", id);
  t.true(beta.log.last < 4);
  stage.do("alpha", "5");
  stage.tick(Math.ceil(limits.stalledBackupMs / limits.heartbeatMs) + 2);
  t.is(stage.record.mode, "primary-only");
  t.is(stage.record.primary.server, "alpha");
  t.true(stage.replies().includes("5: ok at 5"));
  // The disk has caught up: it is taken in again.
  beta.onFlushed(beta.committed, 1, stage.nowMs);
  beta.onPublished(beta.committed, stage.nowMs);
  Object.assign(beta, { limits });
  stage.tick(40);
  t.deepEqual(stage.states(), ["hot.normal", "following.warm"]);
  t.is(beta.log.last, 5);
});

for (const [confirm, kind] of [
  ["synced", "sync"],
  ["written", "write"],
] as const) {
  test(`at confirm level ${confirm} an acknowledgement needs both disks`, (t) => {
    const stage = Stage.normal({ replica: { confirm } });
    for (const [index, name] of ["alpha", "beta"].entries()) {
      stage.server(name).held.add(kind);
      stage.do("alpha", `${index + 1}`);
      stage.tick();
      t.deepEqual(stage.replies(), [], name);
      stage.unhold(name, kind);
      stage.tick();
      t.deepEqual(stage.replies(), [`${index + 1}: ok at ${index + 1}`], name);
    }
  });
}
