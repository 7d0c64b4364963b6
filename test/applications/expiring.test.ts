/** Orders that are good till a date, and transfers that are held for a while: what their timers do, and what ends them (rule 20). */
import test from "ava";
import { exchange } from "../../actors/applications/exchange/exchange.ts";
import { ledger, ledgerImbalance } from "../../actors/applications/ledger/ledger.ts";
import { atEveryCrash, testApplication } from "../../actors/testing/index.ts";

const second = 1_000;

interface Book {
  readonly bids: readonly unknown[];
  readonly asks: readonly unknown[];
}

function market() {
  const app = testApplication(exchange);
  const limit = (order: string, side: "buy" | "sell", price: number, quantity: number, more: object = {}) =>
    app.request({ type: "limit", symbol: "S", order, side, price, quantity, ...more }, { client: "alice" });
  const book = async () => (await app.query<Book>({ query: "book", symbol: "S" })).result;
  return { app, limit, book, inMs: (ms: number) => ({ goodTillMs: app.nowMs + ms }) };
}

test("what rests of an order is cancelled at its date, and what was filled stays filled", async (t) => {
  const { app, limit, book, inMs } = market();
  await limit("dated", "buy", 10, 5, inMs(600 * second));
  await limit("forGood", "buy", 9, 1);
  await limit("s1", "sell", 10, 2);
  await app.advance(500 * second);
  t.deepEqual((await book()).bids, [
    [10, 3, 1],
    [9, 1, 1],
  ]);
  await app.advance(101 * second);
  t.deepEqual((await book()).bids, [[9, 1, 1]]);
  t.is(app.state.queueLength("executions"), 1);
  app.close();
});

test("an order has a timer as long as it rests, whatever ends that, and a replace leaves it its date", async (t) => {
  const { app, limit, inMs } = market();
  const timers = () => app.timers.map(({ id }) => id);
  const dated = inMs(60 * second);
  for (const order of ["cancelled", "filled", "replaced", "moved", "partly"]) await limit(order, "buy", 10, 4, dated);
  t.is(timers().length, 5);
  await limit("goodForNothing", "sell", 11, 1);
  const as = { client: "alice" };
  await app.request({ type: "cancel", symbol: "S", order: "cancelled" }, as);
  await app.request({ type: "replace", symbol: "S", order: "moved", price: 9, quantity: 7 }, as);
  await app.request({ type: "replace", symbol: "S", order: "replaced", price: 11, quantity: 1 }, as);
  await limit("seller", "sell", 10, 5);
  t.deepEqual(timers(), ["S/moved", "S/partly"]);
  t.is(app.timers[0]?.atMs, dated.goodTillMs);
  await app.advance(61 * second);
  t.deepEqual([timers(), app.state.size("orders")], [[], 0]);
  app.close();
});

test("a date that is past is rejected, and one with another time in force is no request", async (t) => {
  const { app, limit, inMs } = market();
  t.like((await limit("late", "buy", 10, 1, inMs(-second))).result, { status: "rejected", reason: "expired" });
  const error = await t.throwsAsync(limit("both", "buy", 10, 1, { ...inMs(second), timeInForce: "IOC" }));
  t.regex(error?.message ?? "", /goodTillMs needs GTC/);
  app.close();
});

function held(app: ReturnType<typeof bank>) {
  return app.state.get("reservations", "a t1");
}
const bank = () => testApplication(ledger);
type Bank = Pick<ReturnType<typeof bank>, "request" | "nowMs">;

async function opened(app: Bank, inMs: number): Promise<void> {
  for (const account of ["a", "b"]) await app.request({ type: "open", account }, { client: "alice" });
  await app.request({ type: "deposit", account: "a", amount: 100 });
  const untilMs = app.nowMs + inMs;
  await app.request({ type: "reserve", transfer: "t1", from: "a", to: "b", amount: 30, untilMs }, { client: "alice" });
}

const balances = ({ state }: Pick<ReturnType<typeof bank>, "state">) =>
  ["a", "b"].map((account) => state.get("accounts", account)?.balance);

test("a held transfer is completed in time, once, and by its own client alone", async (t) => {
  const app = bank();
  await opened(app, 10 * second);
  t.deepEqual(balances(app), [70, 0]);
  const complete = { type: "complete", from: "a", transfer: "t1" } as const;
  t.like((await app.request(complete, { client: "bob" })).result, { status: "rejected", reason: "unknown-transfer" });
  t.like((await app.request(complete, { client: "alice" })).result, { status: "done", balance: 70 });
  t.deepEqual([balances(app), app.timers, held(app)], [[70, 30], [], undefined]);
  t.like((await app.request(complete, { client: "alice" })).result, { reason: "unknown-transfer" });
  await app.advance(20 * second);
  t.deepEqual(balances(app), [70, 30]);
  app.close();
});

test("one that is not completed is released when its time is over, and can be completed no more", async (t) => {
  const app = bank();
  await opened(app, 10 * second);
  await app.advance(9 * second);
  t.deepEqual(balances(app), [70, 0]);
  await app.advance(2 * second);
  t.deepEqual([balances(app), app.timers, held(app)], [[100, 0], [], undefined]);
  const complete = { type: "complete", from: "a", transfer: "t1" } as const;
  t.like((await app.request(complete, { client: "alice" })).result, { reason: "unknown-transfer" });
  app.close();
});

test("wherever a server dies, the money of a held transfer is in one place", async (t) => {
  const places = await atEveryCrash(ledger, async (app) => {
    await opened(app, second);
    t.is(ledgerImbalance(app.state), 0);
    await app.advance(5 * second);
    t.is(ledgerImbalance(app.state), 0);
    t.deepEqual(balances(app), [100, 0]);
    t.deepEqual(app.timers, []);
  });
  t.true(places >= 10, `${places} places`);
});
