/**
 * The interfaces to the world. Everything that a server can see or touch is one of these; an adapter file beside this
 * one implements each for a library, and test/simulation implements all of them with one seeded scheduler.
 * What always holds: callbacks are never called from inside the call that caused them (always a later turn), and
 * nothing here throws for a fault of the world: faults are values, typed errors, or silence.
 */

import type { ApplicationCode, DeathNotice, LastWords } from "../../schemas/death.ts";
import type { LinkName } from "../../schemas/link.ts";
import type { RegistryRead, RegistryRecord, RegistryWrite } from "../../schemas/registry.ts";
import type { LastBackup, RegistryWarning, Surroundings } from "../../schemas/surroundings.ts";

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Monotonic, ms, with fractions. The only time that decisions use. */
  nowMs(): number;
  /** The wall clock, ms since 1970: for stamps only, never for safety (rule 12). */
  wallMs(): number;
  after(delayMs: number, run: () => void): Timer;
  /** Runs after the input that is already waiting was handled (`setImmediate`): this is what makes batches. */
  soon(run: () => void): void;
  /** A fresh id of 22 or fewer of A-Z a-z 0-9 - _. */
  randomId(): string;
  /** 0 <= x < 1, for jitter only. */
  random(): number;
}

/**
 * closed: the peer's kernel closed or refused the connection. noResponders: NATS says that nobody listens for the peer.
 * disconnected: our own side of the link is gone (no NATS). These are facts, not judgements: silence is judged by failover.
 */
export type LinkDownReason = "closed" | "refused" | "noResponders" | "disconnected";

export interface LinkHandlers {
  onUp(peer: string): void;
  onDown(peer: string, reason: LinkDownReason): void;
  /** One whole frame, as it was sent; `frame` is the receiver's to keep. */
  onFrame(peer: string, frame: Uint8Array): void;
  /** Something in the peer's name was dropped, for nothing proves that it is the peer's; `why` is for people, and none of its bytes. */
  onUnproven?(peer: string, why: string): void;
  /** What a server's watchdog said before it ended its process; by the failsafe link, once for each life or more often. */
  onLastWords?(words: LastWords): void;
}

/**
 * One kind of connection to all peers. A frame arrives whole or not at all. It may be lost, repeated or reordered
 * (rule 4: the order on the wire is never trusted); main keeps order within one connection.
 */
export interface Link {
  readonly kind: LinkName;
  /** What it delivers in a peer's name is proven to be that peer's. */
  readonly isProven: boolean;
  start(handlers: LinkHandlers): Promise<void>;
  /** Sends the parts as one frame. False: not sent (no connection, too large, or too much is waiting). Parts are not kept after the call unless they are never changed again. */
  send(peer: string, parts: readonly Uint8Array[]): boolean;
  /** Bytes that wait in this process for the peer to read. */
  bufferedBytes(peer: string): number;
  /** Largest frame that this peer is sent now, in bytes: it may change whenever the link comes up anew. */
  maxFrameBytes(peer: string): number;
  stop(): Promise<void>;
}

export interface BusMessage {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly reply: string;
  /** Set on messages that the broker itself sends: 503 says that nobody listens where a request with this reply subject went. */
  readonly status?: number | undefined;
  /** Absent when there are none. An adapter may decode them only when they are read. */
  readonly headers?: BusHeaders | undefined;
}

/** `BusMessage.status`: nobody listens ("no responders"). The message that it answers certainly reached no server. */
export const noRespondersStatus = 503;

export interface Subscription {
  stop(): void;
}

export type BusHeaders = Readonly<Record<string, string>>;

/**
 * What the broker did not take from this process, on any of its connections. publish, subscribe: it forbids that subject.
 * size: a message larger, or a line of the protocol longer, than it takes; never sent. cutOff: it ended a connection, and said why.
 * lost: there is no connection, and why; after each dial that failed.
 */
export interface BusFault {
  readonly kind: "publish" | "subscribe" | "size" | "cutOff" | "lost";
  /** Empty where it is of no one subject; a pattern, of a connection that carries nothing else. */
  readonly subject: string;
  /** For people. */
  readonly reason: string;
}

/**
 * Publish and subscribe for clients, results and operators. Nothing published while disconnected is ever sent later (situation 15).
 * Results may have a connection of their own: it is no part of `connected`, and its end is told by `onFault` (lost), before anything
 * is sent over the next one.
 */
