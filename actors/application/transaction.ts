/**
 * The transaction being built: its effects as bytes and as changes, and what it changed so far, so that it reads its own
 * writes. One buffer is used for all transactions of a server, one after the other. What always holds: state is
 * untouched until the buffer is applied; a handle that outlives its transaction can do nothing.
 */
import { EffectWriter } from "../../machines/codec/effects.ts";
import { TransactionError } from "./errors.ts";
import { describeIssues, freezeJson } from "./json.ts";
import type { Queue, Table } from "./parts.ts";
import { type ApplicationState, type Change, peekAt, type RowChange } from "./state.ts";

/** What the transaction did to one queue: items taken off the state's, and items of its own that follow. */
interface QueueChanges {
  shifted: number;
  readonly pushed: unknown[];
}

/** Up to this many changes are looked through one by one; more are found by a map. */
const fewChanges = 12;
/** An array that held more is let go, with all that its changes hold. */
const manyChanges = 64;

const noEffects = new Uint8Array(0);

export class TransactionBuffer {
  readonly #state: ApplicationState;
  readonly #effects = new EffectWriter();
  /** The first `#count` are this transaction's; the array is used again. */
  #changes: Change[] = [];
  #count = 0;
  /** The latest change of each row, by table; kept once there are more than a few changes. */
  readonly #latest = new Map<Table, Map<string, RowChange>>();
  readonly #queues = new Map<Queue, QueueChanges>();
  #maxBytes = 0;
  #isLenient = false;

  constructor(state: ApplicationState) {
    this.#state = state;
  }

  get views(): unknown {
    return this.#state.views;
  }

  /** The effects as bytes; valid until the buffer is used again. */
  get effects(): Uint8Array {
    return this.#effects.length === 0 ? noEffects : this.#effects.view();
  }

  /** Changes so far. */
  get count(): number {
    return this.#count;
  }

  get effectBytes(): number {
    return this.#effects.length;
  }

  /** Starts an empty transaction whose effects may take `maxBytes`. Lenient: values are any JSON, whatever the program's schemas say. */
  begin(maxBytes: number, isLenient = false): void {
    this.drop();
    this.#maxBytes = maxBytes;
    this.#isLenient = isLenient;
  }

