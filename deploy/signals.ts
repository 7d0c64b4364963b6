/**
 * What Ctrl-C (SIGINT), SIGTERM, SIGHUP and a reader that went away mean to each command: decided here and nowhere else.
 *
 * What always holds:
 * 1. The first INT or TERM asks for a clean stop. Signals within `sameSignalMs` are one: npm hands on a Ctrl-C that the
 *    terminal has sent to us as well.
 * 2. A command that must not be cut short says at the second one what a third would cost, and ends at once at the third.
 *    Others end at once at the second, or, where there is nothing to bring to an end, at the first.
 * 3. HUP never counts as one of these. It stops a command whose terminal is gone, or re-opens the log of a server.
 */

import { controlVerbs } from "../schemas/status.ts";

export type Signal = "SIGINT" | "SIGTERM" | "SIGHUP";
export const signals: readonly Signal[] = ["SIGINT", "SIGTERM", "SIGHUP"];

/** Two signals this close together are one. */
export const sameSignalMs = 500;

interface Manner {
  /** How many of INT and TERM end it at once. */
  readonly endsAt: 1 | 2 | 3;
  readonly onHangUp: "stop" | "reopenLog";
  /** Nobody reads its output any more: it ends quietly, it stops as at Ctrl-C and keeps its exit status, or it goes on. */
  readonly onReaderGone: "end" | "stop" | "goOn";
}

const normal: Manner = { endsAt: 2, onHangUp: "stop", onReaderGone: "stop" };
/** It only prints. */
const printer: Manner = { ...normal, onReaderGone: "end" };
/** It waits for one answer. */
const question: Manner = { ...normal, endsAt: 1 };

/** Commands that are not named here have the normal manner. */
const manners: Readonly<Record<string, Manner>> = {
  server: { endsAt: 3, onHangUp: "reopenLog", onReaderGone: "goOn" },
  up: { endsAt: 3, onHangUp: "stop", onReaderGone: "goOn" },
  results: printer,
  inspect: printer,
  chart: printer,
  init: question,
  ...Object.fromEntries(controlVerbs.map((verb) => [verb, question])),
};

const numbers: Readonly<Record<Signal, number>> = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 };

export interface SignalWorld {
  nowMs(): number;
  /** One line for whoever sent the signal. */
  tell(line: string): void;
  /** Ends the process at once. */
  exit(status: number): void;
}

export class SignalDesk {
  readonly #world: SignalWorld;
  readonly #stopped = new AbortController();
  readonly #forced = new AbortController();
  #manner = normal;
  #times = 0;
  #lastMs = Number.NEGATIVE_INFINITY;
  /** A server's: opens its log again. */
  reopenLog: () => void = () => {};
  /** One sentence of the command that runs: what is lost if it is ended at once. */
  whatForceCosts: () => string = () => "";

  constructor(world: SignalWorld) {
    this.#world = world;
  }

  /** Aborted by the first signal that asks for a stop. */
  get stopped(): AbortSignal {
    return this.#stopped.signal;
  }
  /** Aborted right before the process is ended by force. */
  get forced(): AbortSignal {
    return this.#forced.signal;
  }
  get endsWithoutReader(): boolean {
    return this.#manner.onReaderGone === "end";
  }

  /** From here on signals mean what they mean to this command. */
  begin(command: string): void {
    this.#manner = manners[command] ?? normal;
  }

  onSignal(signal: Signal): void {
    if (signal === "SIGHUP") this.#onHangUp();
    else this.#onStop(signal);
  }

  onReaderGone(): void {
    if (this.#manner.onReaderGone !== "goOn") this.#stopped.abort();
  }

  #onHangUp(): void {
    if (this.#manner.onHangUp === "reopenLog") this.reopenLog();
    else if (this.#manner.endsAt === 1) this.#end("SIGHUP");
    else this.#stopped.abort();
  }

  #onStop(signal: Signal): void {
    const nowMs = this.#world.nowMs();
    if (nowMs - this.#lastMs < sameSignalMs) return;
    this.#lastMs = nowMs;
    // A hang-up that stops it, or a reader that went away, was the first.
    this.#times = Math.max(this.#times, this.stopped.aborted ? 1 : 0) + 1;
    if (this.#times >= this.#manner.endsAt) this.#end(signal);
    else if (this.#times === 1) this.#stopped.abort();
    else this.#world.tell(`it is stopping; once more ends it at once: ${this.whatForceCosts()}`);
  }

  #end(signal: Signal): void {
    this.#forced.abort();
    this.#world.exit(128 + numbers[signal]);
  }
}
