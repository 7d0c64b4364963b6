/**
 * Matching: price first, then arrival; fills at the resting order's price. Each function is one transaction's change
 * and makes as few effects as there can be: one put for an order that rests or is partly filled, one delete for one
 * that is filled, one push for an execution. A change trades with `maxFills` orders at most; what may meet more is a sweep (sweep.ts).
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
export type Change = Transaction<Tables, Queues, Views, z.input<typeof OrderRequest>>;

/** Of one transaction: whatever their ids are, its record is smaller than `maxRecordBytes`, as that is by default. */
export const maxFills = 500;
/** Of all fills of an order, which its result lists: a result is a record too. */
export const maxFillBytes = 500 * 1024;

/** An order that has met `maxFills` orders and may meet more. */
export interface Sweep {
  readonly status: "sweeping";
  readonly taker: Taker;
  /** Its own row is in the table, and must go unless it rests again. */
  readonly isReplacing: boolean;
  /** What is left of it. */
  readonly open: number;
  readonly fills: readonly Fill[];
}

/** An order that may take: what place() needs to know of it. */
export interface Taker {
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
export function execute(tx: Change, client: string, request: OrderRequest): OrderResult | Sweep {
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
): OrderResult | Sweep {
  if (price === old.price && quantity < old.remaining) {
    tx.put("orders", key, { ...old, remaining: quantity });
    return { status: "resting", order: old.order, remaining: quantity, fills: [] };
  }
  const { symbol, order, client, side, postOnly = false, goodTillMs = 0 } = old;
  const taker = { symbol, order, client, side, price, quantity, timeInForce: "GTC", postOnly, goodTillMs } as const;
  return place(tx, key, taker, true);
}

/** `isReplacing`: see `Sweep`. */
function place(tx: Change, key: string, taker: Taker, isReplacing: boolean): OrderResult | Sweep {
  const { symbol, order, side, price, quantity, timeInForce, postOnly } = taker;
  const { books } = tx.views;
  const isMeeting = books.wouldTrade(symbol, side, price);
  if (postOnly && isMeeting) return rejected(order, "would-trade");
  if (timeInForce === "FOK" && !(isMeeting && canFill(books, taker)))
    return { status: "cancelled", order, remaining: 0, fills: [] };
  const fills: Fill[] = [];
  const open = isMeeting ? take(tx, taker, quantity, fills, Number.POSITIVE_INFINITY) : quantity;
  if (open > 0 && fills.length === maxFills) return { status: "sweeping", taker, isReplacing, open, fills };
  return settle(tx, key, taker, isReplacing, open, timeInForce === "GTC", fills);
}

/** What becomes of the rest, once the order has met what it shall. */
export function settle(
  tx: Change,
  key: string,
  taker: Taker,
  isReplacing: boolean,
  remaining: number,
  mayRest: boolean,
  fills: Fill[],
): OrderResult {
  const { symbol, order, client, side, price, postOnly, goodTillMs } = taker;
  if (remaining > 0 && mayRest) {
    const { books } = tx.views;
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

/** Trades with what the taker meets, while the fills take no more than `bytes` in a result; returns what is left of `quantity`. */
export function take(tx: Change, taker: Taker, quantity: number, fills: Fill[], bytes: number): number {
  const { symbol, order, side } = taker;
  let [open, room] = [quantity, bytes];
  tx.views.books.visitOpposite(symbol, side, taker.price, (maker) => {
    const quantity = Math.min(open, maker.remaining);
    const fill = { maker: maker.order, taker: order, price: maker.price, quantity };
    if (room < Number.POSITIVE_INFINITY) {
      room -= bytesOf(fill);
      if (room < 0) return false;
    }
    const makerKey = `${symbol}/${maker.order}`;
    if (quantity === maker.remaining) {
      tx.delete("orders", makerKey);
      if (maker.goodTillMs !== undefined) tx.cancel(makerKey);
    } else tx.put("orders", makerKey, { ...maker, remaining: maker.remaining - quantity });
    tx.push("executions", { symbol, taker: order, maker: maker.order, side, price: maker.price, quantity });
    fills.push(fill);
    open -= quantity;
    return open > 0 && fills.length < maxFills;
  });
  return open;
}

/** True if all of it could be traded at once, and listed. */
function canFill(books: OrderBooks, { symbol, order, side, price, quantity }: Taker): boolean {
  let [open, orders, bytes] = [quantity, 0, 0];
  books.visitOpposite(symbol, side, price, (maker) => {
    orders += 1;
    open -= Math.min(open, maker.remaining);
    return open > 0;
  });
  if (open > 0 || orders <= maxFills) return open === 0;
  books.visitOpposite(symbol, side, price, (maker) => {
    orders -= 1;
    bytes += bytesOf({ maker: maker.order, taker: order, price: maker.price, quantity: maker.remaining });
    return orders > 0;
  });
  return bytes <= maxFillBytes;
}

/** In a list of JSON; all of it is ASCII. */
export function bytesOf(fill: Fill): number {
  return JSON.stringify(fill).length + 1;
}

function rejected(order: string, reason: NonNullable<OrderResult["reason"]>): OrderResult {
  return { status: "rejected", order, reason, remaining: 0, fills: [] };
}
