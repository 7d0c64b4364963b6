/**
 * Scenes of links, pauses and slowness: everybody lives, and who hears whom, and when, is what endangers (rules 2, 4, 5, 9,
 * 10; planned switch).
 */

import { brokerHost } from "../../../actors/testing/world/sim-broker.ts";
import { cut, type FaultContext, type FaultKind, later, mayCrash } from "./context.ts";
import {
  allLinks,
  links,
  losePower,
  once,
  onceWritten,
  others,
  roles,
  slowFailsafe,
  staged,
  toNats,
  type Way,
} from "./scenes.ts";

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
  const successors = others(backup, others(primary, cluster.names));
  sim.tell(backup, "has NATS alone, and that is slow");
  const ways = others(backup, cluster.names).flatMap((peer): Way[] => [
    [`main:${peer}`, `main:${backup}`],
    [`main:${backup}`, `main:${peer}`],
  ]);
  cut(context, ways, 6 * suspicionMs);
  slowFailsafe(context, 6 * suspicionMs);
  later(context, suspicionMs * rng.between(1.2, 2), () => {
    sim.tell(primary, `is not heard by ${successors.join(", ")}`);
    cut(
      context,
      successors.flatMap((successor) => links(primary, successor)),
      4 * suspicionMs,
    );
  });
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

/** A backup loses NATS for long, the main link lives: it could not take over, and is not counted on for long (situation 59). */
function loseNatsOfBackup(context: FaultContext): void {
  const { sim, cluster } = context;
  const now = roles(context, 8_000);
  if (now === null) return;
  sim.tell(now.backup, "is cut from NATS for long");
  cut(context, toNats(now.backup), 7_500);
  later(context, 7_000, () => {
    const { record } = cluster;
    if (record?.primary.server === now.primary && record.inSync.some(({ server }) => server === now.backup))
      cluster.onViolation("rule 9", `${now.backup} has not reached NATS for long, and ${now.primary} counts on it`);
  });
}

/** A backup is started again where it reaches its primary and not NATS: it is mirrored to, and not taken in (situation 59). */
function joinWithoutNats(context: FaultContext): void {
  const { sim, cluster } = context;
  const now = roles(context, 6_000);
  if (now === null || !mayCrash(context, now.backup)) return;
  const { primary, backup } = now;
  cluster.kill(backup, "process");
  onceWritten(
    context,
    ({ inSync }) => inSync.every(({ server }) => server !== backup),
    () => {
      sim.tell(backup, "does not reach NATS");
      cut(context, toNats(backup), 5_000);
      onceWritten(
        context,
        ({ inSync }) => inSync.some(({ server }) => server === backup),
        () => {
          if (sim.network.isCut(backup, brokerHost) && cluster.record?.primary.server === primary)
            cluster.onViolation("rule 8", `${backup} does not reach NATS, and ${primary} takes it in`);
        },
      );
    },
  );
}

/**
 * Servers lose each other and are back, and NATS is there for both: whoever wins each time, the mode does not change with
 * every break (situation 20).
 */
