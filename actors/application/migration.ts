/**
 * From the state as it is to the one that the program wants, as records (rule 19). All of it is made on a copy first, so that a
 * migration that throws, or leaves a row that its schema refuses, has changed nothing. What always holds: a record's effects belong
 * to the rows that its catalog says are done, so that whoever goes on after a crash goes on behind them; the last record's
 * catalog is the program's.
 */
import type { z } from "zod";
import { hashOf } from "../../machines/codec/body-hash.ts";
import type { Catalog, MigrationPlace } from "../../schemas/catalog.ts";
import { isAfter, KeysInOrder } from "./byte-order.ts";
import { catalogName, type Plan, planFor, readCatalog } from "./catalog.ts";
import type { Migration as Change, MigrationTransaction, StoredValue } from "./contract.ts";
import type { Application } from "./define.ts";
import { messageOf, TransactionError } from "./errors.ts";
import { describeIssues } from "./json.ts";
import type { Queue, Table } from "./parts.ts";
import { InSlices, type Sliced, sliceRows } from "./slices.ts";
import type { ApplicationState } from "./state.ts";
import { TransactionBuffer } from "./transaction.ts";
import type { Views } from "./views.ts";

/** A record of a migration: what it changes, and the catalog that then holds. */
export interface CatalogRecord {
  readonly name: string;
  readonly effects: Uint8Array;
  /** JSON. */
  readonly catalog: Buffer;
}

export interface MigrationLimits {
  /** Of one record, effects and catalog together. */
  readonly maxRecordBytes: number;
  /** Its effects are no more, unless one row's are; 1: each row is a record by itself. */
  readonly closeBytes?: number;
}

/** A record's effects are no more, unless one row's are. */
const recordBytes = 256 * 1024;
/** What a record has beside effects, catalog and key. */
const overheadBytes = 1024;

/** The migration cannot be made. Nothing of it was done, and the state is as it was. */
export class MigrationError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "MigrationError";
  }
}

export class Migration {
  readonly #application: Application;
  readonly #plan: Plan;
  readonly #limits: MigrationLimits;
  readonly #catalogBytes: number;
  readonly #records: CatalogRecord[] = [];
  readonly #work: InSlices<void>;
  /** Records that were given out. */
  #given = 0;
  /** The copy, and what changes it, once it is made. */
  #scratch!: ApplicationState;
  #buffer!: TransactionBuffer;
  /** Through here everything is made, on the copy. */
  #place: MigrationPlace | undefined;
  /** Of the record that is being filled. */
  #effects: Buffer[] = [];
  #effectBytes = 0;
  #rows = 0;

  /** Throws MigrationError where there is no way from this state to the program's. */
  constructor(state: ApplicationState, application: Application, limits: MigrationLimits) {
    const plan = planFor(state.catalog, application);
    if (typeof plan === "string") throw new MigrationError(plan);
    this.#application = application;
    this.#plan = plan;
    this.#limits = limits;
    this.#catalogBytes = Math.max(...[plan.union, plan.target].map((one) => Buffer.byteLength(JSON.stringify(one))));
    // Also where no row changes: the catalog itself is a record.
    this.#checkRoom("");
    this.#place = plan.union.migration;
    this.#work = new InSlices(this.#make(state));
  }

  /** Rows and items that were gone through so far. */
  get rows(): number {
    return this.#rows;
  }

  /** Works on the copy for as long as `mayGoOn` says, and the state stays as it is; true when all records are made. Throws MigrationError. */
  make(mayGoOn: () => boolean): boolean {
    return this.#work.goOn(mayGoOn) !== null;
  }

  /** How many records are still to be given out, once all are made. The last one's catalog is the program's. */
  get left(): number {
    return this.#records.length - this.#given;
  }

  /** The next record, once all are made; undefined after the last. */
  next(): CatalogRecord | undefined {
    const record = this.#records[this.#given];
    if (record !== undefined) this.#given += 1;
    return record;
  }

