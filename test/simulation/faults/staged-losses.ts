/**
 * Scenes of loss: servers, disks and the registry go or come back old, at the moment at which it matters (rules 5, 7, 12, 13,
 * 14, 18; the start table).
 */

import { brokerHost } from "../../../actors/testing/world/sim-broker.ts";
import { headers } from "../../../schemas/envelope.ts";
import type { RegistryRecord } from "../../../schemas/registry.ts";
import { cut, type FaultContext, type FaultKind, later, mayCrash, mayHarm } from "./context.ts";
import {
  allLinks,
  losePower,
  once,
  onceWritten,
  others,
  type Roles,
  roles,
  staged,
  toNats,
  type Way,
} from "./scenes.ts";

/** Beyond the promise: both die at once, one does not come back, and an operator goes on with the other (rule 18). */
function forceRecovery(context: FaultContext): void {
  const { cluster, rng } = context;
  const now = roles(context, 8_000);
  if (now === null || cluster.record?.durability !== "memory") return;
  const [lost, kept] = rng.shuffle([now.primary, now.backup]) as [string, string];
  cluster.takeAway(lost, "machine");
  cluster.kill(kept, "machine");
  once(
    context,
    6_000,
    () => cluster.state(kept) === "waiting",
    () => later(context, 100, () => recoverWhileWaiting(context, kept)),
  );
}

/** It may not know yet whether the other one is there, and says so. */
function recoverWhileWaiting(context: FaultContext, name: string): void {
  if (context.cluster.state(name) !== "waiting") return;
  context.cluster.command(name, "recover");
  later(context, 300, () => recoverWhileWaiting(context, name));
}

/**
 * The same with a copy that is older by some flushes, and the newer one comes back soon: what it holds alone may not be deleted
 * (rules 7 and 18).
 */
function forceOlderCopy(context: FaultContext): void {
  const { cluster, rng, sim } = context;
  const now = roles(context, 8_000);
  if (now === null || cluster.record?.durability !== "memory") return;
  const [lost, kept] = rng.shuffle([now.primary, now.backup]) as [string, string];
  const { disk } = sim.host(kept);
  // What it was given last is not on its disk, or its disk is behind.
  if (rng.chance(0.5)) disk.slowness = 2_000;
  later(context, rng.between(300, 900), () => {
    cluster.takeAway(lost, "process");
    cluster.kill(kept, "machine");
    disk.slowness = 1;
    once(
      context,
      6_000,
      () => cluster.state(kept) === "waiting",
      () => later(context, 100, () => recoverWhileWaiting(context, kept)),
    );
    later(context, 3_000, () => cluster.start(lost));
  });
}

/** The registry is deleted, and the primary restarts with a disk that lacks what the backup has in memory. */
function restartWithoutRegistry(context: FaultContext): void {
  const { sim, cluster } = context;
  const now = roles(context, 4_000);
  if (now === null) return;
  sim.tell(brokerHost, "the registry's bucket is deleted");
  sim.registry.remove();
  later(context, 5, () => cluster.kill(now.primary, "process"));
}

/** The registry goes back just when a server restarts. */
function restartAfterRollBack(context: FaultContext): void {
  const { sim, cluster } = context;
  const now = roles(context, 4_000);
  if (now === null) return;
  for (const name of cluster.names) cluster.kill(name, "process");
  sim.tell(brokerHost, "the registry goes back by 2");
  sim.registry.rollBack(2);
}

/** Beyond the promise: one server is long gone, then the others die at once; all come back (the start table's last rows). */
function loseAllButStale(context: FaultContext): void {
  const { sim, cluster, rng } = context;
  const now = roles(context, 8_000);
  if (now === null || !mayCrash(context, now.backup)) return;
  cluster.takeAway(now.backup, "process");
  later(context, rng.between(2_000, 3_000), () => {
    sim.tell("world", "everybody else loses power at once");
    for (const name of others(now.backup, cluster.names)) cluster.kill(name, "machine");
    cluster.start(now.backup);
    onceWritten(
      context,
      () => true,
      () => {
        if (cluster.record?.primary.server === now.backup)
          cluster.onViolation("start", `${now.backup} goes on, which was away for seconds, and all others are here`);
      },
    );
  });
}

/** Beyond the promise: all die at once, and what is put in place of their disks is from before a backup restarted. */
function ageAllDisks(context: FaultContext): void {
  const { sim, cluster, rng } = context;
  const now = roles(context, 8_000);
  if (now === null) return;
  const copies = cluster.names.map((name) => [name, sim.host(name).disk.main.copy()] as const);
  cluster.kill(now.backup, "process");
  later(context, rng.between(2_500, 4_000), () => {
    if (!cluster.isWhole()) return;
    sim.tell("world", "everybody loses power at once, and old copies of all disks are put in place");
    for (const [name, copy] of copies) {
      cluster.kill(name, "machine");
      sim.host(name).disk.put(copy);
    }
  });
}

