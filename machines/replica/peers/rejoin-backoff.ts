/**
 * Hysteresis (rule 9, situation 20): a server that keeps being dropped waits longer each time before it is taken in again.
 * What is counted belongs to two servers, not to a process: where the links break and NATS lives either may win, and the
 * one that loses its role starts again and remembers nothing. So the primary tells its count in heartbeats, and whoever
 * takes its role over goes on from there. Ages are told, no clock of another is trusted, and no acknowledgement depends on it.
 */
import type { Heartbeat } from "../../../schemas/peer-message.ts";

export interface Removals {
  /** When the two lost each other last in a way that counts; and how often in a row before that. */
  removedMs: number;
  removals: number;
}

/** Removals within this time of each other count as flapping. */
const flappingMs = 60_000;
/** The longest that a flapping peer is kept waiting. */
const maxRejoinBackoffMs = 10_000;

export function noteRemoval(of: Removals, nowMs: number): void {
  of.removals = isRecent(of, nowMs) ? of.removals + 1 : 0;
  of.removedMs = nowMs;
}

/** Zero: taken in at once. */
export function rejoinBackoffMs({ removals }: Removals, suspicionMs: number): number {
  return removals === 0 ? 0 : Math.min(maxRejoinBackoffMs, suspicionMs * 2 ** removals);
}

/** What a primary tells; undefined where nothing was dropped lately. */
export function toldRemovals(
  peers: Iterable<Removals & { readonly name: string }>,
  nowMs: number,
): Heartbeat["removals"] {
  const recent = [...peers].filter((peer) => isRecent(peer, nowMs));
  if (recent.length === 0) return undefined;
  return Object.fromEntries(
    recent.map(({ name, removals, removedMs }) => [name, { times: removals, ageMs: Math.round(nowMs - removedMs) }]),
  );
}

/** What the primary tells of two servers counts here as well, unless this server knows of more. */
export function hearRemovals(of: Removals, told: { times: number; ageMs: number }, nowMs: number): void {
  const known = isRecent(of, nowMs) ? of.removals : 0;
  of.removals = Math.max(known, told.times);
  of.removedMs = Math.max(of.removedMs, nowMs - Math.max(0, told.ageMs));
}

function isRecent({ removedMs }: Removals, nowMs: number): boolean {
  return nowMs - removedMs < flappingMs;
}
