/**
 * Proves a store right while reading it once, in key order: meta, rows, queue items, log (layout.ts). Pure: entries in,
 * the application's state and the log out. Rule 14: the store may have lost synced writes from the middle, or changed
 * bytes, without a word. What is found, and how:
 *
 *   a changed row, item, segment or meta      its own hash
 *   rows that are older than meta says,       number and sum of all rows' hashes (a lost flush or a lost part of one)
 *   missing, or back from the dead
 *   queue items missing or back               dense indexes, exactly head to tail
 *   log with a hole, a fork, an old tail      dense sequences, chained hashes, epochs that never fall
 *   tables that the log does not explain      the log's hash at `applied`
 *
 * Not found here: the loss of the newest writes together with the meta that spoke of them. That is an older disk, sound
 * in itself; the registry's `base` and epoch tell (PROTOCOL.md, modes and start).
 */
import type { CheckpointMeta, LogEnd, QueuePlace, RowDigest } from "../../schemas/checkpoint.ts";
import type { KeyedHash } from "../codec/keyed-hash.ts";
import { epochAt, hashAt, type LogBatch, verifyBatch } from "../log/batch.ts";
import {
  hashBytes,
  itemHash,
  LayoutError,
  readMeta,
  readSegment,
  readUint64,
  rowKeyAt,
  spaces,
  storedRowHash,
  view,
} from "./layout.ts";
import { RowLedger } from "./row-ledger.ts";
import { SegmentIndex } from "./segments.ts";

export interface Identity {
  readonly service: string;
  readonly server: string;
  /** Why this program can make nothing of a store with this meta, in one sentence; null where it can. */
  whyUnreadable?(meta: CheckpointMeta): string | null;
}

/**
 * The store may not be used; the message is one sentence for the operator. damaged: something is missing or changed.
 * format: another version of Twinlog wrote it. service, server: it is somebody else's. schema: this program can make nothing of it.
 */
export class RecoveryError extends Error {
  readonly code: "damaged" | "format" | "service" | "server" | "schema";
  constructor(code: RecoveryError["code"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "RecoveryError";
    this.code = code;
  }
}

/** Told of everything in the store, in this order. Bytes may be kept and must not be changed. */
export interface RecoveryVisitor {
  onMeta?(meta: CheckpointMeta): void;
  /** In the order of part and key. `key` and `value` are UTF-8. */
  onRow?(part: number, key: Buffer, value: Buffer): void;
  /** The oldest item of a part first. */
  onItem?(part: number, value: Buffer): void;
  /** Dense, from `meta.firstRetained`; records up to `meta.applied` are in rows and items already. */
  onBatch?(batch: LogBatch): void;
  /** Whether the tables that were read are those that were flushed; equal digests, if it is not given. */
  isAsFlushed?(found: string, flushed: string): boolean;
}

/** Throws RecoveryError where this program can make nothing of a store with this meta. */
export function proveReadable(identity: Identity, meta: CheckpointMeta): void {
  const unreadable = identity.whyUnreadable?.(meta) ?? null;
  if (unreadable !== null) throw new RecoveryError("schema", unreadable);
}

export interface Recovered {
  readonly meta: CheckpointMeta;
  /** The last record on disk. */
  readonly end: LogEnd;
  readonly ledger: RowLedger;
  readonly index: SegmentIndex;
  /** The end of the log: batches with records that the tables do not hold. */
  readonly tail: readonly LogBatch[];
}

const damaged = (message: string) => new RecoveryError("damaged", `this server's store is damaged: ${message}`);

export class Scan {
  readonly #identity: Identity;
  readonly #visitor: RecoveryVisitor;
  readonly #hash: KeyedHash;
  readonly #ledger = new RowLedger();
  readonly #queues = new Map<number, { place: QueuePlace; next: number }>();
  #index = new SegmentIndex(0);
  #meta: CheckpointMeta | null = null;
  #last: LogBatch | null = null;
  readonly #tail: LogBatch[] = [];
  #lastEpoch = 0;

  constructor(identity: Identity, hash: KeyedHash, visitor: RecoveryVisitor) {
    this.#identity = identity;
    this.#hash = hash;
    this.#visitor = visitor;
  }

  /** The next entry in key order. Throws RecoveryError. */
  entry(key: Uint8Array, value: Uint8Array): void {
    try {
      this.#take(view(key), view(value));
    } catch (error) {
      if (!(error instanceof LayoutError)) throw error;
      if (error.code === "damaged") throw damaged(error.message);
      throw new RecoveryError(
        "format",
        `this server's store was written by another version of Twinlog: ${error.message}`,
      );
    }
  }

  #take(key: Buffer, value: Buffer): void {
    const meta = this.#meta;
    if (meta === null) {
      if (key.length !== 1 || key[0] !== spaces.meta) throw damaged("its meta record is missing");
      this.#onMeta(readMeta(value));
    } else if (key[0] === spaces.row) this.#onRow(key, value);
    else if (key[0] === spaces.item) this.#onItem(key, value);
    else if (key[0] === spaces.segment) this.#onSegment(meta, readSegment(key, value));
    else throw damaged(`it has a key of an unknown kind, ${key[0]}`);
  }