/**
 * The backup is cut off from everybody, another process with an empty disk says its name, and the primary dies: what the backup
 * has in its memory is all that there is (rule 1, situation 131).
 */
function strangerForMember(context: FaultContext): void {
  const now = roles(context, 30 * context.suspicionMs);
  if (now !== null) standInFor(context, now.primary, now.backup, "empty");
}

function standInFor(context: FaultContext, primary: string, backup: string, on: "empty" | "own"): void {
  const { sim, cluster, suspicionMs } = context;
  if (cluster.record?.durability !== "memory" || !mayCrash(context, primary)) return;
  sim.tell(backup, "is cut off from everybody");
  // Its process alone: over NATS the other one is heard.
  const main: Way[] = [
    [`main:${primary}`, `main:${backup}`],
    [`main:${backup}`, `main:${primary}`],
  ];
  cut(context, [...main, ...toNats(backup)], 20 * suspicionMs);
  cluster.startStranger(backup, on);
  later(context, 5, () => cluster.kill(primary, "machine"));
  later(context, 18 * suspicionMs, () => cluster.retireStranger(backup));
}

/**
 * The same with a process that was in sync once, in that name and on that disk: it knows the history, and has what was acknowledged
 * then (situation 132).
 */
function formerForMember(context: FaultContext): void {
  const { cluster, suspicionMs } = context;
  const now = roles(context, 70 * suspicionMs);
  if (now === null || cluster.record?.durability !== "memory" || !mayCrash(context, now.backup)) return;
  const { primary, backup } = now;
  cluster.takeAway(backup, "process");
  cluster.startStranger(backup, "empty");
  const isIn = () =>
    cluster.record?.primary.server === primary &&
    cluster.record.inSync.some(({ incarnation }) => incarnation === cluster.stranger(backup).incarnation);
  once(context, 20 * suspicionMs, isIn, () => {
    cluster.retireStranger(backup);
    once(
      context,
      10 * suspicionMs,
      () => cluster.hasFormer(backup),
      () => {
        cluster.start(backup);
        once(
          context,
          20 * suspicionMs,
          () => cluster.isWhole() && cluster.record?.primary.server === primary,
          () => later(context, 4 * suspicionMs, () => standInFor(context, primary, backup, "own")),
        );
      },
    );
  });
  // Whatever became of the scene.
  later(context, 50 * suspicionMs, () => cluster.start(backup));
}

/** The sole member dies while the other is back and has not joined yet. */
function loseSoleMember(context: FaultContext): void {
  const { cluster, rng, suspicionMs } = context;
  const now = roles(context, 9 * suspicionMs);
  if (now === null || !mayCrash(context, now.backup)) return;
  cluster.takeAway(now.backup, "process");
  onceWritten(
    context,
    ({ inSync }) => inSync.length === 1,
    () =>
      later(context, suspicionMs * rng.between(0.5, 2), () => {
        losePower(context, now.primary);
        cluster.start(now.backup);
      }),
  );
  later(context, 8 * suspicionMs, () => cluster.start(now.backup));
}

/** The sole member, whose disk is slow, loses power: what it was asked last is not on the disk (rule 5). */
function loseSlowSoleMember(context: FaultContext): void {
  const { cluster, rng, sim, suspicionMs } = context;
  const now = roles(context, 9 * suspicionMs);
  if (now === null || !mayCrash(context, now.backup)) return;
  const { disk } = sim.host(now.primary);
  cluster.takeAway(now.backup, "process");
  onceWritten(
    context,
    ({ inSync }) => inSync.length === 1,
    () => {
      disk.slowness = 300;
      later(context, suspicionMs * rng.between(1, 3), () => losePower(context, now.primary));
    },
  );
  later(context, 7 * suspicionMs, () => {
    disk.slowness = 1;
    cluster.start(now.backup);
  });
}

/** A primary dies, and the results of the next one must be heard without asking for them (rule 13). */
function listenAfterKill(context: FaultContext): void {
  const { cluster, sim } = context;
  const now = roles(context, 4_000);
  if (now === null || !mayCrash(context, now.primary)) return;
  let heard = 0;
  cluster.listen(`${sim.options.service}.result.>`, ({ headers: given }) => {
    heard = Math.max(heard, Number(given?.[headers.sequence] ?? 0));
  });
  const before = cluster.committed(now.primary);
  cluster.kill(now.primary, "process");
  later(context, 3_000, () => {
    const primary = cluster.record?.primary.server ?? "";
    if (cluster.committed(primary) > before + 50 && heard <= before)
      cluster.onViolation(
        "rule 13",
        `${primary} publishes nothing: ${cluster.committed(primary)} records, ${heard} heard of`,
      );
  });
}

