/** What may be read of what was stored under another schema, as zod writes both. */
import test from "ava";
import { z } from "zod";
import { structureOf, whyNotRead } from "../../actors/application/json-schema.ts";

const structure = (schema: z.ZodType) => structureOf(z.toJSONSchema(schema));
const why = (wanted: z.ZodType, stored: z.ZodType) => whyNotRead(structure(wanted), structure(stored));

const row = { owner: z.string(), amount: z.int() };

test("words, limits, the order of fields and optional fields that are new are no other structure", (t) => {
  const before = z.object({ owner: z.string().max(8).describe("who"), amount: z.int().min(0) });
  t.is(why(z.object({ amount: z.int(), owner: z.string().regex(/x/) }), before), null);
  t.is(why(z.strictObject({ ...row, note: z.string().optional() }), before), null);
  t.is(why(z.object({ owner: z.string(), amount: z.number() }), before), null, "a whole number is a number");
  t.is(why(z.object({ owner: z.string().nullable(), amount: z.int() }), before), null);
  t.is(why(z.object({ owner: z.string().optional(), amount: z.int() }), before), null);
  t.is(why(z.unknown(), before), null);
  t.is(why(z.record(z.string(), z.union([z.string(), z.int()])), before), null);
  t.deepEqual(structure(before), structure(z.object({ amount: z.int(), owner: z.string() })));
});

test("what is stored and does not fit is told by its field", (t) => {
  const before = z.object(row);
  t.is(why(z.object({ ...row, note: z.string() }), before), "field note is required, and what is stored may lack it");
  t.is(
    why(z.object({ ...row, note: z.string().default("") }), before),
    "field note is required, and what is stored may lack it",
    "a default is written with the next put, and is not there before",
  );
  t.is(why(z.object({ owner: z.string() }), before), "field amount is gone");
  t.is(why(z.object({ owner: z.int(), amount: z.int() }), before), "field owner is of another kind");
  t.is(why(z.object({ ...row, owner: z.object({ name: z.string() }) }), before), "field owner is of another kind");
  t.is(why(z.object(row), z.object({ owner: z.string(), amount: z.number() })), "field amount is of another kind");
  const deep = (inner: z.ZodType) => z.object({ to: z.array(z.object({ at: inner })) });
  t.is(why(deep(z.string()), deep(z.int())), "field to.*.at is of another kind");
  t.is(why(z.array(z.string()), z.object(row)), "what it holds is of another kind");
  t.is(why(z.tuple([z.string(), z.int()]), z.tuple([z.string(), z.string()])), "field 1 is of another kind");
});

test("of several cases each that may be stored must be one of those that are wanted", (t) => {
  const [limit, market, stop] = ["limit", "market", "stop"].map((type) =>
    z.object({ type: z.literal(type), n: z.int() }),
  );
  const two = z.discriminatedUnion("type", [limit as never, market as never]);
  const three = z.discriminatedUnion("type", [limit as never, market as never, stop as never]);
  t.is(why(three, two), null);
  t.truthy(why(two, three));
  t.is(why(z.enum(["buy", "sell", "short"]), z.enum(["buy", "sell"])), null);
  t.truthy(why(z.enum(["buy"]), z.enum(["buy", "sell"])));
  t.is(why(z.string(), z.enum(["buy", "sell"])), null);
  t.truthy(why(z.enum(["buy", "sell"]), z.string()));
  t.is(why(z.string(), z.literal("buy")), null);
  t.truthy(why(z.int(), z.literal("buy")));
});

test("what a schema does not name may be any of the fields that are wanted", (t) => {
  const note = z.looseObject({ n: z.int(), note: z.string().optional() });
  t.is(why(note, z.looseObject({ n: z.int() })), "field note is of another kind");
  t.is(why(note, note), null);
  const texts = z.record(z.string(), z.string());
  t.is(why(z.object({ n: z.int().optional() }).catchall(z.string()), texts), "field n is of another kind");
  t.is(why(z.object({ n: z.string().optional() }).catchall(z.string()), texts), null);
  t.is(why(z.object({ n: z.int() }), z.object({ n: z.int(), constructor: z.int() })), "field constructor is gone");
});

