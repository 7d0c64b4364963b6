/** The hash of bodies: which differences it sees, and that its numbers never change. */
import test from "ava";
import { assert, jsonValue, property } from "fast-check";
import { hashOf } from "../../machines/codec/body-hash.ts";

test("small differences make other numbers", (t) => {
  const values = [
    null,
    true,
    false,
    0,
    1,
    -1,
    0.5,
    2 ** 40,
    "",
    "0",
    "1",
    "a",
    "ab",
    "ba",
    "null",
    [],
    {},
    [[]],
    [{}],
    [1, 2],
    [2, 1],
    [12],
    ["1", "2"],
    [[1], 2],
    { a: 1 },
    { a: "1" },
    { a: null },
    { b: 1 },
    { a: { b: 1 } },
    { a: 1, b: 2 },
    { a: 2, b: 1 },
    { ab: 1 },
    { a: [1] },
    { a: 1, c: { d: 2 } },
    { a: 1, c: 2, d: 2 },
  ];
  const hashes = values.map(hashOf);
  t.is(new Set(hashes).size, values.length);
  t.true(hashes.every((hash) => Number.isSafeInteger(hash) && hash >= 0));
});

test("many values that are almost equal have no number in common", (t) => {
  const hashes = new Set<number>();
  for (let n = 0; n < 100_000; n += 1)
    hashes.add(hashOf({ type: "limit", order: `o${n}`, price: 1_000 + (n % 7), quantity: n % 3 }));
  for (let n = 0; n < 100_000; n += 1) hashes.add(hashOf({ n }));
  t.is(hashes.size, 200_000);
});

test("the order of fields does not matter, at any depth; that of items does", async (t) => {
  await assert(
    property(jsonValue(), (value) => {
      t.is(hashOf(turned(value)), hashOf(value));
    }),
  );
  t.pass();
});

/** The same value with every object's fields the other way round. */
function turned(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(turned);
  return Object.fromEntries(
    Object.entries(value)
      .map(([name, inner]) => [name, turned(inner)] as const)
      .reverse(),
  );
}

test("the numbers stay what they were: they are in logs", (t) => {
  t.is(hashOf({ type: "cancel", symbol: "BTCUSD", order: "o1" }), 2_082_092_353_427_131);
});
