/** The fold against a plain model: the same state as effect by effect, with one write a row, and bytes untouched. */
import test from "ava";
import * as fc from "fast-check";
import { walkEffects } from "../../machines/checkpoint/effect-walk.ts";
import { Fold } from "../../machines/checkpoint/fold.ts";
import { FoldError } from "../../machines/checkpoint/fold-queue.ts";
import {
  hashBytes,
  readUint64,
  rowKeyAt,
  spaces,
  storedRowHash,
  type Write,
} from "../../machines/checkpoint/layout.ts";
import { RowLedger } from "../../machines/checkpoint/row-ledger.ts";
import { EffectError, type EffectVisitor, readEffects } from "../../machines/codec/effects.ts";
import { KeyedHash } from "../../machines/codec/keyed-hash.ts";
import type { QueuePlace } from "../../schemas/checkpoint.ts";
import { type Change, effectsOf, Model, push, put, remove, shift, TestLog } from "../helpers/checkpoints.ts";

const hash = new KeyedHash("a secret");

const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({
    kind: fc.constant("put" as const),
    part: fc.nat(1),
    key: fc.constantFrom("a", "b", "ü€", "a long key of more than sixteen bytes", ""),
    value: fc.string({ maxLength: 12 }),
  }),
  fc.record({
    kind: fc.constant("delete" as const),
    part: fc.nat(1),
    key: fc.constantFrom("a", "b", "ü€", "never put", ""),
  }),
  fc.record({ kind: fc.constant("push" as const), part: fc.constantFrom(8, 9), value: fc.string({ maxLength: 6 }) }),
  fc.record({ kind: fc.constant("shift" as const), part: fc.constantFrom(8, 9), count: fc.nat(3) }),
);

/** Shifts of more than a queue holds are not made by any transaction. */
function possible(changes: readonly Change[], lengths: Map<number, number>): Change[] {
  return changes.flatMap((change): Change[] => {
    const length = lengths.get(change.part) ?? 0;
    if (change.kind === "push") lengths.set(change.part, length + 1);
    if (change.kind !== "shift") return [change];
    const count = Math.min(change.count, length);
    lengths.set(change.part, length - count);
    return count === 0 ? [] : [{ ...change, count }];
  });
}

/** A store of the simplest kind: what the writes add up to. */
class Stored {
  readonly entries = new Map<string, Write & { type: "put" }>();

  apply(writes: readonly Write[]): void {
    const seen = new Set<string>();
    for (const write of writes) {
      const key = Buffer.from(write.key).toString("hex");
      if (seen.has(key)) throw new Error(`${key} is written twice in one flush`);
      seen.add(key);
      if (write.type === "put") this.entries.set(key, write);
      else if (!this.entries.delete(key)) throw new Error(`${key} is deleted and was not there`);
    }
  }

  state(): ReturnType<Model["plain"]> {
    const model = new Model();
    for (const [, { key, value }] of [...this.entries].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const part = key[1] as number;
      const text = Buffer.from(value.subarray(hashBytes)).toString();
      model.apply([
        key[0] === spaces.row ? put(Buffer.from(key.subarray(rowKeyAt)).toString(), text, part) : push(text, part),
      ]);
    }
    return model.plain();
  }
}

test("folding flush by flush gives what applying effect by effect gives, each row and item written at most once", async (t) => {
  const runs = fc.array(fc.array(fc.array(change, { maxLength: 8 }), { minLength: 1, maxLength: 5 }), { maxLength: 4 });
  await fc.assert(
    fc.property(runs, fc.integer({ min: 1, max: 3 }), (flushes, limit) => {
      const log = new TestLog();
      const stored = new Stored();
      const ledger = new RowLedger();
      const lengths = new Map<number, number>();
      let places: QueuePlace[] = [];
      for (const transactions of flushes) {
        const batch = log.append(transactions.map((changes) => possible(changes, lengths)));
        const fold = new Fold(hash, places);
        fold.add(batch);
        const writes: Write[] = [];
        while (fold.emit(ledger, writes, limit));
        places = fold.places();
        stored.apply(writes);
        const model = log.modelAt(log.end);
        t.deepEqual(stored.state(), model.plain());
        let sum = 0;
        for (const [name, value] of model.rows) {
          const [part = "", ...key] = name.split("/");
          sum = (sum + storedRowHash(Number(part), Buffer.from(key.join("/")), Buffer.from(value))) >>> 0;
        }
        t.deepEqual(ledger.digest, { rows: model.rows.size, sum });
        for (const { part, head, tail } of places) t.is(tail - head, lengths.get(part) ?? 0);
      }
    }),
    { numRuns: 400 },
  );
});

