/**
 * Faults that come to one dangerous moment on purpose, each for a rule that random faults seldom need (mutations.ts). No
 * seed draws them by itself. Some judge as well: where a broken rule harms nobody's data, they say what must be seen
 * instead, which holds only because nothing else goes wrong beside them.
 */
import { headers } from "../../schemas/envelope.ts";
import type { RegistryRecord } from "../../schemas/registry.ts";
import { cut, type FaultContext, type FaultKind, later, mayCrash, mayHarm } from "./fault-context.ts";
import { brokerHost } from "./sim-broker.ts";
import type { SimWorld } from "./sim-world.ts";

type Way = readonly [string, string];

function links(from: string, to: string): Way[] {
  return [
    [`main:${from}`, `main:${to}`],
    [`failsafe:${from}`, `failsafe:${to}`],
  ];
}

function allLinks(name: string, { cluster }: FaultContext): Way[] {
  return others(name, cluster.names).flatMap((peer) => [...links(name, peer), ...links(peer, name)]);
}

function others(name: string, names: readonly string[]): string[] {
  return names.filter((one) => one !== name);
}

const toNats = (name: string): Way[] => [
  [name, brokerHost],
  [brokerHost, name],
];

/** Looks again and again until it holds, at most for so long. */
function once(context: FaultContext, forMs: number, holds: () => boolean, run: () => void): void {
  if (forMs <= 0) return;
  if (holds()) run();
  else later(context, 0.2, () => once(context, forMs - 0.2, holds, run));
}

function onceWritten(context: FaultContext, fits: (record: RegistryRecord) => boolean, run: () => void): void {
  const { onWritten } = context.sim.registry;
  const listener = (record: RegistryRecord) => {
    if (!fits(record)) return;
    onWritten.delete(listener);
    run();
  };
  onWritten.add(listener);
}

/** When the scene that is being played is over. */
const untilMs = new WeakMap<SimWorld, number>();

/** Who is the primary and who a backup, where all are in sync and no other scene is being played. */
function roles({ sim, cluster }: FaultContext, forMs: number): { primary: string; backup: string } | null {
  const { record } = cluster;
  if (!cluster.isWhole() || record === null || sim.nowMs < (untilMs.get(sim) ?? 0)) return null;
  untilMs.set(sim, sim.nowMs + forMs);
  const primary = record.primary.server;
  const backup = record.inSync.find(({ server }) => server !== primary)?.server;
  return backup === undefined ? null : { primary, backup };
}

function losePower(context: FaultContext, name: string): void {
  if (mayCrash(context, name)) context.cluster.kill(name, "machine");
}

/**
 * The primary loses everything, another takes over and acknowledges; then NATS is back for the old one, and the registry is
 * not: it hears a query before it can know that it was deposed (situation 11).
 */
function staleReader(context: FaultContext): void {
  const { sim, rng, suspicionMs, cluster } = context;
  const now = roles(context, 2_200 + 6 * suspicionMs);
  if (now === null) return;
  const { primary } = now;
  const awayMs = 2_200 + 3 * suspicionMs;
  sim.tell(primary, "hears nobody, and then NATS alone");
  cut(context, toNats(primary), awayMs);
  // What it was asked before is committed by then: what it would answer is old, and nothing else.
  later(context, rng.between(5, 40), () => cut(context, allLinks(primary, context), awayMs + 2 * suspicionMs));
  later(context, awayMs - 50, () => {
    if (cluster.record?.primary.server !== primary) sim.registry.isAvailable = false;
  });
  later(context, awayMs + 2 * suspicionMs, () => {
    sim.registry.isAvailable = true;
  });
}

/**
 * A backup has NATS alone, and that is slow; the primary is no longer heard by the other one, which is elected: records that
 * only the old primary has arrive after those of the new one were agreed on.
 */
function lateMirrors(context: FaultContext): void {
  const { sim, cluster, rng, suspicionMs } = context;
  const now = roles(context, 8 * suspicionMs);
  if (now === null) return;
  const { primary, backup } = now;
  const heirs = others(backup, others(primary, cluster.names));
  sim.tell(backup, "has NATS alone, and that is slow");
  const ways = others(backup, cluster.names).flatMap((peer): Way[] => [
    [`main:${peer}`, `main:${backup}`],
    [`main:${backup}`, `main:${peer}`],
  ]);
  cut(context, ways, 6 * suspicionMs);
  slowFailsafe(context, 6 * suspicionMs);
  later(context, suspicionMs * rng.between(1.2, 2), () => {
    sim.tell(primary, `is not heard by ${heirs.join(", ")}`);
    cut(
      context,
      heirs.flatMap((heir) => links(primary, heir)),
      4 * suspicionMs,
    );
  });
}