  /** Forgets everything. */
  drop(): void {
    this.#effects.reset();
    if (this.#count > manyChanges) this.#changes = [];
    this.#count = 0;
    if (this.#latest.size > 0) this.#latest.clear();
    if (this.#queues.size > 0) this.#queues.clear();
  }

  /** Makes the changes to the state. */
  apply(): void {
    this.#state.applyChanges(this.#changes, this.#count);
  }

  get(name: string, key: string): unknown {
    const table = this.#state.table(name);
    const own = this.#own(table, key);
    if (own === undefined) return table.rows.get(key);
    return own.kind === "put" ? own.value : undefined;
  }

  has(name: string, key: string): boolean {
    const table = this.#state.table(name);
    const own = this.#own(table, key);
    return own === undefined ? table.rows.has(key) : own.kind === "put";
  }

  size(name: string): number {
    const table = this.#state.table(name);
    let size = table.rows.size;
    for (const [key, { kind }] of this.#ownRows(table))
      size += (kind === "put" ? 1 : 0) - (table.rows.has(key) ? 1 : 0);
    return size;
  }

  /** Rows as they are now; what the transaction changes while it reads on may or may not be seen. */
  *rows(name: string): Iterable<readonly [string, unknown]> {
    const table = this.#state.table(name);
    const own = new Map(this.#ownRows(table));
    for (const entry of table.rows) if (!own.has(entry[0])) yield entry;
    for (const [key, change] of own) if (change.kind === "put") yield [key, change.value];
  }

  put(name: string, key: string, row: unknown): void {
    const table = this.#state.table(name);
    checkKey(key);
    const value = this.#checked(table, row);
    const json = JSON.stringify(value);
    this.#checkRoom(json.length);
    this.#effects.put(table.part, key, json);
    this.#checkRoom(0);
    this.#add({ kind: "put", part: table.part, key, value });
  }

  delete(name: string, key: string): boolean {
    if (!this.has(name, key)) return false;
    const table = this.#state.table(name);
    this.#effects.delete(table.part, key);
    this.#checkRoom(0);
    this.#add({ kind: "delete", part: table.part, key });
    return true;
  }

  queueLength(name: string): number {
    const queue = this.#state.queue(name);
    const own = this.#queues.get(queue);
    return own === undefined ? queue.length : queue.length - own.shifted + own.pushed.length;
  }

  /** Index, since the queue's first item ever, of the oldest that is left of the state's. */
  headOf(name: string): number {
    const queue = this.#state.queue(name);
    return queue.head + (this.#queues.get(queue)?.shifted ?? 0);
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
    const value = this.#checked(queue, item);
    // An earlier program may have had a larger bound.
    while (this.queueLength(name) >= queue.maxItems) {
      if (queue.whenFull === "refuse")
        throw new TransactionError("full", `queue ${name} holds ${queue.maxItems} items`);
      this.shift(name);
    }
    const json = JSON.stringify(value);
    this.#checkRoom(json.length);
    this.#effects.push(queue.part, json);
    this.#checkRoom(0);
    this.#of(queue).pushed.push(value);
    this.#add({ kind: "push", part: queue.part, value });
  }

  shift(name: string): unknown {
    const queue = this.#state.queue(name);
    if (this.queueLength(name) === 0) return undefined;
    this.#effects.shift(queue.part, 1);
    this.#checkRoom(0);
    this.#add({ kind: "shift", part: queue.part, count: 1 });
    const own = this.#of(queue);
    if (own.shifted === queue.length) return own.pushed.shift();
    own.shifted += 1;
    return queue.at(own.shifted - 1);
  }

  #checked(part: Table | Queue, value: unknown): unknown {
    if (!this.#isLenient) return checked(part, value);
    freezeJson(value);
    return value;
  }

  #of(queue: Queue): QueueChanges {
    let own = this.#queues.get(queue);
    if (own === undefined) {
      own = { shifted: 0, pushed: [] };
      this.#queues.set(queue, own);
    }
    return own;
  }

  /** The latest change that the transaction made to a row. */
  #own(table: Table, key: string): RowChange | undefined {
    if (this.#count > fewChanges) return this.#latest.get(table)?.get(key);
    for (let at = this.#count - 1; at >= 0; at -= 1) {
      const change = this.#changes[at];
      if (change?.part === table.part && isRowChange(change) && change.key === key) return change;
    }
    return undefined;
  }

  /** The latest change of each row of a table. */
  #ownRows(table: Table): Map<string, RowChange> {
    if (this.#count > fewChanges) return this.#latest.get(table) ?? new Map<string, RowChange>();
    const rows = new Map<string, RowChange>();
    for (let at = 0; at < this.#count; at += 1) {
      const change = this.#changes[at];
      if (change?.part === table.part && isRowChange(change)) rows.set(change.key, change);
    }
    return rows;
  }

  #add(change: Change): void {
    this.#changes[this.#count] = change;
    this.#count += 1;
    if (this.#count === fewChanges + 1) {
      for (let at = 0; at < this.#count; at += 1) this.#index(this.#changes[at]);
    } else if (this.#count > fewChanges) this.#index(change);
  }

  #index(change: Change | undefined): void {
    if (change === undefined || !isRowChange(change)) return;
    const table = this.#state.tableAt(change.part);
    let rows = this.#latest.get(table);
    if (rows === undefined) {
      rows = new Map();
      this.#latest.set(table, rows);
    }
    rows.set(change.key, change);
  }

  /** A transaction that does not fit a record is refused while it is built (rule 15). */
  #checkRoom(more: number): void {
    if (this.#effects.length + more > this.#maxBytes)
      throw new TransactionError("tooLarge", `a transaction's effects may take ${this.#maxBytes} bytes here`);
  }
}

function isRowChange(change: Change): change is RowChange {
  return change.kind === "put" || change.kind === "delete";
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
