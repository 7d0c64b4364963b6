/**
 * An operator's pause as the registry has it, of the intake or of failover, and when this server saw it first: whoever ends it goes
 * by that where the wall clock stands wrong. It belongs to the record, and outlives every role.
 */
import type { Pause, RegistryRecord } from "../../../schemas/registry.ts";

/** Where the record has it. */
export type PauseField = "pause" | "failoverPause";

export class SeenPause {
  private readonly field: PauseField;
  private sinceMs = 0;
  private atMs = 0;

  constructor(field: PauseField) {
    this.field = field;
  }

  /** A settled record. */
  onRecord(record: RegistryRecord, nowMs: number): void {
    const pause = record[this.field];
    if (pause === undefined || pause.sinceMs === this.sinceMs) return;
    this.sinceMs = pause.sinceMs;
    this.atMs = nowMs;
  }

  isOver({ sinceMs, forMs }: Pause, wallMs: number, nowMs: number): boolean {
    if (forMs === undefined) return false;
    const seenMs = this.sinceMs === sinceMs ? nowMs - this.atMs : 0;
    return wallMs - sinceMs >= forMs || seenMs >= forMs;
  }

  /** What the record says, while its time is not over; null: nothing. */
  standing(record: RegistryRecord | null, wallMs: number, nowMs: number): Pause | null {
    const pause = record?.[this.field];
    return pause === undefined || this.isOver(pause, wallMs, nowMs) ? null : pause;
  }
}
