/**
 * An application's state in memory: tables, queues, and the views that are derived from them. What always holds: state
 * changes only through `put`, `delete`, `push` and `shift` below, which are the same for a hot server (it passes the
 * values that it has), a warm one (it parses them from a record's bytes) and a load from the store; so equal effects
 * make equal state everywhere, and a warm application is ready at once (claim 16). Which tables and queues there are its catalog
 * says (rule 19), which is part of it; views are there only while that is this program's.
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import { readEffects } from "../../machines/codec/effects.ts";
import type { Catalog, CatalogPart } from "../../schemas/catalog.ts";
import { type Timer, timersName } from "../../schemas/timers.ts";
import { inByteOrder } from "./byte-order.ts";
import { catalogName, catalogOf, planFor } from "./catalog.ts";
import type { Reader, View } from "./contract.ts";
import { type Application, applicationParts, type Part } from "./define.ts";
import { StateError, TransactionError } from "./errors.ts";
import { freezeJson } from "./json.ts";
import { Queue, type Table } from "./parts.ts";
import { finish, type Sliced, sliceRows } from "./slices.ts";
import { TimerIndex } from "./timer-index.ts";
import { Views } from "./views.ts";

export type RowChange =
  | { readonly kind: "put"; readonly part: number; readonly key: string; readonly value: unknown }
  | { readonly kind: "delete"; readonly part: number; readonly key: string };

/** One effect with its value, as a transaction on the hot server collects them. */
export type Change =
  | RowChange
  | { readonly kind: "push"; readonly part: number; readonly value: unknown }
  | { readonly kind: "shift"; readonly part: number; readonly count: number };

/** Of a table or queue that the program does not know. */
const anything = z.unknown();

export class ApplicationState {
  readonly #application: Application;
  /** By number; some may be missing. */
  #parts: (Table | Queue | undefined)[] = [];
  readonly #tables = new Map<string, Table>();
  readonly #queues = new Map<string, Queue>();
  #timers = new TimerIndex(new Map());
  /** Number of the timers' table; -1: there is none. */
  #timersPart = -1;
  #views: Views;
  #catalog: Catalog;
  #whyUnreadable = "";

  /** `catalog`: of the state that is about to be loaded; a new one's, if none is given. */
  constructor(application: Application, catalog: Catalog = catalogOf(application)) {
    this.#application = application;
    this.#catalog = catalog;
    this.#arrange();
    this.#views = this.isCurrent ? Views.empty(application) : Views.deaf(application);
  }

