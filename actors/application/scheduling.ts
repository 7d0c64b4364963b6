/**
 * What a transaction does to timers: they are rows like others, so that setting, cancelling and firing one is done with the record that
 * does it, or not at all. What always holds: a timer's body was taken by the request's schema when it was set; there are no more
 * than the definition allows.
 */
import { maxTimerIdLength, type Timer, type TimerName, timersName } from "../../schemas/timers.ts";
import { BodyParser } from "./body.ts";
import type { Application } from "./define.ts";
import { TransactionError } from "./errors.ts";
import type { TransactionBuffer } from "./transaction.ts";

export interface SchedulingOptions {
  readonly application: Application;
  readonly buffer: TransactionBuffer;
  readonly maxBodyBytes: number;
  /** Of the record that this transaction makes. */
  readonly nextSequence: () => number;
}

export class Scheduling {
  readonly #options: SchedulingOptions;
  readonly #parser: BodyParser;

  constructor(options: SchedulingOptions) {
    this.#options = options;
    this.#parser = new BodyParser(options.application);
  }

  /** Throws TransactionError. */
  schedule(id: string, atMs: number, body: unknown): void {
    const { buffer, maxBodyBytes, nextSequence } = this.#options;
    const maxTimers = this.#maxTimers();
    if (typeof id !== "string" || id === "" || id.length > maxTimerIdLength || /[\p{Surrogate}\p{Cc}]/u.test(id))
      throw new TransactionError("key", `a timer's name is a text of 1 to ${maxTimerIdLength} characters`);
    if (!Number.isSafeInteger(atMs) || atMs < 0)
      throw new TransactionError("schema", `timer ${id}: its time is a whole number of ms since 1970, not ${atMs}`);
    const parsed = this.#parser.parse(body);
    if (!parsed.ok)
      throw new TransactionError(
        "schema",
        `timer ${id}: its body is no request of this application: ${parsed.message}`,
      );
    const bytes = Buffer.byteLength(JSON.stringify(parsed.value));
    if (bytes > maxBodyBytes)
      throw new TransactionError(
        "tooLarge",
        `timer ${id}: a body of ${bytes} bytes; a request may have ${maxBodyBytes}`,
      );
    if (!buffer.has(timersName, id) && buffer.size(timersName) >= maxTimers)
      throw new TransactionError("full", `there are ${maxTimers} timers already`);
    const timer: Timer = { atMs, key: parsed.key, body: parsed.value, sequence: nextSequence(), nth: buffer.count };
    buffer.put(timersName, id, timer);
  }

  /** False: there is none. Throws TransactionError. */
  cancel(id: string): boolean {
    this.#maxTimers();
    return this.#options.buffer.delete(timersName, id);
  }

  /** Throws TransactionError. */
  timer(id: string): { readonly atMs: number; readonly body: unknown } | undefined {
    this.#maxTimers();
    return shown(this.#options.buffer.get(timersName, id));
  }

  /** The timer is done with the record of this transaction. Throws TransactionError where it is not there as it was fired. */
  take({ id, sequence, nth }: TimerName): void {
    const { buffer } = this.#options;
    const timer = buffer.get(timersName, id) as Timer | undefined;
    if (timer?.sequence !== sequence || timer.nth !== nth)
      throw new TransactionError("cancelled", `timer ${id} was cancelled, or set anew, before it had done anything`);
    buffer.delete(timersName, id);
  }

  #maxTimers(): number {
    const { timers, name } = this.#options.application;
    if (timers === null)
      throw new TransactionError("part", `${name} has no timers: give its definition \`timers: { maxTimers }\``);
    return timers.maxTimers;
  }
}

/** What an application sees of one. */
export function shown(row: unknown): { readonly atMs: number; readonly body: unknown } | undefined {
  if (row === undefined) return undefined;
  const { atMs, body } = row as Timer;
  return { atMs, body };
}
