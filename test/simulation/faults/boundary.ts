/**
 * A server dies at an I/O boundary, before the call has its effect or after it. Boundaries that a server seldom comes to
 * are brought about: a start by a kill, a snapshot's by waiting for one, the registry's by a cut.
 */

import { type BoundaryName, boundariesOfStart, boundaryNames } from "../../../actors/testing/world/boundaries.ts";
import type { CrashPlan } from "../../../actors/testing/world/sim-process.ts";
import type { Moment } from "../judge/moments.ts";
import { cut, type FaultContext, later, mayCrash, mayStrike, target } from "./context.ts";

/** A plan that did not come true by then is taken back: later the crash might be one too many. */
const plannedMs = 400;
const maxTries = 6;

type Who = "primary" | "others";

/** Where a boundary is near: what was counted just before it, and who comes to it. */
const announced: Partial<Record<BoundaryName, { readonly by: Moment; readonly who: Who }>> = {
  "store.get": { by: "uncommitted tail dropped", who: "others" },
  "store.image": { by: "snapshot asked for", who: "primary" },
  "store.side": { by: "snapshot asked for", who: "others" },
  "side.write": { by: "snapshot asked for", who: "others" },
  "side.image": { by: "snapshot asked for", who: "others" },
  "side.adopt": { by: "snapshot asked for", who: "others" },
};

export function crashAtBoundary(context: FaultContext): void {
  const drawn = context.rng.pick(boundaryNames);
  const what = context.crash?.what ?? drawn;
  const announcement = announced[what];
  if (announcement === undefined) {
    crashSoon(context, what, maxTries);
    // The rarest of all: a cut of the log inside a piece of it that is on the disk.
    if (context.crash === undefined) crashWhenNear(context, "store.get", "uncommitted tail dropped", "others");
    return;
  }
  crashWhenNear(context, what, announcement.by, announcement.who);
  if (announcement.by === "snapshot asked for") loseDisk(context);
}

function crashWhenNear(context: FaultContext, what: BoundaryName, by: Moment, who: Who): void {
  const stop = context.moments.whenCounted(by, () => {
    stop();
    for (const name of whoComes(context, who)) plan(context, name, what, 1);
  });
}

/** Now, or when a crash is within the promise again. */
function crashSoon(context: FaultContext, what: BoundaryName, tries: number): void {
  const { rng, cluster } = context;
  const name = target(context);
  if (!cluster.isRunning(name) || !mayCrash(context, name)) {
    if (tries > 1) later(context, rng.between(50, 300), () => crashSoon(context, what, tries - 1));
    return;
  }
  if (boundariesOfStart.includes(what)) cluster.killTwice(name, planOf(context, name, what, 1));
  else if (what === "store.close") crashInStop(context, name);
  else if (what === "registry.cas") crashAtRegistry(context, name);
  else plan(context, name, what, rng.int(1, 4));
}

/** Who comes back with an empty disk asks for a snapshot. */
function loseDisk(context: FaultContext): void {
  const { cluster, moments, sim } = context;
  const name = cluster.names.find((one) => one !== cluster.record?.primary.server);
  if (name === undefined || !cluster.mayHarmDisk(name)) return;
  cluster.kill(name, "process");
  sim.tell(name, "its disk is lost");
  moments.count("disk lost");
  sim.host(name).disk.wipe();
}

function planOf(context: FaultContext, name: string, what: BoundaryName, countdown: number): CrashPlan {
  const { rng, number: fault, crash } = context;
  const drawn = rng.chance(0.5) ? "before" : "after";
  const kind = rng.chance(0.5) ? "process" : "machine";
  const judge = () => mayStrike(context, name);
  return { what, when: crash?.when ?? drawn, countdown, kind, mayStrike: judge, fault };
}

function plan(context: FaultContext, name: string, what: BoundaryName, countdown: number, forMs = plannedMs): void {
  const process = context.cluster.process(name);
  if (process === null || process.plan !== null || !mayCrash(context, name)) return;
  const planned = planOf(context, name, what, countdown);
  process.plan = planned;
  later(context, forMs, () => {
    if (process.plan === planned) process.plan = null;
  });
}

function whoComes({ cluster }: FaultContext, who: Who): readonly string[] {
  const { record } = cluster;
  if (record === null) return [];
  if (who === "primary") return [record.primary.server];
  return cluster.names.filter((name) => name !== record.primary.server);
}

function crashInStop(context: FaultContext, name: string): void {
  const { cluster, rng, sim } = context;
  plan(context, name, "store.close", 1);
  sim.tell(name, "is told to stop");
  cluster.stop(name);
  later(context, rng.between(300, 2_000), () => cluster.start(name));
}

function crashAtRegistry(context: FaultContext, name: string): void {
  const { cluster, rng, sim, suspicionMs } = context;
  const forMs = suspicionMs * rng.between(1.2, 2.5);
  // One that lost its peers asks, and so does a peer that lost it.
  const asks = rng.chance(0.5) ? name : rng.pick(cluster.names);
  plan(context, asks, "registry.cas", 1, 2 * forMs);
  sim.tell(name, `nothing that it sends to its peers arrives for ${forMs.toFixed(0)} ms`);
  const peers = cluster.names.filter((peer) => peer !== name);
  const ways = (["main", "failsafe"] as const).flatMap((link) =>
    peers.map((peer) => [`${link}:${name}`, `${link}:${peer}`] as const),
  );
  cut(context, ways, forMs);
}
