/**
 * An application that does not come back when it is told so (situation 64): a counter, and bodies that say where its code never returns,
 * or what it leaves behind: a promise that is rejected and that nobody awaits, an exception that nobody catches, an error.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { defineApplication } from "../../actors/index.ts";

const Wish = z.enum(["handler", "afterAwait", "body", "float", "uncaught", "throw"]);
const Body = z
  .strictObject({ add: z.int(), wish: Wish.optional() })
  .refine(({ wish }) => (wish === "body" ? forever() : true));

function forever(): never {
  for (;;);
}

export const counter = defineApplication({
  name: "counter",
  request: Body,
  result: z.object({ total: z.int() }),
  key: () => "counter",
  tables: { totals: z.object({ total: z.int() }) },
  handle({ add, wish }, { transaction }) {
    const addIt = () =>
      transaction("add", (tx) => {
        const total = (tx.get("totals", "counter")?.total ?? 0) + add;
        tx.put("totals", "counter", { total });
        return { total };
      });
    switch (wish) {
      case "handler":
        return forever();
      case "afterAwait":
        return sleep(1).then(forever);
      case "float":
        void Promise.reject(new Error("nobody waits for this"));
        return addIt();
      case "uncaught":
        setTimeout(() => {
          throw new Error("nobody catches this");
        });
        return addIt();
      case "throw":
        throw new Error("as it was told");
      default:
        return addIt();
    }
  },
  queries: {
    total: {
      body: z.strictObject({}),
      answer: (_body, state) => ({ total: state.get("totals", "counter")?.total ?? 0 }),
    },
    forever: { body: z.strictObject({ of: z.string() }), answer: forever },
  },
});
