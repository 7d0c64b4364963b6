/** `testMigration` of `twinlog/testing`: what an author's test of a migration sees is what a server makes, wherever it dies. */
import test from "ava";
import { z } from "zod";
import { defineApplication } from "../../actors/application/define.ts";
import { testMigration } from "../../actors/testing/index.ts";
import { broken, two } from "../helpers/pair/tallies.ts";

const stored = {
  tables: { tallies: { a: { value: 3 }, b: { value: 4 } }, zones: { north: { name: "north" } } },
  queues: { changes: [{ tally: "a" }, { tally: "b" }] },
};

test("rows and items of an earlier version come out as the program has them", (t) => {
  t.deepEqual(testMigration(two, stored), {
    tables: { tallies: { a: { value: 3, turns: 0 }, b: { value: 4, turns: 0 } }, sums: { all: { tallies: 2 } } },
    queues: {
      changes: [
        { tally: "a", turns: 0 },
        { tally: "b", turns: 0 },
      ],
    },
  });
});

test("what fails on a server fails here, in the same words", (t) => {
  t.throws(() => testMigration(broken, stored), {
    message: /after the migration to version 2 tallies\/a is not what its schema says: turns:/,
  });
  t.throws(() => testMigration(two, { version: 3 }), { message: /the data is of version 3/ });
});

test("what is carried from row to row but in a table is found by cutting it", (t) => {
  let seen = 0;
  const counting = defineApplication({
    name: "counting",
    version: 2,
    request: z.strictObject({}),
    result: z.object({}),
    key: () => "",
    handle: () => ({}),
    tables: { rows: z.object({ number: z.int() }) },
    migrations: {
      2: {
        rows: (_, tx, key) => {
          seen += 1;
          tx.put("rows", key, { number: seen });
        },
      },
    },
  });
  const rows = { one: {}, two: {}, three: {} };
  t.throws(() => testMigration(counting, { tables: { rows } }), {
    message: /depends on where it is cut: after record 1/,
  });
});
