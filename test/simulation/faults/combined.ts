/**
 * Faults that belong together, because single ones seldom meet: both links cut while NATS lives, so that both sides ask
 * the registry; failures that follow each other; a death just when a member was taken in; a snapshot that is interrupted;
 * a request that kills whoever runs it. Each is within the promise unless it says otherwise.
 */
import type { RegistryRecord } from "../../../schemas/registry.ts";
import type { Moment } from "../judge/moments.ts";
import {
  anyServer,
  cut,
  type FaultContext,
  type FaultKind,
  later,
  mayCrash,
  mayHarm,
  mayStrike,
  target,
} from "./context.ts";

type Way = readonly [string, string];

const maxLooks = 300;
const lookEveryMs = 5;

function waysBetween(name: string, peers: readonly string[], kind: "main" | "failsafe", oneWay: boolean): Way[] {
  return peers.flatMap((peer): Way[] => {
    const there: Way = [`${kind}:${name}`, `${kind}:${peer}`];
    return oneWay ? [there] : [there, [`${kind}:${peer}`, `${kind}:${name}`]];
  });
}

/** Both links of a server are cut and NATS is not: nobody hears it, and all can ask the registry (rules 2 and 3). */
function split(context: FaultContext): void {
  const { sim, cluster, moments, rng, suspicionMs } = context;
  const name = target(context);
  const peers = cluster.names.filter((peer) => peer !== name);
  const forMs = suspicionMs * rng.between(0.8, 3);
  const oneWay = rng.chance(0.2);
  moments.count("both links cut");
  sim.tell(name, `both links are cut${oneWay ? " one way" : ""} for ${forMs.toFixed(0)} ms`);
  cut(context, [...waysBetween(name, peers, "main", oneWay), ...waysBetween(name, peers, "failsafe", oneWay)], forMs);
  troubleRegistry(context, forMs);
  if (rng.chance(0.3)) killAtRegistry(context, name);
}

/** The primary is paused, and hears nobody for a while after: it still thinks that it is the primary (situation 11). */
function pauseBehindSplit(context: FaultContext): void {
  const { sim, cluster, moments, rng, suspicionMs } = context;
  const name = cluster.record?.primary.server;
  if (name === undefined) return;
  const peers = cluster.names.filter((peer) => peer !== name);
  const forMs = suspicionMs * rng.between(1.2, 4);
  moments.count("both links cut");
  moments.count("server paused");
  sim.tell(name, `is paused for ${forMs.toFixed(0)} ms, and both links are cut for longer`);
  cluster.pause(name);
  later(context, forMs, () => cluster.resume(name));
  const cutMs = forMs + suspicionMs * rng.between(0.2, 2);
  cut(context, [...waysBetween(name, peers, "main", false), ...waysBetween(name, peers, "failsafe", false)], cutMs);
}

/** A server is stopped on purpose and started again a little later; a joiner just when it was taken in (situation 48). */
function stopStart(context: FaultContext): void {
  const { sim, cluster, moments, rng } = context;
  const stop = (name: string) => {
    if (!cluster.isRunning(name)) return;
    moments.count("server stopped on purpose");
    sim.tell(name, "is told to stop");
    cluster.stop(name);
    later(context, rng.between(300, 2_500), () => cluster.start(name));
  };
  if (rng.chance(0.4)) {
    stop(target(context));
    return;
  }
  onceWritten(
    context,
    (record, before) => before !== null && record.inSync.length > before.inSync.length,
    ({ inSync }) => {
      const joiner = inSync.at(-1)?.server ?? "";
      const peers = cluster.names.filter((peer) => peer !== joiner);
      cut(
        context,
        [...waysBetween(joiner, peers, "main", false), ...waysBetween(joiner, peers, "failsafe", false)],
        200,
      );
      stop(joiner);
    },
  );
}

/** A compare-and-set of these moments is often unknown to its sender, or lands late. */
function troubleRegistry(context: FaultContext, forMs: number): void {
  const { sim, rng, suspicionMs } = context;
  const { registryFaults: faults } = sim;
  const before = { ...faults };
  const kind = rng.pick(["none", "answers", "late", "away"] as const);
  if (kind === "answers") faults.lostAnswerChance = 0.9;
  if (kind === "late") Object.assign(faults, { lateChance: 0.7, maxLateMs: 2 * forMs });
  if (kind === "away") sim.registry.isAvailable = false;
  if (kind === "none") return;
  later(context, forMs + suspicionMs * rng.between(0, 2), () => {
    Object.assign(faults, before);
    sim.registry.isAvailable = true;
  });
}

