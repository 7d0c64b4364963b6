/**
 * One request's run through the handler. What always holds:
 * 1. A transaction's changes reach the state and the sink in the same step, or neither.
 * 2. While the handler is synchronous its last transaction is held back, and goes out with the result as one record.
 *    Another transaction, `committed()` or a promise lets it go first.
 * 3. `final` is called once; never after the server stopped being hot. After it the handler can change nothing.
 * 4. A completed transaction of a resumed request is never run again: its stored value is returned.
 */
import { type TimerName, timerOf } from "../../schemas/timers.ts";
import type { Clock, Timer } from "../world/ports.ts";
import type { RequestContext, Transaction } from "./contract.ts";
import type { Application } from "./define.ts";
import { messageOf, TransactionError } from "./errors.ts";
import { describeIssues, freezeJson } from "./json.ts";
import type { Scheduling } from "./scheduling.ts";
import type { TransactionBuffer } from "./transaction.ts";
import { TransactionHandle } from "./transaction-handle.ts";

export interface CompletedTransaction {
  readonly name: string;
  /** Its value as JSON; empty for undefined. */
  readonly value: string;
}

export interface RunRequest {
  readonly client: string;
  readonly id: string;
  readonly key: string;
  readonly stampMs: number;
  /** When it was taken, by the log's time (rule 20). */
  readonly takenMs: number;
  /** Its trace context; "" or absent: none. */
  readonly traceparent?: string;
  /** As `BodyParser.parse` gave it. */
  readonly body: unknown;
  /** Of a resumed request: its transactions on record, in order. */
  readonly completed: readonly CompletedTransaction[];
  readonly resumed: boolean;
}

/** What comes out of runs. Called synchronously; `effects` may be read during the call only. */
export interface RunnerSink<Token> {
  /** A transaction whose request goes on. `value` is JSON, or empty for undefined. */
  transaction(token: Token, record: { ordinal: number; name: string; effects: Uint8Array; value: string }): void;
  /** The end of a request; once. `outcome`: `"ok":true,"result":…` or `"ok":false,"error":{…}`, without braces. */
  final(token: Token, record: { ordinal: number; name: string; effects: Uint8Array; outcome: string }): void;
  /** The handler threw, rejected, took too long or returned what its schema forbids: what of, for the log. `final` follows. */
  failed(token: Token, error: unknown): void;
  /** So many handlers wait for something; the one, where it is one. */
  onWaiting(count: number, one: Token | undefined): void;
  /** Resolves when all that was handed over for this token is committed. */
  committed(token: Token): Promise<void>;
  /** Of the record that is made next. */
  nextSequence(): number;
  /** A view threw: the state in memory cannot be trusted, nothing went out, and the server must stop. */
  fatal(error: unknown): void;
}

/** What all runs of one server share. */
export interface Bench<Token> {
  readonly application: Application;
  readonly buffer: TransactionBuffer;
  readonly scheduling: Scheduling;
  /** Whether the record of this transaction, counted from 0, takes the request's timer away. */
  readonly takesTimer: (ordinal: number) => boolean;
  readonly sink: RunnerSink<Token>;
  readonly clock: Clock;
  readonly handlerMs: number;
  /** Now: the broker may take less later, or more. */
  readonly maxRecordBytes: () => number;
  /** A transaction's change is being run. */
  isBuilding: boolean;
  /** Set once and for all by `fatal`. */
  isBroken: boolean;
  /** Counts the calls of `abandonAll`: a run of an earlier count can change nothing. */
  generation: number;
  onOver(run: Run<Token>): void;
}

const notHot = "the server does not process requests any more";
const noEffects = new Uint8Array(0);
const maxTransactionName = 128;
/** `ordinal` is 16 bits wide in a record. */
const maxTransactions = 65_535;
/** A record's header, the request's trace context, and the reply's fields around the outcome. */
const recordOverheadBytes = 512;