export interface Bus {
  start(onState: (connected: boolean) => void): Promise<void>;
  connected(): boolean;
  subscribe(subject: string, onMessage: (message: BusMessage) => void): Subscription;
  /** `reply`: the subject where answers shall go. False: not sent, because there is no connection for it, or it does not fit. */
  publish(subject: string, data: Uint8Array, headers?: BusHeaders, reply?: string): boolean;
  /** As the broker of the present connection says, or the last one's: each may have another limit. */
  maxPayloadBytes(): number;
  /** How many bytes of data the broker takes there now, with these headers; negative: not even an empty message. */
  room(subject: string, headers?: BusHeaders, reply?: string): number;
  /**
   * True once the broker certainly has all that was published before; false if the connection was lost meanwhile. What it
   * forbade of that was told before (`onFault`).
   */
  flush(): Promise<boolean>;
  /** Told of each. */
  onFault(listener: (fault: BusFault) => void): Subscription;
  /** A new subject for answers, which nobody can guess; it may be followed by more tokens. */
  inbox(): string;
  /** Registers with the NATS services API ($SRV.PING/INFO/STATS). */
  announceService(info: {
    name: string;
    version: string;
    description: string;
    metadata: Record<string, string>;
    stats: () => Record<string, unknown>;
    /** Whether an answer may go there; else there is none. */
    mayAnswer: (reply: string) => boolean;
  }): Promise<Subscription>;
  stop(): Promise<void>;
}

export interface Registry {
  /** From the stream's leader, never from a replica or a cache. */
  read(): Promise<RegistryRead>;
  /** One try, never repeated by the adapter. */
  compareAndSet(record: RegistryRecord, expectedRevision: number): Promise<RegistryWrite>;
  /** `init` only: makes the bucket if it is missing and the key if it is missing. lost: the key exists. */
  create(record: RegistryRecord): Promise<RegistryWrite>;
  /** What weakens the registry: the broker's version, the bucket's settings. */
  warnings(): Promise<RegistryWarning[]>;
  /** Names of the JetStream streams that store, and so acknowledge, what is published on any of these; null: not known. */
  streamsOver(subjects: readonly string[]): Promise<string[] | null>;
}

export type StoreWrite = { type: "put"; key: Uint8Array; value: Uint8Array } | { type: "delete"; key: Uint8Array };

/** Thrown by every method of a store; after `failed` or `full` the handle is dead (rule 14). */
export class StoreError extends Error {
  /** `unsafe`: the directory is another user's, or others may write it. */
  readonly code: "locked" | "unsafe" | "damaged" | "full" | "failed" | "closed";
  constructor(code: StoreError["code"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "StoreError";
    this.code = code;
  }
}

export interface StoreRange {
  /** Inclusive. */
  readonly from: Uint8Array;
  /** Exclusive. */
  readonly to: Uint8Array;
  readonly reverse?: boolean;
  readonly limit?: number;
}

export type StoreEntry = readonly [key: Uint8Array, value: Uint8Array];

/** One server's durable key-value store, ordered by key bytes. Writes are atomic batches, applied in the order of the calls. */
export interface Store {
  /** Makes the directory this process's, unless it is already, removes an unfinished side directory and opens. Throws StoreError. */
  open(): Promise<void>;
  /** Sees every write that is done; one that is still under way may be seen or not. */
  get(key: Uint8Array): Promise<Uint8Array | undefined>;
  /** As of the call: what was done by then, and maybe what was under way. */
  entries(range: StoreRange): AsyncIterable<StoreEntry>;
  /**
   * The store's files are lent to another thread, which reads and proves them (`actors/threads/proof-thread.ts`, which is given `data`):
   * what it says, in order. Until it has ended nothing else may be asked of the store. Absent, or null: it is read here; there are no
   * threads, or it is too small to be worth one. Throws StoreError.
   */
  readElsewhere?(data: unknown): Promise<AsyncIterable<unknown> | null>;
  /** With `sync`, resolves once this batch and all before it are on the disk. */
  write(batch: readonly StoreWrite[], options: { sync: boolean }): Promise<void>;
  /** Everything as of the call, in key order, whatever is written meanwhile. */
  image(): AsyncIterable<StoreEntry>;
  /** An empty store in a side directory; `adopt` makes it this store, atomically and durably (rule 7). */
  side(): Promise<SideStore>;
  /** How much room this store takes, and the earlier ones that were set aside. */
  usage(): Promise<StoreUsage>;
  /** The directory stays this process's, for its next life. */
  close(): Promise<void>;
  /** Closes, and lets other processes have the directory. */
  release(): Promise<void>;
}

/** An earlier store that was set aside, whole: something that the present one does not hold is in it. */
export interface AsideCopy {
  /** Its date, and what it was set aside as. */
  readonly name: string;
  readonly bytes: number;
}

export interface StoreUsage {
  readonly bytes: number;
  /** The oldest first. */
  readonly aside: readonly AsideCopy[];
}

export interface SideStore {
  write(batch: readonly StoreWrite[]): Promise<void>;
  image(): AsyncIterable<StoreEntry>;
  /**
   * `asideAs` null: the old content is dropped. Else it is set aside under this name and the date, whole and durably, before
   * the new one counts; the copy's name comes back.
   */
  adopt(asideAs: string | null): Promise<string | null>;
  discard(): Promise<void>;
}

export type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
  /** What keeps lines from being written now; null when all were, or the log never fails. */
  trouble?(): string | null;
}

