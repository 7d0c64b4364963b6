/**
 * What a client's requests are stamped with (rule 12): its own wall clock, until the service refuses a stamp of it. Then what
 * the service's clock says, carried on by the monotonic clock, so that a wall clock that jumps later changes nothing.
 *
 * What always holds: the clock is corrected only where a stamp of it was refused, and by no more than the service says; the
 * stamp of a request changes only while every copy of it was refused: none that may have been executed has two.
 */
import type { StampRange } from "../../schemas/envelope.ts";
import type { Clock } from "../world/ports.ts";

export class Stamper {
  readonly #clock: Clock;
  #corrected: { readonly stampMs: number; readonly atMs: number } | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** For a new request, ms since 1970. */
  stamp(): number {
    const corrected = this.#corrected;
    if (corrected === null) return Math.floor(this.#clock.wallMs());
    return Math.floor(corrected.stampMs + this.#clock.nowMs() - corrected.atMs);
  }

  /** A stamp that the service takes, where a request's was refused; undefined: there is none. */
  correct({ now, after, until }: StampRange): number | undefined {
    const own = this.stamp();
    // The request was stamped long ago, or before the clock was corrected.
    if (own > after && own <= until) return own;
    const stampMs = Math.min(Math.max(Math.floor(now), Math.floor(after) + 1), Math.floor(until));
    if (stampMs <= after) return undefined;
    this.#corrected = { stampMs, atMs: this.#clock.nowMs() };
    return stampMs;
  }
}
