/**
 * The exchange: symbols with books of limit orders (claim 24). All of a request is one transaction, but for an order that meets more
 * than fit in a record: it goes on in further ones (sweep.ts). What always holds: no two resting orders of one symbol could trade with
 * each other; only its client, or its date, cancels an order, and only its client replaces it; a resting order that has a date has a
 * timer, and no other has one.
 *
 * What others may know: the book, which has prices, quantities and numbers of orders, and by its result whoever trades the
 * ids of the orders that it met. Whose an order is, nobody is told but its client.
 */
import { defineApplication } from "../../application/define.ts";
import { execute, expire } from "./matching.ts";
import { OrderBooks } from "./order-books.ts";
import {
  Book,
  BookQuery,
  Execution,
  maxOwnOrders,
  Order,
  OrderRequest,
  OrderResult,
  OwnOrders,
  OwnOrdersQuery,
  ownOrder,
} from "./schemas.ts";
import { goOn } from "./sweep.ts";

export const exchange = defineApplication({
  name: "exchange",
  request: OrderRequest,
  result: OrderResult,
  key: (body) => body.symbol,
  tables: { orders: Order },
  queues: { executions: { item: Execution, maxItems: 10_000, whenFull: "dropOldest" } },
  views: { books: () => new OrderBooks() },
  timers: { maxTimers: 1_000_000 },
  handle: (request, { client, timer, transaction }) => {
    const first = transaction("match", (tx) =>
      timer === undefined ? execute(tx, client, request) : expire(tx, request),
    );
    return first.status === "sweeping" ? goOn(first, transaction) : first;
  },
  queries: {
    /** The same for whoever asks. */
    book: {
      body: BookQuery,
      result: Book,
      answer: ({ symbol, depth = Number.POSITIVE_INFINITY }, { views }, sequence) => ({
        symbol,
        bids: views.books.levels(symbol, "buy", depth),
        asks: views.books.levels(symbol, "sell", depth),
        sequence,
      }),
    },
    /** The asker's own, and nobody else's: for a client that has lost count of them. */
    orders: {
      body: OwnOrdersQuery,
      result: OwnOrders,
      answer: ({ symbol, after = 0 }, { views }, sequence, { client }) => {
        const found = views.books.ordersOf(client, symbol, after, maxOwnOrders + 1);
        const shown = found.slice(0, maxOwnOrders);
        const isMore = found.length > shown.length;
        return { symbol, orders: shown.map(ownOrder), ...(isMore && { next: shown.at(-1)?.arrival }), sequence };
      },
    },
  },
});
