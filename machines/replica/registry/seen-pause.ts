/**
 * The registry's pause of the intake, and when this server saw it first: whoever is the primary ends it by that where the
 * wall clock stands wrong. It belongs to the record, and outlives every role.
 */
import type { RegistryRecord } from "../../../schemas/registry.ts";

export type Pause = NonNullable<RegistryRecord["pause"]>;

export class SeenPause {
  private sinceMs = 0;
  private atMs = 0;

  /** A settled record. */
  onRecord({ pause }: RegistryRecord, nowMs: number): void {
    if (pause === undefined || pause.sinceMs === this.sinceMs) return;
    this.sinceMs = pause.sinceMs;
    this.atMs = nowMs;
  }

  isOver({ sinceMs, forMs }: Pause, wallMs: number, nowMs: number): boolean {
    if (forMs === undefined) return false;
    const seenMs = this.sinceMs === sinceMs ? nowMs - this.atMs : 0;
    return wallMs - sinceMs >= forMs || seenMs >= forMs;
  }
}
