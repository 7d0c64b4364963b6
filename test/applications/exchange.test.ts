/** The exchange against the plain book, and the rules of each kind of order. */
import test from "ava";
import { HandlerRunner } from "../../actors/application/runner.ts";
import { exchange } from "../../actors/applications/exchange/exchange.ts";
import { readEffects } from "../../machines/codec/effects.ts";
import { Harness } from "../helpers/hot-and-warm.ts";
import { orderFlowOfClients } from "../models/flows.ts";
import { type OrderBody, PlainBook } from "../models/plain-book.ts";

const limit = (order: string, side: "buy" | "sell", price: number, quantity: number, more: object = {}) => ({
  type: "limit",
  symbol: "X",
  order,
  side,
  price,
  quantity,
  ...more,
});
const fill = (maker: string, taker: string, price: number, quantity: number) => ({ maker, taker, price, quantity });
const replace = (order: string, price: number, quantity: number) => ({
  type: "replace",
  symbol: "X",
  order,
  price,
  quantity,
});
const book = (harness: Harness, symbol = "X", depth?: number) => {
  const answer = harness.runner.query({ query: "book", symbol, ...(depth === undefined ? {} : { depth }) }, 9, "me");
  if (!answer.ok) throw new Error(answer.message);
  return JSON.parse(answer.json);
};
/** A book with two asks at 101 (a, then b) and one at 102 (c), 10 each. */
const withAsks = () => {
  const harness = new Harness(exchange);
  for (const [order, price] of [
    ["a", 101],
    ["b", 101],
    ["c", 102],
  ] as const)
    harness.result(limit(order, "sell", price, 10));
  return harness;
};

test("a crossing order trades with the best price first, then the oldest, at the resting order's price; the rest rests", (t) => {
  const harness = withAsks();
  t.deepEqual(harness.result(limit("d", "buy", 102, 35)), {
    status: "resting",
    order: "d",
    remaining: 5,
    fills: [fill("a", "d", 101, 10), fill("b", "d", 101, 10), fill("c", "d", 102, 10)],
  });
  t.deepEqual(book(harness), { symbol: "X", bids: [[102, 5, 1]], asks: [], sequence: 9 });
});

test("a partly filled order keeps its place", (t) => {
  const harness = withAsks();
  harness.result(limit("d", "buy", 101, 4));
  t.deepEqual(harness.result({ type: "market", symbol: "X", order: "e", side: "buy", quantity: 8 }), {
    status: "filled",
    order: "e",
    remaining: 0,
    fills: [fill("a", "e", 101, 6), fill("b", "e", 101, 2)],
  });
});

test("what an IOC or market order cannot trade is dropped, and a FOK order trades whole or not at all", (t) => {
  const harness = withAsks();
  t.deepEqual(harness.result(limit("f", "buy", 101, 21, { timeInForce: "FOK" })), {
    status: "cancelled",
    order: "f",
    remaining: 0,
    fills: [],
  });
  t.deepEqual(book(harness).asks, [
    [101, 20, 2],
    [102, 10, 1],
  ]);
  t.like(harness.result(limit("g", "buy", 102, 21, { timeInForce: "FOK" })), { status: "filled" });
  t.deepEqual(harness.result(limit("h", "buy", 102, 100, { timeInForce: "IOC" })), {
    status: "cancelled",
    order: "h",
    remaining: 0,
    fills: [fill("c", "h", 102, 9)],
  });
  t.like(harness.result({ type: "market", symbol: "X", order: "i", side: "sell", quantity: 1 }), {
    status: "cancelled",
  });
  t.deepEqual(book(harness), { symbol: "X", bids: [], asks: [], sequence: 9 });
});

test("a post-only order that would trade is rejected, also when a replace would make it trade", (t) => {
  const harness = withAsks();
  const rejected = { status: "rejected", order: "p", reason: "would-trade", remaining: 0, fills: [] };
  t.deepEqual(harness.result(limit("p", "buy", 101, 1, { postOnly: true })), rejected);
  t.like(harness.result(limit("p", "buy", 100, 1, { postOnly: true })), { status: "resting" });
  t.deepEqual(harness.result(replace("p", 101, 1)), rejected);
  t.deepEqual(book(harness).bids, [[100, 1, 1]]);
});

