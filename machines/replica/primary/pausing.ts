/**
 * What an operator wants paused, the intake or failover (rule 21), and for how long. It belongs to the registry's record, so that it
 * outlives a switch and a takeover; the primary writes it there. What always holds: an operator's word counts here at once,
 * and is written when that can be; what was not written is gone with the role; no acknowledgement depends on it, nor on the
 * clocks by which a pause ends.
 */
import type { Pause, RegistryRecord } from "../../../schemas/registry.ts";
import type { Core } from "../core.ts";
import type { PauseField, SeenPause } from "../registry/seen-pause.ts";

const named: Readonly<Record<PauseField, string>> = { pause: "the intake", failoverPause: "failover" };

export class Pausing {
  private readonly core: Core;
  private readonly field: PauseField;
  private readonly seen: SeenPause;
  /** What an operator asked for and the record does not say yet; `pause` null: it goes on. */
  private wish: { readonly pause: Pause | null } | null = null;

  constructor(core: Core, field: PauseField, seen: SeenPause) {
    this.core = core;
    this.field = field;
    this.seen = seen;
  }

  want(pause: Pause | null): void {
    this.wish = { pause };
  }

  /** A settled record. */
  onRecord(record: RegistryRecord): void {
    const pause = record[this.field];
    if (this.wish !== null && this.wish.pause?.sinceMs === pause?.sinceMs) this.wish = null;
  }

  /** Null: it is open. */
  get current(): Pause | null {
    if (this.wish !== null) return this.wish.pause;
    const { membership, wallMs, nowMs } = this.core;
    return this.seen.standing(membership.record, wallMs, nowMs);
  }

  /** Why the record is to be written, null where it says what there is. */
  get why(): string | null {
    const pause = this.core.membership.record?.[this.field];
    const { current } = this;
    if (pause?.sinceMs === current?.sinceMs) return null;
    if (current !== null) return `an operator pauses ${named[this.field]}`;
    return this.wish === null
      ? `the pause of ${named[this.field]} is over`
      : `an operator lets ${named[this.field]} go on`;
  }
}
