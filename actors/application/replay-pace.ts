/**
 * The pace of all answers to `replay` together, so that they leave time for requests. What always holds: one part of one answer
 * in a turn of the event loop, in the order in which they came to wait, so that what came meanwhile is handled between any two;
 * and over time no more bytes than the rate, whoever asks and however often.
 */
import type { Clock } from "../world/ports.ts";

/** So much of the rate, counted in time, is saved up while nobody asks: pages that come now and then do not wait. */
const savedMs = 100;

export class ReplayPace {
  readonly #clock: Clock;
  readonly #bytesPerMs: number;
  readonly #waiting: (() => void)[] = [];
  #isArmed = false;
  /** Until then the rate is used up. */
  #usedUpMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, bytesPerSecond: number) {
    this.#clock = clock;
    this.#bytesPerMs = bytesPerSecond / 1_000;
  }

  /** Told after each part: it may take more than is left, and those who wait for a turn wait longer. */
  spend(bytes: number): void {
    this.#usedUpMs = Math.max(this.#usedUpMs, this.#clock.nowMs() - savedMs) + bytes / this.#bytesPerMs;
  }

  /** Resolves in a later turn of the event loop, when the rate allows one more part. */
  turn(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      if (!this.#isArmed) this.#arm();
    });
  }

  #arm(): void {
    this.#isArmed = true;
    const waitMs = this.#usedUpMs - this.#clock.nowMs();
    if (waitMs > 0) this.#clock.after(waitMs, () => this.#arm());
    else this.#clock.soon(() => this.#give());
  }

  #give(): void {
    this.#isArmed = false;
    // Something was spent since.
    if (this.#usedUpMs > this.#clock.nowMs()) {
      this.#arm();
      return;
    }
    this.#waiting.shift()?.();
    if (this.#waiting.length > 0) this.#arm();
  }
}
