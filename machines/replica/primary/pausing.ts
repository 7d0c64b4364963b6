/**
 * The intake as an operator wants it: paused or not, and for how long. It belongs to the registry's record, so that it
 * outlives a switch and a takeover; the primary writes it there. What always holds: an operator's word counts here at once,
 * and is written when that can be; what was not written is gone with the role; no acknowledgement depends on it, nor on the
 * clocks by which a pause ends.
 */
import type { RegistryRecord } from "../../../schemas/registry.ts";
import type { Core } from "../core.ts";
import type { Pause } from "../registry/seen-pause.ts";

export class Pausing {
  private readonly core: Core;
  /** What an operator asked for and the record does not say yet; `pause` null: the intake goes on. */
  private wish: { readonly pause: Pause | null } | null = null;

  constructor(core: Core) {
    this.core = core;
  }

  want(pause: Pause | null): void {
    this.wish = { pause };
  }

  /** A settled record. */
  onRecord({ pause }: RegistryRecord): void {
    if (this.wish !== null && this.wish.pause?.sinceMs === pause?.sinceMs) this.wish = null;
  }

  /** Null: the intake is open. */
  get current(): Pause | null {
    if (this.wish !== null) return this.wish.pause;
    const { membership, pause: seen, wallMs, nowMs } = this.core;
    const { pause } = membership.record ?? {};
    return pause === undefined || seen.isOver(pause, wallMs, nowMs) ? null : pause;
  }

  /** Why the record is to be written, null where it says what there is. */
  get why(): string | null {
    const { pause } = this.core.membership.record ?? {};
    const { current } = this;
    if (pause?.sinceMs === current?.sinceMs) return null;
    if (current !== null) return "an operator pauses the intake";
    return this.wish === null ? "the pause of the intake is over" : "an operator lets the intake go on";
  }
}