/** One of those that will ask the registry dies just before it asks, or just after. */
function killAtRegistry(context: FaultContext, name: string): void {
  const { rng, cluster } = context;
  const victim = rng.chance(0.5) ? name : anyServer(context);
  const process = cluster.process(victim);
  if (process === null || process.plan !== null || !mayCrash(context, victim)) return;
  const when = rng.chance(0.7) ? "before" : "after";
  const fault = context.number;
  const judge = () => mayStrike(context, victim);
  const plan = { what: "registry.cas", when, countdown: 1, kind: "machine", mayStrike: judge, fault } as const;
  process.plan = plan;
  later(context, 3 * context.suspicionMs, () => {
    if (process.plan === plan) process.plan = null;
  });
}

/** Calls once, with the record before and the new one, at the first write that fits. */
function onceWritten(
  { sim }: FaultContext,
  fits: (record: RegistryRecord, before: RegistryRecord | null) => boolean,
  run: (record: RegistryRecord) => void,
): void {
  const { onWritten } = sim.registry;
  const listener = (record: RegistryRecord, before: RegistryRecord | null) => {
    if (!fits(record, before)) return;
    onWritten.delete(listener);
    run(record);
  };
  onWritten.add(listener);
}

function killMachine(context: FaultContext, name: string, moment: Moment): boolean {
  if (!mayCrash(context, name)) return false;
  context.moments.count(moment);
  context.cluster.kill(name, context.rng.chance(0.7) ? "machine" : "process");
  return true;
}

/** What was not asked to be on disk before is not there when the power goes. */
function slowDisks(context: FaultContext): void {
  const disks = context.cluster.names.map((name) => context.sim.host(name).disk);
  for (const disk of disks) disk.slowness = context.rng.pick([20, 200]);
  later(context, 1_500, () => {
    for (const disk of disks) disk.slowness = 1;
  });
}

/** Whoever becomes the primary dies soon, three times in a row (situation 37; rule 2: only what is synced survives). */
function chase(context: FaultContext, killed = 0): void {
  const { cluster, moments, rng } = context;
  const name = cluster.record?.primary.server;
  if (name === undefined || !killMachine(context, name, "server killed")) return;
  if (killed === 0 && rng.chance(0.5)) slowDisks(context);
  if (killed === 2) moments.count("three failures in a chain");
  if (killed >= 2) return;
  onceWritten(
    context,
    () => true,
    () => later(context, rng.pick([0.05, 0.3, 1, 5, 200]), () => chase(context, killed + 1)),
  );
}

/** The primary dies just when it has taken a member in (rule 8). */
function killOnJoin(context: FaultContext): void {
  const { rng } = context;
  onceWritten(
    context,
    (record, before) => before !== null && record.inSync.length > before.inSync.length,
    ({ primary }) =>
      later(context, rng.pick([0.05, 0.3, 1]), () => killMachine(context, primary.server, "killed on a join")),
  );
}

/** A row of the next snapshot is lost on its way: it does not prove right, and is asked for again (rule 7). */
function damageSnapshot({ cluster, sim, moments }: FaultContext): void {
  const stop = moments.whenCounted("snapshot asked for", () => {
    stop();
    const members = cluster.record?.inSync.map(({ server }) => server) ?? [];
    for (const name of cluster.names.filter((one) => !members.includes(one))) {
      sim.tell(name, "a row of the snapshot that it takes is lost on its way");
      sim.host(name).disk.losesSideRow = true;
    }
  });
}

/** A server that is no member dies while it takes a snapshot (situation 25). */
function interruptSnapshot(context: FaultContext): void {
  const { cluster, moments, rng } = context;
  const stop = moments.whenCounted("snapshot asked for", () => {
    stop();
    const members = cluster.record?.inSync.map(({ server }) => server) ?? [];
    for (const name of cluster.names.filter((one) => !members.includes(one))) {
      const process = cluster.process(name);
      if (process === null) continue;
      const when = rng.chance(0.5) ? "before" : "after";
      const plan = {
        what: "side",
        when,
        countdown: rng.int(1, 4),
        kind: rng.pick(["process", "machine"] as const),
        mayStrike: () => mayStrike(context, name),
        fault: context.number,
      } as const;
      process.plan = plan;
      later(context, 200, () => {
        if (process.plan === plan) process.plan = null;
      });
    }
  });
}

/**
 * A server comes back with an empty disk, which is slow, and an operator asks it to flush: it is told to take a snapshot while
 * that is under way (rule 7, situation 41).
 */
