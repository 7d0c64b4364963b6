/**
 * The trading page's list of orders by itself, without a browser: results, and what the exchange says that is open, in whatever order they come.
 */
import { fileURLToPath } from "node:url";
import test from "ava";
import { build } from "esbuild";

const page = fileURLToPath(new URL("../../../deploy/examples/trading/page/orders.ts", import.meta.url));
const library = fileURLToPath(new URL("../../actors/client/result-events.js", import.meta.url));

interface Own {
  readonly order: string;
  readonly symbol: string;
  readonly open: number;
  readonly state: string;
}
interface Orders {
  readonly all: readonly Own[];
  readonly unsureSymbols: string[];
  willSend(pending: object): void;
  isAnswered(pending: object, why?: string): void;
  onEvent(event: object): void;
  unsure(): void;
  onOpen(answer: object, heard: readonly object[]): void;
  onAllOpen(symbol: string, asOf: number): void;
}

async function makeOrders(): Promise<Orders> {
  const { outputFiles } = await build({
    entryPoints: [page],
    bundle: true,
    write: false,
    format: "esm",
    platform: "node",
    alias: { "twinlog/browser": library },
  });
  const source = Buffer.from(outputFiles[0]?.contents ?? []).toString("base64");
  const { Orders } = (await import(`data:text/javascript;base64,${source}`)) as {
    Orders: new (storage: object, service: string, client: string) => Orders;
  };
  const kept = new Map<string, string>();
  const storage = {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, text: string) => kept.set(key, text),
  };
  return new Orders(storage, "exchange", "alice");
}

const result = (sequence: number, client: string, told: object) => ({
  type: "result",
  client,
  key: "X",
  history: "h1",
  result: sequence,
  sequence,
  epoch: 3,
  reply: { ok: true, result: { remaining: 0, fills: [], ...told } },
});
const fillOf = (sequence: number, maker: string, quantity: number) =>
  result(sequence, "bob", { status: "filled", order: "b", fills: [{ maker, taker: "b", price: 9, quantity }] });
const open = (order: string, remaining: number) => ({ order, side: "buy", price: 9, remaining });
const answer = (sequence: number, ...orders: object[]) => ({ symbol: "X", orders, sequence });
const shown = ({ all }: Orders) => all.map(({ order, open: left, state }) => `${order} ${state} ${left}`);
const sent = (order: string) => ({
  id: `r-${order}`,
  issuedAt: 1,
  body: { type: "limit", symbol: "X", order, side: "buy", price: 9, quantity: 5 },
});

test("a fill that was heard before the answer counts once, whether the answer has it or not", async (t) => {
  for (const [asOf, told, left] of [
    [10, 5, 2],
    [20, 2, 2],
  ] as const) {
    const orders = await makeOrders();
    const heard = [fillOf(15, "o1", 3)];
    for (const event of heard) orders.onEvent(event);
    orders.onOpen(answer(asOf, open("o1", told)), heard);
    t.deepEqual(shown(orders), [`o1 resting ${left}`], `${asOf}`);
    orders.onEvent(fillOf(15, "o1", 3));
    t.deepEqual(shown(orders), [`o1 resting ${left}`], "said again");
    orders.onEvent(fillOf(21, "o1", 2));
    t.deepEqual(shown(orders), ["o1 filled 0"]);
  }
});

test("what became of an order while results were missed is told by what is open, and a late result of before counts no more", async (t) => {
  const orders = await makeOrders();
  for (const order of ["o1", "o2", "o3"]) {
    orders.willSend(sent(order));
    orders.isAnswered(sent(order));
  }
  for (const [sequence, order] of [
    [5, "o1"],
    [6, "o2"],
  ] as const)
    orders.onEvent(result(sequence, "alice", { status: "resting", order, remaining: 5 }));
  orders.unsure();
  t.deepEqual(orders.unsureSymbols, ["X"], "the one that was answered, and whose result was missed, too");
  orders.onOpen(answer(30, open("o1", 4)), []);
  orders.onAllOpen("X", 30);
  t.deepEqual(shown(orders), ["o3 over 0", "o2 over 0", "o1 resting 4"]);
  orders.onEvent(fillOf(25, "o2", 5));
  t.deepEqual(shown(orders), ["o3 over 0", "o2 over 0", "o1 resting 4"]);
  orders.onEvent(result(31, "$timers", { status: "cancelled", order: "o1" }));
  t.deepEqual(shown(orders)[2], "o1 cancelled 0", "its date is past");
  orders.onEvent(result(32, "bob", { status: "resting", order: "o2", remaining: 9 }));
  t.deepEqual(shown(orders)[1], "o2 over 0", "another's order of the same id");
});

test("an order of an id that is over comes again, and has one row", async (t) => {
  const orders = await makeOrders();
  orders.willSend(sent("o1"));
  orders.onEvent(result(5, "alice", { status: "filled", order: "o1" }));
  orders.onOpen(answer(4, open("o1", 5)), []);
  t.deepEqual(shown(orders), ["o1 filled 0"], "the answer is older");
  orders.onOpen(answer(9, open("o1", 3)), []);
  t.deepEqual(shown(orders), ["o1 resting 3"]);
});
