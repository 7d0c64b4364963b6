/**
 * A clock that goes as the one beneath it, and can be moved forward: what waited for the time that is passed over runs in its order, each at its
 * time, and all that follows from it at once is done before the next.
 */
import type { Clock, Timer } from "../world/ports.ts";

interface Waiting {
  readonly atMs: number;
  readonly run: () => void;
  /** Of the clock beneath. */
  timer: Timer;
}

export class TestClock implements Clock {
  readonly #beneath: Clock;
  readonly #waiting = new Set<Waiting>();
  #passedOverMs = 0;
  /** What is to run soon, and has not yet. */
  #soon = 0;

  /** The wall clock less the monotonic one: both go on together, so that what is due by one is due by the other. */
  readonly #originMs: number;

  constructor(beneath: Clock) {
    this.#beneath = beneath;
    this.#originMs = beneath.wallMs() - beneath.nowMs();
  }

  nowMs(): number {
    return this.#beneath.nowMs() + this.#passedOverMs;
  }
  wallMs(): number {
    return Math.floor(this.#originMs + this.nowMs());
  }
  randomId(): string {
    return this.#beneath.randomId();
  }
  random(): number {
    return this.#beneath.random();
  }

  after(delayMs: number, run: () => void): Timer {
    const waiting: Waiting = {
      atMs: this.nowMs() + delayMs,
      run,
      timer: this.#beneath.after(delayMs, () => this.#run(waiting)),
    };
    this.#waiting.add(waiting);
    return {
      cancel: () => {
        waiting.timer.cancel();
        this.#waiting.delete(waiting);
      },
    };
  }

  soon(run: () => void): void {
    this.#soon += 1;
    this.#beneath.soon(() => {
      this.#soon -= 1;
      run();
    });
  }

  /** Throws a RangeError where that is back. */
  async advance(ms: number): Promise<void> {
    if (!(ms >= 0)) throw new RangeError(`time goes forward, not by ${ms} ms`);
    const endMs = this.nowMs() + ms;
    await this.#settled();
    for (let next = this.#next(endMs); next !== undefined; next = this.#next(endMs)) {
      this.#moveTo(next.atMs);
      this.#run(next);
      await this.#settled();
    }
    this.#moveTo(endMs);
  }

  #next(endMs: number): Waiting | undefined {
    let first: Waiting | undefined;
    for (const waiting of this.#waiting)
      if (waiting.atMs <= endMs && (first === undefined || waiting.atMs < first.atMs)) first = waiting;
    return first;
  }

  #moveTo(atMs: number): void {
    const byMs = Math.max(0, atMs - this.nowMs());
    this.#passedOverMs += byMs;
    if (byMs === 0) return;
    for (const waiting of this.#waiting) {
      waiting.timer.cancel();
      waiting.timer = this.#beneath.after(Math.max(0, waiting.atMs - this.nowMs()), () => this.#run(waiting));
    }
  }

  #run(waiting: Waiting): void {
    waiting.timer.cancel();
    if (this.#waiting.delete(waiting)) waiting.run();
  }

  /** Until nothing is to run soon, and nothing that ran has left anything. */
  async #settled(): Promise<void> {
    do await new Promise<void>((resolve) => this.#beneath.soon(resolve));
    while (this.#soon > 0);
  }
}
