/**
 * The log on disk, read back: for joiners that memory does not reach and for replay. What always holds: batches come dense
 * and in order, and each is verified before it is given out (rule 14).
 */
import { readSegment, segmentKey, spaces } from "../machines/checkpoint/layout.ts";
import { type LogBatch, sliceFrom, sliceThrough, verifyBatch } from "../machines/log/batch.ts";
import type { MemoryLog } from "../machines/log/memory-log.ts";
import { type Store, StoreError } from "./world/ports.ts";

const end = Uint8Array.of(spaces.segment + 1);

/** Segments from the one that holds `from` on, cut to it; from the oldest that there is where it is gone. */
export async function* storedLog(store: Store, from: number): AsyncGenerator<LogBatch> {
  let start = segmentKey(from);
  for await (const [key] of store.entries({ from: segmentKey(0), to: segmentKey(from + 1), reverse: true, limit: 1 }))
    start = Buffer.from(key);
  for await (const [key, value] of store.entries({ from: start, to: end })) {
    const batch = readSegment(key, value);
    const fault = verifyBatch(batch);
    if (fault !== null) throw new StoreError("damaged", `the log on disk is damaged: ${fault}`);
    if (batch.last >= from) yield batch.first >= from ? batch : sliceFrom(batch, from);
  }
}

/** The log from `from` (or the oldest record kept) through `through`: first from disk, then what only memory has. */
export async function* wholeLog(store: Store, log: MemoryLog, from: number, through: number): AsyncGenerator<LogBatch> {
  let next = from;
  while (next <= through) {
    if (next > log.base.sequence) {
      yield* log.batches(next, through);
      return;
    }
    const before = next;
    for await (const batch of storedLog(store, next)) {
      if (batch.first > through) return;
      yield batch.last > through ? sliceThrough(batch, through) : batch;
      next = batch.last + 1;
      if (next > log.base.sequence) break;
    }
    if (next === before) return;
  }
}
