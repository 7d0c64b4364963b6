/**
 * The transaction log in memory (claims 1, 27): records as bytes, in batches, dense from `base` to `last`.
 *
 * What always holds: sequences are dense; every batch starts with the hash that the one before ends with; epochs never
 * fall; the bytes of a record never change once written. Records that this server makes are encoded straight into an
 * arena and closed into batches once a turn, so that a record costs no allocation; a batch that comes from elsewhere is
 * checked record by record. No closed batch is larger than `maxBatchBytes`, whatever came in one turn, from a peer or from
 * a disk that was written under another limit: only a record that is larger than that is a batch of its own.
 */
import { maxEpochEnds } from "../../schemas/peer-message.ts";
import type { Position } from "../../schemas/registry.ts";
import { chainHash, encodeRecord, RecordError, type RecordFields, RecordReader, recordBound } from "../codec/record.ts";
import { cutTo, hashAt, type LogBatch, sliceFrom, sliceThrough } from "./batch.ts";

const usualArenaBytes = 1024 * 1024;
/** The last sequence of the records made in an epoch. */
export interface EpochEnd {
  readonly epoch: number;
  readonly last: number;
}

/** So much may be in memory: for joiners, and what waits for the disk, or for NATS to get its results (rule 15). */
export function maxLogBytes(limits: { readonly maxRetainedBytes: number; readonly maxUnflushedBytes: number }): number {
  return limits.maxRetainedBytes + limits.maxUnflushedBytes;
}

export interface MemoryLogOptions {
  /** What is allocated at a time for own records. */
  readonly arenaBytes?: number;
  /** Largest batch: what one message between servers may carry (rule 15). */
  readonly maxBatchBytes?: number;
}

export type AppendFault = "gap" | "hash" | "damaged";

export class MemoryLog {
  #batches: LogBatch[] = [];
  #base: Position;
  #closed: Position;
  #epochEnds: EpochEnd[] = [];
  #retainedBytes = 0;
  #arena: Buffer = Buffer.alloc(0);
  #openAt = 0;
  #openEnd = 0;
  #openFirst = 0;
  #last: number;
  #turnBytes = 0;

  readonly #arenaBytes: number;
  readonly #maxBatchBytes: number;

  /** An empty log that continues from a position. */
  constructor(
    base: Position = { sequence: 0, hash: 0 },
    epochEnds: readonly EpochEnd[] = [],
    { arenaBytes = usualArenaBytes, maxBatchBytes = Number.POSITIVE_INFINITY }: MemoryLogOptions = {},
  ) {
    this.#arenaBytes = arenaBytes;
    this.#maxBatchBytes = maxBatchBytes;
    this.#base = base;
    this.#closed = base;
    this.#last = base.sequence;
    this.#epochEnds = [...epochEnds];
  }

  /** Sequence of the newest record, closed or not. */
  get last(): number {
    return this.#last;
  }
  /** Where the records in memory begin: the position before the first of them. */
  get base(): Position {
    return this.#base;
  }
  /** End of the last closed batch. */
  get closed(): Position {
    return this.#closed;
  }
  /** Epoch of the newest record, 0 for none. */
  get lastEpoch(): number {
    return this.#epochEnds.at(-1)?.epoch ?? 0;
  }
  get epochEnds(): readonly EpochEnd[] {
    return this.#epochEnds;
  }
  get retainedBytes(): number {
    return this.#retainedBytes + this.#openEnd - this.#openAt;
  }
  /** Bytes of own records since the last end of a turn. */
  get turnBytes(): number {
    return this.#turnBytes;
  }
  /** The buffer that holds the record appended last, and its end there: replies point into it. */
  get arena(): Buffer {
    return this.#arena;
  }

