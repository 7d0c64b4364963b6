/**
 * What an actor is: a part of one server with an address (a NATS subject), that is told one thing at a time and is
 * started, stopped and torn down by its server. Its mailbox is shared, and stands below: inputs of all actors of a server are
 * handled one after another, whole, on one thread; after each run of them comes one end of turn. What always holds: an
 * error of an actor is never lost, it ends the server's life; nothing is handled before the life began or after it ended;
 * a turn is bounded in inputs and in time, so that what follows from the first of a burst (mirrors, confirms, replies) is on its
 * way while the next are handled; and a run without a pause says so, for a burst may be read for a second before timers and other
 * connections have their turn, and others would take this server for dead.
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
  /**
   * After each turn: where batches are closed, sent and committed. `goesOn`: more inputs of the same run may follow at once, and what
   * can wait for its end should.
   */
  onTurnEnd(goesOn: boolean): void;
  onError(error: Error): void;
}

export interface TurnLimits {
  /** A turn of so many inputs, or one that has taken so long, is ended after that input. */
  readonly maxTurnInputs: number;
  readonly maxTurnMs: number;
  /** A run of turns without a pause that has taken so long is told of, and each time that it has again. */
  readonly maxRunMs: number;
  /** Before the end of the turn in which that is seen. */
  onLongRun(): void;
}

const unbounded: TurnLimits = {
  maxTurnInputs: Number.POSITIVE_INFINITY,
  maxTurnMs: Number.POSITIVE_INFINITY,
  maxRunMs: Number.POSITIVE_INFINITY,
  onLongRun: () => {},
};

export class Mailbox {
  readonly #clock: Clock;
  readonly #handlers: MailboxHandlers;
  readonly #timers = new Set<Timer>();
  readonly #limits: TurnLimits;
  #isOpen = true;
  /** A run has begun, and its end is due soon. */
  #isRunning = false;
  #isEnding = false;
  #runSinceMs = 0;
  #turnSinceMs = 0;
  #turnInputs = 0;

  constructor(clock: Clock, handlers: MailboxHandlers, limits: TurnLimits = unbounded) {
    this.#clock = clock;
    this.#limits = limits;
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
      this.#turnInputs += 1;
      this.#judgeLength();
    } catch (error) {
      this.fail(error);
    }
  }

  /** What comes from inside an end is part of it. */
  #judgeLength(): void {
    if (this.#isEnding || !this.#isOpen) return;
    const { maxTurnInputs, maxTurnMs, maxRunMs, onLongRun } = this.#limits;
    const nowMs = this.#clock.nowMs();
    const isLong = nowMs - this.#runSinceMs > maxRunMs;
    if (!isLong && this.#turnInputs < maxTurnInputs && nowMs - this.#turnSinceMs <= maxTurnMs) return;
    if (isLong) {
      this.#runSinceMs = nowMs;
      onLongRun();
    }
    this.#endTurn(true);
  }

  #endTurn(goesOn: boolean): void {
    this.#isEnding = true;
    try {
      this.#handlers.onTurnEnd(goesOn);
    } finally {
      this.#isEnding = false;
    }
    this.#turnInputs = 0;
    if (goesOn) this.#turnSinceMs = this.#clock.nowMs();
  }

  /** Something happened inside: a turn must end. */
  touch(): void {
    if (this.#isRunning || !this.#isOpen) return;
    this.#isRunning = true;
    this.#runSinceMs = this.#clock.nowMs();
    this.#turnSinceMs = this.#runSinceMs;
    this.#clock.soon(() => {
      this.#isRunning = false;
      if (!this.#isOpen) return;
      try {
        this.#endTurn(false);
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
