/**
 * What scenes are made of: faults that come to one dangerous moment on purpose (staged.ts). What always holds: a
 * scene begins where all servers are in sync, and no other one is being played then.
 */

import { brokerHost } from "../../../actors/testing/world/sim-broker.ts";
import type { SimWorld } from "../../../actors/testing/world/sim-world.ts";
import type { RegistryRecord } from "../../../schemas/registry.ts";
import { type FaultContext, type FaultKind, later, mayCrash } from "./context.ts";

export type Way = readonly [string, string];

export function links(from: string, to: string): Way[] {
  return [
    [`main:${from}`, `main:${to}`],
    [`failsafe:${from}`, `failsafe:${to}`],
  ];
}

export function allLinks(name: string, { cluster }: FaultContext): Way[] {
  return others(name, cluster.names).flatMap((peer) => [...links(name, peer), ...links(peer, name)]);
}

export function others(name: string, names: readonly string[]): string[] {
  return names.filter((one) => one !== name);
}

export const toNats = (name: string): Way[] => [
  [name, brokerHost],
  [brokerHost, name],
];

/** Looks again and again until it holds, at most for so long. */
export function once(context: FaultContext, forMs: number, holds: () => boolean, run: () => void): void {
  if (forMs <= 0) return;
  if (holds()) run();
  else later(context, 0.2, () => once(context, forMs - 0.2, holds, run));
}

export function onceWritten(context: FaultContext, fits: (record: RegistryRecord) => boolean, run: () => void): void {
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

export interface Roles {
  readonly primary: string;
  readonly backup: string;
}

/** Who is the primary and who a backup, where all are in sync and no other scene is being played. */
export function roles({ sim, cluster }: FaultContext, forMs: number): Roles | null {
  const { record } = cluster;
  if (!cluster.isWhole() || record === null || sim.nowMs < (untilMs.get(sim) ?? 0)) return null;
  untilMs.set(sim, sim.nowMs + forMs);
  const primary = record.primary.server;
  const backup = record.inSync.find(({ server }) => server !== primary)?.server;
  return backup === undefined ? null : { primary, backup };
}

export function losePower(context: FaultContext, name: string): void {
  if (mayCrash(context, name)) context.cluster.kill(name, "machine");
}

export function slowFailsafe(context: FaultContext, forMs: number): void {
  const { failsafeFaults } = context.sim;
  Object.assign(failsafeFaults, { delayChance: 0.5, maxDelayMs: 5 * context.suspicionMs });
  later(context, forMs, () => Object.assign(failsafeFaults, { delayChance: 0 }));
}

export const staged = (name: string, meanGapMs: number, run: (context: FaultContext) => void): FaultKind => ({
  name,
  class: "staged",
  meanGapMs,
  run,
});
