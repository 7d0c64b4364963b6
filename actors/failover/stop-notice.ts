/**
 * Says what a server waits for that was told to stop and does not come to its end, and how it is ended now. What always
 * holds: the first line comes after `everyMs`, and then one in each.
 */
import type { Replica } from "../../machines/replica/replica.ts";
import type { Log } from "../world/ports.ts";

const everyMs = 5_000;

export class StopNotice {
  readonly #log: Log;
  #stopMs: number | null = null;
  #toldMs = 0;

  constructor(log: Log) {
    this.#log = log;
  }

  onTick({ stopping, isFinal, state, waitingFor }: Replica, nowMs: number): void {
    if (!stopping || isFinal) return;
    this.#stopMs ??= nowMs;
    const sinceMs = Math.max(this.#stopMs, this.#toldMs);
    if (nowMs - sinceMs < everyMs) return;
    this.#toldMs = nowMs;
    const seconds = Math.round((nowMs - this.#stopMs) / 1_000);
    const what = waitingFor === "" ? "its own work to be on the disk" : waitingFor;
    this.#log.warn(
      { state, seconds },
      `was told to stop ${seconds} s ago and waits for ${what}. To end it now: two more signals (SIGTERM), or SIGKILL`,
    );
  }
}
