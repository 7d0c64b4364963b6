/**
 * An application whose state an integrator mirrors: how many of each item there are. Its query `page` gives the state in parts, for
 * whoever begins after the first results were forgotten.
 */
import { defineApplication } from "twinlog";
import { z } from "zod";

export const stock = defineApplication({
  name: "stock",
  request: z.strictObject({ item: z.string().min(1).max(64), change: z.int() }),
  result: z.object({ change: z.int() }), // what was changed: nothing where there were not enough
  key: (body) => body.item,
  tables: { items: z.object({ quantity: z.int().nonnegative() }) },
  queues: {},
  handle: ({ item, change }, { transaction }) =>
    transaction("change", (tx) => {
      const quantity = (tx.get("items", item)?.quantity ?? 0) + change;
      if (quantity < 0 || change === 0) return { change: 0 };
      tx.put("items", item, { quantity });
      return { change };
    }),
  queries: {
    /** The next items behind `after`, by name. Of a million items keep the names sorted in a view: rows come in no order. */
    page: {
      body: z.strictObject({ after: z.string(), limit: z.int().min(1).max(1_000) }),
      answer: ({ after, limit }, state) =>
        [...state.rows("items")]
          .filter(([item]) => item > after)
          .sort(([one], [other]) => (one < other ? -1 : 1))
          .slice(0, limit)
          .map(([item, { quantity }]) => ({ item, quantity })),
    },
  },
});
