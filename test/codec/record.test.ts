/** The record's bytes: what goes in comes out, what is damaged is refused, and a prefix of the log has one hash (rules 4 and 14). */
import test from "ava";
import * as fc from "fast-check";
import {
  chainHash,
  encodeRecord,
  RecordError,
  type RecordFields,
  type RecordKind,
  RecordReader,
  recordBound,
  recordKinds,
  recordVersion,
  requestKey,
} from "../../machines/codec/record.ts";
import { bytesOf, fieldsOf } from "../helpers/records.ts";

const text = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 40 }),
  fc.constantFrom("", "é", "漢字", "👩‍🚀", "\u0000", "\u007f", "\uffff"),
);
const part = fc.oneof(text, fc.uint8Array({ maxLength: 60 }));
const whole = fc.maxSafeNat();
const fields: fc.Arbitrary<RecordFields> = fc.record({
  kind: fc.constantFrom<RecordKind>(1, 2, 3, 4),
  ordinal: fc.nat(0xffff),
  epoch: fc.nat(0xffff_ffff),
  sequence: whole,
  resultNumber: whole,
  stampMs: whole,
  takenMs: fc.oneof(fc.constant(0), whole),
  forgottenThrough: whole,
  bodyHash: whole,
  client: text,
  id: text,
  key: text,
  name: text,
  effects: fc.uint8Array({ maxLength: 60 }),
  reply: part,
  body: part,
});

const asBytes = (value: Uint8Array | string): Buffer => Buffer.from(value as Uint8Array);

function readAll(reader: RecordReader): Omit<RecordFields, "effects" | "reply" | "body"> {
  const { kind, ordinal, epoch, sequence, resultNumber, stampMs, takenMs, forgottenThrough, bodyHash } = reader;
  const { client, id, key, name } = reader;
  return {
    kind,
    ordinal,
    epoch,
    sequence,
    resultNumber,
    stampMs,
    takenMs,
    forgottenThrough,
    bodyHash,
    client,
    id,
    key,
    name,
  };
}

test("a record is read as it was written, wherever it lies in a buffer", (t) => {
  const property = fc.property(fields, fc.nat(50), (written, at) => {
    const bytes = Buffer.alloc(at + recordBound(written) + 7, 0xaa);
    const end = encodeRecord(bytes, at, written);
    t.true(end <= at + recordBound(written), "the bound holds");
    const reader = new RecordReader(bytes.subarray(0, end), at);
    const { effects, reply, body: given, ...rest } = written;
    const { kind, takenMs = 0 } = rest;
    const isBegun = kind === recordKinds.transaction || kind === recordKinds.attempt;
    const isTold = isBegun || kind === recordKinds.final;
    const resultNumber = isBegun ? 0 : rest.resultNumber;
    // A final record has no body but the time.
    const body = kind === recordKinds.final ? "" : given;
    t.deepEqual(readAll(reader), { ...rest, resultNumber, takenMs: isTold ? takenMs : 0 });
    t.deepEqual(Buffer.from(reader.effects), asBytes(effects));
    t.deepEqual(Buffer.from(reader.reply), asBytes(reply));
    t.deepEqual(Buffer.from(reader.body), asBytes(body));
    t.deepEqual(bytes.subarray(reader.replyAt, reader.replyAt + reader.replyLength), asBytes(reply));
    t.deepEqual(Buffer.from(reader.bytes), bytes.subarray(at, end));
    t.deepEqual([reader.start, reader.end], [at, end]);
    t.false(reader.next(), "nothing comes after it");
  });
  t.notThrows(() => fc.assert(property, { numRuns: 300 }));
});

test("the bound is reached by text of three bytes a unit, and is not a byte too small", (t) => {
  const record = fieldsOf({
    client: "漢".repeat(9),
    id: "漢",
    key: "漢",
    name: "漢",
    reply: "漢".repeat(50),
    body: "漢",
  });
  // The time of a final record may stand where another has its body.
  t.is(bytesOf({ ...record, kind: recordKinds.attempt }).length + 8, recordBound(record));
});

