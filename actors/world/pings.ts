/**
 * Watches a connection by asking for an answer every so often. What always holds: silence is judged by the monotonic
 * clock; never while bytes still come or leave, since the answer stands in line with them; and never by a process that
 * was itself just paused (rule 9): a late look restarts the measure, once, because the answer may be waiting to be read.
 */
import type { Clock, Timer } from "./ports.ts";

const pingEveryMs = 500;
const pongWithinMs = 1_000;

export interface Watched {
  /** Resolves with the answer. */
  ping(): Promise<unknown>;
  /** Any number that changes whenever bytes came or left. */
  progress(): number;
  /** Called once, and then nothing is asked any more. */
  onSilence(): void;
}

export function startPings(clock: Clock, { ping, progress, onSilence }: Watched): Timer {
  let timer: Timer;
  let answered = false;
  const ask = () => {
    let isThisOne = true;
    answered = false;
    ping().then(
      () => {
        if (isThisOne) answered = true;
      },
      () => undefined,
    );
    const before = progress();
    timer = clock.after(pingEveryMs, () => {
      if (!answered) return wait(before, false);
      isThisOne = false;
      return ask();
    });
  };
  const wait = (before: number, wasRestarted: boolean) => {
    const dueMs = clock.nowMs() + pongWithinMs;
    timer = clock.after(pongWithinMs, () => {
      if (answered) return ask();
      const now = progress();
      if (now !== before) return wait(now, false);
      const wasPaused = clock.nowMs() - dueMs > pongWithinMs / 4;
      return wasPaused && !wasRestarted ? wait(now, true) : onSilence();
    });
  };
  ask();
  return { cancel: () => timer.cancel() };
}
