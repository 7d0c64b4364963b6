/**
 * The transaction being built: its effects as bytes and as changes, and what it changed so far, so that it reads its own
 * writes. One buffer is used for all transactions of a server, one after the other. What always holds: state is
 * untouched until the buffer is applied; a handle that outlives its transaction can do nothing.
 */
import { EffectWriter } from "../../machines/codec/effects.ts";
import { TransactionError } from "./errors.ts";
import { describeIssues, freezeJson } from "./json.ts";
import type { Queue, Table } from "./parts.ts";
import { type ApplicationState, type Change, peekAt } from "./state.ts";

const deleted = Symbol("deleted");

/** What the transaction did to one table. */
interface TableChanges {
  readonly rows: Map<string, unknown>;
  /** Rows more than in the state, or fewer. */
  growth: number;
}

/** What the transaction did to one queue: items taken off the state's, and items of its own that follow. */
interface QueueChanges {
  shifted: number;
  pushed: unknown[];
}

export class TransactionBuffer {
  readonly #state: ApplicationState;
  readonly #effects = new EffectWriter();
  #changes: Change[] = [];
  readonly #tables = new Map<Table, TableChanges>();
  readonly #queues = new Map<Queue, QueueChanges>();
  #maxBytes = 0;

  constructor(state: ApplicationState) {
    this.#state = state;
  }

  get views(): unknown {
    return this.#state.views;
  }

  /** The effects as bytes; valid until the buffer is used again. */
  get effects(): Uint8Array {
    return this.#effects.view();
  }

  get effectBytes(): number {
    return this.#effects.length;
  }

  /** Starts an empty transaction whose effects may take `maxBytes`. */
  begin(maxBytes: number): void {
    this.drop();
    this.#maxBytes = maxBytes;
  }

  /** Forgets everything. */
  drop(): void {
    this.#effects.reset();
    if (this.#changes.length > 0) this.#changes = [];
    if (this.#tables.size > 0) this.#tables.clear();
    if (this.#queues.size > 0) this.#queues.clear();
  }

  /** Makes the changes to the state. */
  apply(): void {
    this.#state.applyChanges(this.#changes);
  }

  get(name: string, key: string): unknown {
    const table = this.#state.table(name);
    const own = this.#tables.get(table)?.rows.get(key);
    if (own === undefined) return table.rows.get(key);
    return own === deleted ? undefined : own;
  }

  has(name: string, key: string): boolean {
    const table = this.#state.table(name);
    const own = this.#tables.get(table)?.rows.get(key);
    return own === undefined ? table.rows.has(key) : own !== deleted;
  }

  size(name: string): number {
    const table = this.#state.table(name);
    return table.rows.size + (this.#tables.get(table)?.growth ?? 0);
  }

  /** Rows as they are now; what the transaction changes while it reads on may or may not be seen. */
  *rows(name: string): Iterable<readonly [string, unknown]> {
    const table = this.#state.table(name);
    const own = new Map(this.#tables.get(table)?.rows);
    for (const entry of table.rows) if (!own.has(entry[0])) yield entry;
    for (const entry of own) if (entry[1] !== deleted) yield entry;
  }

  put(name: string, key: string, row: unknown): void {
    const table = this.#state.table(name);
    checkKey(key);
    const value = checked(table, row);
    const json = JSON.stringify(value);
    this.#checkRoom(json.length);
    this.#effects.put(table.part, key, json);
    this.#checkRoom(0);
    this.#note(table, key, value, 1);
    this.#changes.push({ kind: "put", part: table.part, key, value });
  }

  delete(name: string, key: string): boolean {
    if (!this.has(name, key)) return false;
    const table = this.#state.table(name);
    this.#effects.delete(table.part, key);
    this.#checkRoom(0);
    this.#note(table, key, deleted, -1);
    this.#changes.push({ kind: "delete", part: table.part, key });
    return true;
  }

  queueLength(name: string): number {
    const queue = this.#state.queue(name);
    const own = this.#queues.get(queue);
    return own === undefined ? queue.length : queue.length - own.shifted + own.pushed.length;
  }

  peek(name: string, count: number): unknown[] {
    const queue = this.#state.queue(name);
    const own = this.#queues.get(queue);
    if (own === undefined) return peekAt(queue, 0, count);
    const items = peekAt(queue, own.shifted, count);
    return items.concat(own.pushed.slice(0, count - items.length));
  }

  push(name: string, item: unknown): void {
    const queue = this.#state.queue(name);
    const value = checked(queue, item);
    if (this.queueLength(name) === queue.maxItems) {
      if (queue.whenFull === "refuse")
        throw new TransactionError("full", `queue ${name} holds ${queue.maxItems} items`);
      this.shift(name);
    }
    const json = JSON.stringify(value);
    this.#checkRoom(json.length);
    this.#effects.push(queue.part, json);
    this.#checkRoom(0);
    this.#of(queue).pushed.push(value);
    this.#changes.push({ kind: "push", part: queue.part, value });
  }

  shift(name: string): unknown {
    const queue = this.#state.queue(name);
    if (this.queueLength(name) === 0) return undefined;
    this.#effects.shift(queue.part, 1);
    this.#checkRoom(0);
    this.#changes.push({ kind: "shift", part: queue.part, count: 1 });
    const own = this.#of(queue);
    if (own.shifted === queue.length) return own.pushed.shift();
    own.shifted += 1;
    return queue.at(own.shifted - 1);
  }

  #of(queue: Queue): QueueChanges {
    let own = this.#queues.get(queue);
    if (own === undefined) {
      own = { shifted: 0, pushed: [] };
      this.#queues.set(queue, own);
    }
    return own;
  }

  #note(table: Table, key: string, value: unknown, growth: 1 | -1): void {
    let own = this.#tables.get(table);
    if (own === undefined) {
      own = { rows: new Map(), growth: 0 };
      this.#tables.set(table, own);
    }
    const previous = own.rows.get(key);
    const was = previous === undefined ? table.rows.has(key) : previous !== deleted;
    if (was !== (growth === 1)) own.growth += growth;
    own.rows.set(key, value);
  }

  /** A transaction that does not fit a record is refused while it is built (rule 15). */
  #checkRoom(more: number): void {
    if (this.#effects.length + more > this.#maxBytes)
      throw new TransactionError("tooLarge", `a transaction's effects may take ${this.#maxBytes} bytes here`);
  }
}

function checkKey(key: unknown): void {
  if (typeof key !== "string" || key === "" || (/[\ud800-\udfff]/.test(key) && /\p{Surrogate}/u.test(key)))
    throw new TransactionError("key", "a row's key is a text that is not empty and has no lone surrogates");
}

/** The value as the part's schema gives it, frozen. */
function checked(part: Table | Queue, value: unknown): unknown {
  const parsed = part.schema.safeParse(value);
  if (!parsed.success)
    throw new TransactionError("schema", `${part.kind} ${part.name}: ${describeIssues(parsed.error)}`);
  freezeJson(parsed.data);
  return parsed.data;
}

/** What the author's change is given: the buffer, for as long as the transaction lasts. */
export class TransactionHandle {
  #buffer: TransactionBuffer | null;

  constructor(buffer: TransactionBuffer) {
    this.#buffer = buffer;
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
}