  #onMeta(meta: CheckpointMeta): void {
    const { service, server } = this.#identity;
    if (meta.service !== service)
      throw new RecoveryError("service", `this store belongs to the service ${meta.service}, not to ${service}`);
    if (meta.server !== server)
      throw new RecoveryError("server", `this store belongs to the server ${meta.server}, not to ${server}`);
    proveReadable(this.#identity, meta);
    this.#meta = meta;
    this.#index = new SegmentIndex(meta.firstRetained - 1);
    for (const place of meta.queues) this.#queues.set(place.part, { place, next: place.head });
    this.#visitor.onMeta?.(meta);
  }

  #onRow(key: Buffer, stored: Buffer): void {
    const part = key[1];
    if (part === undefined || stored.length < hashBytes) throw damaged("a row is cut off");
    const value = stored.subarray(hashBytes);
    const rowKey = key.subarray(rowKeyAt);
    const hash = storedRowHash(part, rowKey, value);
    if (hash !== stored.readUInt32LE(0))
      throw damaged(`the row ${JSON.stringify(rowKey.toString("utf8"))} of part ${part} does not match its hash`);
    this.#hash.hash(part, key, rowKeyAt, key.length);
    this.#ledger.put(this.#hash.low, this.#hash.high, hash);
    this.#visitor.onRow?.(part, rowKey, value);
  }

  #onItem(key: Buffer, stored: Buffer): void {
    if (key.length !== 10 || stored.length < hashBytes) throw damaged("a queue item is cut off");
    const part = key[1] as number;
    const index = readUint64(key, 2);
    const queue = this.#queues.get(part);
    if (queue === undefined || index !== queue.next || index >= queue.place.tail)
      throw damaged(`queue ${part} has the item ${index} where ${queue?.next ?? "none"} should be`);
    const value = stored.subarray(hashBytes);
    if (itemHash(part, index, value) !== stored.readUInt32LE(0))
      throw damaged(`item ${index} of queue ${part} does not match its hash`);
    queue.next += 1;
    this.#visitor.onItem?.(part, value);
  }

  #onSegment(meta: CheckpointMeta, batch: LogBatch): void {
    const before = this.#last;
    const expected = this.#index.end + 1;
    if (batch.first !== expected)
      throw damaged(`the log goes on with record ${batch.first} where ${expected} should be`);
    const fault = verifyBatch(batch);
    if (fault !== null) throw damaged(`in the log, ${fault}`);
    const { applied } = meta;
    if (before !== null && before.lastHash !== batch.previousHash)
      throw damaged(`the log does not chain at record ${batch.first}`);
    if (before !== null && this.#lastEpoch > epochAt(batch, batch.first))
      throw damaged(`the log's epochs fall at record ${batch.first}`);
    const followsTables = batch.first === applied.sequence + 1;
    const holdsApplied = batch.first <= applied.sequence && applied.sequence <= batch.last;
    if (
      (followsTables && batch.previousHash !== applied.hash) ||
      (holdsApplied && hashAt(batch, applied.sequence) !== applied.hash)
    )
      throw damaged(`its tables stand at record ${applied.sequence} of another log`);
    this.#index.add(batch.first, batch.last);
    this.#last = batch;
    this.#lastEpoch = epochAt(batch, batch.last);
    if (batch.last > applied.sequence) this.#tail.push(batch);
    this.#visitor.onBatch?.(batch);
  }

  #proveTables(meta: CheckpointMeta): void {
    for (const { place, next } of this.#queues.values())
      if (next !== place.tail)
        throw damaged(`queue ${place.part} ends at item ${next}; ${place.tail} items were pushed`);
    const { digest } = this.#ledger;
    const isAsFlushed = this.#visitor.isAsFlushed ?? isEqual;
    if (!isAsFlushed(textOf(digest), textOf(meta.digest)))
      throw damaged(
        `its tables hold ${digest.rows} rows with the digest ${digest.sum}; ${meta.digest.rows} rows with ${meta.digest.sum} were flushed`,
      );
  }

  /** After the last entry of all: null when the store is empty. Throws RecoveryError. */
  finish(): Recovered | null {
    const meta = this.#meta;
    if (meta === null) return null;
    this.#proveTables(meta);
    if (this.#index.end < meta.applied.sequence)
      throw damaged(`its tables stand at record ${meta.applied.sequence}, its log ends at ${this.#index.end}`);
    const last = this.#last;
    const end = last === null ? meta.applied : { sequence: last.last, hash: last.lastHash, epoch: this.#lastEpoch };
    return { meta, end, ledger: this.#ledger, index: this.#index, tail: this.#tail };
  }
}

/**
 * Throws RecoveryError where a store's log ends before it did: a batch that is gone from the middle of what was synced takes the log's
 * end with it unnoticed, if nothing but meta was written after it (rule 14).
 */
export function proveEnd({ meta, index }: Recovered): void {
  if (index.end < (meta.logEnd ?? 0))
    throw damaged(`its log ends at record ${index.end}, and went on to ${meta.logEnd}`);
}

function isEqual(found: string, flushed: string): boolean {
  return found === flushed;
}

function textOf({ rows, sum }: RowDigest): string {
  return `${rows} ${sum}`;
}
