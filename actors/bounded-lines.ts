/**
 * Lines of the log that clients or the application can cause: at most so many of one kind in a minute, whatever comes.
 * What always holds: what is left out is counted, and told with the next line.
 */
import type { Clock } from "./world/ports.ts";

export const linesPerMinute = 10;
const minuteMs = 60_000;
const maxStackLength = 4_000;

export class BoundedLines {
  readonly #clock: Clock;
  readonly #perMinute: number;
  #sinceMs = Number.NEGATIVE_INFINITY;
  #lines = 0;
  #leftOut = 0;

  constructor(clock: Clock, perMinute = linesPerMinute) {
    this.#clock = clock;
    this.#perMinute = perMinute;
  }

  /** Fields for the next line, or null where it is left out. */
  next(): { readonly leftOut?: number } | null {
    const nowMs = this.#clock.nowMs();
    if (nowMs - this.#sinceMs >= minuteMs) {
      this.#sinceMs = nowMs;
      this.#lines = 0;
    }
    if (this.#lines === this.#perMinute) {
      this.#leftOut += 1;
      return null;
    }
    this.#lines += 1;
    const leftOut = this.#leftOut;
    this.#leftOut = 0;
    return leftOut > 0 ? { leftOut } : {};
  }
}

/** Of whatever was thrown, of bounded length; never throws itself. */
export function stackOf(error: unknown): string {
  try {
    return String(error instanceof Error ? (error.stack ?? error) : error).slice(0, maxStackLength);
  } catch {
    return "something that cannot be shown was thrown";
  }
}
