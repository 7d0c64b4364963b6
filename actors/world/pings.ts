/**
 * Watches a connection by asking for an answer every so often. What always holds: silence is judged by the monotonic
 * clock; never while bytes still come, or the peer still takes what waits here, since the answer stands in line with them; and never by a process that
 * was itself just paused (rule 9): a late look restarts the measure, once, because the answer may be waiting to be read.
 */
import type { Clock, Timer } from "./ports.ts";

export interface PingPace {
  readonly pingEveryMs: number;
  readonly pongWithinMs: number;
}

/** What is known of a socket: bytes that came, that were written to it, and that of those still wait in this process. */
export interface SocketBytes {
  readonly bytesRead: number;
  readonly bytesWritten: number;
  readonly writableLength: number;
}

/**
 * A number that changes while the peer shows life: bytes came; or some wait here, so that the kernel's buffer is full, and it takes more,
 * which it can only if the peer took some. That the kernel takes what fits into its buffer says nothing of the peer.
 */
export function progressOf(socket: SocketBytes): () => number {
  let taken = 0;
  return () => {
    const { bytesRead, bytesWritten, writableLength } = socket;
    if (writableLength > 0) taken = bytesWritten - writableLength;
    return bytesRead + taken;
  };
}

export interface Watched {
  /** Resolves with the answer. */
  ping(): Promise<unknown>;
  /** Any number that changes while the peer shows life in another way. */
  progress(): number;
  /** Called once, and then nothing is asked any more. */
  onSilence(): void;
}

export function startPings(clock: Clock, pace: PingPace, { ping, progress, onSilence }: Watched): Timer {
  const { pingEveryMs, pongWithinMs } = pace;
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
