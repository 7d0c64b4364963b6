/** What a scan proved, in blocks for another thread: a visitor there hears the same, in the same order. */
import test from "ava";
import * as fc from "fast-check";
import { BlockWriter, readBlock } from "../../machines/checkpoint/blocks.ts";
import type { RecoveryVisitor } from "../../machines/checkpoint/scan.ts";
import type { LogBatch } from "../../machines/log/batch.ts";

/** Writes down what it hears. */
function listener() {
  const heard: unknown[] = [];
  const visitor: Required<Pick<RecoveryVisitor, "onRow" | "onItem" | "onBatch">> = {
    onRow: (part, key, value) => heard.push(["row", part, key.toString("hex"), value.toString("hex")]),
    onItem: (part, value) => heard.push(["item", part, value.toString("hex")]),
    onBatch: ({ bytes, ...batch }) => heard.push(["batch", batch, Buffer.from(bytes).toString("hex")]),
  };
  return { heard, visitor };
}

const bytes = fc.oneof(
  { weight: 9, arbitrary: fc.uint8Array({ maxLength: 40 }) },
  { weight: 1, arbitrary: fc.nat(400_000).map((length) => new Uint8Array(length).fill(7)) },
);
const part = fc.nat(255);
const sequence = fc.nat(Number.MAX_SAFE_INTEGER);
const hash = fc.nat(0xffff_ffff);
const entry = fc.oneof(
  fc.record({ kind: fc.constant("row" as const), part, key: bytes, value: bytes }),
  fc.record({ kind: fc.constant("item" as const), part, value: bytes }),
  fc.record({
    kind: fc.constant("batch" as const),
    batch: fc.record({ first: sequence, last: sequence, previousHash: hash, lastHash: hash, bytes }),
  }),
);

test("whatever there is, in whatever order, is heard as it was told", (t) => {
  const property = fc.property(fc.array(entry, { maxLength: 60 }), (entries) => {
    const [told, heard] = [listener(), listener()];
    const blocks: Uint8Array[] = [];
    const writer = new BlockWriter((block) => blocks.push(structuredClone(block, { transfer: [block.buffer] })));
    for (const one of entries)
      for (const to of [told.visitor, writer]) {
        if (one.kind === "row") to.onRow(one.part, Buffer.from(one.key), Buffer.from(one.value));
        else if (one.kind === "item") to.onItem(one.part, Buffer.from(one.value));
        else to.onBatch(one.batch as LogBatch);
      }
    writer.flush();
    for (const block of blocks) readBlock(block, heard.visitor);
    t.deepEqual(heard.heard, told.heard);
    t.true(blocks.every(({ length }) => length > 0));
  });
  t.notThrows(() => fc.assert(property, { numRuns: 100 }));
});

test("many small entries are few blocks, and what was given out is not written to again", (t) => {
  const blocks: Uint8Array[] = [];
  const writer = new BlockWriter((block) => blocks.push(block));
  const value = Buffer.alloc(100, 1);
  for (let row = 0; row < 10_000; row += 1) writer.onRow(1, Buffer.from(String(row)), value);
  writer.flush();
  writer.flush();
  t.true(blocks.length >= 4 && blocks.length <= 6, `${blocks.length}`);
  t.is(new Set(blocks.map(({ buffer }) => buffer)).size, blocks.length);
  let rows = 0;
  for (const block of blocks)
    readBlock(block, {
      onRow: (_part, key) => {
        if (key.toString() !== String(rows)) t.fail(key.toString());
        rows += 1;
      },
    });
  t.is(rows, 10_000);
});
