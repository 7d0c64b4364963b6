/** Flows of orders through the exchange alone, hot and warm: the trades, the book and the refusals that are known of them. */
import test from "ava";
import { exchange } from "../../actors/applications/exchange/exchange.ts";
import { Harness } from "../helpers/hot-and-warm.ts";
import { knownFlows, notRun } from "../models/known-flows.ts";

for (const flow of knownFlows())
  test(`a flow of orders ends with the trades, the book and the refusals that are known of it: ${flow.name}`, (t) => {
    t.timeout(120_000);
    if (notRun !== null) t.log(notRun);
    const harness = new Harness(exchange);
    const trades: string[] = [];
    let rejected = 0;
    for (const [index, body] of flow.bodies.entries()) {
      const result = harness.result(body) as {
        status: string;
        fills: { taker: string; maker: string; price: number; quantity: number }[];
      };
      if (result.status === "rejected") rejected += 1;
      for (const { taker, maker, price, quantity } of result.fills)
        trades.push([index + 1, taker, maker, price, quantity].join(","));
      harness.sent.length = 0;
    }
    t.deepEqual(trades, flow.trades);
    t.is(rejected, flow.rejected);
    const orders = [...harness.hot.table("orders").rows.values()] as {
      order: string;
      side: string;
      price: number;
      remaining: number;
    }[];
    const book = orders.map(({ order, side, price, remaining }) => [order, side, price, remaining].join(","));
    t.deepEqual(book.sort(), [...flow.book].sort());
    t.is(harness.warm.digest(), harness.hot.digest());
  });
