/**
 * What an actor is: a part of one server with an address (a NATS subject), that is told one thing at a time and is
 * started, stopped and torn down by its server. Its mailbox is the stage below: inputs of all actors of a server are
 * handled one after another, whole, on one thread; after each run of them comes one end of turn. What always holds: an
 * error of an actor is never lost, it ends the server's life; nothing is handled before the life began or after it ended.
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

export interface StageHandlers {
  /** After each run of inputs: where batches are closed, sent and committed. */
  onTurnEnd(): void;
  onError(error: Error): void;
}

export class Stage {
  readonly #clock: Clock;
  readonly #handlers: StageHandlers;
  readonly #timers = new Set<Timer>();
  #isOpen = true;
  #isTurning = false;

  constructor(clock: Clock, handlers: StageHandlers) {
    this.#clock = clock;
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
    } catch (error) {
      this.fail(error);
    }
  }

  /** Something happened inside: a turn must end. */
  touch(): void {
    if (this.#isTurning || !this.#isOpen) return;
    this.#isTurning = true;
    this.#clock.soon(() => {
      this.#isTurning = false;
      if (!this.#isOpen) return;
      try {
        this.#handlers.onTurnEnd();
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
