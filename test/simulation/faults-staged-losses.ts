/**
 * Scenes of loss: servers, disks and the registry go or come back old, at the moment at which it matters (rules 5, 7, 12, 13,
 * 14, 18; the start table).
 */

import { headers } from "../../schemas/envelope.ts";
import { type FaultContext, type FaultKind, later, mayCrash, mayHarm } from "./fault-context.ts";
import { losePower, once, onceWritten, others, roles, staged } from "./scenes.ts";
import { brokerHost } from "./sim-broker.ts";

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
    () => later(context, 100, () => cluster.command(kept, "recover")),
  );
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
  });
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

export const lossScenes: readonly FaultKind[] = [
  staged("forceRecovery", 1_000, forceRecovery),
  staged("restartWithoutRegistry", 800, restartWithoutRegistry),
  staged("restartAfterRollBack", 800, restartAfterRollBack),
  staged("loseAllButStale", 800, loseAllButStale),
  staged("loseSoleMember", 500, loseSoleMember),
  staged("loseSlowSoleMember", 400, loseSlowSoleMember),
  staged("listenAfterKill", 400, listenAfterKill),
  staged("longGone", 300, longGone),
  staged("loseRow", 400, loseRow),
];
