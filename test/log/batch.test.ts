/** Batches cut and joined at every record, and every single damaged byte found. */
import test from "ava";
import { chainHash, type RecordFields } from "../../machines/codec/record.ts";
import {
  cutTo,
  fitting,
  hashAt,
  type LogBatch,
  sliceFrom,
  sliceThrough,
  verifyBatch,
} from "../../machines/log/batch.ts";
import { batchOf, fieldsOf } from "../helpers/records.ts";

/** So many records in one batch, with replies of different lengths. */
function denseBatch(first: number, count: number, previousHash: number, change: Partial<RecordFields> = {}): LogBatch {
  const sequences = Array.from({ length: count }, (_, at) => first + at);
  const records = sequences.map((sequence) =>
    fieldsOf({ epoch: 3, sequence, reply: "x".repeat(sequence % 5), ...change }),
  );
  return batchOf(records, previousHash);
}

test("a batch cut in two at any record is two sound batches that chain", (t) => {
  const batch = denseBatch(10, 6, 12345);
  for (let cut = 10; cut < 15; cut += 1) {
    const head = sliceThrough(batch, cut);
    const tail = sliceFrom(batch, cut + 1);
    t.is(verifyBatch(head), null);
    t.is(verifyBatch(tail), null);
    t.is(head.lastHash, tail.previousHash);
    t.is(hashAt(batch, cut), head.lastHash);
    t.is(tail.lastHash, batch.lastHash);
    t.deepEqual(Buffer.concat([head.bytes, tail.bytes]), Buffer.from(batch.bytes));
  }
  t.is(sliceFrom(batch, 10), batch);
  t.is(sliceThrough(batch, 15), batch);
});

test("what fits of a batch is the most that fits, and null where not even the first record does", (t) => {
  const batch = denseBatch(10, 6, 12345);
  t.is(fitting(batch, batch.bytes.length), batch);
  for (let maxBytes = 0; maxBytes < batch.bytes.length; maxBytes += 1) {
    const part = fitting(batch, maxBytes);
    const next = sliceThrough(batch, (part?.last ?? 9) + 1);
    t.true(next.bytes.length > maxBytes, `one more record than fits in ${maxBytes}`);
    if (part !== null) t.deepEqual([verifyBatch(part), part.bytes.length <= maxBytes], [null, true]);
  }
});

test("a batch cut to a size is the same records in sound batches that chain, none larger but a single record", (t) => {
  const batch = denseBatch(10, 9, 777);
  for (let maxBytes = 1; maxBytes <= batch.bytes.length + 1; maxBytes += 7) {
    const pieces = [...cutTo(batch, maxBytes)];
    t.deepEqual(Buffer.concat(pieces.map(({ bytes }) => bytes)), Buffer.from(batch.bytes));
    let before = { last: batch.first - 1, lastHash: batch.previousHash };
    for (const piece of pieces) {
      t.is(verifyBatch(piece), null);
      t.deepEqual([piece.first, piece.previousHash], [before.last + 1, before.lastHash]);
      t.true(piece.bytes.length <= maxBytes || piece.first === piece.last, `${maxBytes}`);
      before = piece;
    }
    t.deepEqual([before.last, before.lastHash], [batch.last, batch.lastHash]);
  }
});

test("slices outside of the batch are programmer errors", (t) => {
  const batch = denseBatch(10, 3, 0);
  t.throws(() => sliceFrom(batch, 9), { instanceOf: RangeError });
  t.throws(() => sliceFrom(batch, 13), { instanceOf: RangeError });
  t.throws(() => sliceThrough(batch, 9), { instanceOf: RangeError });
  t.throws(() => sliceThrough(batch, 13), { instanceOf: RangeError });
});

test("a batch with any one byte changed, or a record missing, is not sound", (t) => {
  const batch = denseBatch(1, 3, 99);
  t.is(verifyBatch(batch), null);
  for (let at = 0; at < batch.bytes.length; at += 1) {
    const bytes = Buffer.from(batch.bytes);
    bytes[at] = (bytes[at] ?? 0) ^ 0x10;
    t.not(verifyBatch({ ...batch, bytes }), null, `byte ${at}`);
  }
  t.not(verifyBatch({ ...batch, first: 2 }), null);
  t.not(verifyBatch({ ...batch, last: 4 }), null);
  t.not(verifyBatch({ ...batch, previousHash: 98 }), null);
  t.not(verifyBatch({ ...batch, bytes: batch.bytes.subarray(0, batch.bytes.length - 1) }), null);
  t.not(verifyBatch({ ...batch, bytes: new Uint8Array(0) }), null);
  const hole = Buffer.concat([denseBatch(1, 1, 0).bytes, denseBatch(3, 1, 0).bytes]);
  t.not(verifyBatch({ first: 1, last: 3, previousHash: 0, lastHash: chainHash(hole, 0), bytes: hole }), null);
  const falling = Buffer.concat([denseBatch(1, 1, 0).bytes, denseBatch(2, 1, 0, { epoch: 2 }).bytes]);
  t.not(verifyBatch({ first: 1, last: 2, previousHash: 0, lastHash: chainHash(falling, 0), bytes: falling }), null);
});
