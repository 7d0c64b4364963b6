/**
 * The application's contract: what an author writes. All of an application's state is tables and queues; all changes
 * are effects, which are mirrored and replayed. A handler may use clocks and randomness: what is mirrored is what it
 * did, not that it was run. What must be quick: `handle`, transactions and queries run on the server's one thread.
 *
 * The last transaction of a synchronous handler is committed together with its result, as one record: if the handler
 * then throws, or returns what its schema forbids, that transaction is dropped as well. Transactions before it stay (each
 * is atomic by itself), and so do all of a handler that returns a promise: its result is a record of its own.
 * Values (rows, items, what a transaction or a handler returns) are plain JSON: undefined, NaN, dates, bigints and
 * objects of classes are refused. They are frozen: state is changed by effects only.
 */
import type { z } from "zod";

/** What a queue does with a push when it holds `maxItems`. */
export type WhenFull = "dropOldest" | "refuse";

export interface QueueDefinition<T extends z.ZodType = z.ZodType> {
  item: T;
  /** The bound: a queue never holds more. */
  maxItems: number;
  whenFull: WhenFull;
}

export type Tables = Readonly<Record<string, z.ZodType>>;
export type Queues = Readonly<Record<string, QueueDefinition>>;
/** Derived state, in memory only: rebuilt from effects on every server, hot and warm alike. */
export type ViewDefinitions = Readonly<Record<string, () => View>>;

/**
 * A view hears of every effect after it was applied, in order; `before` is the row's old value. It must depend on
 * nothing else. Values are shared: do not change them.
 */
export interface View {
  put?(table: string, key: string, value: unknown, before: unknown): void;
  delete?(table: string, key: string, before: unknown): void;
  push?(queue: string, value: unknown): void;
  shift?(queue: string, values: readonly unknown[]): void;
}

type RowOf<T extends Tables, N extends keyof T> = Readonly<z.infer<T[N]>>;
type ItemOf<Q extends Queues, N extends keyof Q> = Readonly<z.infer<Q[N]["item"]>>;
export type ViewsOf<V extends ViewDefinitions> = { readonly [N in keyof V]: ReturnType<V[N]> };

/** Reads of committed and own state. In a transaction it shows the transaction's own changes; views show them after it. */
export interface Reader<T extends Tables, Q extends Queues, V extends ViewDefinitions> {
  get<N extends keyof T & string>(table: N, key: string): RowOf<T, N> | undefined;
  has(table: keyof T & string, key: string): boolean;
  size(table: keyof T & string): number;
  /** In no order that may be relied on. */
  rows<N extends keyof T & string>(table: N): Iterable<readonly [key: string, row: RowOf<T, N>]>;
  queueLength(queue: keyof Q & string): number;
  /** The oldest items, at most `count`. */
  peek<N extends keyof Q & string>(queue: N, count?: number): readonly ItemOf<Q, N>[];
  readonly views: ViewsOf<V>;
}

/** The changes that a transaction may make. Values are checked against the part's schema. */
export interface Transaction<T extends Tables, Q extends Queues, V extends ViewDefinitions, Body = unknown>
  extends Reader<T, Q, V> {
  /** When its request was taken: `RequestContext.nowMs`. */
  readonly nowMs: number;
  put<N extends keyof T & string>(table: N, key: string, row: z.infer<T[N]>): void;
  delete(table: keyof T & string, key: string): boolean;
  push<N extends keyof Q & string>(queue: N, item: z.infer<Q[N]["item"]>): void;
  shift<N extends keyof Q & string>(queue: N): ItemOf<Q, N> | undefined;
  /**
   * Sets the timer of this name, or sets it anew: at `atMs` (ms since 1970, as `nowMs`), or at once where that is past, `body` comes as
   * a request of the client `$timers`, once, on whichever server is the primary then. It is gone with the first record of that request.
   */
  schedule(id: string, atMs: number, body: Body): void;
  /** False: there was none. */
  cancel(id: string): boolean;
  timer(id: string): { readonly atMs: number; readonly body: unknown } | undefined;
}

