/**
 * Matching: price first, then arrival; fills at the resting order's price. Each function is one transaction's change
 * and makes as few effects as there can be: one put for an order that rests or is partly filled, one delete for one
 * that is filled, one push for an execution.
 *
 * Choices where venues differ: a post-only order is looked at for trading before its time in force; a replace
 * keeps its place only for less quantity at the same price; any other replace is a new GTC order with the old id, which
 * may trade, except that a post-only order stays post-only: where its replace would trade it is rejected and the
 * order stays as it was. An order id is refused while an order of that id rests, another client's too, for market orders too.
 * An order that is good till a date trades until its timer has taken it out of the book, in its place among all requests; a replace
 * leaves it its date.
 */
import type { z } from "zod";
import type { Transaction } from "../../application/contract.ts";
import type { OrderBooks } from "./order-books.ts";
import type { Execution, Fill, Order, OrderRequest, OrderResult } from "./schemas.ts";

type Tables = { orders: typeof Order };
type Queues = { executions: { item: typeof Execution; maxItems: number; whenFull: "dropOldest" } };
type Views = { books: () => OrderBooks };
type Change = Transaction<Tables, Queues, Views, z.input<typeof OrderRequest>>;

/** An order that may take: what place() needs to know of it. */
interface Taker {
  readonly symbol: string;
  readonly order: string;
  readonly client: string;
  readonly side: "buy" | "sell";
  /** Of a market order: the worst there can be. */
  readonly price: number;
  readonly quantity: number;
  readonly timeInForce: "GTC" | "IOC" | "FOK";
  readonly postOnly: boolean;
  /** 0: it has none. */
  readonly goodTillMs: number;
}

/** `client`: whose request it is. */
export function execute(tx: Change, client: string, request: OrderRequest): OrderResult {
  const key = `${request.symbol}/${request.order}`;
  const resting = tx.get("orders", key);
  if (request.type === "cancel" || request.type === "replace") {
    if (resting?.client !== client) return rejected(request.order, "unknown-order");
    return request.type === "cancel" ? cancel(tx, key, resting) : replace(tx, key, resting, request);
  }
  if (resting !== undefined) return rejected(request.order, "order-exists");
  // Takers are written out, all of one shape: a spread costs nearly half of what the rest does.
  const { symbol, order, side, quantity } = request;
  if (request.type === "limit") {
    const { price, timeInForce, postOnly, goodTillMs = 0 } = request;
    if (goodTillMs > 0 && goodTillMs <= tx.nowMs) return rejected(order, "expired");
    const taker = { symbol, order, client, side, price, quantity, timeInForce, postOnly, goodTillMs };
    return place(tx, key, taker, false);
  }
  const price = side === "buy" ? Number.MAX_SAFE_INTEGER : 1;
  const rest = { timeInForce: "IOC", postOnly: false, goodTillMs: 0 } as const;
  return place(tx, key, { symbol, order, client, side, price, quantity, ...rest }, false);
}

/** The timer of an order is due, and gone with this: its body is the cancel. */
export function expire(tx: Change, { symbol, order }: OrderRequest): OrderResult {
  const key = `${symbol}/${order}`;
  const resting = tx.get("orders", key);
  if (resting === undefined) return rejected(order, "unknown-order");
  tx.delete("orders", key);
  return { status: "cancelled", order, remaining: 0, fills: [] };
}

function cancel(tx: Change, key: string, { order, goodTillMs }: Order): OrderResult {
  tx.delete("orders", key);
  if (goodTillMs !== undefined) tx.cancel(key);
  return { status: "cancelled", order, remaining: 0, fills: [] };
}

function replace(
  tx: Change,
  key: string,
  old: Order,
  { price, quantity }: { price: number; quantity: number },
): OrderResult {
  if (price === old.price && quantity < old.remaining) {
    tx.put("orders", key, { ...old, remaining: quantity });
    return { status: "resting", order: old.order, remaining: quantity, fills: [] };
  }
  const { symbol, order, client, side, postOnly = false, goodTillMs = 0 } = old;
  const taker = { symbol, order, client, side, price, quantity, timeInForce: "GTC", postOnly, goodTillMs } as const;
  return place(tx, key, taker, true);
}

/** `isReplacing`: the taker's own row is in the table, and must go unless it rests again. */
function place(tx: Change, key: string, taker: Taker, isReplacing: boolean): OrderResult {
  const { symbol, order, client, side, price, quantity, timeInForce, postOnly, goodTillMs } = taker;
  const { books } = tx.views;
  const isMeeting = books.wouldTrade(symbol, side, price);
  if (postOnly && isMeeting) return rejected(order, "would-trade");
  if (timeInForce === "FOK" && !(isMeeting && books.canFill(symbol, side, price, quantity)))
    return { status: "cancelled", order, remaining: 0, fills: [] };
  const fills: Fill[] = [];
  const remaining = isMeeting ? take(tx, taker, fills) : quantity;
  if (remaining > 0 && timeInForce === "GTC") {
    const row = { symbol, order, client, side, price, remaining, arrival: books.nextArrival(symbol) };
    const its = postOnly ? { ...row, postOnly } : row;
    tx.put("orders", key, goodTillMs > 0 ? { ...its, goodTillMs } : its);
    if (goodTillMs > 0 && !isReplacing) tx.schedule(key, goodTillMs, { type: "cancel", symbol, order });
    return { status: "resting", order, remaining, fills };
  }
  if (isReplacing) {
    tx.delete("orders", key);
    if (goodTillMs > 0) tx.cancel(key);
  }
  return { status: remaining === 0 ? "filled" : "cancelled", order, remaining: 0, fills };
}

/** Trades with what the taker meets; returns what is left of it. */
function take(tx: Change, taker: Taker, fills: Fill[]): number {
  const { symbol, order, side } = taker;
  let open = taker.quantity;
  tx.views.books.visitOpposite(symbol, side, taker.price, (maker) => {
    const quantity = Math.min(open, maker.remaining);
    const makerKey = `${symbol}/${maker.order}`;
    if (quantity === maker.remaining) {
      tx.delete("orders", makerKey);
      if (maker.goodTillMs !== undefined) tx.cancel(makerKey);
    } else tx.put("orders", makerKey, { ...maker, remaining: maker.remaining - quantity });
    tx.push("executions", { symbol, taker: order, maker: maker.order, side, price: maker.price, quantity });
    fills.push({ maker: maker.order, taker: order, price: maker.price, quantity });
    open -= quantity;
    return open > 0;
  });
  return open;
}

function rejected(order: string, reason: NonNullable<OrderResult["reason"]>): OrderResult {
  return { status: "rejected", order, reason, remaining: 0, fills: [] };
}