export class Run<Token> implements RequestContext<never, never, never> {
  readonly #bench: Bench<Token>;
  readonly #request: RunRequest;
  readonly #token: Token;
  /** Which timer's request it is; its first record takes the timer away. */
  readonly #timerName: TimerName | null;
  readonly #generation: number;
  /** Of the next transaction. */
  #ordinal = 0;
  #phase: "synchronous" | "asynchronous" | "over" = "synchronous";
  #held: { readonly name: string; readonly value: unknown } | undefined;
  /** A failure that the handler cannot take back by catching it. */
  #failure: unknown;
  #names: Set<string> | undefined;
  #abort: AbortController | undefined;
  #timer: Timer | undefined;
  /** `committed()` calls that wait: this time is not the handler's. */
  #waiting: Set<(error: unknown) => void> | undefined;

  constructor(bench: Bench<Token>, request: RunRequest, token: Token) {
    this.#bench = bench;
    this.#request = request;
    this.#token = token;
    this.#timerName = timerOf(request.client, request.id);
    this.#generation = bench.generation;
  }

  get client(): string {
    return this.#request.client;
  }
  get id(): string {
    return this.#request.id;
  }
  get stampMs(): number {
    // Of a request that came without one, it is marked by a fraction.
    return Math.floor(this.#request.stampMs);
  }
  get nowMs(): number {
    return this.#request.takenMs;
  }
  get traceparent(): string | undefined {
    return this.#request.traceparent || undefined;
  }
  get timer(): string | undefined {
    return this.#timerName?.id;
  }
  get resumed(): boolean {
    return this.#request.resumed;
  }
  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.#phase === "over") this.#abort.abort();
    return this.#abort.signal;
  }
  get transaction() {
    return <R>(name: string, change: (tx: Transaction<never, never, never>) => R): R => this.#transact(name, change);
  }
  get committed() {
    return (): Promise<void> => this.#committed();
  }
  get isAsynchronous(): boolean {
    return this.#phase === "asynchronous";
  }
  get token(): Token {
    return this.#token;
  }

  start(): void {
    let returned: unknown;
    let isPromise = false;
    try {
      returned = this.#bench.application.handle(this.#request.body, this);
      isPromise = isThenable(returned);
      if (isPromise) this.#release();
    } catch (error) {
      // A promise that was returned is left to itself: what it does can change nothing any more.
      if (isPromise) ignore(returned);
      this.#fail(error);
      return;
    }
    if (!isPromise) {
      this.#finish(returned);
      return;
    }
    this.#phase = "asynchronous";
    this.#startTimer();
    Promise.resolve(returned).then(
      (result) => this.#finish(result),
      (error: unknown) => this.#fail(error),
    );
  }

  /** It is not started: this is its end. */
  refuse(error: Error): void {
    this.#fail(error);
  }

