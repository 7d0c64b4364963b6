/** Replies that memory has let go of, from the log on the disk (rule 12). */
import { RecordReader } from "../machines/codec/record.ts";
import type { LogBatch } from "../machines/log/batch.ts";
import type { Checkpoint } from "./checkpoint/checkpoint.ts";

/** By the sequences of their records, which are given rising; without those that the disk has dropped. */
export async function readReplies(
  checkpoint: Pick<Checkpoint, "readBatch">,
  sequences: readonly number[],
): Promise<ReadonlyMap<number, Uint8Array>> {
  const wanted = new Set(sequences);
  const found = new Map<number, Uint8Array>();
  let read = 0;
  for (const sequence of sequences) {
    if (sequence <= read) continue;
    const batch = await checkpoint.readBatch(sequence);
    if (batch !== null) collect(batch, wanted, found);
    read = batch?.last ?? sequence;
  }
  return found;
}

function collect(batch: LogBatch, wanted: ReadonlySet<number>, found: Map<number, Uint8Array>): void {
  const reader = new RecordReader(batch.bytes);
  do {
    // Copied, for nothing else of the batch is needed.
    if (wanted.has(reader.sequence)) found.set(reader.sequence, Uint8Array.from(reader.reply));
  } while (reader.next());
}