function flapForLong(context: FaultContext): void {
  const { sim, cluster, suspicionMs } = context;
  const now = roles(context, 15 * suspicionMs);
  if (now === null) return;
  const { primary, backup } = now;
  const before = cluster.record?.epoch ?? 0;
  const periodMs = 2.2 * suspicionMs;
  sim.tell(primary, `it and ${backup} lose each other, again and again`);
  for (let time = 0; time < 6; time += 1)
    later(context, time * periodMs, () => cut(context, allLinks(backup, context), 1.2 * suspicionMs));
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

/** An operator asks for a switch while the registry takes no record: somebody serves again soon (situation 62). */
function switchWhileFull(context: FaultContext): void {
  const { cluster, sim, suspicionMs } = context;
  const now = roles(context, 14 * suspicionMs);
  if (now === null) return;
  sim.tell(brokerHost, "has no room for records of the registry");
  sim.registry.isFull = true;
  cluster.command(now.primary, "switch");
  later(context, 8 * suspicionMs, () => {
    const [primary, backup] = [cluster.state(now.primary), cluster.state(now.backup)];
    if (primary === "hot.switching" || backup === "receiving")
      cluster.onViolation(
        "planned switch",
        `the switch can not be settled, and nobody serves: ${now.primary} is ${primary}, ${now.backup} is ${backup}`,
      );
  });
  later(context, 12 * suspicionMs, () => {
    sim.registry.isFull = false;
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

/** The primary's clock is a day slow for a while; it has heard of one that is not (rule 12, situation 43). */
function slowPrimary(context: FaultContext): void {
  const { sim } = context;
  const now = roles(context, 2_000);
  if (now === null) return;
  const { wall } = sim.host(now.primary);
  sim.tell(now.primary, "its clock is a day behind for a while");
  context.moments.count("wall clock jumped");
  wall.offsetMs = -86_400_000;
  later(context, 1_500, () => {
    wall.offsetMs = 0;
  });
}

/** The main link breaks for long and NATS lives: the pair goes on over that, and nobody is dropped (rule 9). */
function loseMain(context: FaultContext): void {
  const { sim, cluster, suspicionMs } = context;
  const now = roles(context, 12 * suspicionMs);
  if (now === null) return;
  const { primary, backup } = now;
  const before = { epoch: cluster.record?.epoch, committed: cluster.committed(primary) };
  sim.tell(primary, `its main link to ${backup} breaks, for long`);
  const ways: Way[] = [
    [`main:${primary}`, `main:${backup}`],
    [`main:${backup}`, `main:${primary}`],
  ];
  cut(context, ways, 10 * suspicionMs);
  sim.mainNetwork.reset(primary, backup);
  later(context, 9 * suspicionMs, () => {
    const committed = cluster.committed(primary) - before.committed;
    if (cluster.record?.epoch !== before.epoch)
      cluster.onViolation("rule 9", `the mode changed, and ${primary} and ${backup} hear each other over NATS`);
    else if (committed === 0 && cluster.last(primary) > before.committed)
      cluster.onViolation("rule 9", `nothing is mirrored, and ${primary} and ${backup} hear each other over NATS`);
  });
}

/** Both lose NATS, the main link lives: nobody moves, and the same primary goes on (situation 31). */
function loseNatsForAll(context: FaultContext): void {
  const { sim, cluster, suspicionMs } = context;
  const now = roles(context, 14 * suspicionMs);
  if (now === null) return;
  sim.tell(brokerHost, "dies, and is back later");
  sim.broker.crash();
  later(context, 6 * suspicionMs, () => sim.broker.restart());
  later(context, 13 * suspicionMs, () => {
    const primary = cluster.record?.primary.server;
    if (primary !== now.primary)
      cluster.onViolation("rule 9", `both had lost NATS, and the role moved from ${now.primary} to ${primary}`);
  });
}

/** A primary is killed, its kernel closes its connections and NATS knows nobody there: nobody waits for the silence (rule 9). */
function killAndLook(context: FaultContext): void {
  const { cluster, suspicionMs } = context;
  const now = roles(context, 4 * suspicionMs);
  if (now === null || !mayCrash(context, now.primary)) return;
  cluster.takeAway(now.primary, "process");
  later(context, suspicionMs / 2, () => {
    if (cluster.record?.primary.server === now.primary)
      cluster.onViolation("rule 9", `${now.primary} is gone, its kernel and NATS say so, and ${now.backup} waits`);
  });
  later(context, suspicionMs, () => cluster.start(now.primary));
}

/** An operator asks for a switch while many ask for many things: the role goes over, for intake stops (situation 36). */
function switchUnderLoad(context: FaultContext): void {
  const { cluster, operator, sim, suspicionMs } = context;
  const now = roles(context, 10 * suspicionMs);
  if (now === null) return;
  sim.tell("operator", `asks ${now.primary} to switch the roles`);
  operator.command(now.primary, "switch");
  later(context, 9 * suspicionMs, () => {
    if (cluster.record?.primary.server === now.primary)
      cluster.onViolation("planned switch", `${now.primary} was told to hand its role over, and has it still`);
  });
}

export const linkScenes: readonly FaultKind[] = [
  staged("staleReader", 400, staleReader),
  staged("lateMirrors", 500, lateMirrors),
  staged("lateTakeover", 400, lateTakeover),
  staged("slowFence", 400, slowFence),
  staged("sleepAll", 500, sleepAll),
  staged("loseNats", 500, loseNats),
  staged("loseNatsOfBackup", 500, loseNatsOfBackup),
  staged("joinWithoutNats", 500, joinWithoutNats),
  staged("flapForLong", 500, flapForLong),
  staged("stuckBackup", 500, stuckBackup),
  staged("switchOver", 400, switchOver),
  staged("loseMain", 400, loseMain),
  staged("loseNatsForAll", 400, loseNatsForAll),
  staged("killAndLook", 400, killAndLook),
  staged("switchWhileFull", 400, switchWhileFull),
  staged("switchUnderLoad", 400, switchUnderLoad),
  staged("futureClient", 500, futureClient),
  staged("slowPrimary", 500, slowPrimary),
];
