/**
 * The simulated Clock. Every process counts its monotonic time from an origin of its own, at a rate a little off, so
 * that nothing can rely on comparing two processes' times; wall clocks belong to the host and may jump by days.
 */
import type { Clock, Timer } from "../../world/ports.ts";
import type { Rng } from "./rng.ts";
import type { SimProcess } from "./sim-process.ts";

/** A host's wall clock, off by this much (situation 43). */
export class WallClock {
  #offsetMs = 0;
  /** The most that it was ahead. */
  highestMs = 0;

  get offsetMs(): number {
    return this.#offsetMs;
  }
  set offsetMs(offsetMs: number) {
    this.#offsetMs = offsetMs;
    this.highestMs = Math.max(this.highestMs, offsetMs);
  }
}

/** What a wall clock that is right shows when a run begins. */
export const wallOriginMs = 1_764_000_000_000;
/** How far a process's rate is off, at most. */
export const maxDrift = 2e-4;
const maxLatenessMs = 0.8;
const maxTurnMs = 0.12;

export class SimClock implements Clock {
  readonly #process: SimProcess;
  readonly #rng: Rng;
  readonly #wall: WallClock;
  readonly #originMs: number;
  readonly #rate: number;

  constructor(process: SimProcess, rng: Rng, wall: WallClock) {
    this.#process = process;
    this.#rng = rng;
    this.#wall = wall;
    this.#originMs = rng.between(1_000, 1_000_000);
    this.#rate = 1 + rng.between(-maxDrift, maxDrift);
  }

  nowMs(): number {
    return this.#originMs + this.#process.scheduler.nowMs * this.#rate;
  }

  wallMs(): number {
    return Math.floor(wallOriginMs + this.#wall.offsetMs + this.#process.scheduler.nowMs * this.#rate);
  }

  after(delayMs: number, run: () => void): Timer {
    const event = this.#process.later(
      Math.max(0, delayMs) / this.#rate + this.#rng.next() * maxLatenessMs,
      "timer",
      () => this.#process.input("timer", run),
    );
    return {
      cancel: () => {
        event.cancelled = true;
      },
    };
  }

  soon(run: () => void): void {
    this.#process.later(this.#rng.next() * maxTurnMs, "soon", run);
  }

  randomId(): string {
    return this.#rng.id();
  }

  random(): number {
    return this.#rng.next();
  }
}
