/**
 * The one writer of the store. Whatever is asked for while a write is under way waits and goes together into the next
 * one: group commit, which is what makes a server that is alone fast (claims 1, 5).
 *
 * What always holds:
 * 1. One write at a time; meta is whole in every write that has it, so a lost write never mixes two of them.
 * 2. `synced` is reported only for what the newest log says: a truncation takes its part of the log back at once, also
 *    from a write that is under way.
 * 3. Nothing at or below `applied` is ever truncated; no segment above `applied` is ever dropped for age.
 * 4. After the first error nothing is written any more, and everything that waits is told (rule 14).
 */
import { metaKey, metaValue, readSegment, segmentKey, segmentValue } from "../../machines/checkpoint/layout.ts";
import type { LogTail } from "../../machines/checkpoint/log-tail.ts";
import { packSegments, type SegmentIndex } from "../../machines/checkpoint/segments.ts";
import { sliceThrough } from "../../machines/log/batch.ts";
import type { CheckpointMeta, LogEnd, OwnerMeta, QueuePlace, RowDigest } from "../../schemas/checkpoint.ts";
import { type Store, StoreError, type StoreWrite } from "../world/ports.ts";

export type MetaPatch = Partial<OwnerMeta>;

export interface WriterHandlers {
  /** Everything through this sequence is on the disk, synced. Always from a later turn than the call that asked. */
  onSynced(sequence: number): void;
  /** Everything through this sequence was given to the operating system. */
  onWritten(sequence: number): void;
  /** Once; the handle is dead (rule 14). */
  onFailure(error: Error): void;
}

/** Folded and ready: one atomic, synced write. */
export interface FlushWrite {
  readonly applied: LogEnd;
  readonly digest: RowDigest;
  readonly queues: QueuePlace[];
  readonly rows: readonly StoreWrite[];
  /** Segments wholly below this sequence are dropped, as far as they are applied. */
  readonly retainFrom: number;
  readonly patch: MetaPatch;
}

interface Waiter {
  resolve(): void;
  reject(error: Error): void;
}

export class Writer {
  readonly #store: Store;
  readonly #tail: LogTail;
  readonly #index: SegmentIndex;
  readonly #handlers: WriterHandlers;
  #meta: CheckpointMeta;
  #synced: number;
  #written: number;
  #syncTarget = 0;
  #writeTarget = 0;
  #truncateAfter: number | null = null;
  #flush: FlushWrite | null = null;
  /** From `beginFlush` until the flush is written, its commit point: the log goes to the disk with it through there. */
  #flushing: number | null = null;
  #patch: MetaPatch | null = null;
  #waiters: Waiter[] = [];
  #truncateWaiters: Waiter[] = [];
  #running: Promise<void> | null = null;
  #failure: Error | null = null;

  /** What a store held when it was opened counts as synced through `applied`; the rest once the next sync is done. */
  constructor(store: Store, tail: LogTail, meta: CheckpointMeta, index: SegmentIndex, handlers: WriterHandlers) {
    this.#store = store;
    this.#tail = tail;
    this.#meta = meta;
    this.#index = index;
    this.#handlers = handlers;
    this.#synced = meta.applied.sequence;
    this.#written = index.end;
  }

  get meta(): CheckpointMeta {
    return this.#meta;
  }
  get synced(): number {
    return this.#synced;
  }
  get written(): number {
    return this.#written;
  }

  /** Makes the log durable through this sequence; `onSynced` tells when. */
  sync(through: number): void {
    if (through <= this.#synced) return;
    this.#syncTarget = Math.max(this.#syncTarget, through);
    this.#start();
  }

  /** The same without waiting for the disk (confirm level `written`). */
  write(through: number): void {
    if (through <= this.#written) return;
    this.#writeTarget = Math.max(this.#writeTarget, through);
    this.#start();
  }

  saveMeta(patch: MetaPatch): Promise<void> {
    this.#patch = { ...this.#patch, ...patch };
    return this.#wait(this.#waiters);
  }

  /** A flush is being prepared: what is committed is not truncated any more. */
  beginFlush(committed: number): void {
    if (this.#flushing !== null) throw new RangeError("a flush while another one is under way");
    this.#flushing = committed;
  }

  flush(flush: FlushWrite): Promise<void> {
    this.#flush = flush;
    return this.#wait(this.#waiters);
  }

  /** Takes back everything above `after` (rule 7): what is asked for from now on is of the new log. */
  truncate(after: number): Promise<void> {
    const kept = Math.max(this.#meta.applied.sequence, this.#flushing ?? 0);
    if (after < kept) throw new RangeError(`truncation to record ${after}; everything through ${kept} is committed`);
    this.#truncateAfter = Math.min(this.#truncateAfter ?? after, after);
    this.#syncTarget = Math.min(this.#syncTarget, after);
    this.#writeTarget = Math.min(this.#writeTarget, after);
    this.#synced = Math.min(this.#synced, after);
    this.#written = Math.min(this.#written, after);
    return this.#wait(this.#truncateWaiters);
  }

  /** Something waits, or is under way. */
  get isBusy(): boolean {
    return this.#running !== null;
  }

  /** Resolves when nothing waits and nothing is under way, failed or not. */
  async drained(): Promise<void> {
    while (this.#running !== null) await this.#running;
  }

  #wait(waiters: Waiter[]): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== null) {
        reject(this.#failure);
        return;
      }
      waiters.push({ resolve, reject });
      this.#start();
    });
  }

  #start(): void {
    if (this.#running !== null || this.#failure !== null) return;
    this.#running = this.#run().then(() => {
      this.#running = null;
      if (this.#hasWork()) this.#start();
    });
  }

  #hasWork(): boolean {
    return (
      this.#truncateAfter !== null ||
      this.#flush !== null ||
      this.#patch !== null ||
      this.#syncTarget > this.#synced ||
      this.#writeTarget > this.#index.end
    );
  }

