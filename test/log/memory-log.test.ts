/** The log in memory against a plain list of records: every position has the hash, bytes and epoch that the list says (rules 4, 7, 15). */
import { deepStrictEqual, ok } from "node:assert/strict";
import test from "ava";
import * as fc from "fast-check";
import { chainHash, type RecordFields } from "../../machines/codec/record.ts";
import { type LogBatch, sliceFrom, sliceThrough, verifyBatch } from "../../machines/log/batch.ts";
import { type EpochEnd, MemoryLog } from "../../machines/log/memory-log.ts";
import { maxEpochEnds } from "../../schemas/peer-message.ts";
import { batchOf, bytesOf, fieldsOf } from "../helpers/records.ts";

/** The plain model: all records ever kept, of which the log may have let the oldest go. */
interface Model {
  readonly records: { epoch: number; bytes: Buffer }[];
  /** Records through here are closed into batches. */
  closed: number;
  /** The log was trimmed through here, as it says itself. */
  base: number;
}

const newModel = (): Model => ({ records: [], closed: 0, base: 0 });

/** The log's hash after every record, from sequence 0 on. */
function hashesOf({ records }: Model): number[] {
  const hashes = [0];
  for (const { bytes } of records) hashes.push(chainHash(bytes, hashes.at(-1) ?? 0));
  return hashes;
}

const hashOf = (model: Model, sequence: number): number => hashesOf(model)[sequence] ?? -1;

function endsOf({ records }: Model): EpochEnd[] {
  const ends: EpochEnd[] = [];
  records.forEach(({ epoch }, index) => {
    if (ends.at(-1)?.epoch === epoch) ends.pop();
    ends.push({ epoch, last: index + 1 });
  });
  return ends;
}

const bytesBetween = ({ records }: Model, from: number, through: number): Buffer =>
  Buffer.concat(records.slice(from - 1, through).map(({ bytes }) => bytes));

function compare(log: MemoryLog, model: Model): void {
  const last = model.records.length;
  const hashes = hashesOf(model);
  const isKnown = (sequence: number) => sequence >= model.base && sequence <= model.closed;
  const sequences = Array.from({ length: last + 2 }, (_, sequence) => sequence);
  deepStrictEqual(
    {
      last: log.last,
      lastEpoch: log.lastEpoch,
      closed: log.closed,
      base: log.base,
      epochEnds: log.epochEnds,
      retainedBytes: log.retainedBytes,
      hashes: sequences.map((sequence) => log.hashAt(sequence)),
    },
    {
      last,
      lastEpoch: model.records.at(-1)?.epoch ?? 0,
      closed: { sequence: model.closed, hash: hashes[model.closed] ?? -1 },
      base: { sequence: model.base, hash: hashes[model.base] ?? -1 },
      epochEnds: endsOf(model),
      retainedBytes: bytesBetween(model, model.base + 1, last).length,
      hashes: sequences.map((sequence) => (isKnown(sequence) ? hashes[sequence] : undefined)),
    },
  );
}

/** The batches between any two records are whole, chain, and hold exactly these records. */
function compareBatches(log: MemoryLog, model: Model, from: number, through: number): void {
  const batches = [...log.batches(from, through)];
  const end = Math.min(through, model.closed);
  deepStrictEqual(Buffer.concat(batches.map(({ bytes }) => bytes)), bytesBetween(model, from, Math.max(end, from - 1)));
  let next = from;
  for (const batch of batches) {
    deepStrictEqual(batch.first, next);
    deepStrictEqual(batch.previousHash, hashOf(model, batch.first - 1));
    deepStrictEqual(batch.lastHash, hashOf(model, batch.last));
    next = batch.last + 1;
  }
  deepStrictEqual(next, Math.max(end + 1, from));
}

type Command =
  | { type: "append"; records: readonly number[]; raise: number }
  | { type: "close" }
  | { type: "batch"; epochs: readonly number[] }
  | { type: "truncate"; back: number }
  | { type: "trim"; through: number; keep: number }
  | { type: "clone" };

