/**
 * Records and batches for tests of the log, made by the shipped encoder from fields that a test names only where it cares.
 */
import { chainHash, encodeRecord, type RecordFields, recordBound } from "../../machines/codec/record.ts";
import type { LogBatch } from "../../machines/log/batch.ts";

export function fieldsOf(change: Partial<RecordFields> = {}): RecordFields {
  return {
    kind: 2,
    ordinal: 0,
    epoch: 1,
    sequence: 1,
    resultNumber: change.sequence ?? 1,
    stampMs: 1,
    forgottenThrough: 0,
    bodyHash: 7,
    client: "alice",
    id: String(change.sequence ?? 1),
    key: "k",
    name: "main",
    effects: new Uint8Array(0),
    reply: "",
    body: "",
    ...change,
  };
}

export function bytesOf(fields: RecordFields): Buffer {
  const bytes = Buffer.alloc(recordBound(fields));
  return bytes.subarray(0, encodeRecord(bytes, 0, fields));
}

/** One batch of these records, which must be dense, after `previousHash`. */
export function batchOf(records: readonly RecordFields[], previousHash: number): LogBatch {
  const bytes = Buffer.concat(records.map(bytesOf));
  const first = records[0]?.sequence ?? 0;
  const last = records.at(-1)?.sequence ?? 0;
  return { first, last, previousHash, lastHash: chainHash(bytes, previousHash), bytes };
}