function slowJoiner(context: FaultContext): void {
  const { sim, cluster, operator, moments, rng } = context;
  const name = cluster.names.find((one) => one !== cluster.record?.primary.server);
  if (name === undefined || !mayHarm(context, name)) return;
  const { disk } = sim.host(name);
  cluster.kill(name, "process");
  sim.tell(name, "its disk is lost, and the new one is slow");
  moments.count("disk lost");
  moments.count("disk slow");
  disk.wipe();
  const mend = moments.whenCounted("snapshot asked for", () => {
    mend();
    later(context, rng.between(50, 500), () => {
      disk.slowness = 1;
    });
  });
  untilItFollows(context, name, maxLooks, () => {
    disk.slowness = rng.pick([50, 500]);
    for (let time = 0; time < 5; time += 1) later(context, rng.between(0, 200), () => operator.command(name, "flush"));
  });
}

function untilItFollows(context: FaultContext, name: string, looks: number, run: () => void): void {
  if (/^(waiting|following)/.test(context.cluster.state(name))) run();
  else if (looks > 1) later(context, lookEveryMs, () => untilItFollows(context, name, looks - 1, run));
}

/** The next request that is run kills its server, each time that it is run (rule 17). */
function lethalRequest(context: FaultContext): void {
  context.cluster.lethal.arm((server) => {
    if (!mayCrash(context, server)) return null;
    context.moments.count("request that kills");
    context.sim.tell(server, "dies of a request");
    const { words } = context.sim.lastWordsOf(server);
    context.cluster.kill(server, "process");
    return words;
  });
}

/**
 * The next request that is run does not come back, each time that it is run: its server stands still, until its watchdog ends it
 * and says of what (rule 17, situation 64).
 */
function blockedRequest(context: FaultContext): void {
  const { cluster, sim, moments, rng } = context;
  cluster.lethal.arm((server) => {
    const process = cluster.process(server);
    if (process === null || !mayCrash(context, server)) return null;
    moments.count("request that does not come back");
    const afterMs = rng.between(20, 800);
    sim.tell(server, `does not come back from a request; its watchdog waits ${afterMs.toFixed(0)} ms`);
    const lastWords = sim.lastWordsOf(server);
    cluster.block(server);
    sim.scheduler.after(afterMs, null, "watchdog", () => {
      if (!process.isAlive) return;
      lastWords.say();
      cluster.kill(server, "process");
      lastWords.tell();
    });
    return lastWords.words;
  });
}

/**
 * Beyond the promise: the only disk that has everything is replaced by an old copy of itself (situation 28). The copy is
 * older than the registry's base, or from two epochs ago: a younger one cannot be told from the disk itself.
 */
function ageSoleDisk(context: FaultContext): void {
  const { sim, cluster, moments, rng } = context;
  const server = cluster.record?.primary.server;
  if (server === undefined) return;
  const { disk } = sim.host(server);
  const copiedAt = cluster.last(server);
  const copiedIn = cluster.record?.epoch ?? 0;
  const copy = disk.main.copy();
  later(context, rng.between(200, 800), () => {
    for (const name of cluster.names) if (name !== server) cluster.kill(name, "process");
  });
  later(context, rng.between(400, 1_600), () => {
    const { record } = cluster;
    if (record === null || record.durability !== "disk" || record.primary.server !== server) return;
    if (record.base.sequence <= copiedAt && record.epoch <= copiedIn + 1) return;
    cluster.kill(server, "process");
    disk.put(copy);
    moments.count("old disk restored");
    sim.tell(server, "an old copy of its disk is put in place");
  });
}

export const combinedFaults: readonly FaultKind[] = [
  { name: "split", class: "within", meanGapMs: 1_200, run: split },
  { name: "pauseBehindSplit", class: "within", meanGapMs: 2_500, run: pauseBehindSplit },
  { name: "stopStart", class: "within", meanGapMs: 2_500, run: stopStart },
  { name: "chase", class: "within", meanGapMs: 2_500, run: (context) => chase(context) },
  { name: "killOnJoin", class: "within", meanGapMs: 2_000, run: killOnJoin },
  { name: "interruptSnapshot", class: "within", meanGapMs: 2_000, run: interruptSnapshot },
  { name: "damageSnapshot", class: "within", meanGapMs: 2_500, run: damageSnapshot },
  { name: "slowJoiner", class: "within", meanGapMs: 2_500, run: slowJoiner },
  { name: "lethalRequest", class: "within", meanGapMs: 6_000, run: lethalRequest },
  { name: "blockedRequest", class: "within", meanGapMs: 6_000, run: blockedRequest },
  { name: "ageSoleDisk", class: "beyond", meanGapMs: 1_000, run: ageSoleDisk },
];
