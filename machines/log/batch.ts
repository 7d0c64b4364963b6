/**
 * A batch: a dense run of records as one piece of bytes, as it was encoded on the primary. It is what the memory log
 * hands out, what a link carries and what a segment on disk holds. What always holds: the records are `first` to
 * `last` without a hole, `previousHash` is the log's hash before the first and `lastHash` after the last (record.ts);
 * slices are views of the same bytes, never copies, so nobody may change a batch's bytes.
 */
import { chainHash, RecordError, RecordReader } from "../codec/record.ts";

export interface LogBatch {
  readonly first: number;
  readonly last: number;
  readonly previousHash: number;
  readonly lastHash: number;
  readonly bytes: Uint8Array;
}

/** Where in the bytes the record `sequence` starts. Throws RecordError where it does not. */
function startOf(batch: LogBatch, sequence: number): number {
  if (batch.bytes.length === 0) throw new RecordError("a batch without bytes");
  const reader = new RecordReader(batch.bytes);
  for (let skip = sequence - batch.first; skip > 0; skip -= 1) if (!reader.next()) break;
  if (reader.sequence !== sequence) throw new RecordError(`record ${reader.sequence} where ${sequence} should be`);
  return reader.start;
}

/** The records from `sequence` on, which the batch names. Throws RecordError where its bytes do not hold them. */
export function sliceFrom(batch: LogBatch, sequence: number): LogBatch {
  if (sequence < batch.first || sequence > batch.last)
    throw new RangeError(`record ${sequence} is not in the batch ${batch.first} to ${batch.last}`);
  if (sequence === batch.first) return batch;
  const at = startOf(batch, sequence);
  return {
    first: sequence,
    last: batch.last,
    previousHash: chainHash(batch.bytes.subarray(0, at), batch.previousHash),
    lastHash: batch.lastHash,
    bytes: batch.bytes.subarray(at),
  };
}

/** The records up to and including `sequence`. */
export function sliceThrough(batch: LogBatch, sequence: number): LogBatch {
  if (sequence < batch.first || sequence > batch.last)
    throw new RangeError(`record ${sequence} is not in the batch ${batch.first} to ${batch.last}`);
  if (sequence === batch.last) return batch;
  const bytes = batch.bytes.subarray(0, startOf(batch, sequence + 1));
  return {
    first: batch.first,
    last: sequence,
    previousHash: batch.previousHash,
    lastHash: chainHash(bytes, batch.previousHash),
    bytes,
  };
}

/** The first records of it that have at most so many bytes together: all of them, some, or null where the first has more. */
export function fitting(batch: LogBatch, maxBytes: number): LogBatch | null {
  if (batch.bytes.length <= maxBytes) return batch;
  const reader = new RecordReader(batch.bytes);
  let last = batch.first - 1;
  let end = 0;
  while (reader.end <= maxBytes) {
    last = reader.sequence;
    end = reader.end;
    if (!reader.next()) break;
  }
  if (end === 0) return null;
  const bytes = batch.bytes.subarray(0, end);
  return { ...batch, last, lastHash: chainHash(bytes, batch.previousHash), bytes };
}

/** The same records in batches of at most so many bytes. A record that has more is a batch of its own. */
export function* cutTo(batch: LogBatch, maxBytes: number): Generator<LogBatch> {
  let rest = batch;
  for (;;) {
    const piece = fitting(rest, maxBytes) ?? sliceThrough(rest, rest.first);
    yield piece;
    if (piece.last === batch.last) return;
    const bytes = rest.bytes.subarray(piece.bytes.length);
    rest = { ...rest, first: piece.last + 1, previousHash: piece.lastHash, bytes };
  }
}

/** The log's hash after the record `sequence` of this batch. */
export function hashAt(batch: LogBatch, sequence: number): number {
  return sliceThrough(batch, sequence).lastHash;
}

/** The epoch of the record `sequence` of this batch. */
export function epochAt(batch: LogBatch, sequence: number): number {
  return new RecordReader(batch.bytes, startOf(batch, sequence)).epoch;
}

/**
 * Null when the batch is sound: whole records, dense sequences from `first` to `last`, epochs that never fall, and the
 * hash that it claims. Else what is wrong, in words (rules 4 and 14).
 */
export function verifyBatch(batch: LogBatch): string | null {
  const { first, last, bytes } = batch;
  if (!(last >= first)) return `a batch from ${first} to ${last}`;
  if (bytes.length === 0) return "a batch without bytes";
  try {
    const reader = new RecordReader(bytes);
    let sequence = first;
    let epoch = 0;
    do {
      if (reader.sequence !== sequence) return `record ${reader.sequence} where ${sequence} should be`;
      if (reader.epoch < epoch) return `record ${sequence} is of epoch ${reader.epoch}, the one before of ${epoch}`;
      epoch = reader.epoch;
      sequence += 1;
    } while (reader.next());
    if (sequence - 1 !== last) return `the records end at ${sequence - 1}, not at ${last}`;
  } catch (error) {
    if (error instanceof RecordError) return error.message;
    throw error;
  }
  if (chainHash(bytes, batch.previousHash) !== batch.lastHash) return `the hash after record ${last} does not match`;
  return null;
}