function slowFailsafe(context: FaultContext, forMs: number): void {
  const { failsafeFaults } = context.sim;
  Object.assign(failsafeFaults, { delayChance: 0.5, maxDelayMs: 5 * context.suspicionMs });
  later(context, forMs, () => Object.assign(failsafeFaults, { delayChance: 0 }));
}

/** A backup that does not hear its primary asks the registry, hears it again before that is settled, and wins late. */
function lateTakeover(context: FaultContext): void {
  const { sim, cluster, rng, suspicionMs } = context;
  const now = roles(context, 5 * suspicionMs);
  if (now === null) return;
  const { primary, backup } = now;
  const { registryFaults } = sim;
  const before = { ...registryFaults };
  sim.tell(backup, `hears nothing of ${primary}; what it asks the registry arrives late`);
  for (const [from, to] of links(primary, backup)) sim.network.cut(from, to);
  Object.assign(registryFaults, { lateChance: 1, maxLateMs: 2 * suspicionMs });
  const heal = () => {
    for (const [from, to] of links(primary, backup)) sim.network.heal(from, to);
    Object.assign(registryFaults, before);
  };
  once(context, 4 * suspicionMs, () => cluster.state(backup) === "candidate.asking", heal);
  later(context, 4 * suspicionMs, () => Object.assign(registryFaults, before));
  onceWritten(
    context,
    (record) => record.primary.server === backup,
    () => later(context, rng.pick([0.05, 0.2, 0.5]), () => losePower(context, backup)),
  );
}

/** A primary that does not hear its backup fences itself, with a slow disk; the backup confirms meanwhile. */
function slowFence(context: FaultContext): void {
  const { sim, cluster, rng, suspicionMs } = context;
  const now = roles(context, 7 * suspicionMs);
  if (now === null) return;
  const { primary, backup } = now;
  const { disk } = sim.host(primary);
  sim.tell(primary, `hears nothing of ${backup}, and its disk is slow`);
  for (const [from, to] of links(backup, primary)) sim.network.cut(from, to);
  disk.slowness = rng.pick([20, 60, 150]);
  const heal = () => {
    for (const [from, to] of links(backup, primary)) if (sim.network.isCut(from, to)) sim.network.heal(from, to);
  };
  once(context, 4 * suspicionMs, () => cluster.state(primary) === "hot.fencing.syncing", heal);
  later(context, 4 * suspicionMs, heal);
  onceWritten(
    context,
    ({ inSync }) => inSync.length === 1,
    () => later(context, rng.pick([0.05, 0.2, 0.5]), () => losePower(context, primary)),
  );
  later(context, 6 * suspicionMs, () => {
    disk.slowness = 1;
  });
}

/** All stand still together, as on one host that sleeps: afterwards nobody has missed anybody (rule 9). */
function sleepAll(context: FaultContext): void {
  const { sim, cluster, rng, suspicionMs } = context;
  if (roles(context, 4 * suspicionMs) === null) return;
  const forMs = suspicionMs * rng.between(1.2, 2);
  const before = cluster.record?.epoch;
  sim.tell("world", `all servers stand still for ${forMs.toFixed(0)} ms`);
  for (const name of cluster.names) {
    cluster.pause(name);
    later(context, forMs + rng.between(0, 1), () => cluster.resume(name));
  }
  later(context, forMs + 0.8 * suspicionMs, () => {
    if (cluster.record?.epoch !== before)
      cluster.onViolation("rule 9", "servers that were only paused changed the mode, and all of them are alive");
  });
}

/** The primary alone loses NATS for long, the main link lives: it hands its role over (situation 44). */
function loseNats(context: FaultContext): void {
  const { sim, cluster } = context;
  const now = roles(context, 8_000);
  if (now === null) return;
  sim.tell(now.primary, "is cut from NATS for long");
  cut(context, toNats(now.primary), 7_500);
  later(context, 7_000, () => {
    if (cluster.record?.primary.server === now.primary)
      cluster.onViolation("rule 9", `${now.primary} keeps the role, cannot reach NATS, and ${now.backup} can`);
  });
}

