/** Whose an order is, and an account: what other clients can do to it, whatever they send and whoever serves. */
import test, { type ExecutionContext } from "ava";
import * as fc from "fast-check";
import { exchange } from "../../actors/applications/exchange/exchange.ts";
import { maxOwnOrders, type Order, type OrderResult } from "../../actors/applications/exchange/schemas.ts";
import { type LedgerRequest, ledger } from "../../actors/applications/ledger/ledger.ts";
import { Harness, settled } from "../helpers/hot-and-warm.ts";
import { runs } from "../helpers/property-runs.ts";
import { type OrderBody, PlainBook } from "../models/plain-book.ts";
import { PlainLedger } from "../models/plain-ledger.ts";

const client = fc.constantFrom("anna", "ben", "carla");
const takeover = { weight: 1, arbitrary: fc.constant("takeover" as const) };
const steps = <Body>(body: fc.Arbitrary<Body>) =>
  fc.array(fc.oneof({ weight: 12, arbitrary: fc.record({ client, body }) }, takeover), {
    minLength: 10,
    maxLength: 60,
  });

// Few ids, symbols and prices: clients meet.
const name = { symbol: fc.constantFrom("X", "Y"), order: fc.constantFrom("o1", "o2", "o3", "o4") };
const side = fc.constantFrom("buy", "sell");
const price = fc.integer({ min: 98, max: 102 });
const quantity = fc.integer({ min: 1, max: 4 });
const order: fc.Arbitrary<OrderBody> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ type: fc.constant("limit" as const), ...name, side, price, quantity }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("market" as const), ...name, side, quantity }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("cancel" as const), ...name }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("replace" as const), ...name, price, quantity }) },
);

const ordersOf = (harness: Harness) => new Map(harness.hot.table("orders").rows as Map<string, Order>);

test("whatever clients send, an order of another is filled at most, and the plain book says the same", (t) => {
  void fc.assert(
    fc.property(steps(order), (given) => {
      let harness = new Harness(exchange);
      const plain = new PlainBook();
      for (const step of given) {
        if (step === "takeover") {
          harness = harness.takenOver();
          continue;
        }
        const { body } = step;
        harness.client = step.client;
        const before = ordersOf(harness);
        const result = harness.result(body) as OrderResult;
        t.deepEqual(result as unknown, plain.execute(body, step.client));
        othersAreFilledAtMost(t, { before, after: ordersOf(harness), of: step.client, symbol: body.symbol, result });
      }
      t.is(harness.warm.digest(), harness.hot.digest());
    }),
    { numRuns: runs(200) },
  );
});

/** Not by the model: by the rows and what the request's client was told. */
function othersAreFilledAtMost(
  t: ExecutionContext,
  change: { before: Map<string, Order>; after: Map<string, Order>; of: string; symbol: string; result: OrderResult },
): void {
  const { before, after, of, symbol, result } = change;
  for (const [key, row] of before) {
    if (row.client === of) continue;
    const fills = row.symbol === symbol ? result.fills.filter(({ maker }) => maker === row.order) : [];
    const remaining = fills.reduce((left, fill) => left - fill.quantity, row.remaining);
    t.deepEqual(after.get(key), remaining === 0 ? undefined : { ...row, remaining });
  }
  for (const [key, row] of after) t.is(row.client, before.get(key)?.client ?? of);
}

test("to anyone else an order is unknown, though its id is taken; who took over knows whose it is", (t) => {
  const unknown = { status: "rejected", order: "o1", reason: "unknown-order", remaining: 0, fills: [] };
  const resting = { type: "limit", symbol: "X", order: "o1", side: "buy", price: 100, quantity: 5 };
  const cancel = { type: "cancel", symbol: "X", order: "o1" };
  const replace = { type: "replace", symbol: "X", order: "o1", price: 100, quantity: 1 };
  let harness = new Harness(exchange);
  harness.result(resting);
  // Partly filled, and replaced by its client: it is his as before.
  harness.client = "ben";
  harness.result({ type: "market", symbol: "X", order: "o2", side: "sell", quantity: 1 });
  harness.client = "alice";
  harness.result({ ...replace, price: 99, quantity: 4 });
  harness.client = "ben";
  for (let servers = 0; servers < 2; servers += 1) {
    t.deepEqual(harness.result(cancel), unknown);
    t.deepEqual(harness.result(replace), unknown);
    t.is(harness.sent.at(-1)?.effects.length, 0);
    t.like(harness.result(resting), { status: "rejected", reason: "order-exists" });
    harness = harness.takenOver();
    harness.client = "ben";
  }
  harness.client = "alice";
  t.like(harness.result(cancel), { status: "cancelled", order: "o1" });
  harness.client = "ben";
  t.like(harness.result(resting), { status: "resting" });
  t.like(harness.result(cancel), { status: "cancelled" });
});

