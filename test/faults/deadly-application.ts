/**
 * An application of which some requests kill the server that runs it (situation 34): a counter, and a body that says so.
 */
import process from "node:process";
import { z } from "zod";
import { defineApplication } from "../../actors/index.ts";

const Body = z.strictObject({ add: z.int(), deadly: z.boolean().default(false) });

export const counter = defineApplication({
  name: "counter",
  request: Body,
  result: z.object({ total: z.int() }),
  key: () => "counter",
  tables: { totals: z.object({ total: z.int() }) },
  queues: {},
  views: {},
  handle(body, { transaction }) {
    if (body.deadly) process.kill(process.pid, "SIGKILL");
    return transaction("add", (tx) => {
      const total = (tx.get("totals", "counter")?.total ?? 0) + body.add;
      tx.put("totals", "counter", { total });
      return { total };
    });
  },
  queries: {
    total: {
      body: z.strictObject({}),
      answer: (_body, state) => ({ total: state.get("totals", "counter")?.total ?? 0 }),
    },
  },
});
