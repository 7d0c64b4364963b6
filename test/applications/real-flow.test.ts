/** Half an hour of one real exchange: the trades, the book and the refusals that its flow must produce. Needs ../shared. */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import test from "ava";
import { exchange } from "../../actors/applications/exchange/exchange.ts";
import { Harness } from "../helpers/hot-and-warm.ts";

const folder = fileURLToPath(new URL("../../../../shared/order-flow/", import.meta.url));

/** A CSV's lines without its head. */
const lines = (name: string) =>
  readFileSync(folder + name, "utf8")
    .trim()
    .split(/\r?\n/)
    .slice(1);

test("a real order flow ends with the trades, the book and the refusals that are known of it", (t) => {
  if (!existsSync(folder)) {
    t.log("not run: there is no ../shared/order-flow beside the project");
    t.pass();
    return;
  }
  t.timeout(120_000);
  const harness = new Harness(exchange);
  const trades: string[] = [];
  let rejected = 0;
  const requests = gunzipSync(readFileSync(`${folder}requests.ndjson.gz`))
    .toString()
    .trim()
    .split("\n");
  for (const [index, line] of requests.entries()) {
    const result = harness.result(JSON.parse(line)) as {
      status: string;
      fills: { taker: string; maker: string; price: number; quantity: number }[];
    };
    if (result.status === "rejected") rejected += 1;
    for (const { taker, maker, price, quantity } of result.fills)
      trades.push([index + 1, taker, maker, price, quantity].join(","));
    harness.sent.length = 0;
  }
  t.is(requests.length, 120_000);
  t.deepEqual(trades, lines("expected-trades.csv"));
  t.is(rejected, Number(readFileSync(`${folder}expected-rejected.txt`, "utf8")));
  const orders = [...harness.hot.table("orders").rows.values()] as {
    order: string;
    side: string;
    price: number;
    remaining: number;
  }[];
  const book = orders.map(({ order, side, price, remaining }) => [order, side, price, remaining].join(","));
  t.deepEqual(book.sort(), lines("expected-book.csv").sort());
  t.is(harness.warm.digest(), harness.hot.digest());
});