/** A backup is away until the log does not reach back to it, and dies while it takes a snapshot (situation 25). */
function longGone(context: FaultContext): void {
  const { cluster, rng, moments } = context;
  const now = roles(context, 3_000);
  if (now === null || !mayCrash(context, now.backup)) return;
  cluster.takeAway(now.backup, "process");
  later(context, rng.between(1_000, 1_800), () => {
    const stop = moments.whenCounted("snapshot asked for", () => {
      stop();
      later(context, rng.between(0.3, 6), () => cluster.kill(now.backup, "machine"));
    });
    cluster.start(now.backup);
  });
}

/** A backup is away until only a snapshot helps, and a row of that is lost on its way (rule 7). */
function damagedSnapshot(context: FaultContext): void {
  const { cluster, rng, sim, moments } = context;
  const now = roles(context, 3_000);
  if (now === null || !mayCrash(context, now.backup)) return;
  cluster.takeAway(now.backup, "process");
  later(context, rng.between(1_000, 1_800), () => {
    const stop = moments.whenCounted("snapshot asked for", () => {
      stop();
      sim.tell(now.backup, "a row of the snapshot is lost on its way");
      sim.host(now.backup).disk.losesSideRow = true;
    });
    cluster.start(now.backup);
  });
}

/**
 * A backup is away until only a snapshot helps, and takes long to prove it. Meanwhile its primary dies; the next one has more of the
 * log, and takes it in; then that one dies too. What it is alone with no snapshot may replace (rule 7, situation 135).
 */
function overtakenSnapshot(context: FaultContext): void {
  const { cluster, rng, sim, moments, operator, suspicionMs } = context;
  const now = roles(context, 16 * suspicionMs);
  if (now === null || !mayCrash(context, now.backup)) return;
  const { primary, backup: joiner } = now;
  const next = others(joiner, cluster.names).find((name) => name !== primary);
  if (next === undefined) return;
  const { disk } = sim.host(joiner);
  // Its flushes take long: its log on disk reaches back to where the joiner's ends.
  const { disk: longer } = sim.host(next);
  longer.slowness = 1_000;
  cluster.takeAway(joiner, "process");
  later(context, suspicionMs * rng.between(1, 2), () => {
    operator.command(primary, "flush");
    const stop = moments.whenCounted("snapshot asked for", () => {
      stop();
      later(context, suspicionMs * rng.between(0.1, 0.5), () => {
        longer.slowness = 1;
        if (mayCrash(context, primary)) cluster.takeAway(primary, "process");
      });
    });
    disk.sideReadMs = suspicionMs * rng.between(2, 6);
    later(context, rng.between(20, 100), () => cluster.start(joiner));
  });
  once(
    context,
    12 * suspicionMs,
    () => cluster.record?.primary.server === next && cluster.record.inSync.some(({ server }) => server === joiner),
    () => {
      if (mayCrash(context, next)) cluster.takeAway(next, "process");
    },
  );
  later(context, 14 * suspicionMs, () => {
    disk.sideReadMs = 0;
    longer.slowness = 1;
    cluster.startAll();
  });
}

/** The joiner restarts while the compare-and-set that adds it is under way, and then hears nobody (situation 5). */
function addLate(context: FaultContext): void {
  const { sim, cluster, suspicionMs, rng } = context;
  const now = roles(context, 14 * suspicionMs);
  if (now === null || !mayCrash(context, now.backup)) return;
  const { primary, backup } = now;
  cluster.kill(backup, "machine");
  once(
    context,
    6 * suspicionMs,
    () => cluster.state(primary) === "hot.adding",
    () => {
      sim.tell(backup, `restarts while ${primary} asks to add it`);
      cluster.kill(backup, "machine");
      onceWritten(
        context,
        ({ inSync }) => inSync.length > 1,
        () =>
          later(context, rng.between(0.2, 5), () => {
            sim.tell(primary, "is cut off from everybody");
            cut(context, [...allLinks(primary, context), ...toNats(primary)], 6 * suspicionMs);
          }),
      );
    },
  );
}

/** The compare-and-set that adds a joiner is lost, and so is the joiner before it is asked for again (rule 8, situation 130). */
function addInVain(context: FaultContext): void {
  const now = roles(context, 12 * context.suspicionMs);
  if (now === null || !mayCrash(context, now.backup)) return;
  addUnknown(context, now, () => loseJoiner(context, now.primary, now.backup));
}

