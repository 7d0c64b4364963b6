/**
 * The committed log whole, for replay: from disk what memory let go of, then what only memory has. What always holds:
 * batches come dense and in order.
 */
import { type LogBatch, sliceThrough } from "../machines/log/batch.ts";
import type { MemoryLog } from "../machines/log/memory-log.ts";
import type { Checkpoint } from "./checkpoint/checkpoint.ts";

/** The log from `from` (or the oldest record kept) through `through`. */
export async function* wholeLog(
  checkpoint: Checkpoint,
  log: MemoryLog,
  from: number,
  through: number,
): AsyncGenerator<LogBatch> {
  let next = from;
  while (next <= through) {
    if (next > log.base.sequence) {
      // One at a time: while whoever reads them waits, memory lets go of batches, and the disk has those.
      const [batch] = log.batches(next, through);
      if (batch === undefined) return;
      yield batch;
      next = batch.last + 1;
      continue;
    }
    const before = next;
    for await (const batch of checkpoint.readLog(next)) {
      if (batch.first > through) return;
      yield batch.last > through ? sliceThrough(batch, through) : batch;
      next = batch.last + 1;
      if (next > log.base.sequence) break;
    }
    if (next === before) return;
  }
}