test("cancels and replaces of unknown orders, and ids of resting orders, are rejected results", (t) => {
  const harness = withAsks();
  t.like(harness.result({ type: "cancel", symbol: "X", order: "zz" }), { status: "rejected", reason: "unknown-order" });
  t.like(harness.result({ type: "cancel", symbol: "Y", order: "a" }), { status: "rejected", reason: "unknown-order" });
  t.like(harness.result(replace("zz", 1, 1)), { status: "rejected", reason: "unknown-order" });
  t.like(harness.result(limit("a", "buy", 1, 1)), { status: "rejected", reason: "order-exists" });
  t.like(harness.result({ ...limit("a", "buy", 1, 1), symbol: "Y" }), { status: "resting" });
  t.like(harness.result({ type: "cancel", symbol: "X", order: "a" }), { status: "cancelled", remaining: 0 });
  t.like(harness.result(limit("a", "buy", 1, 1)), { status: "resting" });
});

test("a replace to less keeps the place; to more, or to another price, loses it; one that crosses trades", (t) => {
  const order = (quantity: number, price: number) => {
    const harness = withAsks();
    harness.result(replace("a", price, quantity));
    const { fills } = harness.result(limit("t", "buy", 102, 100)) as { fills: { maker: string }[] };
    return fills.map((one) => one.maker).join("");
  };
  t.is(order(9, 101), "abc");
  t.is(order(10, 101), "bac");
  t.is(order(11, 101), "bac");
  t.is(order(5, 102), "bca");
  const harness = withAsks();
  harness.result(limit("m", "buy", 99, 4));
  t.deepEqual(harness.result(replace("a", 98, 7)), {
    status: "resting",
    order: "a",
    remaining: 3,
    fills: [fill("m", "a", 99, 4)],
  });
});

test("prices and quantities up to 2^53-1 are exact, though their product and sums are not", (t) => {
  const harness = new Harness(exchange);
  const most = Number.MAX_SAFE_INTEGER;
  harness.result(limit("a", "sell", most, most));
  harness.result(limit("b", "sell", most, most));
  t.deepEqual(book(harness).asks, [[most, most, 2]]);
  t.deepEqual(harness.result({ type: "market", symbol: "X", order: "c", side: "buy", quantity: most - 1 }), {
    status: "filled",
    order: "c",
    remaining: 0,
    fills: [fill("a", "c", most, most - 1)],
  });
  t.false(harness.parser.parse(limit("d", "buy", 1, most + 1)).ok);
  t.false(harness.parser.parse(limit("d", "buy", 1.5, 1)).ok);
  t.false(harness.parser.parse(limit("d", "buy", 0, 1)).ok);
});

test("a book can be asked for to a depth, and of a symbol that has none", (t) => {
  const harness = withAsks();
  t.deepEqual(book(harness, "X", 1).asks, [[101, 20, 2]]);
  t.deepEqual(book(harness, "NONE"), { symbol: "NONE", bids: [], asks: [], sequence: 9 });
});

for (const seed of [1, 2, 3]) {
  test(`flow ${seed}: the exchange answers as the plain book does; warm and reloaded states are equal`, (t) => {
    let harness = new Harness(exchange);
    const plain = new PlainBook();
    const statuses: Record<string, number> = {};
    let fills = 0;
    let sent = 0;
    for (const { client, body } of orderFlowOfClients(seed, 4_000)) {
      harness.client = client;
      const result = harness.result(body) as { status: string; reason?: string; fills: unknown[] };
      t.deepEqual(
        result as unknown,
        plain.execute(body, client) as unknown,
        `request ${sent} of ${client}: ${JSON.stringify(body)}`,
      );
      const kind = `${body.type} ${result.reason ?? result.status}`;
      statuses[kind] = (statuses[kind] ?? 0) + 1;
      fills += result.fills.length;
      sent += 1;
      if (sent % 1_000 !== 0) continue;
      t.is(harness.warm.digest(), harness.hot.digest());
      for (const symbol of ["AAA", "BBB"]) t.like(book(harness, symbol), plain.levels(symbol));
      // From here on a server goes on that was loaded from its store.
      harness = harness.takenOver();
    }
    t.true(fills > 800, `${fills} fills`);
    for (const kind of [
      "limit resting",
      "limit filled",
      "limit cancelled",
      "limit would-trade",
      "limit order-exists",
      "market filled",
      "cancel cancelled",
      "cancel unknown-order",
      "replace resting",
      "replace filled",
      "replace unknown-order",
      "replace would-trade",
    ])
      t.true((statuses[kind] ?? 0) > 0, `no ${kind} among ${JSON.stringify(statuses)}`);
  });
}