const account = fc.constantFrom("a1", "a2", "a3", "a4");
const amount = fc.integer({ min: 1, max: 50 });
const booking: fc.Arbitrary<LedgerRequest> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ type: fc.constant("open" as const), account }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("deposit" as const), account, amount }) },
  {
    weight: 4,
    arbitrary: fc.record({ type: fc.constant("transfer" as const), from: account, to: account, amount }),
  },
);

type Account = { client: string; balance: number };
const accountsOf = (harness: Harness) => new Map(harness.hot.table("accounts").rows as Map<string, Account>);

test("whatever clients send, money leaves an account by its client's word alone, and the plain ledger says the same", async (t) => {
  await fc.assert(
    fc.asyncProperty(steps(booking), async (given) => {
      let harness = new Harness(ledger);
      const plain = new PlainLedger();
      for (const [at, step] of given.entries()) {
        if (step === "takeover") {
          harness = harness.takenOver();
          continue;
        }
        harness.client = step.client;
        const before = accountsOf(harness);
        harness.start(step.body, String(at));
        await settled();
        t.deepEqual(harness.outcome(String(at)), { ok: true, result: plain.execute(step.body, step.client) });
        const after = accountsOf(harness);
        for (const [name, { client: owner, balance }] of before) {
          t.is(after.get(name)?.client, owner);
          if (owner !== step.client) t.true((after.get(name)?.balance ?? 0) >= balance, `${name} lost money`);
        }
      }
      t.is(harness.warm.digest(), harness.hot.digest());
    }),
    { numRuns: runs(100) },
  );
});

test("to anyone else's transfer an account is unknown; everybody may pay into it", async (t) => {
  let harness = new Harness(ledger);
  const asks = async (who: string, body: LedgerRequest, token: string) => {
    harness.client = who;
    harness.start(body, token);
    await settled();
    return harness.outcome(token);
  };
  const done = (balance: number) => ({ ok: true, result: { status: "done", balance } });
  const rejected = (reason: string) => ({ ok: true, result: { status: "rejected", reason } });
  t.deepEqual(await asks("alice", { type: "open", account: "a" }, "1"), done(0));
  t.deepEqual(await asks("ben", { type: "open", account: "a" }, "2"), rejected("account-exists"));
  t.deepEqual(await asks("ben", { type: "open", account: "b" }, "3"), done(0));
  t.deepEqual(await asks("ben", { type: "deposit", account: "a", amount: 10 }, "4"), done(10));
  for (const token of ["5", "6"]) {
    t.deepEqual(
      await asks("ben", { type: "transfer", from: "a", to: "b", amount: 1 }, token),
      rejected("unknown-account"),
    );
    harness = harness.takenOver();
  }
  t.deepEqual(await asks("alice", { type: "transfer", from: "a", to: "b", amount: 7 }, "7"), done(3));
  t.deepEqual(await asks("ben", { type: "transfer", from: "b", to: "a", amount: 7 }, "8"), done(0));
  t.deepEqual(Object.fromEntries(accountsOf(harness)), {
    a: { client: "alice", balance: 10 },
    b: { client: "ben", balance: 0 },
  });
});

test("a client is told what is open of his orders, the oldest first, a part at a time, and nothing of others'", (t) => {
  const harness = new Harness(exchange);
  const ask = (client: string, more: object = {}) => {
    const answer = harness.runner.query({ query: "orders", symbol: "X", ...more }, 9, client);
    if (!answer.ok) throw new Error(answer.message);
    return JSON.parse(answer.json);
  };
  const rest = (client: string, order: string, side: "buy" | "sell", price: number, more: object = {}) => {
    harness.client = client;
    harness.result({ type: "limit", symbol: "X", order, side, price, quantity: 5, ...more });
  };
  rest("anna", "a1", "sell", 110);
  rest("ben", "b1", "sell", 109);
  rest("anna", "a2", "buy", 90, { postOnly: true });
  rest("ben", "b2", "buy", 110);
  const a2 = { order: "a2", side: "buy", price: 90, remaining: 5, postOnly: true };
  t.deepEqual(ask("anna"), {
    symbol: "X",
    orders: [{ order: "a1", side: "sell", price: 110, remaining: 5 }, a2],
    sequence: 9,
  });
  t.deepEqual(ask("ben").orders, [], "b2 met b1");
  t.deepEqual(ask("carla").orders, []);
  const first = [...ordersOf(harness).values()].find(({ order }) => order === "a1");
  t.deepEqual(ask("anna", { after: first?.arrival }).orders, [a2]);
  for (let n = 0; n < maxOwnOrders; n += 1) rest("anna", `n${n}`, "sell", 200 + n);
  const part = ask("anna");
  t.is(part.orders.length, maxOwnOrders);
  const others = ask("anna", { after: part.next });
  t.deepEqual([others.orders.length, others.next], [2, undefined]);
  t.is(new Set([...part.orders, ...others.orders].map(({ order }) => order)).size, maxOwnOrders + 2);
});
