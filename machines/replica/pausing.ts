/**
 * The intake as an operator wants it: paused or not, and for how long. It belongs to the registry's record, so that it
 * outlives a switch and a takeover; the primary writes it there. What always holds: an operator's word counts here at once,
 * and is written when that can be; no acknowledgement depends on it, nor on the clocks by which a pause ends: the wall
 * clock, or, where that stands wrong, the time since this server first saw the pause.
 */
import type { RegistryRecord } from "../../schemas/registry.ts";
import type { ReplicaView } from "./view.ts";

export type Pause = NonNullable<RegistryRecord["pause"]>;

export interface PausingView extends ReplicaView {
  readonly wallMs: number;
}

export class Pausing {
  /** What an operator asked for and the record does not say yet; `pause` null: the intake goes on. */
  #wish: { readonly pause: Pause | null } | null = null;
  /** The record's pause, by when it began, and when this server saw it first. */
  #seen = { sinceMs: 0, atMs: 0 };

  clone(): Pausing {
    const copy = new Pausing();
    copy.#wish = this.#wish;
    copy.#seen = this.#seen;
    return copy;
  }

  want(pause: Pause | null): void {
    this.#wish = { pause };
  }

  /** A settled record. */
  onRecord({ pause }: RegistryRecord, nowMs: number): void {
    if (pause !== undefined && pause.sinceMs !== this.#seen.sinceMs)
      this.#seen = { sinceMs: pause.sinceMs, atMs: nowMs };
    if (this.#wish !== null && this.#wish.pause?.sinceMs === pause?.sinceMs) this.#wish = null;
  }

  /** The role is gone, and what was not written with it. */
  onCold(): void {
    this.#wish = null;
  }

  /** Null: the intake is open. */
  current(view: PausingView): Pause | null {
    if (this.#wish !== null) return this.#wish.pause;
    const { pause } = view.membership.record ?? {};
    return pause === undefined || this.#isOver(pause, view) ? null : pause;
  }

  /** Why the record is to be written, null where it says what there is. */
  why(view: PausingView): string | null {
    const { pause } = view.membership.record ?? {};
    const current = this.current(view);
    if (pause?.sinceMs === current?.sinceMs) return null;
    if (current !== null) return "an operator pauses the intake";
    return this.#wish === null ? "the pause of the intake is over" : "an operator lets the intake go on";
  }

  #isOver({ sinceMs, forMs }: Pause, { wallMs, nowMs }: PausingView): boolean {
    if (forMs === undefined) return false;
    const seenMs = this.#seen.sinceMs === sinceMs ? nowMs - this.#seen.atMs : 0;
    return wallMs - sinceMs >= forMs || seenMs >= forMs;
  }
}
