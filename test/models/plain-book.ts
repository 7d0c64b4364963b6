/**
 * A plain book: what the exchange's answers are checked against. Written from what the exchange promises, not from the
 * exchange's code: one array of resting orders in the order in which they came, sorted whenever something is looked for.
 * Slow, and meant to be read. What the promise leaves open is decided as the exchange's documentation says.
 */
import { PlainTimers } from "./plain-timers.ts";

export type OrderBody =
  | {
      type: "limit";
      symbol: string;
      order: string;
      side: "buy" | "sell";
      price: number;
      quantity: number;
      timeInForce?: "GTC" | "IOC" | "FOK";
      postOnly?: boolean;
      goodTillMs?: number;
    }
  | { type: "market"; symbol: string; order: string; side: "buy" | "sell"; quantity: number }
  | { type: "cancel"; symbol: string; order: string }
  | { type: "replace"; symbol: string; order: string; price: number; quantity: number };

export interface PlainFill {
  maker: string;
  taker: string;
  price: number;
  quantity: number;
}

export interface PlainResult {
  status: "resting" | "filled" | "cancelled" | "rejected";
  order: string;
  reason?: string;
  remaining: number;
  fills: PlainFill[];
}

export interface PlainOrder {
  symbol: string;
  order: string;
  client: string;
  side: "buy" | "sell";
  price: number;
  open: number;
  postOnly: boolean;
  goodTillMs: number;
}

export type PlainLevel = [price: number, quantity: number, orders: number];

export class PlainBook {
  /** Oldest first. */
  resting: PlainOrder[] = [];
  /** `SYMBOL/ORDER` of each resting order that is good till a date. */
  readonly timers = new PlainTimers();

  /** The date of an order is there. */
  expire(body: OrderBody): PlainResult {
    const order = this.resting.find((one) => one.symbol === body.symbol && one.order === body.order);
    if (order !== undefined) this.#take(order);
    return { status: "cancelled", order: body.order, remaining: 0, fills: [] };
  }

  execute(body: OrderBody, client: string, nowMs = 0): PlainResult {
    const old = this.resting.find((one) => one.symbol === body.symbol && one.order === body.order);
    const reject = (reason: string): PlainResult => ({
      status: "rejected",
      order: body.order,
      reason,
      remaining: 0,
      fills: [],
    });

    if (body.type === "cancel") {
      if (!old || old.client !== client) return reject("unknown-order");
      this.#take(old);
      return { status: "cancelled", order: body.order, remaining: 0, fills: [] };
    }

    if (body.type === "replace") {
      if (!old || old.client !== client) return reject("unknown-order");
      if (body.price === old.price && body.quantity < old.open) {
        old.open = body.quantity;
        return { status: "resting", order: body.order, remaining: body.quantity, fills: [] };
      }
      if (old.postOnly && this.#meets({ ...old, price: body.price }).length > 0) return reject("would-trade");
      const timer = `${body.symbol}/${body.order}`;
      // Its date stays, and so does the timer that was set for it.
      return this.timers.keeping(timer, () => {
        this.#take(old);
        return this.#enter({ ...old, price: body.price, open: body.quantity }, "GTC");
      });
    }

    if (old) return reject("order-exists");

    if (body.type === "market") {
      const worst = body.side === "buy" ? Number.POSITIVE_INFINITY : 0;
      const { symbol, order, side, quantity } = body;
      return this.#enter(
        { symbol, order, client, side, price: worst, open: quantity, postOnly: false, goodTillMs: 0 },
        "IOC",
      );
    }

    const { symbol, order, side, price, quantity, timeInForce = "GTC", postOnly = false, goodTillMs = 0 } = body;
    if (goodTillMs > 0 && goodTillMs <= nowMs) return reject("expired");
    const entering: PlainOrder = { symbol, order, client, side, price, open: quantity, postOnly, goodTillMs };
    if (postOnly && this.#meets(entering).length > 0) return reject("would-trade");
    return this.#enter(entering, timeInForce);
  }

  /** Bids and asks, best first. */
  levels(symbol: string): { bids: PlainLevel[]; asks: PlainLevel[] } {
    const side = (wanted: "buy" | "sell"): PlainLevel[] => {
      const here = this.resting.filter((one) => one.symbol === symbol && one.side === wanted);
      const prices = [...new Set(here.map((one) => one.price))].sort((a, b) => (wanted === "buy" ? b - a : a - b));
      return prices.map((price) => {
        const level = here.filter((one) => one.price === price);
        return [price, level.reduce((sum, one) => sum + one.open, 0), level.length];
      });
    };
    return { bids: side("buy"), asks: side("sell") };
  }

  /** The orders that this one would trade with, best price first, then oldest first. */
  #meets(taker: PlainOrder): PlainOrder[] {
    const isBuy = taker.side === "buy";
    return this.resting
      .filter((one) => one.symbol === taker.symbol && one.side !== taker.side)
      .filter((one) => (isBuy ? one.price <= taker.price : one.price >= taker.price))
      .sort((a, b) => (isBuy ? a.price - b.price : b.price - a.price));
  }

  #enter(taker: PlainOrder, timeInForce: "GTC" | "IOC" | "FOK"): PlainResult {
    const makers = this.#meets(taker);
    const fills: PlainFill[] = [];
    let left = taker.open;
    if (timeInForce === "FOK") {
      let wanted = left;
      for (const maker of makers) wanted = Math.max(0, wanted - maker.open);
      if (wanted > 0) return { status: "cancelled", order: taker.order, remaining: 0, fills };
    }
    for (const maker of makers) {
      if (left === 0) break;
      const quantity = Math.min(left, maker.open);
      fills.push({ maker: maker.order, taker: taker.order, price: maker.price, quantity });
      left -= quantity;
      maker.open -= quantity;
      if (maker.open === 0) this.#take(maker);
    }
    if (left === 0) return { status: "filled", order: taker.order, remaining: 0, fills };
    if (timeInForce !== "GTC") return { status: "cancelled", order: taker.order, remaining: 0, fills };
    this.resting.push({ ...taker, open: left });
    const { symbol, order, goodTillMs } = taker;
    if (goodTillMs > 0) this.timers.set(`${symbol}/${order}`, goodTillMs, { type: "cancel", symbol, order });
    return { status: "resting", order: taker.order, remaining: left, fills };
  }

  #take(order: PlainOrder): void {
    this.resting = this.resting.filter((one) => one !== order);
    this.timers.cancel(`${order.symbol}/${order.order}`);
  }
}
