/** Effects as bytes: read back in order as they were written, and damaged ones refused. */
import test from "ava";
import * as fc from "fast-check";
import {
  EffectError,
  type EffectVisitor,
  EffectWriter,
  effectKinds,
  maxRowKeyBytes,
  readEffects,
} from "../../machines/codec/effects.ts";

type Effect =
  | { type: "put"; part: number; key: string; value: string }
  | { type: "delete"; part: number; key: string }
  | { type: "push"; part: number; value: string }
  | { type: "shift"; part: number; count: number };

const part = fc.nat(255);
const key = fc.string({ unit: "grapheme", maxLength: 20 });
const value = fc.oneof(
  fc.json(),
  fc.constant(""),
  fc.nat(6_000).map((length) => "x".repeat(length)),
);
const effect: fc.Arbitrary<Effect> = fc.oneof(
  fc.record({ type: fc.constant("put" as const), part, key, value }),
  fc.record({ type: fc.constant("delete" as const), part, key }),
  fc.record({ type: fc.constant("push" as const), part, value }),
  fc.record({ type: fc.constant("shift" as const), part, count: fc.nat(0xffff_ffff) }),
);

function write(writer: EffectWriter, one: Effect): void {
  if (one.type === "put") writer.put(one.part, one.key, one.value);
  else if (one.type === "delete") writer.delete(one.part, one.key);
  else if (one.type === "push") writer.push(one.part, one.value);
  else writer.shift(one.part, one.count);
}

function collector(): EffectVisitor & { seen: Effect[] } {
  const seen: Effect[] = [];
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("utf8");
  return {
    seen,
    put: (at, row, bytes) => seen.push({ type: "put", part: at, key: row, value: text(bytes) }),
    delete: (at, row) => seen.push({ type: "delete", part: at, key: row }),
    push: (at, bytes) => seen.push({ type: "push", part: at, value: text(bytes) }),
    shift: (at, count) => seen.push({ type: "shift", part: at, count }),
  };
}

test("effects are read in the order and with the values in which they were written", (t) => {
  const property = fc.property(
    fc.array(effect, { maxLength: 12 }),
    fc.array(effect, { maxLength: 3 }),
    (all, before) => {
      const writer = new EffectWriter();
      // The writer is used again: what an earlier transaction wrote must not shine through.
      for (const one of before) write(writer, one);
      writer.reset();
      t.is(writer.length, 0);
      for (const one of all) write(writer, one);
      const visitor = collector();
      readEffects(Buffer.from(writer.view()), visitor);
      t.deepEqual(visitor.seen, all);
      t.is(writer.view().length, writer.length);
    },
  );
  t.notThrows(() => fc.assert(property, { numRuns: 200 }));
});

test("effects that are cut off are refused, at every byte that is not the end of one", (t) => {
  const writer = new EffectWriter();
  const ends = new Set([0]);
  const all: Effect[] = [
    { type: "put", part: 1, key: "ключ", value: '{"a":1}' },
    { type: "delete", part: 1, key: "ключ" },
    { type: "push", part: 2, value: "[1]" },
    { type: "shift", part: 2, count: 1 },
  ];
  for (const one of all) {
    write(writer, one);
    ends.add(writer.length);
  }
  for (let length = 0; length <= writer.length; length += 1) {
    const bytes = Buffer.from(writer.view().subarray(0, length));
    if (ends.has(length)) t.notThrows(() => readEffects(bytes, collector()), `${length} bytes`);
    else t.throws(() => readEffects(bytes, collector()), { instanceOf: EffectError }, `${length} bytes`);
  }
});

test("lengths that reach beyond the bytes, and kinds that do not exist, are refused", (t) => {
  for (const bytes of [
    Buffer.from([effectKinds.put, 0, 255, 255, 255, 255, 255, 255]),
    Buffer.from([effectKinds.delete, 0, 255, 255]),
    Buffer.from([effectKinds.push, 0, 255, 255, 255, 255]),
    Buffer.from([0, 0, 0, 0, 0, 0, 0, 0]),
    Buffer.from([5, 0, 0, 0, 0, 0, 0, 0]),
  ])
    t.throws(() => readEffects(bytes, collector()), { instanceOf: EffectError }, bytes.toString("hex"));
});

test("a row key is measured in bytes of UTF-8, and one that is too long leaves no trace", (t) => {
  const writer = new EffectWriter();
  writer.put(0, "k", "1");
  const before = Buffer.from(writer.view());
  const fits = "é".repeat(maxRowKeyBytes / 2);
  t.throws(() => writer.put(0, `${fits}x`, "1"), { instanceOf: EffectError });
  t.throws(() => writer.delete(0, `${fits}x`), { instanceOf: EffectError });
  t.deepEqual(Buffer.from(writer.view()), before);
  t.notThrows(() => writer.put(0, fits, "1"));
  t.notThrows(() => writer.delete(0, fits));
});
