/** The project's own flow of orders is what the plain book makes of it, rich enough to be worth a test, and as it is kept. */
import { join } from "node:path";
import test from "ava";
import { isAsKept } from "../helpers/kept-text.ts";
import { orderFlow } from "./flows.ts";
import { bookHead, ownFolder, rowsOf, tradesHead } from "./known-flows.ts";
import { PlainBook } from "./plain-book.ts";

const textOf = (lines: readonly string[]) => `${lines.join("\n")}\n`;

test("the files of the own flow are the plain book's word on it", (t) => {
  const bodies = [...orderFlow(2_718, 2_400)].filter(({ symbol }) => symbol === "AAA").slice(0, 1_000);
  const book = new PlainBook();
  const results = bodies.map((body) => book.execute(body, "flow"));
  const trades = results.flatMap(({ fills }, at) =>
    fills.map(({ taker, maker, price, quantity }) => [at + 1, taker, maker, price, quantity].join(",")),
  );
  const resting = book.resting.map(({ order, side, price, open }) => [order, side, price, open].join(",")).sort();
  const rejected = results.filter(({ status }) => status === "rejected").length;
  t.is(bodies.length, 1_000);
  t.true(trades.length > 200, `${trades.length} trades`);
  t.true(resting.length > 30, `${resting.length} orders rest`);
  t.true(rejected > 50, `${rejected} rejected`);
  t.deepEqual([...new Set(bodies.map(({ type }) => type))].sort(), ["cancel", "limit", "market", "replace"]);
  const keep = (file: string, text: string) => isAsKept(t, join(ownFolder, file), text);
  keep("requests.ndjson", textOf(bodies.map((body) => JSON.stringify(body))));
  keep("expected-trades.csv", textOf([tradesHead, ...trades]));
  keep("expected-book.csv", textOf([bookHead, ...resting]));
  keep("expected-rejected.txt", `${rejected}\n`);
});

test("a file with another head is not taken for what it is not", (t) => {
  t.throws(() => rowsOf("order,price\na,1\n", bookHead), { message: /begins with "order,price"/ });
});
