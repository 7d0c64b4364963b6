/**
 * Scenes of force (rule 18): an operator who recovers the wrong server, by mistake. Beyond the promise, for what was acknowledged
 * by a server whose disk is gone may be lost; what is judged is that nobody goes on with less than what is at hand.
 */
import { brokerHost } from "../../../actors/testing/world/sim-broker.ts";
import { type FaultContext, type FaultKind, later, mayCrash } from "./context.ts";
import { backupOf, restoredFrom } from "./restored-image.ts";
import { allLinks, once, onceWritten, others, roles, staged, toNats } from "./scenes.ts";
import { addUnknown } from "./staged-losses.ts";

/** By then a server has heard of all that are there. */
const heardAfterMs = (suspicionMs: number) => 4 * suspicionMs + 1_500;

/** A recovery that no server may begin. */
function recoverWrongly(context: FaultContext, name: string, why: string): void {
  const { cluster, operator, sim } = context;
  if (!/^(waiting|refusing)/.test(cluster.state(name))) return;
  sim.tell("operator", `tells ${name} to go on by force, ${why}`);
  operator.command(name, "recover", ({ ok }) => {
    if (ok) cluster.onViolation("rule 18", `${name} goes on by force, ${why}`);
  });
}

/**
 * The backup is gone, then the one that is alone, whose disk is lost; both are back. The empty one is told to go on, which it
 * must not: the other one has what was acknowledged while both were there.
 */
function recoverWrongOne(context: FaultContext): void {
  const { cluster, operator, sim, suspicionMs } = context;
  const now = roles(context, 14_000);
  if (now === null) return;
  const { primary, backup } = now;
  cluster.takeAway(backup, "process");
  onceWritten(
    context,
    ({ inSync }) => inSync.length === 1,
    () =>
      later(context, 1_000, () => {
        cluster.takeAway(primary, "process");
        sim.tell(primary, "its disk is lost");
        sim.host(primary).disk.wipe();
        for (const name of [primary, backup]) cluster.start(name);
        later(context, heardAfterMs(suspicionMs), () => {
          recoverWrongly(context, primary, `with an empty disk, while ${backup} has records`);
          later(context, 500, () => operator.command(backup, "recover"));
        });
      }),
  );
}

/**
 * A backup is taken from one that follows. Later all are stopped, and the primary's store becomes what was in it (situation 141): alone it
 * waits for an operator's word, and goes on by that; beside the newer copy that another server has it must not. The others
 * set theirs aside.
 */
function restoreBackup(context: FaultContext): void {
  const { cluster, operator, sim, moments, rng, suspicionMs } = context;
  const now = roles(context, 20_000);
  const backup = now === null ? null : backupOf(sim.host(now.backup).disk.main);
  if (now === null || backup === null) return;
  const { primary, backup: follower } = now;
  const through = backup.end.sequence;
  later(context, rng.between(500, 3_000), () => {
    const newer = cluster.committed(follower) > through;
    for (const name of cluster.names) cluster.takeAway(name, "process");
    const { disk } = sim.host(primary);
    sim.tell(primary, `a backup of ${follower}, through record ${through}, is restored here`);
    disk.replace(restoredFrom(backup, primary, `restored-${context.number}`), backup.meta.history);
    moments.count("backup restored");
    const toldBefore = operator.recovering.length;
    cluster.start(primary);
    if (newer && rng.chance(0.4)) {
      cluster.start(follower);
      later(context, heardAfterMs(suspicionMs), () => {
        recoverWrongly(context, primary, `from a backup, while ${follower} has newer records`);
        later(context, 500, () => operator.command(follower, "recover"));
      });
    } else later(context, heardAfterMs(suspicionMs), () => recoverRestored(context, primary, toldBefore));
  });
}