const command: fc.Arbitrary<Command> = fc.oneof(
  fc.record({
    type: fc.constant("append" as const),
    records: fc.array(fc.nat(40), { minLength: 1, maxLength: 4 }),
    raise: fc.nat(2),
  }),
  fc.constant({ type: "close" as const }),
  fc.record({ type: fc.constant("batch" as const), epochs: fc.array(fc.nat(2), { minLength: 1, maxLength: 5 }) }),
  fc.record({ type: fc.constant("truncate" as const), back: fc.nat(7) }),
  fc.record({ type: fc.constant("trim" as const), through: fc.nat(30), keep: fc.nat(900) }),
  fc.constant({ type: "clone" as const }),
);

const epochOf = (model: Model): number => model.records.at(-1)?.epoch ?? 1;

function nextFields(model: Model, epoch: number, size: number): RecordFields {
  return fieldsOf({ sequence: model.records.length + 1, epoch, reply: "x".repeat(size) });
}

function closeModel(log: MemoryLog, model: Model): void {
  log.close();
  model.closed = model.records.length;
}

/** Does the command to both; the log to go on with comes back. */
function perform(log: MemoryLog, model: Model, one: Command): MemoryLog {
  switch (one.type) {
    case "append": {
      const epoch = epochOf(model) + one.raise;
      for (const size of one.records) {
        const fields = nextFields(model, epoch, size);
        const start = log.append(fields);
        const bytes = bytesOf(fields);
        deepStrictEqual(log.arena.subarray(start, start + bytes.length), bytes, "where it says that it lies");
        model.records.push({ epoch, bytes });
      }
      return log;
    }
    case "close": {
      const from = model.closed + 1;
      const batch = log.close();
      if (from > model.records.length) deepStrictEqual(batch, null);
      else deepStrictEqual([batch?.first, batch?.last], [from, model.records.length]);
      model.closed = model.records.length;
      return log;
    }
    case "batch": {
      closeModel(log, model);
      const before = model.records.length;
      let epoch = epochOf(model);
      const records = one.epochs.map((raise, index) => {
        epoch += raise;
        return fieldsOf({ sequence: before + index + 1, epoch });
      });
      deepStrictEqual(log.appendBatch(batchOf(records, hashOf(model, before))), null);
      for (const fields of records) model.records.push({ epoch: fields.epoch, bytes: bytesOf(fields) });
      model.closed = model.records.length;
      return log;
    }
    case "truncate": {
      const after = Math.max(model.base, model.records.length - one.back);
      log.truncate(after);
      model.records.length = after;
      model.closed = after;
      return log;
    }
    case "trim": {
      const { base } = model;
      log.trim(one.through, one.keep);
      const now = log.base.sequence;
      ok(now >= base && (now === base || now <= one.through), "no more than allowed, and never back");
      model.base = now;
      const isDone = bytesBetween(model, now + 1, model.closed).length <= one.keep;
      const next = now < model.closed ? [...log.batches(now + 1, model.closed)][0] : undefined;
      ok(isDone || next === undefined || next.last > one.through, "no less than asked");
      return log;
    }
    case "clone":
      return log.clone();
  }
}

test("after any commands every position has the hash, bytes and epochs of the plain list", (t) => {
  const property = fc.property(
    fc.array(command, { minLength: 1, maxLength: 14 }),
    fc.array(fc.tuple(fc.nat(30), fc.nat(30)), { maxLength: 4 }),
    (commands, ranges) => {
      let log = new MemoryLog();
      const model = newModel();
      for (const one of commands) {
        log = perform(log, model, one);
        compare(log, model);
      }
      for (const [a, b] of ranges) compareBatches(log, model, model.base + 1 + a, model.base + a + b);
    },
  );
  t.notThrows(() => fc.assert(property, { numRuns: 300 }));
});