test("a fold over several batches equals the fold over one", (t) => {
  const one = new TestLog();
  const many = new TestLog();
  const transactions = Array.from({ length: 3000 }, (_, at) => [put(`k${at % 700}`, `v${at}`), push(`i${at}`)]);
  one.append(transactions);
  for (const transaction of transactions) many.append([transaction]);
  const [a, b] = [one, many].map((log) => {
    const fold = new Fold(hash, []);
    for (const batch of log.batches(1, 3000)) fold.add(batch);
    const writes: Write[] = [];
    while (fold.emit(new RowLedger(), writes, 256));
    return { writes, places: fold.places(), end: fold.end };
  });
  t.is(a?.writes.length, 3700);
  t.deepEqual(a, b);
});

test("what is made and deleted, or pushed and shifted, between two flushes leaves no write", (t) => {
  const log = new TestLog();
  const fold = new Fold(hash, []);
  fold.add(
    log.append([
      [put("a", "1"), push("x"), push("y")],
      [remove("a"), shift(1)],
    ]),
  );
  const writes: Write[] = [];
  fold.emit(new RowLedger(), writes, 10);
  t.is(writes.length, 1);
  t.deepEqual([...(writes[0]?.key ?? [])].slice(0, 2), [spaces.item, 9]);
  t.is(readUint64(writes[0]?.key ?? new Uint8Array(), 2), 1);
  t.like(fold.places()[0], { part: 9, head: 1, tail: 2 });
});

test("more shifted than a queue holds is refused", (t) => {
  const fold = new Fold(hash, [{ part: 9, head: 4, tail: 6, hash: 0 }]);
  t.throws(() => fold.add(new TestLog().append([[shift(3)]])), { instanceOf: FoldError });
});

test("the walk by offsets reads exactly what the effects' own reader reads, and refuses what it refuses", async (t) => {
  const told: Change[] = [];
  const visitor: EffectVisitor = {
    put: (part, key, value) => told.push(put(key, Buffer.from(value).toString(), part)),
    delete: (part, key) => told.push(remove(key, part)),
    push: (part, value) => told.push(push(Buffer.from(value).toString(), part)),
    shift: (part, count) => told.push(shift(count, part)),
  };
  const walked = (bytes: Buffer, from: number, to: number): Change[] => {
    const found: Change[] = [];
    const text = (at: number, end: number) => bytes.toString("utf8", at, end);
    walkEffects(bytes, from, to, {
      put: (part, keyAt, valueAt, end) => found.push(put(text(keyAt, valueAt), text(valueAt, end), part)),
      delete: (part, keyAt, end) => found.push(remove(text(keyAt, end), part)),
      push: (part, valueAt, end) => found.push(push(text(valueAt, end), part)),
      shift: (part, count) => found.push(shift(count, part)),
    });
    return found;
  };
  await fc.assert(
    fc.property(fc.array(change, { maxLength: 6 }), (changes) => {
      const effects = effectsOf(changes);
      const padded = Buffer.concat([Buffer.alloc(3), effects, Buffer.alloc(5)]);
      told.length = 0;
      readEffects(effects, visitor);
      t.deepEqual(walked(padded, 3, 3 + effects.length), told);
      for (let cut = 1; cut < effects.length; cut += 1) {
        const isRefused = throwsEffectError(() => readEffects(effects.subarray(0, cut), visitor));
        t.is(
          throwsEffectError(() => walked(padded, 3, 3 + cut)),
          isRefused,
        );
      }
    }),
    { numRuns: 100 },
  );
  t.true(throwsEffectError(() => walked(Buffer.from([9, 0, 0, 0]), 0, 4)));
});

function throwsEffectError(run: () => void): boolean {
  try {
    run();
    return false;
  } catch (error) {
    return error instanceof EffectError;
  }
}
