/** The ledger against a Map, and the keyed hash against what a ledger needs of it. */
import test from "ava";
import * as fc from "fast-check";
import { RowLedger } from "../../machines/checkpoint/row-ledger.ts";
import { KeyedHash } from "../../machines/codec/keyed-hash.ts";

test("puts and deletes in any order leave the number and the sum of what is in", async (t) => {
  // Few values of few bits, so that rows share slots, wrap around the end and are moved up when others go.
  const step = fc.record({
    low: fc.integer({ min: -4, max: 20 }),
    high: fc.integer({ min: 1, max: 2 }),
    hash: fc.nat(),
    put: fc.boolean(),
  });
  await fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const ledger = new RowLedger();
      const map = new Map<string, number>();
      for (const { low, high, hash, put } of steps) {
        const name = `${low},${high}`;
        t.is(put ? ledger.put(low, high, hash) : ledger.delete(low, high), put !== map.has(name));
        if (put) map.set(name, hash);
        else map.delete(name);
      }
      const sum = [...map.values()].reduce((sum, hash) => (sum + hash) >>> 0, 0);
      t.deepEqual(ledger.digest, { rows: map.size, sum });
    }),
    { numRuns: 500 },
  );
});

test("100,000 rows in, changed and out again: every shard grows, and nothing is left", (t) => {
  const hash = new KeyedHash("secret");
  const ledger = new RowLedger();
  const bytes = Buffer.alloc(8);
  const each = (run: (at: number) => void) => {
    for (let at = 0; at < 100_000; at += 1) {
      bytes.writeDoubleLE(at);
      hash.hash(3, bytes, 0, 8);
      run(at);
    }
  };
  let added = 0;
  each((at) => (added += Number(ledger.put(hash.low, hash.high, at))));
  t.is(added, 100_000);
  let sum = 0;
  each((at) => {
    ledger.put(hash.low, hash.high, 2 * at);
    sum += 2 * at;
  });
  t.deepEqual(ledger.digest, { rows: 100_000, sum: sum >>> 0 });
  let removed = 0;
  each(() => (removed += Number(ledger.delete(hash.low, hash.high))));
  t.is(removed, 100_000);
  t.deepEqual(ledger.digest, { rows: 0, sum: 0 });
});

test("the hash depends on every byte, the length, the part and the secret, and on nothing else", (t) => {
  const value = (secret: string, part: number, text: string, at = 0) => {
    const hash = new KeyedHash(secret);
    const bytes = Buffer.concat([Buffer.alloc(at, 0xff), Buffer.from(text), Buffer.alloc(4, 0xff)]);
    hash.hash(part, bytes, at, at + Buffer.byteLength(text));
    return `${hash.low},${hash.high}`;
  };
  for (let length = 0; length < 12; length += 1) {
    const text = "abcdefghijkl".slice(0, length);
    const seen = new Set([
      value("s", 1, text),
      value("s", 2, text),
      value("t", 1, text),
      value("s", 1, `${text}\u0000`),
    ]);
    t.is(seen.size, 4);
    t.is(value("s", 1, text), value("s", 1, text, 5));
    for (let at = 0; at < length; at += 1) seen.add(value("s", 1, `${text.slice(0, at)}X${text.slice(at + 1)}`));
    t.is(seen.size, 4 + length);
  }
});