/**
 * A backup comes and goes: it is not taken in and dropped all the time (situation 20). NATS goes with it, so that the role
 * stays where it is: a primary that was deposed meanwhile starts again, and has forgotten whom it had dropped.
 */
function flapForLong(context: FaultContext): void {
  const { sim, cluster, suspicionMs } = context;
  const now = roles(context, 15 * suspicionMs);
  if (now === null) return;
  const { primary, backup } = now;
  const before = cluster.record?.epoch ?? 0;
  const periodMs = 2.2 * suspicionMs;
  sim.tell(primary, `${backup} comes and goes`);
  for (let time = 0; time < 6; time += 1)
    later(context, time * periodMs, () =>
      cut(context, [...allLinks(backup, context), ...toNats(backup)], 1.2 * suspicionMs),
    );
  later(context, 6 * periodMs, () => {
    const changes = (cluster.record?.epoch ?? 0) - before;
    if (changes > 8) cluster.onViolation("rule 9", `${changes} changes of the mode in six breaks of the links`);
  });
}

/** A backup that is heard and confirms nothing, for long: the primary goes on without it (rule 10). */
function stuckBackup(context: FaultContext): void {
  const { sim, cluster } = context;
  const now = roles(context, 7_000);
  if (now === null) return;
  const { disk } = sim.host(now.backup);
  sim.tell(now.backup, "has a disk that takes seconds");
  disk.slowness = 10_000;
  later(context, 100, () => {
    disk.slowness = 30_000;
  });
  const { primary } = now;
  let committed = 0;
  later(context, 3_500, () => {
    committed = cluster.committed(primary);
  });
  later(context, 6_000, () => {
    disk.slowness = 1;
    const isStuck = cluster.last(primary) > committed && cluster.committed(primary) === committed;
    if (isStuck && cluster.record?.primary.server === primary)
      cluster.onViolation(
        "rule 10",
        `${primary} acknowledges nothing, and ${now.backup} has confirmed nothing for seconds`,
      );
  });
}

/** A client's clock is a day ahead for a while (rule 12). */
function futureClient(context: FaultContext): void {
  const { sim, rng } = context;
  const { wall } = sim.host(`client${rng.int(1, 2)}`);
  sim.tell("client", "its clock is a day ahead for a while");
  wall.offsetMs = 86_000_000;
  later(context, 1_500, () => {
    wall.offsetMs = 0;
  });
}

/** An operator asks for a switch, under load, while the backup is a little behind (situation 36). */
function switchOver(context: FaultContext): void {
  const { cluster, rng, sim } = context;
  const now = roles(context, 500);
  if (now === null) return;
  cluster.command(now.primary, "switch");
  if (rng.chance(0.6)) {
    const way: Way = [`main:${now.primary}`, `main:${now.backup}`];
    sim.network.cut(...way);
    later(context, rng.between(1, 60), () => sim.network.heal(...way));
  }
}

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

/** The registry goes back just when a server restarts. */
function restartAfterRollBack(context: FaultContext): void {
  const { sim, cluster } = context;
  const now = roles(context, 4_000);
  if (now === null) return;
  for (const name of cluster.names) cluster.kill(name, "process");
  sim.tell(brokerHost, "the registry goes back by 2");
  sim.registry.rollBack(2);
}

const staged = (name: string, meanGapMs: number, run: (context: FaultContext) => void): FaultKind => ({
  name,
  class: "staged",
  meanGapMs,
  run,
});

export const stagedFaults: readonly FaultKind[] = [
  staged("staleReader", 400, staleReader),
  staged("lateMirrors", 500, lateMirrors),
  staged("lateTakeover", 400, lateTakeover),
  staged("slowFence", 400, slowFence),
  staged("sleepAll", 500, sleepAll),
  staged("loseNats", 500, loseNats),
  staged("flapForLong", 500, flapForLong),
  staged("stuckBackup", 500, stuckBackup),
  staged("futureClient", 500, futureClient),
  staged("switchOver", 400, switchOver),
  staged("forceRecovery", 1_000, forceRecovery),
  staged("restartWithoutRegistry", 800, restartWithoutRegistry),
  staged("loseAllButStale", 800, loseAllButStale),
  staged("loseSoleMember", 500, loseSoleMember),
  staged("loseSlowSoleMember", 400, loseSlowSoleMember),
  staged("listenAfterKill", 400, listenAfterKill),
  staged("longGone", 300, longGone),
  staged("loseRow", 400, loseRow),
  staged("restartAfterRollBack", 800, restartAfterRollBack),
];
