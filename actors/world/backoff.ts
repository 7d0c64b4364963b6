/**
 * How long to wait before the same thing is tried again: longer each time, with jitter, so that all who lost one thing at once
 * do not come back at once. What always holds: what worked only for a moment counts as a failure.
 */
import type { Clock } from "./ports.ts";

/** What worked for so long worked: the next failure is a first one. */
const stableMs = 2_000;

export class Backoff {
  readonly #clock: Clock;
  readonly #minMs: number;
  readonly #maxMs: number;
  #nextMs: number;
  #workedSinceMs: number | null = null;

  constructor(clock: Clock, minMs: number, maxMs: number) {
    this.#clock = clock;
    this.#minMs = minMs;
    this.#maxMs = maxMs;
    this.#nextMs = minMs;
  }

  onWorks(): void {
    this.#workedSinceMs = this.#clock.nowMs();
  }

  /** After a failure: half of the time at least, all of it at most. */
  next(): number {
    const since = this.#workedSinceMs;
    if (since !== null && this.#clock.nowMs() - since >= stableMs) this.#nextMs = this.#minMs;
    this.#workedSinceMs = null;
    const delayMs = this.#nextMs * (0.5 + this.#clock.random() / 2);
    this.#nextMs = Math.min(this.#maxMs, 2 * this.#nextMs);
    return delayMs;
  }
}