  /** Appends a record that this server makes; `fields.sequence` must be the next. Returns where it starts in `arena`. */
  append(fields: RecordFields): number {
    if (fields.sequence !== this.#last + 1) throw new Error(`record ${fields.sequence} appended after ${this.#last}`);
    if (fields.epoch < this.lastEpoch)
      throw new Error(`a record of epoch ${fields.epoch} after one of ${this.lastEpoch}`);
    const bound = recordBound(fields);
    if (this.#openEnd + bound > this.#arena.length) {
      this.#closeOpen();
      this.#arena = Buffer.allocUnsafeSlow(Math.max(this.#arenaBytes, bound));
      this.#openAt = 0;
      this.#openEnd = 0;
    }
    const start = this.#openEnd;
    const end = encodeRecord(this.#arena, start, fields);
    if (end - this.#openAt > this.#maxBatchBytes) this.#closeOpen();
    if (start === this.#openAt) this.#openFirst = fields.sequence;
    this.#openEnd = end;
    this.#turnBytes += end - start;
    this.#last = fields.sequence;
    this.#noteEpoch(fields.epoch, fields.sequence);
    return start;
  }

  /** The end of a turn: all records are in batches. The last of those appended since the last call; null if there are none. */
  close(): LogBatch | null {
    this.#turnBytes = 0;
    return this.#closeOpen();
  }

  #closeOpen(): LogBatch | null {
    if (this.#openEnd === this.#openAt) return null;
    const bytes = this.#arena.subarray(this.#openAt, this.#openEnd);
    const batch: LogBatch = {
      first: this.#openFirst,
      last: this.#last,
      previousHash: this.#closed.hash,
      lastHash: chainHash(bytes, this.#closed.hash),
      bytes,
    };
    this.#openAt = this.#openEnd;
    this.#keep(batch);
    return batch;
  }

  /** Appends a batch made elsewhere, whole or not at all (rule 4). Null if it was appended. */
  appendBatch(batch: LogBatch): AppendFault | null {
    if (this.#openEnd !== this.#openAt) throw new Error("a batch from elsewhere while own records are open");
    if (batch.first !== this.#last + 1) return "gap";
    if (batch.previousHash !== this.#closed.hash) return "hash";
    if (batch.bytes.length === 0 || chainHash(batch.bytes, batch.previousHash) !== batch.lastHash) return "damaged";
    const ends = epochEndsOf(batch, this.lastEpoch);
    if (ends === null) return "damaged";
    for (const end of ends) this.#noteEpoch(end.epoch, end.last);
    this.#last = batch.last;
    if (batch.bytes.length <= this.#maxBatchBytes) this.#keep(batch);
    else for (const piece of cutTo(batch, this.#maxBatchBytes)) this.#keep(piece);
    return null;
  }

  #noteEpoch(epoch: number, last: number): void {
    const ends = this.#epochEnds;
    const newest = ends.length - 1;
    if (newest >= 0 && ends[newest]?.epoch === epoch) ends[newest] = { epoch, last };
    else ends.push({ epoch, last });
    if (ends.length > maxEpochEnds) ends.shift();
  }

  #keep(batch: LogBatch): void {
    this.#batches.push(batch);
    this.#retainedBytes += batch.bytes.length;
    this.#closed = { sequence: batch.last, hash: batch.lastHash };
  }

  /** Index of the first batch whose last sequence is at least `sequence`. */
  #find(sequence: number): number {
    let low = 0;
    let high = this.#batches.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#batches[middle]?.last ?? 0) < sequence) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Closed batches that hold records from `from` to `through`, cut to exactly these. */
  *batches(from: number, through: number): Generator<LogBatch> {
    if (from <= this.#base.sequence)
      throw new Error(`records from ${from}; memory begins at ${this.#base.sequence + 1}`);
    for (let at = this.#find(from); at < this.#batches.length; at += 1) {
      let batch = this.#batches[at] as LogBatch;
      if (batch.first > through || from > through) return;
      if (batch.last > through) batch = sliceThrough(batch, through);
      if (batch.first < from) batch = sliceFrom(batch, from);
      yield batch;
    }
  }

  /** The log's hash at a closed sequence; undefined where it is no longer, or not yet, in memory. */
  hashAt(sequence: number): number | undefined {
    if (sequence === this.#closed.sequence) return this.#closed.hash;
    if (sequence === this.#base.sequence) return this.#base.hash;
    if (sequence < this.#base.sequence || sequence > this.#closed.sequence) return undefined;
    const batch = this.#batches[this.#find(sequence)] as LogBatch;
    return batch.last === sequence ? batch.lastHash : hashAt(batch, sequence);
  }

  /** Drops everything above `after` (rule 7). */
  truncate(after: number): void {
    this.close();
    if (after >= this.#last) return;
    if (after < this.#base.sequence)
      throw new Error(`truncation to ${after}; memory begins at ${this.#base.sequence + 1}`);
    const hash = this.hashAt(after) as number;
    const at = this.#find(after + 1);
    const cut = this.#batches[at];
    this.#batches.length = at;
    if (cut !== undefined && cut.first <= after) this.#batches.push(sliceThrough(cut, after));
    this.#retainedBytes = this.#batches.reduce((sum, batch) => sum + batch.bytes.length, 0);
    this.#closed = { sequence: after, hash };
    this.#last = after;
    const ends = this.#epochEnds;
    while (ends.length > 1 && (ends.at(-2)?.last ?? 0) >= after) ends.pop();
    const newest = ends.at(-1);
    if (after === 0) ends.length = 0;
    else if (newest !== undefined) ends[ends.length - 1] = { epoch: newest.epoch, last: after };
  }

  /** About how many bytes of records lie above a sequence; whole batches. */
  bytesAbove(sequence: number): number {
    let bytes = 0;
    for (let at = this.#find(sequence + 1); at < this.#batches.length; at += 1)
      bytes += this.#batches[at]?.bytes.length ?? 0;
    return bytes;
  }

  /** Lets go of batches that end at or below `through`, oldest first, until at most `keepBytes` are retained. */
  trim(through: number, keepBytes: number): void {
    let drop = 0;
    while (drop < this.#batches.length && this.#retainedBytes > keepBytes) {
      const batch = this.#batches[drop] as LogBatch;
      if (batch.last > through) break;
      this.#retainedBytes -= batch.bytes.length;
      this.#base = { sequence: batch.last, hash: batch.lastHash };
      drop += 1;
    }
    if (drop > 0) this.#batches.splice(0, drop);
  }

  /** A copy that shares the closed batches' bytes, which never change; what is open is copied, for both go on writing. */
  clone(): MemoryLog {
    const limits = { arenaBytes: this.#arenaBytes, maxBatchBytes: this.#maxBatchBytes };
    const copy = new MemoryLog(this.#base, this.#epochEnds, limits);
    copy.#turnBytes = this.#turnBytes;
    copy.#batches = [...this.#batches];
    copy.#closed = this.#closed;
    copy.#last = this.#last;
    copy.#retainedBytes = this.#retainedBytes;
    if (this.#openEnd > this.#openAt) {
      copy.#arena = Buffer.allocUnsafeSlow(this.#arena.length);
      this.#arena.copy(copy.#arena, this.#openAt, this.#openAt, this.#openEnd);
      copy.#openAt = this.#openAt;
      copy.#openEnd = this.#openEnd;
      copy.#openFirst = this.#openFirst;
    }
    return copy;
  }
}

/** The last record of each epoch in it, its own end included; null where the bytes are not the records that it names. */
function epochEndsOf(batch: LogBatch, lastEpoch: number): EpochEnd[] | null {
  const ends: EpochEnd[] = [];
  let epoch = lastEpoch;
  let sequence = batch.first - 1;
  try {
    const reader = new RecordReader(batch.bytes);
    do {
      sequence += 1;
      if (reader.sequence !== sequence || reader.epoch < epoch) return null;
      if (reader.epoch > epoch && sequence > batch.first && epoch > 0) ends.push({ epoch, last: sequence - 1 });
      epoch = reader.epoch;
    } while (reader.next());
  } catch (error) {
    if (error instanceof RecordError) return null;
    throw error;
  }
  if (sequence !== batch.last) return null;
  ends.push({ epoch, last: batch.last });
  return ends;
}
