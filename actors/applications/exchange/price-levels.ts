/**
 * One side of a book: its orders by price, and within a price by arrival. What always holds: the best level is at hand
 * at once; adding, finding and removing an order takes about log n steps, wherever in the book it is and in whatever
 * order a load brings the rows.
 */
import type { Order } from "./schemas.ts";

/** The orders at one price. A removed order leaves its arrival number behind until enough of them are swept out. */
class Level {
  readonly rank: number;
  #slots: (Order | number)[] = [];
  #head = 0;
  #live = 0;
  #isSorted = true;

  constructor(rank: number) {
    this.rank = rank;
  }

  get price(): number {
    return Math.abs(this.rank);
  }

  get orders(): number {
    return this.#live;
  }

  add(order: Order): void {
    const last = this.#slots.at(-1);
    if (last !== undefined && arrivalOf(last) > order.arrival) this.#isSorted = false;
    this.#slots.push(order);
    this.#live += 1;
  }

  /** Puts the order in the place of the one of the same arrival. */
  replace(order: Order): void {
    const at = this.#find(order.arrival);
    this.#slots[at] = order;
  }

  remove(arrival: number): void {
    const at = this.#find(arrival);
    this.#slots[at] = arrival;
    this.#live -= 1;
    while (typeof this.#slots[this.#head] === "number") this.#head += 1;
    const dead = this.#slots.length - this.#live;
    if (dead > 32 && dead > this.#live) this.#sweep();
  }

  /** Tells of the orders, oldest first, until told to stop; true if it was. */
  visit(visitor: (order: Order) => boolean): boolean {
    this.#sort();
    for (let at = this.#head; at < this.#slots.length; at += 1) {
      const slot = this.#slots[at];
      if (typeof slot === "object" && !visitor(slot)) return true;
    }
    return false;
  }

  #find(arrival: number): number {
    this.#sort();
    let low = this.#head;
    let high = this.#slots.length - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (arrivalOf(this.#slots[middle] ?? 0) < arrival) low = middle + 1;
      else high = middle;
    }
    // A number that a removed order left behind may come again: a book that was built from its rows does not know of it.
    while (this.#slots[low] === arrival) low += 1;
    const found = this.#slots[low];
    if (typeof found !== "object" || found.arrival !== arrival)
      throw new Error(`no order of arrival ${arrival} at ${this.price}`);
    return low;
  }

  /** Only a load brings orders out of order. */
  #sort(): void {
    if (this.#isSorted) return;
    this.#sweep();
    this.#slots.sort((left, right) => arrivalOf(left) - arrivalOf(right));
    this.#isSorted = true;
  }

  #sweep(): void {
    this.#slots = this.#slots.filter((slot) => typeof slot === "object");
    this.#head = 0;
  }
}

function arrivalOf(slot: Order | number): number {
  return typeof slot === "number" ? slot : slot.arrival;
}

const maxChunk = 256;

export class PriceLevels {
  /** 1 for bids, -1 for asks: a price times this is its rank, and the best has the highest. */
  readonly #sign: 1 | -1;
  /** Levels by ascending rank, in chunks of at most `maxChunk`, so that inserting never moves many. */
  readonly #chunks: Level[][] = [];

  constructor(side: "buy" | "sell") {
    this.#sign = side === "buy" ? 1 : -1;
  }

  get isEmpty(): boolean {
    return this.#chunks.length === 0;
  }

  get bestPrice(): number | undefined {
    return this.#chunks.at(-1)?.at(-1)?.price;
  }

  add(order: Order): void {
    const rank = order.price * this.#sign;
    const chunkAt = this.#chunkOf(rank);
    const chunk = this.#chunks[chunkAt];
    if (chunk === undefined) {
      this.#chunks.push([newLevel(rank, order)]);
      return;
    }
    const at = firstFrom(chunk, rank);
    const level = chunk[at];
    if (level?.rank === rank) {
      level.add(order);
      return;
    }
    chunk.splice(at, 0, newLevel(rank, order));
    if (chunk.length > maxChunk) this.#chunks.splice(chunkAt + 1, 0, chunk.splice(maxChunk / 2));
  }

  replace(order: Order): void {
    const rank = order.price * this.#sign;
    const chunk = this.#chunks[this.#chunkOf(rank)] ?? [];
    levelAt(chunk, firstFrom(chunk, rank), rank).replace(order);
  }

  remove(order: Order): void {
    const rank = order.price * this.#sign;
    const chunkAt = this.#chunkOf(rank);
    const chunk = this.#chunks[chunkAt] ?? [];
    const at = firstFrom(chunk, rank);
    const level = levelAt(chunk, at, rank);
    level.remove(order.arrival);
    if (level.orders > 0) return;
    chunk.splice(at, 1);
    if (chunk.length === 0) this.#chunks.splice(chunkAt, 1);
  }

  /** Tells of the orders in priority down to `worstPrice`, until told to stop. */
  visit(worstPrice: number, visitor: (order: Order) => boolean): void {
    for (const level of this.levels()) {
      if (level.rank < worstPrice * this.#sign || level.visit(visitor)) return;
    }
  }

  /** Best first. */
  *levels(): Iterable<Level> {
    for (let chunkAt = this.#chunks.length - 1; chunkAt >= 0; chunkAt -= 1) {
      const chunk = this.#chunks[chunkAt] ?? [];
      for (let at = chunk.length - 1; at >= 0; at -= 1) {
        const level = chunk[at];
        if (level !== undefined) yield level;
      }
    }
  }

  /** Index of the last chunk that starts at or below the rank, or 0. */
  #chunkOf(rank: number): number {
    let low = 0;
    let high = this.#chunks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((this.#chunks[middle]?.[0]?.rank ?? 0) <= rank) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

function newLevel(rank: number, order: Order): Level {
  const level = new Level(rank);
  level.add(order);
  return level;
}

/** Index of the first level at or above the rank. */
function firstFrom(chunk: readonly Level[], rank: number): number {
  let low = 0;
  let high = chunk.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((chunk[middle]?.rank ?? 0) < rank) low = middle + 1;
    else high = middle;
  }
  return low;
}

function levelAt(chunk: readonly Level[], at: number, rank: number): Level {
  const level = chunk[at];
  if (level?.rank !== rank) throw new Error(`no order rests at ${Math.abs(rank)}`);
  return level;
}
