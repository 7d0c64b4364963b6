/**
 * The exchange's view: the books of all symbols, derived from the rows of the orders table. What always holds: a book
 * shows exactly the rows, in price-time priority, and depends on nothing but them; a symbol without orders has no book.
 */
import type { View } from "../../application/contract.ts";
import { PriceLevels } from "./price-levels.ts";
import type { Order } from "./schemas.ts";

/** Price, open quantity, number of orders. A quantity past 2^53-1 is shown as 2^53-1. */
export type LevelSummary = [price: number, quantity: number, orders: number];

class Book {
  readonly buy = new PriceLevels("buy");
  readonly sell = new PriceLevels("sell");
  /** Greater than every arrival in the book. */
  nextArrival = 1;

  add(order: Order): void {
    this[order.side].add(order);
    if (order.arrival >= this.nextArrival) this.nextArrival = order.arrival + 1;
  }

  remove(order: Order): void {
    this[order.side].remove(order);
  }
}

export class OrderBooks implements View {
  readonly #books = new Map<string, Book>();

  put(_table: string, _key: string, value: unknown, before: unknown): void {
    const order = value as Order;
    let book = this.#books.get(order.symbol);
    if (book === undefined) {
      book = new Book();
      this.#books.set(order.symbol, book);
    }
    const old = before as Order | undefined;
    if (old === undefined) book.add(order);
    else if (old.side === order.side && old.price === order.price && old.arrival === order.arrival)
      book[order.side].replace(order);
    else {
      book.remove(old);
      book.add(order);
    }
  }

  delete(_table: string, _key: string, before: unknown): void {
    const order = before as Order;
    const book = this.#books.get(order.symbol);
    if (book === undefined) throw new Error(`no book of ${order.symbol}`);
    book.remove(order);
    if (book.buy.isEmpty && book.sell.isEmpty) this.#books.delete(order.symbol);
  }

  /** What the next order of the symbol is numbered with. */
  nextArrival(symbol: string): number {
    return this.#books.get(symbol)?.nextArrival ?? 1;
  }

  /** True if an order of this side and price would trade. */
  wouldTrade(symbol: string, side: "buy" | "sell", price: number): boolean {
    const best = this.#books.get(symbol)?.[opposite(side)].bestPrice;
    return best !== undefined && (side === "buy" ? best <= price : best >= price);
  }

  /** Tells of the resting orders that an order of this side and price would meet, in priority, until told to stop. */
  visitOpposite(symbol: string, side: "buy" | "sell", price: number, visitor: (order: Order) => boolean): void {
    this.#books.get(symbol)?.[opposite(side)].visit(price, visitor);
  }

  /** One client's, the oldest first, of those that arrived after `after`; at most so many. Takes a look at each order of the symbol. */
  ordersOf(client: string, symbol: string, after: number, most: number): Order[] {
    const book = this.#books.get(symbol);
    const found: Order[] = [];
    for (const side of ["buy", "sell"] as const)
      for (const level of book?.[side].levels() ?? [])
        level.visit((order) => {
          if (order.client === client && order.arrival > after) found.push(order);
          return true;
        });
    return found.sort((one, other) => one.arrival - other.arrival).slice(0, most);
  }

  /** Best first. */
  levels(symbol: string, side: "buy" | "sell", depth: number): LevelSummary[] {
    const summaries: LevelSummary[] = [];
    for (const level of this.#books.get(symbol)?.[side].levels() ?? []) {
      if (summaries.length === depth) break;
      let quantity = 0n;
      level.visit((order) => {
        quantity += BigInt(order.remaining);
        return true;
      });
      const shown = quantity > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(quantity);
      summaries.push([level.price, shown, level.orders]);
    }
    return summaries;
  }
}

function opposite(side: "buy" | "sell"): "buy" | "sell" {
  return side === "buy" ? "sell" : "buy";
}