  *#make(state: ApplicationState): Sliced {
    const { union, target } = this.#plan;
    this.#scratch = yield* state.copying();
    this.#buffer = new TransactionBuffer(this.#scratch);
    if (this.#place !== undefined) {
      this.#scratch.adopt(union);
      this.#add(union);
      yield* this.#makeVersions();
      yield* this.#drop();
    }
    yield* this.#prove();
    yield* this.#tryViews();
    this.#add(target);
  }

  /** Closes the record that is being filled: its effects, and then this catalog. */
  #add(catalog: Catalog): void {
    this.#records.push({
      name: catalogName(catalog),
      effects: Buffer.concat(this.#effects),
      catalog: Buffer.from(JSON.stringify(catalog)),
    });
    this.#effects = [];
    this.#effectBytes = 0;
  }

  // --- versions ---------------------------------------------------------------------------------------------------

  *#makeVersions(): Sliced {
    const last = this.#application.version;
    for (const to of this.#plan.versions) {
      const changes = Object.entries(this.#application.migrations[to] ?? {});
      const parts = changes.map(([name, change]) => ({ part: this.#partOf(name, to), change }));
      const begun = this.#place?.to === to ? this.#place : undefined;
      const from = parts.findIndex(({ part }) => part.part === begun?.part);
      if (from < 0 && typeof begun?.part === "number")
        throw new MigrationError(
          `the migration to version ${to} was begun by a program that goes through other tables and queues: go on with that one`,
        );
      for (const { part, change } of parts.slice(Math.max(0, from))) {
        const isLenient = to < last;
        if (part.kind === "table") yield* this.#goThroughTable(part, change, to, isLenient);
        else yield* this.#goThroughQueue(part, change, to, isLenient);
      }
      this.#place = { target: last, to: to + 1, part: null, after: null, left: null };
      yield;
    }
  }

  #partOf(name: string, to: number): Table | Queue {
    // Of an old one and a new one of the same name, the old one.
    const its = this.#plan.union.parts.find((one) => one.name === name);
    if (its === undefined)
      throw new MigrationError(
        `the migration to version ${to} names ${name}, which is no table or queue of the data or of this program: migrate to version ${to - 1} with the program of that version first`,
      );
    return its.kind === "table" ? this.#scratch.table(name) : this.#scratch.queue(name);
  }

  *#goThroughTable(table: Table, change: Change[string], to: number, isLenient: boolean): Sliced {
    const begun = this.#place?.to === to && this.#place.part === table.part ? this.#place.after : null;
    const keys = new KeysInOrder();
    yield* keys.gather(table.rows.keys());
    const handle = new RowHandle(this.#buffer, table);
    let seen = 0;
    for (let key = keys.next(); key !== undefined; key = keys.next()) {
      seen += 1;
      if (seen % sliceRows === 0) yield;
      const row = table.rows.get(key);
      // One that an earlier row's change deleted, or that was gone through before a crash.
      if (row === undefined || (begun !== null && !isAfter(key, begun))) continue;
      this.#begin(key, isLenient);
      handle.key = key;
      this.#call(() => change(row as StoredValue, handle, key), `${table.name}/${key}`, to);
      this.#end({ target: this.#application.version, to, part: table.part, after: key, left: null });
    }
    this.#close();
  }

  *#goThroughQueue(queue: Queue, change: Change[string], to: number, isLenient: boolean): Sliced {
    const begun = this.#place?.to === to && this.#place.part === queue.part ? this.#place.left : null;
    const handle = new RowHandle(this.#buffer, null);
    // By place: a push to a full queue drops the oldest, and what was pushed is not gone through again.
    const end = queue.head + (begun ?? queue.length);
    while (queue.head < end) {
      this.#begin("", isLenient);
      const item = this.#buffer.shift(queue.name);
      this.#call(() => change(item as StoredValue, handle, ""), queue.name, to);
      const left = Math.max(0, end - this.#buffer.headOf(queue.name));
      this.#end({ target: this.#application.version, to, part: queue.part, after: null, left });
      if (this.#rows % sliceRows === 0) yield;
    }
    this.#close();
  }

  #call(change: () => unknown, what: string, to: number): void {
    try {
      const returned = change();
      if (typeof returned === "object" && returned !== null && "then" in returned)
        throw new TransactionError("asynchronous", "it returned a promise: a migration is synchronous");
    } catch (error) {
      throw this.#failedAt(what, to, error);
    }
  }

  // --- records ----------------------------------------------------------------------------------------------------

  #begin(key: string, isLenient: boolean): void {
    this.#buffer.begin(this.#checkRoom(key), isLenient);
  }

  #checkRoom(key: string): number {
    const room = this.#roomFor(key);
    if (room > 0) return room;
    const { maxRecordBytes } = this.#limits;
    throw new MigrationError(
      `the catalog of tables and queues takes ${this.#catalogBytes} bytes and does not fit in a record of ${maxRecordBytes}: raise maxRecordBytes (or the broker's max_payload) on all servers, or make the schemas smaller; nothing was changed`,
    );
  }

  /** For effects, beside the catalog, in which the key stands. */
  #roomFor(key: string): number {
    return this.#limits.maxRecordBytes - overheadBytes - this.#catalogBytes - Buffer.byteLength(JSON.stringify(key));
  }

  /** One row is done, and with it everything through `place`. */
  #end(place: MigrationPlace): void {
    const bytes = this.#buffer.effectBytes;
    const room = Math.min(this.#limits.closeBytes ?? recordBytes, this.#roomFor(place.after ?? ""));
    if (this.#effectBytes > 0 && this.#effectBytes + bytes > room) this.#close();
    this.#effects.push(Buffer.from(this.#buffer.effects));
    this.#effectBytes += bytes;
    this.#buffer.apply();
    this.#place = place;
    this.#rows += 1;
  }

  #close(): void {
    if (this.#effectBytes === 0) return;
    this.#add({ ...this.#plan.union, ...(this.#place === undefined ? {} : { migration: this.#place }) });
  }

  // --- the end ----------------------------------------------------------------------------------------------------

  /** What the program does not have any more. */
  *#drop(): Sliced {
    const { union, target } = this.#plan;
    const last = this.#application.version;
    this.#place = { target: last, to: last + 1, part: null, after: null, left: null };
    for (const { part, kind, name } of union.parts) {
      if (target.parts.some((one) => one.part === part)) continue;
      const gone = kind === "table" ? this.#scratch.table(name).rows.keys() : itemsOf(this.#scratch.queue(name));
      for (const key of gone) {
        this.#begin("", true);
        if (kind === "table") this.#buffer.delete(name, key);
        else this.#buffer.shift(name);
        this.#end(this.#place);
        if (this.#rows % sliceRows === 0) yield;
      }
      this.#close();
    }
  }

  /** Rows and items that no schema of this program has seen yet. */
  *#prove(): Sliced {
    for (const { part, kind, name } of this.#plan.target.parts) {
      if (!this.#plan.changed.has(part)) continue;
      const its = kind === "table" ? this.#scratch.table(name) : this.#scratch.queue(name);
      for (const [key, value] of entriesOf(its)) {
        const why = whyOther(its.schema.safeParse(value), value);
        if (why !== "")
          throw new MigrationError(
            `after the migration to version ${this.#application.version} ${name}${key === "" ? "" : `/${key}`} is not what its schema says: ${why}`,
          );
        this.#rows += 1;
        if (this.#rows % sliceRows === 0) yield;
      }
    }
  }

  /** They see it here for the first time: one that throws has changed nothing either. */
  *#tryViews(): Sliced {
    try {
      yield* this.#scratch.makingViews();
    } catch (error) {
      throw this.#failedAt("its views", this.#application.version, error);
    }
  }

  #failedAt(what: string, to: number, cause: unknown): MigrationError {
    return new MigrationError(`the migration to version ${to} failed at ${what}: ${messageOf(cause)}`, { cause });
  }
}

