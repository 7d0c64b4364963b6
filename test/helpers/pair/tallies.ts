/** One application in three versions, as its author changes it over the years: for tests of upgrades (rule 19). */
import { z } from "zod";
import { defineApplication } from "../../../actors/application/define.ts";

const key = ({ tally }: { tally: string }) => tally;

/** A row of `tallies`, as the first version wrote it. */
const before = z.object({ value: z.int() });

export const one = defineApplication({
  name: "tallies",
  request: z.strictObject({ tally: z.string(), add: z.int() }),
  result: z.object({ value: z.int() }),
  key,
  tables: { tallies: before, zones: z.object({ name: z.string() }) },
  queues: { changes: { item: z.object({ tally: z.string() }), maxItems: 50, whenFull: "dropOldest" } },
  handle: ({ tally, add }, { transaction }) =>
    transaction("add", (tx) => {
      const value = (tx.get("tallies", tally)?.value ?? 0) + add;
      tx.put("tallies", tally, { value });
      tx.put("zones", "north", { name: "north" });
      tx.push("changes", { tally });
      return { value };
    }),
});

/** The first one under another name. */
export const renamed = defineApplication({ ...one, name: "scores", storedAs: "tallies" });

/** The same, which does not say what it was called. */
export const unknown = defineApplication({ ...one, name: "scores", storedAs: "scores" });

const request = z.strictObject({ tally: z.string(), add: z.int(), note: z.string().max(80).default("") });

/** No new version: a table, a field that may be missing, a default and a result's field. */
export const wider = defineApplication({
  name: "tallies",
  request,
  result: z.object({ value: z.int(), note: z.string().optional() }),
  key,
  tables: {
    notes: z.object({ text: z.string() }),
    tallies: z.object({ value: z.int().describe("so far"), note: z.string().optional() }),
    zones: z.object({ name: z.string() }),
  },
  queues: { changes: { item: z.object({ tally: z.string() }), maxItems: 50, whenFull: "dropOldest" } },
  handle: ({ tally, add, note }, { transaction }) =>
    transaction("add", (tx) => {
      const value = (tx.get("tallies", tally)?.value ?? 0) + add;
      tx.put("tallies", tally, { value, note });
      tx.put("notes", tally, { text: note });
      tx.push("changes", { tally });
      return { value, note };
    }),
});

/** A field that each row has, a table that is gone and one that is new, a queue whose items are others. */
export const two = defineApplication({
  name: "tallies",
  version: 2,
  request,
  result: z.object({ value: z.int(), turns: z.int() }),
  key,
  tables: { tallies: z.object({ value: z.int(), turns: z.int() }), sums: z.object({ tallies: z.int() }) },
  queues: { changes: { item: z.object({ tally: z.string(), turns: z.int() }), maxItems: 50, whenFull: "dropOldest" } },
  migrations: {
    2: {
      tallies: (old, tx, name) => {
        const { value } = before.parse(old);
        tx.put("tallies", name, { value, turns: 0 });
        const sum = tx.get("sums", "all") as { tallies: number } | undefined;
        tx.put("sums", "all", { tallies: (sum?.tallies ?? 0) + 1 });
      },
      changes: (old, tx) => tx.push("changes", { ...old, turns: 0 }),
    },
  },
  handle: ({ tally, add }, { transaction }) =>
    transaction("add", (tx) => {
      const { value, turns } = tx.get("tallies", tally) ?? { value: 0, turns: 0 };
      tx.put("tallies", tally, { value: value + add, turns: turns + 1 });
      tx.push("changes", { tally, turns: turns + 1 });
      return { value: value + add, turns: turns + 1 };
    }),
  queries: {
    all: {
      body: z.strictObject({}),
      answer: (_, state) => ({
        rows: Object.fromEntries(state.rows("tallies")),
        sums: state.get("sums", "all"),
        changes: state.peek("changes", 100),
      }),
    },
  },
});

/** Its migration does not do what the schema asks for. */
export const broken = defineApplication({
  name: "tallies",
  version: 2,
  request,
  result: z.object({ value: z.int() }),
  key,
  tables: { tallies: z.object({ value: z.int(), turns: z.int() }) },
  migrations: { 2: {} },
  handle: () => ({ value: 0 }),
});
