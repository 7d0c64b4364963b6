/**
 * What a transaction's change may do: read and change tables and queues, and set timers. What always holds: one that outlives its
 * transaction can do nothing.
 */
import { TransactionError } from "./errors.ts";
import type { Scheduling } from "./scheduling.ts";
import type { TransactionBuffer } from "./transaction.ts";

/** What the author's change is given: the buffer, for as long as the transaction lasts. */
export class TransactionHandle {
  #buffer: TransactionBuffer | null;
  /** Of its request. */
  readonly nowMs: number;
  readonly #scheduling: Scheduling;

  constructor(buffer: TransactionBuffer, nowMs: number, scheduling: Scheduling) {
    this.#buffer = buffer;
    this.nowMs = nowMs;
    this.#scheduling = scheduling;
  }

  close(): void {
    this.#buffer = null;
  }

  #open(): TransactionBuffer {
    if (this.#buffer === null) throw new TransactionError("over", "this transaction is over");
    return this.#buffer;
  }

  get views(): unknown {
    return this.#open().views;
  }
  get(table: string, key: string): unknown {
    return this.#open().get(table, key);
  }
  has(table: string, key: string): boolean {
    return this.#open().has(table, key);
  }
  size(table: string): number {
    return this.#open().size(table);
  }
  rows(table: string): Iterable<readonly [string, unknown]> {
    return this.#open().rows(table);
  }
  put(table: string, key: string, row: unknown): void {
    this.#open().put(table, key, row);
  }
  delete(table: string, key: string): boolean {
    return this.#open().delete(table, key);
  }
  queueLength(queue: string): number {
    return this.#open().queueLength(queue);
  }
  peek(queue: string, count = 1): readonly unknown[] {
    return this.#open().peek(queue, count);
  }
  push(queue: string, item: unknown): void {
    this.#open().push(queue, item);
  }
  shift(queue: string): unknown {
    return this.#open().shift(queue);
  }
  schedule(id: string, atMs: number, body: unknown): void {
    this.#open();
    this.#scheduling.schedule(id, atMs, body);
  }
  cancel(id: string): boolean {
    this.#open();
    return this.#scheduling.cancel(id);
  }
  timer(id: string): { readonly atMs: number; readonly body: unknown } | undefined {
    this.#open();
    return this.#scheduling.timer(id);
  }
}
