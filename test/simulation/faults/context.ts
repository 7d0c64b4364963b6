/**
 * What every kind of fault works with: the world, whom it may strike, and how long. Within the promise, what may cost a
 * server's memory or disk happens only while every in-sync member lives and nothing hangs over another server: what is planned for
 * later is judged when it is planned, and again when it comes true.
 */

import type { AimedCrash } from "../../../actors/testing/world/boundaries.ts";
import type { Rng } from "../../../actors/testing/world/rng.ts";
import type { SimProcess } from "../../../actors/testing/world/sim-process.ts";
import type { SimWorld } from "../../../actors/testing/world/sim-world.ts";
import type { Moments } from "../judge/moments.ts";
import type { Cluster } from "../service/cluster.ts";
import type { Operator } from "../service/operator.ts";
import type { OnTold } from "../service/polite-client.ts";
import type { RegistryOperator } from "../service/registry-operator.ts";
import type { FaultClass } from "../service/seed-plan.ts";

export interface FaultContext {
  readonly sim: SimWorld;
  readonly cluster: Cluster;
  readonly moments: Moments;
  readonly operator: Operator;
  readonly registryOperator: RegistryOperator;
  readonly integrator: SimProcess;
  /** Names of the clients' hosts. */
  readonly clients: readonly string[];
  /** A client sends so many requests at once. */
  readonly burst: (requests: number) => void;
  /** Another one, which has nothing in flight, asks once, and says what it was told: ok, or a code. */
  readonly ask: (onTold: OnTold) => void;
  /** Of this occurrence alone: leaving another one out changes nothing here. */
  readonly rng: Rng;
  /** Of this occurrence, as `--only` names it. */
  readonly number: number;
  readonly faultClass: FaultClass;
  /** Planned crashes are there and nowhere else. */
  readonly crash?: AimedCrash | undefined;
  /** Of the servers' settings: pauses and cuts are around it. */
  readonly suspicionMs: number;
  /** The faults are over, and the world is whole again. */
  readonly isOver: () => boolean;
}

export interface FaultKind {
  readonly name: string;
  /** staged: for a mutation, or by name; no seed draws it. */
  readonly class: FaultClass | "staged";
  readonly meanGapMs: number;
  run(context: FaultContext): void;
}

export function mayCrash({ cluster, faultClass }: FaultContext, name: string): boolean {
  return faultClass === "beyond" || cluster.mayCrash(name);
}

/** What `mayCrash` had planned may come true now. */
export function mayStrike({ cluster, faultClass }: FaultContext, name: string): boolean {
  return faultClass === "beyond" || cluster.mayStrike(name);
}

export function mayHarm({ cluster, faultClass }: FaultContext, name: string): boolean {
  return faultClass === "beyond" || cluster.mayHarmDisk(name);
}

/** Unless the faults are over by then: what follows is not theirs, a stop of all that a late start would undo among it. */
export function later(context: FaultContext, delayMs: number, run: () => void): void {
  const { scheduler, story } = context.sim;
  scheduler.after(delayMs, null, "fault", () => {
    if (!context.isOver()) story.within(context.number, run);
  });
}

export function anyServer({ rng, cluster }: FaultContext): string {
  return rng.pick(cluster.names);
}

/** The primary more often than the others. */
export function target(context: FaultContext): string {
  const primary = context.cluster.record?.primary.server;
  return primary !== undefined && context.rng.chance(0.5) ? primary : anyServer(context);
}

export function twoServers({ rng, cluster }: FaultContext): [string, string] {
  const [a, b] = rng.shuffle([...cluster.names]);
  return [a as string, b as string];
}

/** Around the suspicion time: a little less, or up to three times as much. */
export function outageMs({ rng, suspicionMs }: FaultContext): number {
  return suspicionMs * rng.between(0.1, 3);
}

export function cut(context: FaultContext, ways: readonly (readonly [string, string])[], forMs: number): void {
  const { network } = context.sim;
  for (const [from, to] of ways) network.cut(from, to);
  later(context, forMs, () => {
    for (const [from, to] of ways) if (network.isCut(from, to)) network.heal(from, to);
  });
}