/** `toldBefore`: so often somebody was told to go on by force before the backup was restored. Another fault's operator may have told it since. */
function recoverRestored(context: FaultContext, name: string, toldBefore: number): void {
  const { cluster, operator } = context;
  const isAlone = others(name, cluster.names).every((other) => !cluster.isRunning(other));
  const isTold = operator.recovering.slice(toldBefore).includes(name);
  if (isAlone && !isTold && cluster.state(name).startsWith("hot"))
    cluster.onViolation("rule 18", `${name} goes on by itself with what was restored from a backup`);
  operator.command(name, "recover");
  later(context, 2_000, () => {
    for (const other of others(name, cluster.names)) cluster.start(other);
  });
}

/** A server that refuses, because it is of another version, is told to go on while the primary serves. */
function recoverBesidePrimary(context: FaultContext): void {
  const { cluster, sim, suspicionMs } = context;
  const now = roles(context, 14_000);
  if (now === null) return;
  const { primary, backup } = now;
  cluster.replace(backup, "other");
  // A disk that another version wrote is refused before anything else is.
  sim.host(backup).disk.wipe();
  later(context, heardAfterMs(suspicionMs), () => {
    if (cluster.state(primary) === "hot.alone") recoverWrongly(context, backup, `while ${primary} serves`);
    later(context, 1_500, () => cluster.rightVersion(backup));
  });
}

/** A primary is alone; a second process in its name, on a copy of its disk, must neither take its place nor obey for it. */
function takeName(context: FaultContext): void {
  const { cluster, operator, suspicionMs } = context;
  const now = roles(context, 14_000);
  if (now === null) return;
  const { primary, backup } = now;
  cluster.takeAway(backup, "process");
  onceWritten(
    context,
    ({ inSync }) => inSync.length === 1,
    () =>
      later(context, 500, () => {
        cluster.startStranger(primary, "copy");
        later(context, heardAfterMs(suspicionMs), () => {
          const { incarnation } = cluster.stranger(primary);
          if (incarnation === "") return;
          if (cluster.record?.primary.incarnation === incarnation)
            cluster.onViolation("rule 1", `${incarnation} takes the place of ${primary}, which serves`);
          operator.command(
            primary,
            "flush",
            (reply) => {
              if (reply.ok && reply.incarnation !== incarnation)
                cluster.onViolation("rule 1", `${reply.incarnation} obeys what was said to ${incarnation}`);
            },
            incarnation,
          );
          later(context, 300, () => cluster.retireStranger(primary));
          later(context, 600, () => cluster.start(backup));
        });
      }),
  );
}

/**
 * All lose power, and a second process in the primary's name is there when they are back, with an empty disk: while both speak,
 * nobody may take all configured servers for present, and begin a new history.
 */
function countStranger(context: FaultContext): void {
  const { cluster, suspicionMs } = context;
  const now = roles(context, 14_000);
  if (now === null || cluster.record?.durability !== "memory") return;
  const { primary, backup } = now;
  const before = cluster.record.history;
  cluster.takeAway(primary, "machine");
  cluster.kill(backup, "machine");
  cluster.startStranger(primary, "empty");
  cluster.start(primary);
  later(context, heardAfterMs(suspicionMs), () => {
    const { history } = cluster.record ?? { history: before };
    if (history !== before && cluster.stranger(primary).incarnation !== "" && cluster.isRunning(primary))
      cluster.onViolation("start", `a new history begins while two servers speak as ${primary}`);
    cluster.retireStranger(primary);
  });
}

/**
 * The backup takes over while the primary is cut off, and goes away with what it acknowledged; the registry is lost. The primary
 * alone may not say what is put back: it has not seen the takeover.
 */
function restoreWithoutOne(context: FaultContext): void {
  const { cluster, registryOperator, sim } = context;
  const now = roles(context, 14_000);
  if (now === null) return;
  const { primary, backup } = now;
  const ways = [...allLinks(primary, context), ...toNats(primary)];
  for (const [from, to] of ways) sim.network.cut(from, to);
  onceWritten(
    context,
    ({ inSync }) => inSync.length === 1,
    () =>
      later(context, 1_000, () => {
        cluster.takeAway(backup, "process");
        sim.tell("nats", "the registry's bucket is deleted");
        sim.registry.remove();
        for (const [from, to] of ways) sim.network.heal(from, to);
        later(context, 1_500, () => registryOperator.restore());
        later(context, 4_000, () => cluster.start(backup));
      }),
  );
}

