/**
 * Watches a connection by asking for an answer every so often. What always holds: silence is judged by the monotonic
 * clock, and never by a process that was itself just paused (rule 9): a late look restarts the measure, once, because the
 * answer may be waiting to be read.
 */
import type { Clock, Timer } from "./ports.ts";

const pingEveryMs = 500;
const pongWithinMs = 1_000;

/** `ping` resolves with the answer. `onSilence` is called once, and then nothing is asked any more. */
export function startPings(clock: Clock, ping: () => Promise<unknown>, onSilence: () => void): Timer {
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
    timer = clock.after(pingEveryMs, () => {
      if (!answered) return wait(false);
      isThisOne = false;
      return ask();
    });
  };
  const wait = (wasRestarted: boolean) => {
    const dueMs = clock.nowMs() + pongWithinMs;
    timer = clock.after(pongWithinMs, () => {
      if (answered) return ask();
      const wasPaused = clock.nowMs() - dueMs > pongWithinMs / 4;
      return wasPaused && !wasRestarted ? wait(true) : onSilence();
    });
  };
  ask();
  return { cancel: () => timer.cancel() };
}
