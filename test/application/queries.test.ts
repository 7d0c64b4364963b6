/** A query that says what it answers: announced, and held to it. */
import test from "ava";
import { z } from "zod";
import { announcedSchemas } from "../../actors/application/announced.ts";
import { defineApplication } from "../../actors/application/define.ts";
import { testApplication } from "../../actors/testing/index.ts";

const application = defineApplication({
  name: "shop",
  request: z.strictObject({ value: z.string() }),
  result: z.null(),
  key: () => "k",
  tables: { values: z.object({ value: z.string() }) },
  handle: ({ value }, { transaction }) =>
    transaction("put", (tx) => {
      tx.put("values", "one", { value });
      return null;
    }),
  queries: {
    held: {
      body: z.strictObject({}),
      result: z.object({ value: z.string().max(3) }),
      answer: (_, state) => ({ ...state.get("values", "one"), more: 1 }),
    },
    free: { body: z.strictObject({}), answer: (_, state) => state.get("values", "one")?.value ?? null },
  },
});

test("an answer is what its schema says, or an error of the application; without a schema it may be anything", async (t) => {
  const app = testApplication(application);
  await app.request({ value: "abc" });
  t.deepEqual(
    (await app.query({ query: "held" })).result,
    { value: "abc" },
    "as a result, without what it does not name",
  );
  await app.request({ value: "abcd" });
  await t.throwsAsync(app.query({ query: "held" }), {
    code: "APPLICATION_ERROR",
    message: /the answer is not what its schema says: value/,
  });
  t.is((await app.query({ query: "free" })).result, "abcd");
  app.close();
});

test("what a query answers is announced, where it says so", (t) => {
  const { queries, answers } = announcedSchemas(application);
  t.deepEqual(Object.keys(queries), ["held", "free"]);
  t.deepEqual(Object.keys(answers ?? {}), ["held"]);
  t.like(answers, { held: { properties: { value: { type: "string", maxLength: 3 } }, required: ["value"] } });
});
