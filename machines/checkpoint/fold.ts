/**
 * The fold: the effects of records flushed+1 … committed in, the smallest set of store writes out (rule 6).
 * Each row is written once however often it changed, put then delete is a delete, and what a queue gained and
 * lost in between is not written. Bytes only: values are copied, never parsed.
 *
 * What always holds: batches come in order, each record once; `add` may be called as records commit, so that no flush
 * has to walk them all at once; nothing is final, and the ledger is untouched, before `emit`.
 */

import { Catalog } from "../../schemas/catalog.ts";
import type { LogEnd, QueuePlace } from "../../schemas/checkpoint.ts";
import type { KeyedHash } from "../codec/keyed-hash.ts";
import { RecordReader, recordKinds } from "../codec/record.ts";
import type { LogBatch } from "../log/batch.ts";
import { type EffectOffsets, walkEffects } from "./effect-walk.ts";
import { FoldQueue } from "./fold-queue.ts";
import { FoldRows } from "./fold-rows.ts";
import { view, type Write } from "./layout.ts";
import type { RowLedger } from "./row-ledger.ts";

export class Fold {
  readonly #rows: FoldRows;
  readonly #queues = new Map<number, FoldQueue>();
  readonly #places: ReadonlyMap<number, QueuePlace>;
  readonly #visitor: EffectOffsets;
  #bytes: Buffer = Buffer.alloc(0);
  #end: LogEnd | null = null;
  #resultNumber: number | null = null;
  #takenMs = 0;
  #catalog: Catalog | null = null;

  /** `places`: where the queues stand on disk. */
  constructor(hash: KeyedHash, places: Iterable<QueuePlace>) {
    const rows = new FoldRows(hash);
    this.#rows = rows;
    this.#places = new Map(Array.from(places, (place) => [place.part, place]));
    this.#visitor = {
      put: (part, keyAt, valueAt, end) => rows.put(part, keyAt, valueAt, end),
      delete: (part, keyAt, end) => rows.delete(part, keyAt, end),
      push: (part, valueAt, end) => this.#queue(part).push(this.#bytes.subarray(valueAt, end)),
      shift: (part, count) => this.#queue(part).shift(count),
    };
  }

  #queue(part: number): FoldQueue {
    let queue = this.#queues.get(part);
    if (queue === undefined) {
      queue = new FoldQueue(this.#places.get(part) ?? { part, head: 0, tail: 0, hash: 0 });
      this.#queues.set(part, queue);
    }
    return queue;
  }

  /** The batch's bytes must stay as they are until `emit` is done. */
  add(batch: LogBatch): void {
    const bytes = view(batch.bytes);
    this.#bytes = bytes;
    this.#rows.use(bytes);
    const reader = new RecordReader(bytes);
    do {
      if (reader.kind === recordKinds.final) this.#resultNumber = reader.resultNumber;
      else if (reader.kind === recordKinds.history) this.#resultNumber = 0;
      else if (reader.kind === recordKinds.catalog)
        this.#catalog = Catalog.parse(JSON.parse(view(reader.body).toString()));
      this.#takenMs = Math.max(this.#takenMs, reader.takenMs);
      const { effects } = reader;
      if (effects.length === 0) continue;
      const at = effects.byteOffset - bytes.byteOffset;
      walkEffects(bytes, at, at + effects.length, this.#visitor);
    } while (reader.next());
    this.#end = { sequence: batch.last, hash: batch.lastHash, epoch: reader.epoch };
  }

  /** The last record folded; null when there was none. */
  get end(): LogEnd | null {
    return this.#end;
  }

  /** Number of the newest result folded, 0 where a history begins after it; null when there was neither. */
  get resultNumber(): number | null {
    return this.#resultNumber;
  }

  /** The latest time at which a request of a folded record was taken; 0 where none tells (rule 20). */
  get takenMs(): number {
    return this.#takenMs;
  }

  /** The newest catalog folded; null when there was none (rule 19). */
  get catalog(): Catalog | null {
    return this.#catalog;
  }

  /** Adds about `limit` writes; call it until it returns false. The ledger then has the new digest. */
  emit(ledger: RowLedger, writes: Write[], limit: number): boolean {
    if (this.#rows.emit(ledger, writes, limit)) return true;
    for (const queue of this.#queues.values()) queue.emit(writes);
    return false;
  }

  /** Where the queues stand after this flush, by part. */
  places(): QueuePlace[] {
    const places = new Map(this.#places);
    for (const [part, queue] of this.#queues) places.set(part, queue.place);
    return [...places.values()].sort((a, b) => a.part - b.part);
  }
}