test("whatever comes in one turn, from a peer or from a disk, no closed batch is larger than what one message takes (rule 15)", (t) => {
  const maxBatchBytes = 1_000;
  const sizes = fc.array(fc.array(fc.nat(400), { minLength: 1, maxLength: 30 }), { minLength: 1, maxLength: 6 });
  const property = fc.property(sizes, fc.constantFrom(700, 4_096), (turns, arenaBytes) => {
    const log = new MemoryLog(undefined, undefined, { arenaBytes, maxBatchBytes });
    const copy = new MemoryLog(undefined, undefined, { maxBatchBytes });
    const bytes: Buffer[] = [];
    for (const turn of turns) {
      const from = log.last + 1;
      const fields = turn.map((size, index) => fieldsOf({ sequence: from + index, reply: "x".repeat(size) }));
      for (const one of fields) log.append(one);
      bytes.push(...fields.map(bytesOf));
      deepStrictEqual(log.turnBytes, Buffer.concat(fields.map(bytesOf)).length);
      deepStrictEqual(log.close()?.last, log.last);
      deepStrictEqual(log.turnBytes, 0);
      deepStrictEqual(copy.appendBatch(batchOf(fields, copy.closed.hash)), null);
    }
    for (const one of [log, copy, log.clone()]) {
      const batches = [...one.batches(1, one.last)];
      ok(batches.every((batch) => batch.bytes.length <= maxBatchBytes && verifyBatch(batch) === null));
      deepStrictEqual(Buffer.concat(batches.map((batch) => batch.bytes)), Buffer.concat(bytes));
      deepStrictEqual(one.closed, copy.closed);
    }
  });
  t.notThrows(() => fc.assert(property));
});

test("a record that is larger than a message is a batch of its own", (t) => {
  const log = new MemoryLog(undefined, undefined, { maxBatchBytes: 200 });
  for (const size of [10, 500, 10]) log.append(fieldsOf({ sequence: log.last + 1, reply: "x".repeat(size) }));
  log.close();
  t.deepEqual(
    [...log.batches(1, 3)].map(({ first, last }) => [first, last]),
    [
      [1, 1],
      [2, 2],
      [3, 3],
    ],
  );
});

test("bytesAbove counts all that lies above, and at most one batch too much", (t) => {
  const property = fc.property(fc.array(fc.nat(3), { maxLength: 8 }), fc.nat(20), (sizes, from) => {
    const log = new MemoryLog();
    const model = newModel();
    for (const size of sizes) perform(log, model, { type: "batch", epochs: Array.from({ length: size + 1 }, () => 0) });
    const sequence = Math.min(from, model.closed);
    const above = bytesBetween(model, sequence + 1, model.closed).length;
    const counted = log.bytesAbove(sequence);
    t.true(counted >= above, "never less");
    t.true(counted - above < 5 * bytesOf(fieldsOf({ sequence: 100 })).length, "less than a batch more");
    t.is(log.bytesAbove(model.closed), 0);
  });
  t.notThrows(() => fc.assert(property));
});

test("a clone and its origin go on apart", (t) => {
  const log = new MemoryLog();
  const model = newModel();
  perform(log, model, { type: "append", records: [1, 2, 3], raise: 0 });
  const copy = log.clone();
  const other: Model = { ...model, records: [...model.records] };
  perform(log, model, { type: "append", records: [4, 5], raise: 1 });
  perform(copy, other, { type: "append", records: [6], raise: 2 });
  perform(copy, other, { type: "append", records: [7], raise: 0 });
  compare(log, model);
  compare(copy, other);
  perform(copy, other, { type: "truncate", back: 4 });
  perform(log, model, { type: "trim", through: 3, keep: 0 });
  compare(log, model);
  compare(copy, other);
  perform(copy, other, { type: "batch", epochs: [1, 1] });
  compare(log, model);
  compare(copy, other);
  t.deepEqual([log.last, copy.last], [5, 3]);
});

/** A log of three records of epoch 2 in one batch, and the sound batch that comes next. */
function logAndNext(): { log: MemoryLog; next: LogBatch } {
  const log = new MemoryLog();
  const of = (sequence: number, epoch: number) => fieldsOf({ sequence, epoch });
  log.appendBatch(batchOf([of(1, 2), of(2, 2), of(3, 2)], 0));
  return { log, next: batchOf([of(4, 2), of(5, 3), of(6, 3)], log.closed.hash) };
}