/**
 * The primary restarts, and both others ask for its role, when the registry hears nothing and is lost. It is put back, and one
 * of them is cut off until the other one has won: under a revision below the one on which it asked itself (situation 133).
 */
function askBeforeLoss(context: FaultContext): void {
  const { cluster, registryOperator, sim, suspicionMs } = context;
  const now = roles(context, 14_000);
  const third = cluster.names.find((name) => name !== now?.primary && name !== now?.backup);
  if (now === null || third === undefined) return;
  sim.registryFaults.lostCallChance = 1;
  cluster.takeAway(now.primary, "process");
  later(context, 100, () => cluster.start(now.primary));
  later(context, 4 * suspicionMs, () => {
    sim.tell("nats", "the registry's bucket is deleted");
    sim.registry.remove();
    registryOperator.restore();
    const ways = [...allLinks(third, context), ...toNats(third)];
    for (const [from, to] of ways) sim.network.cut(from, to);
    sim.registryFaults.lostCallChance = 0;
    later(context, 4 * suspicionMs, () => {
      for (const [from, to] of ways) sim.network.heal(from, to);
    });
  });
}

/**
 * The registry is lost and put back, and the primary does not hear of it: it is cut off. The backup, which has read it, asks to
 * be alone, and its question is on its way when the primary's beats come again, with a record of the old counting (situation 134).
 */
function tellFromBeforeLoss(context: FaultContext): void {
  const { cluster, registryOperator, sim, suspicionMs } = context;
  const now = roles(context, 14_000);
  if (now === null) return;
  const { primary, backup } = now;
  sim.tell("nats", "the registry's bucket is deleted");
  sim.registry.remove();
  registryOperator.restore();
  const links = allLinks(primary, context);
  const ways = [...links, ...toNats(primary)];
  for (const [from, to] of ways) sim.network.cut(from, to);
  const before = { ...sim.registryFaults };
  Object.assign(sim.registryFaults, { lateChance: 1, maxLateMs: 8 * suspicionMs });
  once(
    context,
    8 * suspicionMs,
    () => cluster.state(backup) === "candidate.asking",
    () => {
      for (const [from, to] of links) sim.network.heal(from, to);
    },
  );
  later(context, 16 * suspicionMs, () => {
    Object.assign(sim.registryFaults, before);
    for (const [from, to] of ways) sim.network.heal(from, to);
  });
}

/**
 * The registry goes back and is put back twice; the second time only the primary's next life reads it, and the registry goes
 * back again: there the backup wins an epoch in between, and goes on alone. Then it is put back once more (situation 140).
 */
function restoreTwice(context: FaultContext): void {
  const { cluster, registryOperator, sim } = context;
  const now = roles(context, 14_000);
  if (now === null || sim.registry.versions.length < 2) return;
  const { primary, backup } = now;
  const goBack = () => {
    sim.tell("nats", "the registry goes back by 1");
    sim.registry.rollBack(1);
  };
  goBack();
  later(context, 1_500, () => {
    cluster.takeAway(primary, "process");
    later(context, 100, () => cluster.start(primary));
    later(context, 1_500, () => {
      registryOperator.restore();
      registryOperator.restore();
      for (const [from, to] of toNats(backup)) sim.network.cut(from, to);
      later(context, 1_500, () => {
        goBack();
        for (const [from, to] of toNats(backup)) sim.network.heal(from, to);
        later(context, 1_000, () => registryOperator.restore());
      });
    });
  });
}

/**
 * What becomes of an adding is unknown, and its joiner is gone: what there is, written again, lands, and its writer is not told. An
 * old leader answers it, so that the registry is put back, as of a later epoch (situation 142).
 */