  get catalog(): Catalog {
    return this.#catalog;
  }
  /** It is made as this program has it: requests may be run. */
  get isCurrent(): boolean {
    return catalogName(this.#catalog) === catalogName(catalogOf(this.#application));
  }
  /** Why this program can make nothing of it, for operators; "" where it can. Nothing is applied then, and nothing is in it. */
  get whyUnreadable(): string {
    return this.#whyUnreadable;
  }

  /** With this catalog it is current, and was not before: views are to be made of it first. */
  needsViews(catalog: Catalog): boolean {
    return !this.isCurrent && catalogName(catalog) === catalogName(catalogOf(this.#application));
  }

  /** Of what is there now; nothing may be applied meanwhile. Throws what a view throws. */
  makingViews(): Sliced<Views> {
    // Timers are nothing that views hear of.
    const parts = this.#parts.filter((part) => part !== undefined && part.part !== this.#timersPart) as (
      | Table
      | Queue
    )[];
    return Views.of(this.#application, parts);
  }

  /** A catalog record, after its effects. `views`: where `needsViews`; they are made at once, if none are given. */
  adopt(catalog: Catalog, views?: Views): void {
    const wasCurrent = this.isCurrent;
    if (this.needsViews(catalog)) this.#views = views ?? finish(this.makingViews());
    this.#catalog = catalog;
    this.#arrange();
    if (wasCurrent && !this.isCurrent) this.#views = Views.deaf(this.#application);
  }

  #arrange(): void {
    const plan = planFor(this.#catalog, this.#application);
    this.#whyUnreadable = typeof plan === "string" ? plan : "";
    const before = this.#parts;
    const timersBefore = this.#tables.get(timersName);
    this.#parts = [];
    this.#tables.clear();
    this.#queues.clear();
    if (this.#whyUnreadable === "") this.#arrangeParts(before);
    const timers = this.#tables.get(timersName);
    if (timers !== timersBefore) this.#timers = new TimerIndex(timers?.rows ?? new Map());
    this.#timersPart = timers?.part ?? -1;
  }

  #arrangeParts(before: readonly (Table | Queue | undefined)[]): void {
    for (const stored of this.#catalog.parts) {
      const part = before[stored.part] ?? this.#makePart(stored);
      this.#parts[stored.part] = part;
      if (part.kind === "table") this.#tables.set(part.name, part);
      else this.#queues.set(part.name, part);
    }
  }

  #makePart({ part, kind, name }: CatalogPart): Table | Queue {
    const own = applicationParts(this.#application).find((one) => one.kind === kind && one.name === name);
    const unknown: Part =
      kind === "table"
        ? { kind, part, name, schema: anything }
        : { kind, part, name, schema: anything, maxItems: Number.POSITIVE_INFINITY, whenFull: "dropOldest" };
    const its: Part = own === undefined ? unknown : { ...own, part };
    return its.kind === "table" ? { ...its, rows: new Map<string, unknown>() } : new Queue(its);
  }

  /** Another state that holds the same, and whose views hear nothing. Nothing may be applied meanwhile. Values are shared: they are frozen. */
  *copying(): Sliced<ApplicationState> {
    const copy = new ApplicationState(this.#application, this.#catalog);
    copy.#views = Views.deaf(this.#application);
    for (const part of this.#parts) {
      const its = part === undefined ? undefined : copy.#parts[part.part];
      let copied = 0;
      if (part?.kind === "table" && its?.kind === "table")
        for (const [key, value] of part.rows) {
          its.rows.set(key, value);
          copied += 1;
          if (copied % sliceRows === 0) yield;
        }
      if (part?.kind === "queue" && its?.kind === "queue") {
        its.reset(part.head);
        for (; copied < part.length; ) {
          its.push(part.at(copied));
          copied += 1;
          if (copied % sliceRows === 0) yield;
        }
      }
    }
    return copy;
  }

  get views(): Readonly<Record<string, View>> {
    return this.#views.all;
  }

  /** In the order in which they are due. */
  get timers(): TimerIndex {
    return this.#timers;
  }
  get timerCount(): number {
    return this.#tables.get(timersName)?.rows.size ?? 0;
  }

  /** Throws TransactionError `part`. */
  table(name: string): Table {
    const table = this.#tables.get(name);
    if (table === undefined) throw new TransactionError("part", `there is no table ${name}`);
    return table;
  }

  /** Throws TransactionError `part`. */
  queue(name: string): Queue {
    const queue = this.#queues.get(name);
    if (queue === undefined) throw new TransactionError("part", `there is no queue ${name}`);
    return queue;
  }

  /** A committed record's effects, on a warm server. Throws StateError or EffectError; the state is then of no use. */
  apply(effects: Uint8Array): void {
    if (this.#whyUnreadable !== "") return;
    readEffects(effects, this.#bytesVisitor);
  }

  /** The hot server's own effects, the first `count` of `changes`, their values at hand. Throws what a view throws; the state is then of no use. */
  applyChanges(changes: readonly Change[], count: number): void {
    for (let at = 0; at < count; at += 1) {
      const change = changes[at] as Change;
      switch (change.kind) {
        case "put":
          this.#put(change.part, change.key, change.value);
          break;
        case "delete":
          this.#delete(change.part, change.key);
          break;
        case "push":
          this.#push(change.part, change.value);
          break;
        case "shift":
          this.#shift(change.part, change.count);
          break;
      }
    }
  }

  /** A row from the store; rows may come in any order. */
  loadRow(part: number, key: string, value: Uint8Array): void {
    if (this.#whyUnreadable !== "") return;
    this.#put(part, key, parseValue(value));
  }

  /** A queue's item from the store, oldest first; `index` counts from the queue's first item ever. */
  loadQueueItem(part: number, index: number, value: Uint8Array): void {
    if (this.#whyUnreadable !== "") return;
    const queue = this.#queueAt(part);
    if (queue.length === 0) queue.reset(index);
    if (queue.head + queue.length !== index)
      throw new StateError(`queue ${queue.name}: item ${index} was read after item ${queue.head + queue.length - 1}`);
    this.#push(part, parseValue(value));
  }

  /** Says where an empty queue's next item stands, after a load. The store remembers those that were dropped too. */
  setQueueHead(part: number, head: number): void {
    const queue = this.#parts[part];
    if (queue?.kind === "queue" && queue.length === 0) queue.reset(head);
  }

  /** Index, since the queue's first item ever, of its oldest item. */
  queueHead(part: number): number {
    return this.#queueAt(part).head;
  }

  /** How many rows and items there are, for status. */
  get size(): number {
    let size = 0;
    for (const part of this.#parts) size += part?.kind === "table" ? part.rows.size : (part?.length ?? 0);
    return size;
  }

  /**
   * SHA-256 in hex over all rows, by part and then by the bytes of their keys, and all queue items, oldest first; each
   * as part u8, key length u32, key, value length u32, value (JSON). A queue's item has the key length 0xffffffff and no
   * key. It can be computed from the store's bytes in the same way. It takes about a second for a million rows.
   */
  digest(): string {
    const hash = createHash("sha256");
    const feed = (part: number, key: string | undefined, value: unknown) => {
      const json = JSON.stringify(value);
      const head = Buffer.allocUnsafe(5);
      head[0] = part;
      head.writeUInt32LE(key === undefined ? 0xffffffff : Buffer.byteLength(key), 1);
      const length = Buffer.allocUnsafe(4);
      length.writeUInt32LE(Buffer.byteLength(json));
      hash
        .update(head)
        .update(key ?? "")
        .update(length)
        .update(json);
    };
    for (const part of this.#parts) {
      if (part === undefined) continue;
      if (part.kind === "table")
        for (const key of inByteOrder(part.rows.keys())) feed(part.part, key, part.rows.get(key));
      else for (let offset = 0; offset < part.length; offset += 1) feed(part.part, undefined, part.at(offset));
    }
    return hash.digest("hex");
  }

  /** As new: no rows, no items, new views. */
  clear(): void {
    for (const part of this.#parts) {
      if (part?.kind === "table") part.rows.clear();
      else part?.reset(0);
    }
    this.#timers = new TimerIndex(this.#tables.get(timersName)?.rows ?? new Map());
    this.#views = this.isCurrent ? Views.empty(this.#application) : Views.deaf(this.#application);
  }

  readonly #bytesVisitor = {
    put: (part: number, key: string, value: Uint8Array) => this.#put(part, key, parseValue(value)),
    delete: (part: number, key: string) => this.#delete(part, key),
    push: (part: number, value: Uint8Array) => this.#push(part, parseValue(value)),
    shift: (part: number, count: number) => this.#shift(part, count),
  };

  #put(part: number, key: string, value: unknown): void {
    const { name, rows } = this.tableAt(part);
    if (part === this.#timersPart) {
      rows.set(key, value);
      this.#timers.put(key, value as Timer);
      return;
    }
    const listeners = this.#views.listeners.put;
    const before = listeners.length === 0 ? undefined : rows.get(key);
    rows.set(key, value);
    for (const view of listeners) view.put(name, key, value, before);
  }

  #delete(part: number, key: string): void {
    const { name, rows } = this.tableAt(part);
    const before = rows.get(key);
    if (!rows.delete(key)) throw new StateError(`table ${name} has no row ${key} to delete`);
    if (part === this.#timersPart) {
      this.#timers.delete(key);
      return;
    }
    for (const view of this.#views.listeners.delete) view.delete(name, key, before);
  }

  #push(part: number, value: unknown): void {
    const queue = this.#queueAt(part);
    queue.push(value);
    for (const view of this.#views.listeners.push) view.push(queue.name, value);
  }

  #shift(part: number, count: number): void {
    const queue = this.#queueAt(part);
    const values: unknown[] = [];
    for (let shifted = 0; shifted < count; shifted += 1) values.push(queue.shift());
    for (const view of this.#views.listeners.shift) view.shift(queue.name, values);
  }

  /** Throws StateError. */
  tableAt(part: number): Table {
    const table = this.#parts[part];
    if (table?.kind !== "table") throw new StateError(`part ${part} is not a table of ${this.#application.name}`);
    return table;
  }

  #queueAt(part: number): Queue {
    const queue = this.#parts[part];
    if (queue?.kind !== "queue") throw new StateError(`part ${part} is not a queue of ${this.#application.name}`);
    return queue;
  }
}

/** Read-only sight of a state, for queries. */
export class StateReader implements Reader<never, never, never> {
  readonly #state: ApplicationState;

  constructor(state: ApplicationState) {
    this.#state = state;
  }

  get views(): never {
    return this.#state.views as never;
  }
  get(table: string, key: string): undefined {
    return this.#state.table(table).rows.get(key) as undefined;
  }
  has(table: string, key: string): boolean {
    return this.#state.table(table).rows.has(key);
  }
  size(table: string): number {
    return this.#state.table(table).rows.size;
  }
  rows(table: string): Iterable<never> {
    return this.#state.table(table).rows.entries() as Iterable<unknown> as Iterable<never>;
  }
  queueLength(queue: string): number {
    return this.#state.queue(queue).length;
  }
  peek(queue: string, count = 1): readonly never[] {
    return peekAt(this.#state.queue(queue), 0, count) as never[];
  }
}

/** At most `count` items from `offset` on. */
export function peekAt(queue: Queue, offset: number, count: number): unknown[] {
  const items: unknown[] = [];
  for (let at = offset; at < queue.length && items.length < count; at += 1) items.push(queue.at(at));
  return items;
}

function parseValue(bytes: Uint8Array): unknown {
  try {
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
    const value: unknown = JSON.parse(text);
    freezeJson(value);
    return value;
  } catch (error) {
    throw new StateError("a stored value is not JSON", { cause: error });
  }
}
