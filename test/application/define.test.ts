/** What a definition must be, and what bodies become. */
import test from "ava";
import { z } from "zod";
import { BodyParser } from "../../actors/application/body.ts";
import { applicationParts, defineApplication, schemaDigest } from "../../actors/application/define.ts";
import { exchange } from "../../actors/applications/exchange/exchange.ts";
import { ledger } from "../../actors/applications/ledger/ledger.ts";

const define = (more: object = {}) =>
  defineApplication({
    name: "probe",
    request: z.strictObject({ a: z.int(), b: z.string().default("x"), c: z.strictObject({ d: z.int() }).optional() }),
    result: z.strictObject({}),
    key: (body: { b: string }) => body.b,
    handle: () => ({}),
    ...more,
  });
const queue = { item: z.int(), maxItems: 1, whenFull: "refuse" as const };

test("tables, queues, views and queries may be left out", (t) => {
  const { tables, queues, views, queries } = define();
  t.deepEqual([tables, queues, views, queries], [{}, {}, {}, {}]);
});

test("parts are numbered by name, tables first", (t) => {
  const application = define({ tables: { z: z.int(), a: z.int() }, queues: { m: queue, b: queue } });
  t.deepEqual(
    applicationParts(application).map(({ kind, name, part }) => `${part} ${kind} ${name}`),
    ["0 table a", "1 table z", "2 queue b", "3 queue m"],
  );
});

test("a definition that could not be kept is refused at once", (t) => {
  for (const [more, message] of [
    [{ name: "Probe" }, /a name is/],
    [{ request: z.object({}) }, /request: use z.strictObject/],
    [{ request: z.union([z.strictObject({}), z.strictObject({ a: z.object({}) })]) }, /request: use z.strictObject/],
    [{ request: z.strictObject({ a: z.string().transform(Number) }) }, /JSON Schema/],
    [{ result: z.strictObject({ at: z.date() }) }, /JSON Schema/],
    [{ tables: { a: z.bigint() } }, /JSON Schema/],
    [{ queues: { a: { ...queue, maxItems: 0 } } }, /maxItems/],
    [{ tables: { a: z.int() }, queues: { a: queue } }, /same name/],
    [{ queries: { q: { body: z.object({}), answer: () => 1 } } }, /query q/],
    [{ key: undefined }, /key must be a function/],
    [{ handle: "later" }, /handle must be a function/],
    [{ views: { v: {} } }, /view v must be a function/],
    [{ queries: { q: { body: z.strictObject({}) } } }, /query q: answer must be a function/],
    [{ request: undefined }, /request must be a schema of zod 4/],
    [{ result: { a: 1 } }, /result must be a schema of zod 4/],
    [{ tables: { a: "text" } }, /table a must be a schema of zod 4/],
    [{ queues: { a: { maxItems: 1, whenFull: "refuse" } } }, /queue a: item must be a schema of zod 4/],
    [{ queries: { q: { answer: () => 1 } } }, /query q: body must be a schema of zod 4/],
  ] as const)
    t.throws(() => define(more), { message });
});

test("the digest tells applications and schemas apart, and nothing else (claim 12)", (t) => {
  t.regex(schemaDigest(exchange), /^[0-9a-f]{16}$/);
  t.is(schemaDigest(define()), schemaDigest(define({ handle: () => null, views: { v: () => ({}) } })));
  const digests = [
    {},
    { name: "other" },
    { request: z.strictObject({}) },
    { result: z.strictObject({ a: z.int() }) },
    { tables: { a: z.int() } },
    { tables: { a: z.string() } },
    { tables: { b: z.int() } },
    { queues: { a: queue } },
    { queues: { a: { ...queue, maxItems: 2 } } },
  ].map((more) => schemaDigest(define(more)));
  t.is(new Set([...digests, schemaDigest(exchange), schemaDigest(ledger)]).size, digests.length + 2);
});

test("bodies are parsed strictly, and refusals say what is wrong in a few words", (t) => {
  const parser = new BodyParser(define());
  t.deepEqual(parser.parse({ a: 1 }), { ok: true, value: { a: 1, b: "x" }, key: "x" });
  for (const body of [
    null,
    undefined,
    1,
    "x",
    [],
    {},
    { a: "1" },
    { a: 1, z: 1 },
    { a: 1, c: { d: 1, e: 2 } },
    { a: 1, b: "y".repeat(200) },
    { a: 1, b: "\ud800" },
  ]) {
    const parsed = parser.parse(body);
    t.false(parsed.ok, JSON.stringify(body));
    if (!parsed.ok) t.true(parsed.message.length > 3 && parsed.message.length <= 300, parsed.message);
  }
  const hostile = Object.fromEntries(Array.from({ length: 1_000 }, (_, n) => ["k".repeat(100) + n, 1]));
  const parsed = parser.parse(hostile);
  t.true(!parsed.ok && parsed.message.length <= 300);
});

test("the exchange refuses what is not an order", (t) => {
  const parser = new BodyParser(exchange);
  const good = { type: "limit", symbol: "X", order: "o", side: "buy", price: 1, quantity: 1 };
  t.true(parser.parse(good).ok);
  for (const more of [
    { type: "stop" },
    { symbol: "a b" },
    { symbol: "a/b" },
    { symbol: "" },
    { order: "" },
    { order: "a b" },
    { order: "x".repeat(65) },
    { side: "both" },
    { price: -1 },
    { price: Number.NaN },
    { quantity: "1" },
    { timeInForce: "DAY" },
    { postOnly: 1 },
    { extra: 1 },
  ])
    t.false(parser.parse({ ...good, ...more }).ok, JSON.stringify(more));
});

test("equal bodies have equal hashes, in any order of fields and with defaults written out or not", (t) => {
  const parser = new BodyParser(exchange);
  const hash = (body: unknown) => {
    const parsed = parser.parse(body);
    if (!parsed.ok) throw new Error(parsed.message);
    return parser.hash(parsed.value);
  };
  const body = { type: "limit", symbol: "X", order: "o", side: "buy", price: 1, quantity: 1 };
  const turned = Object.fromEntries(Object.entries({ ...body, postOnly: false, timeInForce: "GTC" }).reverse());
  t.is(hash(turned), hash(body));
  t.true(Number.isSafeInteger(hash(body)) && hash(body) >= 0);
  t.not(hash({ ...body, price: 2 }), hash(body));
});

test("the hash of an open body does not depend on the order of its fields either", (t) => {
  const parser = new BodyParser(
    define({
      request: z.strictObject({ b: z.string(), free: z.unknown(), map: z.record(z.string(), z.int()).optional() }),
    }),
  );
  const hash = (body: unknown) => {
    const parsed = parser.parse(body);
    if (!parsed.ok) throw new Error(parsed.message);
    return parser.hash(parsed.value);
  };
  t.is(
    hash({ b: "x", free: { p: 1, q: [{ r: 1, s: 2 }] }, map: { a: 1, b: 2 } }),
    hash({ map: { b: 2, a: 1 }, free: { q: [{ s: 2, r: 1 }], p: 1 }, b: "x" }),
  );
  t.not(hash({ b: "x", free: [1, 2] }), hash({ b: "x", free: [2, 1] }));
  const deep = JSON.parse(`${"[".repeat(100_000)}1${"]".repeat(100_000)}`);
  t.false(parser.parse({ b: "x", free: deep }).ok);
});
