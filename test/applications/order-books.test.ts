/** The exchange's view depends on its rows alone: a book that lived on and one that was built from the rows go on alike. */
import test from "ava";
import * as fc from "fast-check";
import { OrderBooks } from "../../actors/applications/exchange/order-books.ts";
import type { Order } from "../../actors/applications/exchange/schemas.ts";
import { runs } from "../helpers/property-runs.ts";

const symbol = "X";
const order = (number: number, price: number, arrival: number): Order => ({
  symbol,
  order: `o${number}`,
  client: "a",
  side: price < 100 ? "buy" : "sell",
  price,
  remaining: 1 + (number % 7),
  arrival,
});

/** What the view shows, and in which order takers would meet the orders. */
function shown(books: OrderBooks) {
  const met: string[] = [];
  for (const [side, worst] of [
    ["buy", 1_000_000],
    ["sell", 1],
  ] as const)
    books.visitOpposite(symbol, side, worst, (maker) => {
      met.push(maker.order);
      return true;
    });
  return { met, bids: books.levels(symbol, "buy", 100), asks: books.levels(symbol, "sell", 100) };
}

function builtFrom(rows: Iterable<Order>): OrderBooks {
  const books = new OrderBooks();
  for (const row of rows) books.put("orders", row.order, row, undefined);
  return books;
}

/** Counted from the newest, since it is their numbers that come again. */
const age = fc.nat(4);
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("add" as const), price: fc.constantFrom(99, 101) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("remove" as const), age }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("fill" as const), age }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("reload" as const) }) },
);

test("a server that has its books from the rows numbers the arrivals, and one that never reloaded follows", (t) => {
  void fc.assert(
    fc.property(fc.array(step, { minLength: 20, maxLength: 60 }), (steps) => {
      const rows = new Map<string, Order>();
      const follower = new OrderBooks();
      let primary = new OrderBooks();
      let number = 0;
      const both = (change: (books: OrderBooks) => void) => {
        change(primary);
        change(follower);
      };
      const put = (row: Order) => {
        const before = rows.get(row.order);
        rows.set(row.order, row);
        both((books) => books.put("orders", row.order, row, before));
      };
      for (const each of steps) {
        const known = "age" in each ? [...rows.values()].at(-1 - each.age) : undefined;
        if (each.kind === "add") put(order(++number, each.price, primary.nextArrival(symbol)));
        else if (each.kind === "reload") primary = builtFrom(rows.values());
        else if (known === undefined) continue;
        else if (each.kind === "fill") put({ ...known, remaining: known.remaining + 1 });
        else {
          rows.delete(known.order);
          both((books) => books.delete("orders", known.order, known));
        }
        t.deepEqual(shown(follower), shown(primary));
      }
    }),
    { numRuns: runs(300) },
  );
});
