/**
 * What a replayed flow of the exchange has come to, told from the replies alone: the trades in order and the orders that
 * rest at the end. Replies are taken in the order of the requests, however they came.
 */
interface Resting {
  readonly symbol: string;
  readonly order: string;
  readonly side: string;
  readonly price: number;
  remaining: number;
}

interface Body {
  readonly type?: string;
  readonly symbol?: string;
  readonly order?: string;
  readonly side?: string;
  readonly price?: number;
}

interface Result {
  readonly status?: string;
  readonly remaining?: number;
  readonly fills?: readonly { maker: string; taker: string; price: number; quantity: number }[];
}

export class ReplayTally {
  rejected = 0;
  readonly #trades: string[] = [];
  readonly #book = new Map<string, Resting>();
  readonly #waiting = new Map<number, readonly [body: Body, result: Result | undefined]>();
  #next = 1;

  /** `line` counts from 1; `result` undefined: the request ended without one. */
  note(line: number, body: unknown, result: unknown): void {
    this.#waiting.set(line, [body as Body, result as Result | undefined]);
    for (let due = this.#waiting.get(this.#next); due !== undefined; due = this.#waiting.get(this.#next)) {
      this.#waiting.delete(this.#next);
      if (due[1] !== undefined) this.#take(this.#next, due[0], due[1]);
      this.#next += 1;
    }
  }

  get trades(): number {
    return this.#trades.length;
  }

  get resting(): number {
    return this.#book.size;
  }

  tradesCsv(): string {
    return csv(["request,taker,maker,price,quantity", ...this.#trades]);
  }

  bookCsv(): string {
    const rows = [...this.#book.values()].sort((one, other) => compare(one.order, other.order));
    const lines = rows.map(({ order, side, price, remaining }) => `${order},${side},${price},${remaining}`);
    return csv(["order,side,price,remaining", ...lines]);
  }

  #take(line: number, body: Body, result: Result): void {
    if (result.status === "rejected") {
      this.rejected += 1;
      return;
    }
    const { symbol = "", order = "" } = body;
    for (const { maker, taker, price, quantity } of result.fills ?? []) {
      this.#trades.push(`${line},${taker},${maker},${price},${quantity}`);
      const key = keyOf(symbol, maker);
      const resting = this.#book.get(key);
      if (resting === undefined) continue;
      resting.remaining -= quantity;
      if (resting.remaining <= 0) this.#book.delete(key);
    }
    const key = keyOf(symbol, order);
    const side = body.side ?? this.#book.get(key)?.side ?? "";
    const price = body.price ?? 0;
    const remaining = result.remaining ?? 0;
    if (result.status === "resting") this.#book.set(key, { symbol, order, side, price, remaining });
    else if (body.type === "cancel" || body.type === "replace") this.#book.delete(key);
  }
}

/** Lines end as RFC 4180 has it. */
function csv(lines: readonly string[]): string {
  return [...lines, ""].join("\r\n");
}

function keyOf(symbol: string, order: string): string {
  return `${symbol}/${order}`;
}

function compare(one: string, other: string): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}