test("a batch that does not fit is refused by name, and nothing of it is kept (rule 4)", (t) => {
  const { log, next } = logAndNext();
  const of = (sequence: number, epoch: number) => fieldsOf({ sequence, epoch });
  const damaged = Buffer.from(next.bytes);
  damaged[80] = (damaged[80] ?? 0) ^ 1;
  const hash = log.closed.hash;
  const cases: [string, LogBatch, string][] = [
    ["a hole before it", sliceFrom(next, 5), "gap"],
    ["it overlaps", batchOf([of(3, 2), of(4, 2)], log.hashAt(2) ?? 0), "gap"],
    ["another log before it", { ...next, previousHash: hash + 1 }, "hash"],
    ["damaged bytes", { ...next, bytes: damaged }, "damaged"],
    ["another last hash", { ...next, lastHash: next.lastHash ^ 1 }, "damaged"],
    ["fewer records than it says", { ...sliceThrough(next, 5), last: 6 }, "damaged"],
    ["more records than it says", { ...next, last: 5 }, "damaged"],
    ["a hole in it", { ...batchOf([of(4, 2), of(6, 3)], hash), last: 5 }, "damaged"],
    ["a first record that is not the first", { ...batchOf([of(5, 2), of(6, 3)], hash), first: 4, last: 5 }, "damaged"],
    ["an epoch that falls in it", batchOf([of(4, 3), of(5, 2)], hash), "damaged"],
    ["an epoch below the log's", batchOf([of(4, 1)], hash), "damaged"],
  ];
  for (const [what, batch, fault] of cases) {
    t.is(log.appendBatch(batch), fault as "gap", what);
    t.deepEqual([log.last, log.lastEpoch, log.epochEnds], [3, 2, [{ epoch: 2, last: 3 }]], what);
    t.is(log.closed.hash, hash, what);
  }
  t.is(log.appendBatch(next), null);
  t.deepEqual(log.epochEnds, [
    { epoch: 2, last: 4 },
    { epoch: 3, last: 6 },
  ]);
});

test("own records that do not follow, and records from elsewhere between own ones, are programmer errors", (t) => {
  const { log, next } = logAndNext();
  t.throws(() => log.append(fieldsOf({ sequence: 3, epoch: 2 })));
  t.throws(() => log.append(fieldsOf({ sequence: 5, epoch: 2 })));
  t.throws(() => log.append(fieldsOf({ sequence: 4, epoch: 1 })));
  log.append(fieldsOf({ sequence: 4, epoch: 2 }));
  t.throws(() => log.appendBatch(next));
});

test("what was let go cannot be asked for or cut off", (t) => {
  const { log, next } = logAndNext();
  log.appendBatch(next);
  log.trim(3, 0);
  t.is(log.base.sequence, 3);
  t.throws(() => [...log.batches(3, 6)]);
  t.throws(() => log.truncate(2));
  t.notThrows(() => log.truncate(3));
  t.deepEqual([...log.batches(4, 9)], []);
});

test("records larger than the arena, and more than fill it, are kept whole", (t) => {
  const log = new MemoryLog();
  const model = newModel();
  const sizes = [700_000, 700_000, 2_500_000, 10, 10];
  for (const size of sizes) {
    const fields = nextFields(model, 1, size);
    log.append(fields);
    model.records.push({ epoch: 1, bytes: bytesOf(fields) });
  }
  closeModel(log, model);
  compare(log, model);
  compareBatches(log, model, 1, sizes.length);
  t.is(log.last, sizes.length);
});

test("only so many changes of epoch are kept, the newest ones", (t) => {
  const log = new MemoryLog();
  const count = maxEpochEnds + 10;
  for (let sequence = 1; sequence <= count; sequence += 1) log.append(fieldsOf({ sequence, epoch: sequence }));
  t.is(log.epochEnds.length, maxEpochEnds);
  t.deepEqual(log.epochEnds.at(-1), { epoch: count, last: count });
  t.deepEqual(log.epochEnds[0], { epoch: 11, last: 11 });
});

test("a log continues from the position and the epochs that the disk gave", (t) => {
  const { log, next } = logAndNext();
  const later = new MemoryLog(log.closed, log.epochEnds);
  t.deepEqual([later.last, later.lastEpoch, later.base], [3, 2, log.closed]);
  t.is(later.appendBatch(next), null);
  t.is(later.hashAt(3), log.hashAt(3));
  t.is(later.hashAt(2), undefined);
  later.truncate(3);
  t.deepEqual(later.epochEnds, [{ epoch: 2, last: 3 }]);
  t.is(log.epochEnds.length, 1, "the list that was handed over is its own");
});
