/** Plain timers: what is set, and whether what comes of it may come: once, when it is due, in order. */
import type { CommittedRecord } from "../../machines/checker/history.ts";
import { timerOf, timersName } from "../../schemas/timers.ts";

interface PlainTimer {
  readonly atMs: number;
  readonly body: unknown;
}

/** What a model makes of a record whose timer is not there: no result is like it. */
export class NoTimer {
  readonly why: string;
  constructor(why: string) {
    this.why = why;
  }
}

export class PlainTimers {
  readonly #set = new Map<string, PlainTimer>();

  set(id: string, atMs: number, body: unknown): void {
    this.#set.set(id, { atMs, body });
  }

  cancel(id: string): void {
    this.#set.delete(id);
  }

  /** The body of the timer whose record this is, which is gone with it; undefined: the record is no timer's. */
  take({ client, id, takenMs = 0 }: CommittedRecord): unknown {
    if (client !== timersName) return undefined;
    const name = timerOf(client, id)?.id ?? "";
    const timer = this.#set.get(name);
    if (timer === undefined) return new NoTimer("it is not set: it came before, or was cancelled");
    if (timer.atMs > takenMs) return new NoTimer(`it came ${timer.atMs - takenMs} ms early`);
    this.#set.delete(name);
    return timer.body;
  }

  /** Those that were due before this. */
  dueBefore(ms: number): string[] {
    return [...this.#set].filter(([, { atMs }]) => atMs < ms).map(([id]) => id);
  }
}