test("records that follow each other are read in order, and their end is seen", (t) => {
  const records = [
    fieldsOf({ sequence: 1 }),
    fieldsOf({ sequence: 2, reply: "two", client: "漢字" }),
    fieldsOf({ sequence: 3 }),
  ];
  const bytes = Buffer.concat(records.map(bytesOf));
  const reader = new RecordReader(bytes);
  const seen: number[] = [];
  do seen.push(reader.sequence);
  while (reader.next());
  t.deepEqual(seen, [1, 2, 3]);
});

test("a record that is cut off anywhere is refused (rule 14)", (t) => {
  const bytes = bytesOf(fieldsOf({ reply: "reply", body: "body", effects: new Uint8Array(9) }));
  for (let length = 1; length < bytes.length; length += 1)
    t.throws(() => new RecordReader(bytes.subarray(0, length)), { instanceOf: RecordError }, `${length} bytes`);
  t.throws(() => new RecordReader(Buffer.concat([bytes, bytes.subarray(0, 20)])).next(), { instanceOf: RecordError });
});

test("a damaged length is refused, whichever of them it is and however large (rule 14)", (t) => {
  const sound = Buffer.concat([bytesOf(fieldsOf({ reply: "reply" })), bytesOf(fieldsOf({ sequence: 2 }))]);
  const lengths = [
    { at: 0, bytes: 4 },
    ...[12, 14, 16, 18].map((at) => ({ at, bytes: 2 })),
    ...[60, 64, 68].map((at) => ({ at, bytes: 4 })),
  ];
  for (const { at, bytes } of lengths) {
    for (const value of [1, 255, 256 ** bytes - 1]) {
      const damaged = Buffer.from(sound);
      damaged.writeUIntLE((damaged.readUIntLE(at, bytes) + value) % 256 ** bytes, at, bytes);
      t.throws(() => new RecordReader(damaged), { instanceOf: RecordError }, `length at ${at} by ${value}`);
    }
  }
});

test("lengths that add up but reach beyond the bytes are refused", (t) => {
  const bytes = bytesOf(fieldsOf({ reply: "reply" }));
  bytes.writeUInt32LE(bytes.readUInt32LE(0) + 100, 0);
  bytes.writeUInt32LE(bytes.readUInt32LE(68) + 100, 68);
  t.throws(() => new RecordReader(bytes), { instanceOf: RecordError });
});

test("a record of another version is refused and says both versions (rule 14)", (t) => {
  const bytes = bytesOf(fieldsOf());
  for (const version of [0, recordVersion + 1, 255]) {
    bytes[4] = version;
    const error = t.throws(() => new RecordReader(bytes), { instanceOf: RecordError });
    t.is(error.message, `a record of version ${version}; this program knows ${recordVersion}`);
  }
});

test("the log's hash is the same however its bytes are cut into batches (rule 4)", (t) => {
  const property = fc.property(
    fc.uint8Array({ maxLength: 300 }),
    fc.array(fc.nat(300), { maxLength: 8 }),
    fc.nat(0xffff_ffff),
    (bytes, cuts, before) => {
      let hash = before;
      let from = 0;
      for (const cut of [...cuts, bytes.length].map((at) => Math.min(at, bytes.length)).sort((a, b) => a - b)) {
        hash = chainHash(bytes.subarray(from, cut), hash);
        from = cut;
      }
      t.is(hash, chainHash(bytes, before));
    },
  );
  t.notThrows(() => fc.assert(property));
  t.is(chainHash(Buffer.from("123456789"), 0), 0xcbf43926, "CRC-32, as the check value of its definition says");
  t.not(chainHash(Buffer.from("a"), 0), chainHash(Buffer.from("a"), 1), "what came before counts");
});

test("no two requests share a key, since names hold no control characters", (t) => {
  t.not(requestKey("a", "bc"), requestKey("ab", "c"));
  t.not(requestKey("", "a"), requestKey("a", ""));
  t.is(requestKey("a", "b"), "a\u0000b");
});