/**
 * Ends the process when the application's code does not return: from outside the thread that is blocked. It measures that
 * thread's own time on a core and never wall time, so that a process that is paused, or waits for a core, is never ended.
 */
export interface Watchdog {
  /** Why the watchdog ended this server's process before this one; null if it did not. */
  readonly lastWords: LastWords | null;
  /** From here until `leave` this code of the application runs. Called for each request: it allocates nothing. */
  enter(code: ApplicationCode, client: string, id: string, bodyHash: number, isRecorded: boolean): void;
  leave(): void;
  /** So many handlers wait for something of theirs; each may go on at any time. The one is named, where it is one. */
  onWaiting(count: number, client: string, id: string, isRecorded: boolean): void;
}

export const noWatchdog: Watchdog = { lastWords: null, enter() {}, leave() {}, onWaiting() {} };

/** A message that does nothing, on a subject that the broker may forbid. */
export interface TriedOut {
  readonly subject: string;
  readonly headers?: BusHeaders;
}

/** All of the world that one server sees. */
export interface World {
  readonly clock: Clock;
  readonly main: Link;
  readonly failsafe: Link;
  readonly bus: Bus;
  readonly registry: Registry;
  readonly store: Store;
  readonly log: Log;
  /** Absent where none can be had. */
  readonly watchdog?: Watchdog;
  /** Who is believed in a server's name without a proof, for operators. Absent where nobody is. */
  readonly unproven?: string | undefined;
  /** The notice of a death, as bytes for this server. Absent where servers prove nothing: it is plain JSON. */
  readonly noticeFor?: ((notice: DeathNotice, to: string) => Uint8Array) | undefined;
  /** Published now and then, empty, so that a permission that is lacking shows before it is needed. Absent where nothing is forbidden. */
  readonly triedOut?: readonly TriedOut[];
  /** Looked at now and then, for operators; nothing is decided by it. Absent where there is nothing to look at. */
  readonly lookAround?: () => Promise<Surroundings>;
  /** A backup was read to its end: `lookAround` tells it from now on. Absent where nothing is kept. */
  readonly noteBackup?: (backup: LastBackup) => Promise<void>;
}

/** What a program asks a server by HTTP: facts alone. `query`: what follows the first "?", as it came. */
export interface HttpQuestion {
  readonly path: string;
  readonly query: string;
}

export interface HttpAnswer {
  readonly status: 200 | 400 | 404 | 503;
  /** Of the body: `application/json`. */
  readonly type: string;
  readonly body: string;
}

/** Of this process, for those who watch it. */
export interface ProcessFacts {
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  readonly heapBytes: number;
  /** Seconds since 1970. */
  readonly startedAtSeconds: number;
  /** How late the main thread came to what was due, lately: all but a hundredth of it, and the worst. */
  readonly delaySeconds: { readonly p99: number; readonly max: number };
}

export interface Sample {
  readonly value: number;
  /** Bounded: never what a client chose. */
  readonly labels?: Readonly<Record<string, string>>;
}

/** `counts`: one more than `bounds`, not summed up; `bounds` and `sum` in the metric's unit. */
export interface HistogramReading {
  readonly bounds: readonly number[];
  readonly counts: ArrayLike<number>;
  readonly sum: number;
}

/** One metric as it is told to Prometheus, read from `Source` when somebody asks. */
export type Metric<Source> = { readonly name: string; readonly help: string } & (
  | {
      readonly type: "gauge" | "counter";
      readonly labels: readonly string[];
      readonly read: (source: Source) => readonly Sample[];
    }
  | { readonly type: "histogram"; readonly read: (source: Source) => HistogramReading }
);
