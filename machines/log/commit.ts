/**
 * The commit rule, alone: how far the log can no longer be lost (rules 2 and 3, invariant 2).
 *
 * A configuration with durability `memory` holds what every in-sync member confirmed; with `disk`, what its sole
 * member has synced. While a compare-and-set is open, an acknowledgement must satisfy the old configuration and the
 * new one: the commit point is the smaller of the two.
 */
import type { RegistryRecord } from "../../schemas/registry.ts";

export type Configuration = Pick<RegistryRecord, "durability" | "inSync">;

/** What this server knows of its own log and of its followers'. Sequences; a peer that was never heard is 0. */
export interface Progress {
  readonly self: string;
  readonly last: number;
  readonly synced: number;
  /** By incarnation: what it confirmed in its session. */
  confirmed(incarnation: string): number;
}

function holds(configuration: Configuration, progress: Progress): number {
  if (configuration.durability === "disk") {
    const sole = configuration.inSync[0]?.incarnation;
    return configuration.inSync.length === 1 && sole === progress.self ? progress.synced : 0;
  }
  let smallest = 0;
  let namesSelf = false;
  for (const member of configuration.inSync) {
    if (member.incarnation === progress.self) namesSelf = true;
  }
  if (!namesSelf) return 0;
  smallest = progress.last;
  for (const member of configuration.inSync) {
    if (member.incarnation === progress.self) continue;
    smallest = Math.min(smallest, progress.confirmed(member.incarnation));
  }
  return smallest;
}

/** The sequence up to which the log satisfies all of the configurations. Never more than `last`. */
export function commitPoint(configurations: readonly Configuration[], progress: Progress): number {
  let point = progress.last;
  for (const configuration of configurations) point = Math.min(point, holds(configuration, progress));
  return point;
}

/** Alone: no other member in any of the configurations, so no other server can have gone on without this one. */
export function isAlone(configurations: readonly Configuration[], self: string): boolean {
  return configurations.every(({ inSync }) => inSync.length === 1 && inSync[0]?.incarnation === self);
}

/** The other members of all the configurations: those whose echo proves that none of them has gone on alone (rule 5). */
export function otherMembers(configurations: readonly Configuration[], self: string): string[] {
  const others = new Set<string>();
  for (const { inSync } of configurations) {
    for (const { incarnation } of inSync) if (incarnation !== self) others.add(incarnation);
  }
  return [...others];
}
