/**
 * What a service announces of its application: whatever the application takes fits the schemas that commands read back from it, be
 * it trimmed, coerced, caught or checked in ways that JSON Schema has no words for.
 */
import test from "ava";
import { assert, constantFrom, dictionary, oneof, property, record, string } from "fast-check";
import { z } from "zod";
import { announcedSchemas } from "../../actors/application/announced.ts";
import { defineApplication } from "../../actors/application/define.ts";
import { exchange } from "../../actors/applications/exchange/exchange.ts";
import { ledger } from "../../actors/applications/ledger/ledger.ts";
import type { JsonSchema } from "../../schemas/announced.ts";
import { runs } from "../helpers/property-runs.ts";

const readBack = (schema: JsonSchema) =>
  z.fromJSONSchema(JSON.parse(JSON.stringify(schema)), { registry: z.registry() });

function announced(request: z.ZodType): JsonSchema {
  const nothing = { name: "nothing", result: z.null(), key: () => "k" };
  const application = defineApplication({
    ...nothing,
    request,
    handle: (_body, { transaction }) => transaction("nothing", () => null),
  });
  return announcedSchemas(application).request;
}

const Tree = z.strictObject({
  value: z.int(),
  get children() {
    return z.array(Tree);
  },
});

/** Schemas with what they take and, where there is a JSON Schema for it, what they do not. */
const cases: readonly (readonly [name: string, schema: z.ZodType, taken: unknown, refused?: unknown])[] = [
  ["a number", z.int().min(1), 1, 0],
  ["coerced", z.coerce.number(), "5"],
  ["caught", z.number().catch(3), "no number"],
  ["prepared before it is checked", z.preprocess((value) => Number(value), z.number()), "5"],
  ["trimmed before its length counts", z.string().trim().max(3), "  abc  ", 3],
  ["lowered before its pattern counts", z.string().toLowerCase().regex(/^a$/), "A", 3],
  ["a pattern with flags", z.string().max(3).regex(/^abc$/i), "ABC", "abcd"],
  ["two patterns, one with flags", z.string().regex(/a/).regex(/b/i), "aB", 3],
  ["a pattern of the author's own for a format", z.email({ pattern: /@/ }), "ü@x", "x"],
  ["an id that is none by the newest rules", z.guid(), "550e8400-e29b-01d4-0716-446655440000", "550e8400"],
  ["emoji", z.emoji(), "😀", 3],
  ["a local time", z.iso.datetime({ local: true }), "2020-01-01T00:00:00", "2020"],
  ["a code", z.base64url(), "aa-_", 3],
  ["a tuple", z.tuple([z.string(), z.number().optional()]), ["a"], [1]],
  ["some keys of a record", z.partialRecord(z.enum(["a", "b"]), z.number()), { a: 1 }, { c: 1 }],
  ["one of several", z.union([z.string(), z.strictObject({ a: z.number() })]), { a: 1 }, { a: 1, b: 2 }],
  ["defaults", z.strictObject({ a: z.number().default(3), b: z.number().nullish() }), {}, { a: null }],
  ["a tree", Tree, { value: 1, children: [{ value: 2, children: [] }] }, { value: 1, children: [{}] }],
  ["refined", z.number().refine((value) => value > 3), 4, "4"],
];

test("what an application takes fits what is announced, and what JSON Schema can say is refused", (t) => {
  for (const [name, schema, taken, ...refused] of cases) {
    t.true(schema.safeParse(taken).success, `${name}: taken`);
    const known = readBack(announced(schema));
    t.true(known.safeParse(taken).success, `${name}: ${JSON.stringify(taken)} fits`);
    for (const value of refused) {
      t.false(schema.safeParse(value).success, `${name}: refused`);
      t.false(known.safeParse(value).success, `${name}: ${JSON.stringify(value)} does not fit`);
    }
  }
});

const values = oneof(
  constantFrom("limit", "market", "cancel", "replace", "buy", "sell", "GTC", "IOC", "BTCUSD", "o1", "x", "", "a b"),
  constantFrom(0, 1, 7, -1, 1.5, 2 ** 53, null, true),
  constantFrom([], {}, ["a"]),
);
const exchangeFields = ["type", "symbol", "order", "side", "price", "quantity", "timeInForce", "postOnly"];
const ledgerFields = ["type", "account", "from", "to", "amount", "currency", "at"];
const bodies = oneof(
  values,
  ...[exchangeFields, ledgerFields].map((names) =>
    dictionary(oneof({ weight: 9, arbitrary: constantFrom(...names) }, { weight: 1, arbitrary: string() }), values),
  ),
  record(
    {
      type: constantFrom("limit", "market", "cancel", "replace"),
      symbol: constantFrom("BTCUSD", "a b"),
      order: constantFrom("o1", ""),
      side: constantFrom("buy", "sell", "hold"),
      price: constantFrom(1, 0, 1.5),
      quantity: constantFrom(1, 0),
    },
    { requiredKeys: ["type", "symbol", "order"] },
  ),
);

test("of the applications that come along, whatever the body, the verdict is the application's own", (t) => {
  for (const application of [exchange, ledger]) {
    const known = readBack(announcedSchemas(application).request);
    void assert(
      property(bodies, (body) => known.safeParse(body).success === application.request.safeParse(body).success),
      { numRuns: runs(1_000) },
    );
  }
  t.pass();
});