  /** The server is not hot any more: the run ends without a word. */
  abandon(): void {
    if (this.#phase !== "over") this.#end(notHot);
  }

  #transact<R>(name: string, change: (tx: Transaction<never, never, never>) => R): R {
    const bench = this.#bench;
    this.#checkLive();
    if (bench.isBuilding) throw new TransactionError("nested", "a transaction was started inside a transaction");
    this.#checkName(name);
    this.#release();
    const completed = this.#request.completed[this.#ordinal];
    if (completed !== undefined) return this.#completedValue(name, completed) as R;
    const value = this.#build(name, change);
    this.#names?.add(name);
    this.#held = { name, value };
    this.#ordinal += 1;
    if (this.#phase === "asynchronous") this.#release();
    return value;
  }

  #build<R>(name: string, change: (tx: Transaction<never, never, never>) => R): R {
    const bench = this.#bench;
    bench.buffer.begin(bench.maxRecordBytes() - this.#overheadBytes(name));
    this.#takeTimer(this.#ordinal);
    const handle = new TransactionHandle(bench.buffer, this.#request.takenMs, bench.scheduling);
    bench.isBuilding = true;
    try {
      const value = change(handle as unknown as Transaction<never, never, never>);
      if (isThenable(value)) {
        ignore(value);
        throw new TransactionError(
          "asynchronous",
          `transaction ${name} returned a promise: a transaction is synchronous`,
        );
      }
      if (value !== undefined) freezeJson(value);
      return value;
    } finally {
      bench.isBuilding = false;
      handle.close();
    }
  }

  /** With the first record. Throws TransactionError where it is not there any more. */
  #takeTimer(ordinal: number): void {
    const { scheduling, takesTimer } = this.#bench;
    if (this.#timerName !== null && takesTimer(ordinal)) scheduling.take(this.#timerName);
  }

  /** For a result that no transaction comes with. True: the buffer has something. */
  #takesTimerAlone(ordinal: number): boolean {
    const { buffer, maxRecordBytes } = this.#bench;
    if (this.#timerName === null) return false;
    buffer.begin(maxRecordBytes());
    this.#takeTimer(ordinal);
    return buffer.count > 0;
  }

  #completedValue(name: string, completed: CompletedTransaction): unknown {
    if (completed.name !== name)
      throw new TransactionError("resume", `transaction ${name} was asked for where ${completed.name} is on record`);
    this.#names?.add(name);
    this.#ordinal += 1;
    if (completed.value === "") return undefined;
    const value: unknown = JSON.parse(completed.value);
    freezeJson(value);
    return value;
  }

  #checkName(name: string): void {
    if (
      typeof name !== "string" ||
      name === "" ||
      name.length > maxTransactionName ||
      /[\p{Surrogate}\p{Cc}]/u.test(name)
    )
      throw new TransactionError("name", `a transaction's name is a text of 1 to ${maxTransactionName} characters`);
    if (this.#ordinal === maxTransactions)
      throw new TransactionError("name", `a request may have ${maxTransactions} transactions`);
    if (this.#ordinal === 0) return;
    this.#names ??= new Set([this.#held?.name ?? this.#request.completed[0]?.name ?? ""]);
    if (this.#names.has(name)) throw new TransactionError("name", `transaction ${name} was run before in this request`);
  }

  /** Lets the held transaction go, as one of several. */
  #release(): void {
    const held = this.#held;
    if (held === undefined) return;
    const bench = this.#bench;
    const value = held.value === undefined ? "" : JSON.stringify(held.value);
    const ordinal = this.#ordinal - 1;
    // The first record of several carries the request's body (rule 16).
    const body = ordinal === 0 ? JSON.stringify(this.#request.body) : "";
    if (!this.#fits(held.name, value, body)) {
      this.#failure = new TransactionError("tooLarge", `transaction ${held.name} does not fit in a record`);
      throw this.#failure;
    }
    this.#names ??= new Set([held.name]);
    this.#held = undefined;
    if (!this.#apply()) throw new TransactionError("over", notHot);
    bench.sink.transaction(this.#token, { ordinal, name: held.name, effects: bench.buffer.effects, value });
  }

  #committed(): Promise<void> {
    const waiting = new Promise<void>((resolve, reject) => {
      this.#checkLive();
      if (this.#bench.isBuilding) throw new TransactionError("nested", "committed() was called inside a transaction");
      this.#release();
      this.#waiting ??= new Set();
      this.#waiting.add(reject);
      this.#timer?.cancel();
      const settle = (then: () => void) => {
        if (this.#waiting?.delete(reject) !== true) return;
        if (this.#phase === "asynchronous") this.#startTimer();
        then();
      };
      this.#bench.sink.committed(this.#token).then(
        () => settle(resolve),
        (error: unknown) => settle(() => reject(error)),
      );
    });
    // Whoever awaits it hears of a failure; a handler that does not must not bring the process down.
    ignore(waiting);
    return waiting;
  }

  #finish(returned: unknown): void {
    if (!this.#isLive()) return;
    let outcome: string;
    try {
      outcome = this.#outcome(returned);
    } catch (error) {
      this.#fail(error);
      return;
    }
    const held = this.#held;
    if (held !== undefined) {
      this.#end("the request is finished");
      this.#final(this.#ordinal - 1, held.name, true, outcome);
      return;
    }
    try {
      const hasEffects = this.#takesTimerAlone(this.#ordinal);
      this.#end("the request is finished");
      this.#final(this.#ordinal, "", hasEffects, outcome);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** The record of the result, with what is in the buffer. */
  #final(ordinal: number, name: string, hasEffects: boolean, outcome: string): void {
    const { sink, buffer } = this.#bench;
    if (!hasEffects) sink.final(this.#token, { ordinal, name, effects: noEffects, outcome });
    else if (this.#apply()) sink.final(this.#token, { ordinal, name, effects: buffer.effects, outcome });
  }

  /** Throws what makes the request an APPLICATION_ERROR. */
  #outcome(returned: unknown): string {
    if (this.#failure !== undefined) throw this.#failure;
    const missing = this.#request.completed[this.#ordinal];
    if (missing !== undefined)
      throw new TransactionError("resume", `the handler ended before transaction ${missing.name}, which is on record`);
    const parsed = this.#bench.application.result.safeParse(returned);
    if (!parsed.success) throw new Error(`the result is not what its schema says: ${describeIssues(parsed.error)}`);
    // What a transaction returned was looked at already, and a schema makes no other than JSON of it.
    if (returned !== this.#held?.value) freezeJson(parsed.data);
    const outcome = `"ok":true,"result":${JSON.stringify(parsed.data)}`;
    if (!this.#fits(this.#held?.name ?? "", outcome, ""))
      throw new TransactionError("tooLarge", "the last transaction and the result do not fit in a record");
    return outcome;
  }

  #fail(error: unknown): void {
    if (!this.#isLive()) return;
    const ordinal = this.#held === undefined ? this.#ordinal : this.#ordinal - 1;
    this.#bench.sink.failed(this.#token, this.#failure ?? error);
    const message = messageOf(this.#failure ?? error);
    this.#end(message);
    const outcome = `"ok":false,"error":${JSON.stringify({ code: "APPLICATION_ERROR", message, executed: true })}`;
    this.#final(ordinal, "", this.#isTimerThere(ordinal), outcome);
  }

  /** The same where it may be gone: whoever took it away made the request fail. */
  #isTimerThere(ordinal: number): boolean {
    try {
      return this.#takesTimerAlone(ordinal);
    } catch {
      return false;
    }
  }

  /** From here on the handler can change nothing. */
  #end(reason: string): void {
    const wasAsynchronous = this.#phase === "asynchronous";
    this.#phase = "over";
    this.#held = undefined;
    this.#timer?.cancel();
    this.#abort?.abort();
    for (const reject of this.#waiting ?? []) reject(new TransactionError("over", reason));
    this.#waiting = undefined;
    if (wasAsynchronous) this.#bench.onOver(this);
  }

  /** False: a view threw, and the server is stopping. */
  #apply(): boolean {
    try {
      this.#bench.buffer.apply();
      return true;
    } catch (error) {
      this.#bench.isBroken = true;
      this.#end(notHot);
      this.#bench.sink.fatal(error);
      return false;
    }
  }

  #isLive(): boolean {
    return this.#phase !== "over" && !this.#bench.isBroken && this.#generation === this.#bench.generation;
  }

  #checkLive(): void {
    if (!this.#isLive()) throw new TransactionError("over", "this request is over");
    if (this.#failure !== undefined) throw this.#failure;
  }

  #startTimer(): void {
    this.#timer?.cancel();
    if (this.#waiting !== undefined && this.#waiting.size > 0) return;
    this.#timer = this.#bench.clock.after(this.#bench.handlerMs, () => {
      this.#fail(new Error(`the handler took more than ${this.#bench.handlerMs} ms`));
    });
  }

  /** At most this many bytes of a record are neither effects nor value, outcome or body. */
  #overheadBytes(name: string): number {
    const { client, id, key } = this.#request;
    // Client and id stand in the record and, escaped, in the reply.
    return recordOverheadBytes + 9 * (client.length + id.length) + 3 * (key.length + name.length);
  }

  #fits(name: string, text: string, body: string): boolean {
    const effectBytes = this.#held === undefined ? 0 : this.#bench.buffer.effectBytes;
    const room = this.#bench.maxRecordBytes() - this.#overheadBytes(name) - effectBytes;
    if (3 * (text.length + body.length) <= room) return true;
    return Buffer.byteLength(text) + Buffer.byteLength(body) <= room;
  }
}

function isThenable(value: unknown): boolean {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}

/** Takes the rejection of a promise that nobody waits for. */
function ignore(promise: unknown): void {
  Promise.resolve(promise).catch(() => undefined);
}