test("a request makes as few effects as there can be", (t) => {
  const harness = withAsks();
  const bytesOf = (body: unknown) => {
    harness.result(body);
    return kinds(harness.sent.at(-1)?.effects ?? new Uint8Array(0));
  };
  t.deepEqual(bytesOf(limit("d", "buy", 100, 1)), ["put X/d"]);
  t.deepEqual(bytesOf(limit("e", "buy", 101, 14)), ["delete X/a", "push", "put X/b", "push"]);
  t.deepEqual(bytesOf(replace("d", 99, 1)), ["put X/d"]);
  t.deepEqual(bytesOf({ type: "cancel", symbol: "X", order: "d" }), ["delete X/d"]);
  t.deepEqual(bytesOf({ type: "cancel", symbol: "X", order: "d" }), []);
});

test("a level of many orders loaded in any order gives them by age, whatever is cancelled in between", (t) => {
  const harness = new Harness(exchange);
  for (let n = 0; n < 500; n += 1) harness.result(limit(`o${n}`, "sell", 5, 1));
  for (let n = 0; n < 500; n += 3) harness.result({ type: "cancel", symbol: "X", order: `o${n}` });
  const next = harness.takenOver();
  const { fills } = next.result({ type: "market", symbol: "X", order: "t", side: "buy", quantity: 400 }) as {
    fills: { maker: string }[];
  };
  const expected = Array.from({ length: 500 }, (_, n) => n).filter((n) => n % 3 !== 0);
  t.deepEqual(
    fills.map((one) => one.maker),
    expected.map((n) => `o${n}`),
  );
});

test("many price levels stay in order however they come and go", (t) => {
  const harness = new Harness(exchange);
  const plain = new PlainBook();
  const both = (body: OrderBody) => t.deepEqual(harness.result(body), plain.execute(body, "alice") as unknown);
  // 7,919 is prime: every price from 1 to 3,000 comes once, far from the one before it.
  for (let n = 0; n < 3_000; n += 1)
    both({ type: "limit", symbol: "X", order: `o${n}`, side: "buy", price: 1 + ((n * 7_919) % 3_000), quantity: 1 });
  for (let n = 0; n < 3_000; n += 2) both({ type: "cancel", symbol: "X", order: `o${n}` });
  t.like(book(harness), plain.levels("X"));
});

test("the exchange is quick: a check against accidents of complexity, not a measurement", (t) => {
  t.timeout(60_000);
  const harness = new Harness(exchange);
  const runner = new HandlerRunner<null>({
    application: exchange,
    state: harness.hot,
    clock: harness.clock,
    takesTimer: (ordinal) => ordinal === 0,
    limits: { handlerMs: 1_000, maxTimerBytes: 1_024, maxRecordBytes: () => 64 * 1024 },
    sink: {
      nextSequence: () => 1,
      transaction: () => {},
      final: () => {},
      committed: () => Promise.resolve(),
      failed: (_request, error) => t.fail(String(error)),
      onWaiting: () => {},
      fatal: (error) => t.fail(String(error)),
    },
  });
  const request = { client: "a", id: "1", key: "X", stampMs: 0, takenMs: 0, completed: [], resumed: false };
  const startMs = performance.now();
  const count = 60_000;
  // All at the same price, then one order that is far behind them all is cancelled, again and again.
  for (let n = 0; n < count; n += 1)
    runner.run(
      { ...request, body: limit(`o${n}`, "sell", 5 + (n % 2), 1, { timeInForce: "GTC", postOnly: false }) },
      null,
    );
  for (let n = count - 1; n >= 0; n -= 7)
    runner.run({ ...request, body: { type: "cancel", symbol: "X", order: `o${n}` } }, null);
  const tookMs = performance.now() - startMs;
  t.is(harness.hot.table("orders").rows.size, count - Math.ceil(count / 7));
  t.log(`${Math.round((count * 8) / 7 / (tookMs / 1_000))} requests a second`);
  t.true(tookMs < 30_000);
});

/** The effects in words. */
function kinds(effects: Uint8Array): string[] {
  const words: string[] = [];
  readEffects(effects, {
    put: (_part, key) => void words.push(`put ${key}`),
    delete: (_part, key) => void words.push(`delete ${key}`),
    push: () => void words.push("push"),
    shift: () => void words.push("shift"),
  });
  return words;
}