/** The backup dies and joins again, and what becomes of the compare-and-set that adds it is unknown. */
export function addUnknown(context: FaultContext, { primary, backup }: Roles, run: () => void): void {
  const { sim, cluster, suspicionMs } = context;
  const { registryFaults } = sim;
  cluster.kill(backup, "process");
  once(
    context,
    6 * suspicionMs,
    () => cluster.state(primary) === "hot.alone" && cluster.state(backup).startsWith("following"),
    () => {
      sim.tell(brokerHost, "calls of the registry are lost for a while");
      registryFaults.lostCallChance = 1;
      later(context, 2 * suspicionMs, () => {
        registryFaults.lostCallChance = 0;
      });
      once(
        context,
        2 * suspicionMs,
        () => cluster.state(primary) === "hot.adding",
        () => later(context, suspicionMs / 4, run),
      );
    },
  );
}

function loseJoiner(context: FaultContext, primary: string, joiner: string): void {
  const { cluster, suspicionMs } = context;
  if (cluster.state(primary) !== "hot.adding") return;
  cluster.takeAway(joiner, "process");
  onceWritten(
    context,
    () => true,
    () => {
      if ((cluster.record?.inSync.length ?? 0) > 1)
        cluster.onViolation("rule 8", `${primary} knows that ${joiner} is gone, and has the registry count on it`);
    },
  );
  later(context, 4 * suspicionMs, () => cluster.start(joiner));
}

/** Beyond the promise: the only disk that has everything is put back as it was seconds ago (situation 28). */
function oldSoleDisk(context: FaultContext): void {
  const { cluster, sim } = context;
  const now = roles(context, 8_000);
  if (now === null) return;
  const { primary, backup } = now;
  const { disk } = sim.host(primary);
  cluster.takeAway(backup, "machine");
  onceWritten(
    context,
    ({ inSync }) => inSync.length === 1,
    () => {
      let copy = disk.main.copy();
      later(context, 100, () => {
        copy = disk.main.copy();
      });
      later(context, 2_600, () => {
        cluster.kill(primary, "process");
        disk.put(copy);
        sim.tell(primary, "its disk is put back as it was 2.5 s ago");
      });
    },
  );
}

/**
 * A backup dies, and one row of its tables is gone: log, checksums and positions are sound, and the digest alone can tell
 * (rule 14).
 */
function loseRow(context: FaultContext): void {
  const { cluster, sim } = context;
  const now = roles(context, 3_000);
  if (now === null || !mayHarm(context, now.backup)) return;
  cluster.kill(now.backup, "process");
  sim.tell(now.backup, sim.host(now.backup).disk.loseRow() ? "a row of its tables is gone" : "its tables are empty");
}

/**
 * The one that is alone is told to pause, and as soon as that is written to go on; its disk takes its time, and it dies as soon as
 * that is written too (situation 139).
 */
function pauseAndDie(context: FaultContext): void {
  const { cluster, operator, sim } = context;
  const now = roles(context, 3_000);
  if (now === null) return;
  const { primary, backup } = now;
  const { disk } = sim.host(primary);
  const isPaused = ({ pause }: RegistryRecord) => pause !== undefined;
  losePower(context, backup);
  onceWritten(
    context,
    ({ inSync }) => inSync.length === 1,
    () =>
      later(context, 50, () => {
        disk.slowness = 300;
        operator.command(primary, "pause");
        onceWritten(context, isPaused, () => {
          later(context, 1, () => operator.command(primary, "resume"));
          onceWritten(
            context,
            (record) => !isPaused(record),
            () => losePower(context, primary),
          );
        });
        later(context, 1_000, () => {
          disk.slowness = 1;
          cluster.start(primary);
        });
      }),
  );
}

export const lossScenes: readonly FaultKind[] = [
  staged("forceRecovery", 1_000, forceRecovery),
  staged("forceOlderCopy", 1_000, forceOlderCopy),
  staged("restartWithoutRegistry", 800, restartWithoutRegistry),
  staged("restartAfterRollBack", 800, restartAfterRollBack),
  staged("loseAllButStale", 800, loseAllButStale),
  staged("ageAllDisks", 1_000, ageAllDisks),
  staged("strangerForMember", 1_000, strangerForMember),
  staged("formerForMember", 1_000, formerForMember),
  staged("loseSoleMember", 500, loseSoleMember),
  staged("loseSlowSoleMember", 400, loseSlowSoleMember),
  staged("listenAfterKill", 400, listenAfterKill),
  staged("longGone", 300, longGone),
  staged("damagedSnapshot", 300, damagedSnapshot),
  staged("overtakenSnapshot", 500, overtakenSnapshot),
  staged("addLate", 400, addLate),
  staged("addInVain", 400, addInVain),
  staged("oldSoleDisk", 800, oldSoleDisk),
  staged("loseRow", 400, loseRow),
  staged("pauseAndDie", 400, pauseAndDie),
];
