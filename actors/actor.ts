/**
 * What an actor is: a part of one server with an address (a NATS subject), that is told one thing at a time and is
 * started, stopped and torn down by its server. Its mailbox is shared, and stands below: inputs of all actors of a server are
 * handled one after another, whole, on one thread; after each run of them comes one end of turn. What always holds: an
 * error of an actor is never lost, it ends the server's life; nothing is handled before the life began or after it ended;
 * a run that takes long is ended between two inputs, for a burst of requests may be read for a second before timers and
 * other connections have their turn, and others would take this server for dead.
 */
import type { ActorName } from "../schemas/subjects.ts";
import type { Clock, Timer } from "./world/ports.ts";

export interface Actor {
  readonly name: ActorName;
  start(): void;
  /** Tears down: no callback of this actor does anything afterwards. */
  stop(): void;
  /** What it answers on its own subject. */
  report(): Record<string, unknown>;
}

export interface MailboxHandlers {
  /** After each run of inputs: where batches are closed, sent and committed. */
  onTurnEnd(): void;
  onError(error: Error): void;
}

/** How long a run of inputs may be. */
export interface LongTurns {
  /** One that has taken so long is ended after the next of them. */
  readonly maxTurnMs: number;
  /** Before such an end. */
  onLongTurn(): void;
}

const unbounded: LongTurns = { maxTurnMs: Number.POSITIVE_INFINITY, onLongTurn: () => {} };

export class Mailbox {
  readonly #clock: Clock;
  readonly #handlers: MailboxHandlers;
  readonly #timers = new Set<Timer>();
  readonly #long: LongTurns;
  #isOpen = true;
  #isTurning = false;
  #isEnding = false;
  #turnSinceMs = 0;

  constructor(clock: Clock, handlers: MailboxHandlers, long: LongTurns = unbounded) {
    this.#clock = clock;
    this.#long = long;
    this.#handlers = handlers;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** One input: handled now, and the turn ends soon. */
  input(handle: () => void): void {
    if (!this.#isOpen) return;
    this.touch();
    try {
      handle();
      if (this.#clock.nowMs() - this.#turnSinceMs > this.#long.maxTurnMs) this.#endLongTurn();
    } catch (error) {
      this.fail(error);
    }
  }

  /** The turn that was to end soon ends as well, with what comes until then. */
  #endLongTurn(): void {
    if (!this.#isOpen || this.#isEnding) return;
    this.#turnSinceMs = this.#clock.nowMs();
    this.#long.onLongTurn();
    this.#endTurn();
  }

  /** What comes from inside it is part of it. */
  #endTurn(): void {
    this.#isEnding = true;
    try {
      this.#handlers.onTurnEnd();
    } finally {
      this.#isEnding = false;
    }
  }

  /** Something happened inside: a turn must end. */
  touch(): void {
    if (this.#isTurning || !this.#isOpen) return;
    this.#isTurning = true;
    this.#turnSinceMs = this.#clock.nowMs();
    this.#clock.soon(() => {
      this.#isTurning = false;
      if (!this.#isOpen) return;
      try {
        this.#endTurn();
      } catch (error) {
        this.fail(error);
      }
    });
  }

  /** The outcome of something asynchronous is an input like any other; a rejection that nobody handles ends the life. */
  watch<T>(work: Promise<T>, onDone: (value: T) => void, onError?: (error: unknown) => void): void {
    work.then(
      (value) => this.input(() => onDone(value)),
      (error: unknown) => this.input(() => (onError === undefined ? this.fail(error) : onError(error))),
    );
  }

  after(delayMs: number, run: () => void): Timer {
    const timer = this.#clock.after(delayMs, () => {
      this.#timers.delete(timer);
      this.input(run);
    });
    this.#timers.add(timer);
    return timer;
  }

  fail(error: unknown): void {
    if (!this.#isOpen) return;
    this.close();
    this.#handlers.onError(error instanceof Error ? error : new Error(String(error)));
  }

  close(): void {
    this.#isOpen = false;
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
  }
}
