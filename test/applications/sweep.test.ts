/** Orders that meet more than fits in a record: they trade as if it did, wherever a server dies, and end where a result is full. */
import test from "ava";
import { exchange } from "../../actors/applications/exchange/exchange.ts";
import { maxFillBytes } from "../../actors/applications/exchange/matching.ts";
import type { OrderResult } from "../../actors/applications/exchange/schemas.ts";
import { Limits } from "../../schemas/settings.ts";
import { Harness } from "../helpers/hot-and-warm.ts";
import { type OrderBody, PlainBook } from "../models/plain-book.ts";

type LimitOrder = Extract<OrderBody, { type: "limit" }>;
const symbol = "BTCUSD";
/** As long as a UUID. */
const uuid = (n: number) => `3f0c7d1e-0000-4000-8000-${String(n).padStart(12, "0")}`;
/** As long as an id may be; each character is two in JSON. */
const longest = (n: number) => String(n).padStart(64, '"');
const short = (n: number) => `o${n}`;
const sell = (order: string, n: number): LimitOrder => ({
  type: "limit",
  symbol,
  order,
  side: "sell",
  price: 1_000 + (n % 7),
  quantity: 1 + (n % 3),
});
const buy = (order: string, quantity: number, more: Partial<LimitOrder> = {}): LimitOrder => ({
  type: "limit",
  symbol,
  order,
  side: "buy",
  price: 2_000,
  quantity,
  ...more,
});
const market = (quantity: number): OrderBody => ({ type: "market", symbol, order: "sweep", side: "buy", quantity });

/** The exchange, with limits as they are by default, and the plain book that has had the same orders. */
function withSells(count: number, idOf: (n: number) => string, more: Partial<LimitOrder> = {}) {
  const { maxRecordBytes } = Limits.parse({});
  const [harness, plain] = [new Harness(exchange, { maxRecordBytes }), new PlainBook()];
  for (let n = 0; n < count; n += 1) {
    const body = { ...sell(idOf(n), n), ...more };
    harness.result(body);
    plain.execute(body, harness.client);
  }
  const ask = (body: OrderBody) => ({
    result: harness.result(body) as OrderResult,
    expected: plain.execute(body, harness.client) as unknown as OrderResult,
  });
  return { harness, plain, ask };
}

function book({ runner }: Harness): { asks: unknown[]; bids: unknown[] } {
  const answer = runner.query({ query: "book", symbol }, 9, "me");
  if (!answer.ok) throw new Error(answer.message);
  return JSON.parse(answer.json);
}

test("a market order trades with 3,000 orders whose ids are as long as a UUID", (t) => {
  const { harness, ask } = withSells(3_000, uuid);
  const { result, expected } = ask(market(6_000));
  t.is(result.status, "filled");
  t.is(result.fills.length, 3_000);
  t.deepEqual(result, expected);
  t.like(book(harness), { asks: [], bids: [] });
  t.is(harness.hot.queue("executions").length, 3_000, "each has its execution");
  t.is(harness.warm.digest(), harness.hot.digest());
});

for (const [what, orders] of Object.entries({
  rests: [buy("a", 2_500)],
  "is dropped": [buy("a", 2_500, { timeInForce: "IOC" })],
  "would not be whole": [buy("a", 2_401, { timeInForce: "FOK" }), buy("b", 2_400, { timeInForce: "FOK" })],
  "rests in the place of what it replaces": [
    buy("a", 5, { price: 900 }),
    { type: "replace", symbol, order: "a", price: 2_000, quantity: 2_500 } as const,
  ],
  "is nothing, nor are there others": [market(1_199), market(1_201)],
}))
  test(`what is left of a long sweep ${what}`, (t) => {
    const { harness, plain, ask } = withSells(1_200, short);
    for (const order of orders) {
      const { result, expected } = ask(order);
      t.deepEqual(result, expected);
    }
    t.like(book(harness), plain.levels(symbol));
    t.is(harness.warm.digest(), harness.hot.digest());
  });

test("wherever its server dies, a sweep ends on the next one as if it had not", (t) => {
  const { harness } = withSells(1_200, short);
  const before = harness.sent.length;
  const order = buy("a", 2_100, { timeInForce: "FOK" });
  const whole = harness.takenOver();
  const result = whole.result(order);
  t.deepEqual(
    whole.sent.map(({ name }) => name),
    ["match", "match 2", "match 3", "rest"],
  );
  for (let kept = 0; kept < whole.sent.length; kept += 1) {
    const next = harness.takenOver();
    const records = whole.sent.slice(0, kept);
    for (const { effects } of records) for (const state of [next.hot, next.warm]) state.apply(effects);
    next.start(
      order,
      "1",
      records.map(({ name, json }) => ({ name, value: json })),
    );
    t.like(next.outcome(), { ok: true, result }, `${kept} records were kept`);
    t.is(next.hot.digest(), whole.hot.digest());
    t.is(next.warm.digest(), whole.hot.digest());
  }
  t.is(harness.sent.length, before);
});

test("an order ends where its result is full, whatever ids are; one that must be whole is not begun", (t) => {
  const { harness, ask } = withSells(2_500, longest, { goodTillMs: 8_640_000_000_000_000 });
  const before = harness.hot.digest();
  const order = longest(9_999);
  t.deepEqual(harness.result(buy(order, 4_500, { timeInForce: "FOK" })), {
    status: "cancelled",
    order,
    remaining: 0,
    fills: [],
  });
  t.is(harness.hot.digest(), before);

  const { result, expected } = ask(buy(order, 4_500));
  const { length } = result.fills;
  t.deepEqual(result, { ...expected, status: "cancelled", remaining: 0, fills: expected.fills.slice(0, length) });
  const bytes = JSON.stringify(result.fills).length;
  t.true(bytes <= maxFillBytes && bytes > maxFillBytes - 400, `${bytes} bytes`);
  t.is(harness.hot.queue("executions").length, length);

  const rest = harness.result(buy(order, 5_000)) as OrderResult;
  t.is(rest.status, "resting");
  t.is(length + rest.fills.length, 2_500);
});