  async #run(): Promise<void> {
    try {
      // All that is asked for in this turn goes together, and no callback comes from inside the call that caused it.
      await Promise.resolve();
      while (this.#failure === null && this.#hasWork()) {
        if (this.#truncateAfter !== null) await this.#writeTruncation(this.#truncateAfter);
        else await this.#writeNext();
      }
    } catch (error) {
      this.fail(error instanceof Error ? error : new Error("a write failed", { cause: error }));
    }
  }

  /** Tells everybody that the handle is dead; later calls are refused. */
  fail(error: Error): void {
    if (this.#failure !== null) return;
    this.#failure = error;
    for (const waiter of [...this.#waiters, ...this.#truncateWaiters]) waiter.reject(error);
    this.#waiters = [];
    this.#truncateWaiters = [];
    this.#handlers.onFailure(error);
  }

  /** Everything that waits, as one batch. Synced, unless nobody asked for more than `written`. */
  async #writeNext(): Promise<void> {
    const flush = this.#flush;
    const waiters = this.#waiters;
    const mustSync = flush !== null || this.#patch !== null || this.#syncTarget > this.#synced;
    const withFlush = flush === null ? 0 : (this.#flushing ?? 0);
    const through = Math.max(this.#syncTarget, this.#writeTarget, withFlush);
    const before = this.#index.end;
    const batch: StoreWrite[] = [];
    if (flush !== null) this.#dropOldSegments(flush, batch);
    if (through > before)
      packSegments(this.#tail.batches(before + 1, through), before + 1, through, (first, last, write) => {
        this.#index.add(first, last);
        batch.push(write);
      });
    if (flush !== null) for (const write of flush.rows) batch.push(write);
    if (flush !== null || this.#patch !== null) this.#meta = this.#nextMeta(flush);
    // Meta goes into every batch that has no records too: an empty batch need not sync anything.
    if (mustSync && (flush !== null || this.#patch !== null || batch.length === 0)) batch.push(this.#putMeta());
    if (flush !== null) this.#flushing = null;
    this.#flush = null;
    this.#patch = null;
    this.#waiters = [];
    const end = this.#index.end;
    try {
      await this.#store.write(batch, { sync: mustSync });
    } catch (error) {
      this.#waiters = [...waiters, ...this.#waiters];
      throw error;
    }
    this.#report(end, mustSync);
    for (const waiter of waiters) waiter.resolve();
  }

  /** It says how far the log goes with it. */
  #putMeta(): StoreWrite {
    this.#meta = { ...this.#meta, logEnd: this.#index.end };
    return { type: "put", key: metaKey, value: metaValue(this.#meta) };
  }

  #report(end: number, isSynced: boolean): void {
    const stands = Math.min(end, this.#truncateAfter ?? end);
    if (stands > this.#written) {
      this.#written = stands;
      this.#handlers.onWritten(stands);
    }
    if (!isSynced || stands <= this.#synced) return;
    this.#synced = stands;
    this.#handlers.onSynced(stands);
  }

  #dropOldSegments(flush: FlushWrite, batch: StoreWrite[]): void {
    for (const first of this.#index.takeBelow(Math.min(flush.retainFrom, flush.applied.sequence + 1)))
      batch.push({ type: "delete", key: segmentKey(first) });
  }

  #nextMeta(flush: FlushWrite | null): CheckpointMeta {
    const meta = { ...this.#meta, ...this.#patch, ...flush?.patch };
    if (meta.epoch < this.#meta.epoch) throw new RangeError(`the epoch fell from ${this.#meta.epoch} to ${meta.epoch}`);
    if (flush === null) return meta;
    return {
      ...meta,
      committed: Math.max(meta.committed, flush.applied.sequence),
      applied: flush.applied,
      firstRetained: this.#index.first,
      digest: flush.digest,
      queues: flush.queues,
      flushes: meta.flushes + 1,
    };
  }

  async #writeTruncation(after: number): Promise<void> {
    const taken = this.#index.takeAbove(after);
    const batch: StoreWrite[] = taken.map((first) => ({ type: "delete", key: segmentKey(first) }));
    const [cut] = taken;
    if (cut !== undefined && cut <= after) {
      const key = segmentKey(cut);
      const value = await this.#store.get(key);
      if (value === undefined) throw new StoreError("damaged", `the segment of the log at record ${cut} is missing`);
      const kept = sliceThrough(readSegment(key, value), after);
      batch[0] = { type: "put", key, value: segmentValue([kept], kept.bytes.length) };
      this.#index.add(cut, after);
    }
    const end = this.#index.end;
    if (batch.length > 0 && (this.#meta.logEnd ?? 0) > end) batch.push(this.#putMeta());
    if (batch.length > 0) await this.#store.write(batch, { sync: true });
    // One further down may have come meanwhile: then the loop does that one as well, and tells both.
    if (this.#truncateAfter !== after) return;
    this.#truncateAfter = null;
    const waiters = this.#truncateWaiters;
    this.#truncateWaiters = [];
    if (batch.length > 0) this.#report(end, true);
    for (const waiter of waiters) waiter.resolve();
  }
}
