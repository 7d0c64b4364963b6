/**
 * When to flush (claim 6). Pure: the caller says what has happened since the last flush and learns the reason for the next
 * one. What always holds: who asks for a flush gets one, and else nothing to flush is no reason. What a server that is alone
 * acknowledges is synced without a flush (machines/replica/primary/commitment.ts).
 */
export type FlushReason = "command" | "memory" | "count" | "time";

export interface FlushLimits {
  readonly flushMs: number;
  readonly flushRecords: number;
  readonly flushBytes: number;
}

export interface FlushNeed {
  /** Committed records that are not in the tables on disk, and their bytes. */
  readonly records: number;
  readonly bytes: number;
  readonly sinceFlushMs: number;
  /** Memory is short: what was flushed can be freed (claim 6). */
  readonly memoryPressure: boolean;
  /** Somebody asked for one. */
  readonly isAsked: boolean;
}

/** The reason to flush now, or null. */
export function flushReason(need: FlushNeed, limits: FlushLimits): FlushReason | null {
  if (need.isAsked) return "command";
  if (need.records === 0) return null;
  if (need.memoryPressure || need.bytes >= limits.flushBytes) return "memory";
  if (need.records >= limits.flushRecords) return "count";
  return need.sinceFlushMs >= limits.flushMs ? "time" : null;
}
