/**
 * An application: named counters. All its state is tables and queues, and all changes are effects of transactions.
 */
import { defineApplication } from "twinlog";
import { z } from "zod";

export const counter = defineApplication({
  name: "counter",
  request: z.strictObject({ counter: z.string().max(64), add: z.int() }),
  result: z.object({ value: z.int() }),
  key: (body) => body.counter, // partition key: third token of the request's subject
  tables: { counters: z.object({ value: z.int() }) },
  queues: {
    changes: { item: z.object({ counter: z.string(), value: z.int() }), maxItems: 1_000, whenFull: "dropOldest" },
  },
  handle: ({ counter, add }, { transaction }) =>
    transaction("add", (tx) => {
      const value = (tx.get("counters", counter)?.value ?? 0) + add;
      tx.put("counters", counter, { value });
      tx.push("changes", { counter, value });
      return { value };
    }),
  queries: {
    value: {
      body: z.strictObject({ counter: z.string() }),
      answer: ({ counter }, state, sequence) => ({ value: state.get("counters", counter)?.value ?? 0, sequence }),
    },
  },
});
