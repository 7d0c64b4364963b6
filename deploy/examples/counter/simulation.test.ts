/** The counter on a pair of whole servers in a simulated world, held against a plain model. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { simulate } from "twinlog/testing";
import { counter } from "./counter.ts";

test("it counts as a plain map does, whatever happens to its servers", async () => {
  const report = await simulate(counter, {
    seeds: 5,
    request: (random) => ({ counter: random.pick(["apples", "pears"]), add: random.int(1, 9) }),
    query: (random) => ({ query: "value", counter: random.pick(["apples", "pears"]) }),
    model: () => {
      const values = new Map<string, number>();
      return {
        request: ({ counter, add }) => {
          const value = (values.get(counter) ?? 0) + add;
          values.set(counter, value);
          return { value };
        },
        query: (body) => ({ value: values.get((body as { counter: string }).counter) ?? 0 }),
      };
    },
  });
  assert.ok(report.takeovers > 0);
});