export interface RequestContext<T extends Tables, Q extends Queues, V extends ViewDefinitions, Body = unknown> {
  /** Who asks: a broker with permissions lets nobody else use the name, so that what a client owns can be kept under it. */
  readonly client: string;
  readonly id: string;
  /**
   * The time, ms since 1970: when the primary took the request, by the clock that the service's log keeps (rule 20). It never falls
   * from one request to one that is taken later, whichever server takes it, and is the same when the request is resumed.
   */
  readonly nowMs: number;
  /** What the client says: its `issuedAt`, or where it gave none the wall clock of the primary; the same when it is resumed. */
  readonly stampMs: number;
  /**
   * Its trace context (W3C `traceparent`), as the client's header said it and the request's records carry it: the same when it is
   * resumed. Undefined: none.
   */
  readonly traceparent: string | undefined;
  /** Name of the timer whose request this is; undefined for a client's. No client can send one. */
  readonly timer: string | undefined;
  /** True when an earlier server began this request and died: completed transactions return their stored values. */
  readonly resumed: boolean;
  /** Aborted when the handler's time is up or the server stops being hot. */
  readonly signal: AbortSignal;
  /**
   * Runs `change` at once, synchronously and atomically, never twice. Names are unique in a request and in a fixed
   * order. Throws what `change` throws, and TransactionError; then nothing of it was done.
   */
  transaction<R>(name: string, change: (tx: Transaction<T, Q, V, Body>) => R): R;
  /**
   * Resolves when everything this request did so far can no longer be lost. Await it before touching the outside. The
   * wait does not count as the handler's time; it rejects when the request is over before.
   */
  committed(): Promise<void>;
}

export interface QueryDefinition<
  T extends Tables,
  Q extends Queues,
  V extends ViewDefinitions,
  Body extends z.ZodType = z.ZodType,
> {
  /** The query's fields besides `query`, which names it. */
  body: Body;
  /** What it answers: announced to clients, and an answer that is none is an APPLICATION_ERROR. Left out: any JSON. */
  result?: z.ZodType;
  /**
   * Synchronous. Read only; the answer is sent when what it saw is committed. `sequence` is the log position that it saw. `asker.client`:
   * the name under which it was asked, the last token of the query's subject: a broker may hold each user to his own.
   */
  answer(
    body: z.infer<Body>,
    state: Reader<T, Q, V>,
    sequence: number,
    asker: Pick<RequestContext<T, Q, V>, "client">,
  ): unknown;
}

/** What a migration sees of the state, and changes: the tables and queues of all versions, by name. */
export interface MigrationTransaction {
  get(table: string, key: string): unknown;
  has(table: string, key: string): boolean;
  /** The migration to the program's own version is held to its schemas. */
  put(table: string, key: string, row: unknown): void;
  delete(table: string, key: string): boolean;
  push(queue: string, item: unknown): void;
}

/** What an earlier version stored: this program has no type for it, and an author may parse it with that version's schema. */
export type StoredValue = Readonly<Record<string, unknown>>;

/**
 * From one version to the next: for each table or queue that changes, what becomes of one row or item. It is called for
 * each row that was there, in the order of the keys' bytes, and for each item, the oldest first, which is taken off the queue. What it
 * does is done together with this row being done, once, whatever dies meanwhile: so nothing may be carried from one call to
 * the next except in tables. Into the table that is gone through it puts only the row that it was called for. What it does not
 * name stays as it is; tables and queues that the program does not have any more are dropped afterwards, with all that is in them.
 */
export interface Migration {
  readonly [part: string]: (old: StoredValue, tx: MigrationTransaction, key: string) => void;
}

/** By the version that each makes. */
export type Migrations = Readonly<Record<number, Migration>>;

export interface ApplicationDefinition<
  Req extends z.ZodType = z.ZodType,
  Res extends z.ZodType = z.ZodType,
  T extends Tables = Tables,
  Q extends Queues = Queues,
  V extends ViewDefinitions = ViewDefinitions,
> {
  readonly name: string;
  /** The name under which its data was begun, where that was another: servers and stores go on knowing it by that. `name`, if none is given. */
  readonly storedAs: string;
  /** Of what is stored: another one where tables or queues change so that rows must be written anew. 1, if none is given. */
  readonly version: number;
  readonly migrations: Migrations;
  readonly request: Req;
  readonly result: Res;
  /** The partition key: third token of the request's subject. */
  key(body: z.infer<Req>): string;
  readonly tables: T;
  readonly queues: Q;
  readonly views: V;
  /** The bound on timers (`Transaction.schedule`); null: there are none. */
  readonly timers: { readonly maxTimers: number } | null;
  handle(request: z.infer<Req>, context: RequestContext<T, Q, V, z.input<Req>>): z.infer<Res> | Promise<z.infer<Res>>;
  /** A query's body names it: `{"query": "<name>", …}`. */
  readonly queries: Readonly<Record<string, QueryDefinition<T, Q, V>>>;
}

/** What a client of this application sends and gets. */
export type BodyOf<A extends ApplicationDefinition> = z.input<A["request"]>;
export type ResultOf<A extends ApplicationDefinition> = z.output<A["result"]>;