/** One made record: on the state that it was made for, and behind it in the log. `views`: made before the last, which has no effects. */
export function applyRecord(
  state: ApplicationState,
  { effects, catalog }: Omit<CatalogRecord, "name">,
  views?: Views,
): void {
  if (effects.length > 0) state.apply(effects);
  state.adopt(readCatalog(catalog), views);
}

/** "" where the value is what the schema makes of it: a default is in what is written, not in what is stored already. */
function whyOther(parsed: z.ZodSafeParseResult<unknown>, value: unknown): string {
  if (!parsed.success) return describeIssues(parsed.error);
  if (hashOf(parsed.data) === hashOf(value)) return "";
  return "a field is missing for which it has a default, or there is one that it does not know: write it anew in the migration";
}

function* entriesOf(part: Table | Queue): Generator<readonly [key: string, value: unknown]> {
  if (part.kind === "table") yield* part.rows;
  else for (let offset = 0; offset < part.length; offset += 1) yield ["", part.at(offset)];
}

/** As often as it has items; they have no keys. */
function* itemsOf({ length }: Queue): Generator<string> {
  for (let at = 0; at < length; at += 1) yield "";
}

/** What the author's function is given: the buffer, and the row for which it is called. */
class RowHandle implements MigrationTransaction {
  readonly #buffer: TransactionBuffer;
  readonly #table: Table | null;
  key = "";

  constructor(buffer: TransactionBuffer, table: Table | null) {
    this.#buffer = buffer;
    this.#table = table;
  }

  get(table: string, key: string): unknown {
    return this.#buffer.get(table, key);
  }
  has(table: string, key: string): boolean {
    return this.#buffer.has(table, key);
  }
  put(table: string, key: string, row: unknown): void {
    if (table === this.#table?.name && key !== this.key)
      throw new TransactionError(
        "key",
        `row ${key} of ${table} is put while ${table} is gone through: only the row that is being changed may be`,
      );
    this.#buffer.put(table, key, row);
  }
  delete(table: string, key: string): boolean {
    return this.#buffer.delete(table, key);
  }
  push(queue: string, item: unknown): void {
    this.#buffer.push(queue, item);
  }
}
