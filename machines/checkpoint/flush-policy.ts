/**
 * When to flush (claims 5 and 6). Pure: the caller says what has happened since the last flush and
 * learns the reason for the next one. What always holds: a stop or a command always flushes, a server that is alone
 * flushes whenever anything waits, and nothing to flush is no reason.
 */
export type FlushReason = "stop" | "command" | "memory" | "count" | "time" | "alone";

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
  /** The other server is gone: the disk is the only second copy (claim 5). */
  readonly alone: boolean;
  /** What somebody asked for. */
  readonly asked: "stop" | "command" | null;
}

/** The reason to flush now, or null. */
export function flushReason(need: FlushNeed, limits: FlushLimits): FlushReason | null {
  if (need.asked !== null) return need.asked;
  if (need.records === 0) return null;
  if (need.memoryPressure || need.bytes >= limits.flushBytes) return "memory";
  if (need.records >= limits.flushRecords) return "count";
  if (need.sinceFlushMs >= limits.flushMs) return "time";
  return need.alone ? "alone" : null;
}