test("which keys a record has, and which places of a tuple may be missing, is part of what it is", (t) => {
  const [one, two] = [z.enum(["a"]), z.enum(["a", "b"])];
  const pair = z.object({ a: z.int(), b: z.int() });
  t.truthy(why(z.record(one, z.int()), z.record(two, z.int())));
  t.truthy(why(z.partialRecord(one, z.int()), z.record(z.string(), z.int())));
  t.is(why(z.partialRecord(one, z.int()), pair), "field b is gone");
  t.is(why(z.partialRecord(two, z.int()), pair), null);
  t.is(why(z.partialRecord(two, z.int()), z.partialRecord(one, z.int())), null);
  t.is(why(z.record(z.string(), z.int()), z.partialRecord(two, z.int())), null);
  const prices = (price: z.ZodType) => z.looseRecord(z.string().regex(/^S_/), price);
  t.is(why(prices(z.string()), prices(z.int())), "field ^S_ is of another kind");
  t.is(why(prices(z.number()), prices(z.int())), null);
  const [whole, part] = [z.tuple([z.string(), z.int()]), z.tuple([z.string(), z.int().optional()])];
  t.truthy(why(whole, part));
  t.is(why(part, whole), null);
});

test("an object and a record at once: what one does not name the other may let through", (t) => {
  const owner = z.object({ owner: z.string() });
  const texts = z.record(z.string(), z.string());
  const both = owner.and(texts);
  t.is(why(both, both), null);
  t.is(why(both, owner), null);
  t.is(why(owner, both), "what it holds is of another kind", "a field that is not named may be there");
  t.is(why(texts, both), null);
  t.is(why(z.record(z.string(), z.int()), both), "field owner is of another kind");
  t.is(why(z.object({ owner: z.int() }).and(texts), both), "field owner is of another kind");
  t.is(
    why(z.object({ owner: z.string(), note: z.string() }).and(texts), both),
    "field note is required, and what is stored may lack it",
  );
  t.is(why(z.looseObject({ owner: z.string(), note: z.int().optional() }), both), "field note is of another kind");
  t.is(why(z.looseObject({ owner: z.string() }), both), null);
  t.is(why(both, texts), "field owner is required, and what is stored may lack it");
  t.is(why(both, owner.extend({ note: z.string() })), "field note is gone", "what is closed may be strict");
  const either = z.object({ n: z.union([z.string(), z.int()]) });
  t.is(why(either.and(texts), z.object({ n: z.int() })), "field n is of another kind", "a record holds every field");
  const deep = (inner: z.ZodType) => z.object({ at: inner, n: z.int().optional() });
  t.is(why(deep(both), z.object({ at: both })), null);
  t.is(why(deep(owner), z.object({ at: both })), "field at is of another kind");
  const wide = z.looseObject({ owner: z.string() }).and(z.record(z.string(), z.union([z.string(), z.int()])));
  t.is(why(wide, z.looseObject({ owner: z.string() }).and(texts)), null);
  t.is(why(z.looseObject({ owner: z.string() }).and(texts), wide), "field * is of another kind");
});

test("two patterns are limits, and neither of them makes a text anything", (t) => {
  const twice = z.string().regex(/a/).regex(/b/);
  t.is(why(twice, z.string()), null);
  t.is(why(z.string(), twice), null);
  t.is(why(z.object({ a: twice }), z.object({ a: twice })), null);
  t.is(why(twice, z.int()), "what it holds is of another kind");
  t.is(why(z.int(), twice), "what it holds is of another kind");
});

test("schemas that hold themselves are compared to their end", (t) => {
  const tree = (leaf: z.ZodType): z.ZodType => {
    const node: z.ZodType = z.object({ leaf, children: z.array(z.lazy(() => node)) });
    return node;
  };
  t.is(why(tree(z.string()), tree(z.string())), null);
  t.is(why(tree(z.number()), tree(z.int())), null);
  t.regex(why(tree(z.int()), tree(z.string())) ?? "", /leaf is of another kind/);
});