function putBackUnseen(context: FaultContext): void {
  const { cluster, sim, suspicionMs } = context;
  const now = roles(context, 14_000);
  if (now === null) return;
  const { primary, backup } = now;
  const { versions } = sim.registry;
  addUnknown(context, now, () => {
    if (cluster.state(primary) !== "hot.adding") return;
    const epoch = cluster.record?.epoch ?? 0;
    cluster.takeAway(backup, "process");
    onceWritten(
      context,
      () => true,
      () => {
        if (cluster.record?.epoch !== epoch) return;
        sim.network.cut(brokerHost, primary);
        later(context, 5, () => sim.network.heal(brokerHost, primary));
        const version = versions.findLast(({ record }) => record.epoch < epoch) ?? null;
        sim.registry.staleReads = { version, chance: 1 };
        sim.tell(brokerHost, "its answer is lost, and an old leader of the registry answers");
        cluster.start(backup);
        once(
          context,
          20 * suspicionMs,
          () => cluster.standings().length === cluster.names.length && isFrozen(context, primary),
          () => {
            sim.registry.staleReads = null;
            context.registryOperator.restore();
          },
        );
      },
    );
  });
}

const isFrozen = ({ cluster }: FaultContext, name: string): boolean =>
  cluster.standings().some(({ server, frozen }) => server === name && frozen !== "");

/**
 * The middle of a rolling upgrade: the newer program has the role and has migrated, the older one follows and keeps what it is
 * given; an operator asks for another switch, which nobody may take (rule 19, situation 144).
 */
function switchToOld(context: FaultContext): void {
  const { cluster, operator } = context;
  const now = roles(context, 9_000);
  if (now === null || cluster.isUpgraded(now.primary) || cluster.isUpgraded(now.backup)) return;
  const { primary, backup } = now;
  cluster.upgrade(backup);
  const ask = (atMs: number, name: string) => later(context, atMs, () => operator.command(name, "switch"));
  for (const atMs of [1_500, 2_000, 2_500]) ask(atMs, primary);
  for (const atMs of [3_500, 4_000, 4_500]) ask(atMs, backup);
}

/**
 * The middle of a rolling upgrade: the newer program has the role and has migrated, all others are older, and it dies. None of those
 * can serve, and yet one of them must go on, or nobody is there whom the newer program can join (rule 19, situation 144).
 */
function loseUpgraded(context: FaultContext): void {
  const { cluster, operator, sim } = context;
  const now = roles(context, 10_000);
  if (now === null || cluster.names.some((name) => cluster.isUpgraded(name))) return;
  const { primary, backup } = now;
  cluster.upgrade(backup);
  // Who does not reach NATS is asked last.
  const ways = cluster.names.filter((name) => name !== primary && name !== backup).flatMap(toNats);
  later(context, 1_200, () => {
    for (const [from, to] of ways) sim.network.cut(from, to);
  });
  for (const atMs of [1_500, 2_000, 2_500]) later(context, atMs, () => operator.command(primary, "switch"));
  later(context, 3_000, () => {
    for (const [from, to] of ways) sim.network.heal(from, to);
  });
  later(context, 4_500, () => {
    if (cluster.record?.primary.server !== backup || !mayCrash(context, backup)) return;
    cluster.takeAway(backup, "process");
    later(context, 2_000, () => cluster.start(backup));
  });
}

export const recoveryScenes: readonly FaultKind[] = [
  staged("recoverWrongOne", 1_000, recoverWrongOne),
  { name: "restoreBackup", class: "beyond", meanGapMs: 3_000, run: restoreBackup },
  staged("recoverBesidePrimary", 1_000, recoverBesidePrimary),
  staged("takeName", 1_000, takeName),
  staged("countStranger", 1_000, countStranger),
  staged("restoreWithoutOne", 1_000, restoreWithoutOne),
  staged("askBeforeLoss", 1_000, askBeforeLoss),
  staged("tellFromBeforeLoss", 1_000, tellFromBeforeLoss),
  staged("restoreTwice", 1_000, restoreTwice),
  staged("putBackUnseen", 1_000, putBackUnseen),
  staged("switchToOld", 500, switchToOld),
  staged("loseUpgraded", 500, loseUpgraded),
];
