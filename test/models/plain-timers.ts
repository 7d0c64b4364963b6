/** Plain timers: what is set, and whether what comes of it may come: once, when it is due, in order. */
import type { CommittedRecord } from "../../machines/checker/history.ts";
import { timerOf, timersName } from "../../schemas/timers.ts";

interface PlainTimer {
  /** The record that set it: a timer that is set anew is another one. */
  readonly sequence: number;
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
  /** The record that is being run. */
  #sequence = 0;

  /** By the record that was taken last. */
  set(id: string, atMs: number, body: unknown): void {
    this.#set.set(id, { sequence: this.#sequence, atMs, body });
  }

  cancel(id: string): void {
    this.#set.delete(id);
  }

  /** `change` takes it away, and may set it again: then it is what it was before, not set anew, nor set where it was not. */
  keeping<T>(id: string, change: () => T): T {
    const before = this.#set.get(id);
    const made = change();
    if (before === undefined) this.#set.delete(id);
    else if (this.#set.has(id)) this.#set.set(id, before);
    return made;
  }

  /** The body of the timer whose record this is, which is gone with it; undefined: the record is no timer's. */
  take({ client, id, sequence, takenMs = 0 }: CommittedRecord): unknown {
    this.#sequence = sequence;
    if (client !== timersName) return undefined;
    const name = timerOf(client, id);
    const timer = this.#set.get(name?.id ?? "");
    if (timer === undefined || timer.sequence !== name?.sequence)
      return new NoTimer("it is not set: it came before, was cancelled, or was set anew");
    if (timer.atMs > takenMs) return new NoTimer(`it came ${timer.atMs - takenMs} ms early`);
    this.#set.delete(name.id);
    return timer.body;
  }

  /** Those that were due before this. */
  dueBefore(ms: number): string[] {
    return [...this.#set].filter(([, { atMs }]) => atMs < ms).map(([id]) => id);
  }
}
