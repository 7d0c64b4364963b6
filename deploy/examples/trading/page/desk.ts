/**
 * One client at the exchange: sends its orders, follows results, and keeps the book of one symbol. What always holds: whatever dies on the other
 * side, each request is sent until it is answered, under one id; the book shown is one that the service committed, and says of when it is.
 */
import {
  type Connection,
  FailedError,
  ForgottenError,
  RefusedError,
  type ResultEvent,
  UnknownOutcomeError,
} from "twinlog/browser";
import type { AnswerBook, AnswerOrders, QueryBook, QueryOrders, RequestBody, Result } from "./exchange.ts";
import type { Orders, Pending } from "./orders.ts";

export interface Trade {
  readonly at: Date;
  readonly symbol: string;
  readonly price: number;
  readonly quantity: number;
}

const depth = 10;
const maxTrades = 15;
const againMs = 500;
/** The book is asked for again with each result, no more often than this, and at least as often as that. */
const bookMs = { atMost: 100, atLeast: 2_000 };

export class Desk {
  readonly orders: Orders;
  book: AnswerBook | null = null;
  bookAt: Date | null = null;
  trades: Trade[] = [];
  /** Of the last answer: which epoch's primary it was, and how long it took. */
  answer: { readonly epoch: number; readonly tookMs: number } | null = null;
  /** Results are followed: what is sent now is seen. */
  isReady = false;
  readonly #connection: Connection<RequestBody, Result>;
  readonly #onChange: () => void;
  readonly #onSaid: (text: string) => void;
  #symbol: string;
  #isClosed = false;
  #wake: (() => void) | null = null;
  /** Symbols of which it is being asked what is open, and the results of each that were heard since. */
  readonly #asked = new Map<string, ResultEvent[]>();
  /** An exchange of before has no such query: what is unsure stays so. */
  #tellsOrders = true;

  constructor(
    connection: Connection<RequestBody, Result>,
    orders: Orders,
    symbol: string,
    told: { onChange: () => void; onSaid: (text: string) => void },
  ) {
    this.orders = orders;
    this.#connection = connection;
    this.#symbol = symbol;
    this.#onChange = told.onChange;
    this.#onSaid = told.onSaid;
    void this.#followResults();
    void this.#followBook();
    for (const pending of orders.pending) void this.#send(pending, true);
  }

  watch(symbol: string): void {
    this.#symbol = symbol;
    this.book = null;
    this.trades = [];
    this.#wake?.();
    this.#onChange();
    if (this.isReady) void this.#askForOpen([symbol]);
  }

  send(body: RequestBody): void {
    const pending = { id: crypto.randomUUID(), body, issuedAt: Date.now() };
    this.orders.willSend(pending);
    this.#onChange();
    void this.#send(pending, false);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#wake?.();
    await this.#connection.disconnect();
  }

  /** Until it is answered. Its outcome may be unknown for as long as nobody serves: it is asked for again under the same id. */
  async #send(pending: Pending, wasSent: boolean): Promise<void> {
    const { id, body, issuedAt } = pending;
    let options = { id, issuedAt, resend: wasSent };
    while (!this.#isClosed) {
      const sinceMs = performance.now();
      try {
        const { epoch, result } = await this.#connection.request(body, { ...options, key: body.symbol });
        this.answer = { epoch, tookMs: performance.now() - sinceMs };
        this.orders.isAnswered(pending);
        this.#onSaid(spoken(body, result));
      } catch (error) {
        if (error instanceof UnknownOutcomeError) {
          options = error.retry;
          continue;
        }
        if (!(error instanceof RefusedError || error instanceof FailedError)) throw error;
        this.orders.isAnswered(pending, error.code);
        this.#onSaid(`${named(body)}: ${error.message}`);
      }
      this.#onChange();
      return;
    }
  }

  async #followResults(): Promise<void> {
    while (!this.#isClosed) {
      let isFollowing = false;
      try {
        const { position } = this.orders;
        for await (const event of this.#connection.results(position ?? { from: "next" })) {
          const isFirst = !isFollowing;
          isFollowing = true;
          this.isReady = true;
          this.orders.onEvent(event);
          if (event.type === "result") this.#asked.get(event.key)?.push(event);
          // Of an earlier history: the answer is of the new one.
          else for (const heard of this.#asked.values()) heard.length = 0;
          // What follows upon the answer is heard from now on.
          if (isFirst || this.orders.unsureSymbols.length > 0)
            void this.#askForOpen([...this.orders.unsureSymbols, ...(isFirst ? [this.#symbol] : [])]);
          if (event.type === "result" && event.reply.ok) this.#onTrades(event.key, event.reply.result as Result);
          this.#wake?.();
          this.#onChange();
        }
        return;
      } catch (error) {
        if (!(error instanceof ForgottenError)) throw error;
        this.orders.unsure();
      }
    }
  }

  /** What is open there of this client's, also what another page of his has sent. Asked for until it is answered. */
  async #askForOpen(symbols: readonly string[]): Promise<void> {
    for (const symbol of symbols) {
      if (this.#asked.has(symbol) || !this.#tellsOrders) continue;
      const heard: ResultEvent[] = [];
      this.#asked.set(symbol, heard);
      let after: number | undefined;
      do {
        const query: QueryOrders = { query: "orders", symbol, ...(after === undefined ? {} : { after }) };
        const answer = await this.#connection
          .query<AnswerOrders>(query, { key: symbol })
          .catch((error: unknown) =>
            error instanceof RefusedError && error.code === "INVALID_REQUEST" ? "unknown" : null,
          );
        if (answer === null) {
          await new Promise((resolve) => setTimeout(resolve, againMs));
          continue;
        }
        if (answer === "unknown") {
          this.#tellsOrders = false;
          this.#asked.clear();
          return;
        }
        this.orders.onOpen(answer.result, heard);
        after = answer.result.next;
        if (after === undefined) {
          this.orders.onAllOpen(symbol, answer.result.sequence);
          this.#asked.delete(symbol);
          this.#onChange();
        }
      } while (!this.#isClosed && this.#asked.has(symbol));
    }
  }

  #onTrades(symbol: string, { fills }: Result): void {
    if (symbol !== this.#symbol) return;
    const at = new Date();
    const trades = fills.map(({ price, quantity }) => ({ at, symbol, price, quantity }));
    this.trades = [...trades.reverse(), ...this.trades].slice(0, maxTrades);
  }

  async #followBook(): Promise<void> {
    while (!this.#isClosed) {
      const symbol = this.#symbol;
      const query: QueryBook = { query: "book", symbol, depth };
      // An answer that does not come is asked for again: the old book stays, and says how old it is.
      const answer = await this.#connection.query<AnswerBook>(query, { key: symbol }).catch(() => null);
      if (answer !== null && symbol === this.#symbol) {
        this.book = answer.result;
        this.bookAt = new Date();
        this.#onChange();
      }
      await this.#untilDue();
    }
  }

  #untilDue(): Promise<void> {
    return new Promise((resolve) => {
      const sinceMs = performance.now();
      let timer = setTimeout(resolve, bookMs.atLeast);
      this.#wake = () => {
        this.#wake = null;
        clearTimeout(timer);
        timer = setTimeout(resolve, this.#isClosed ? 0 : Math.max(0, bookMs.atMost - (performance.now() - sinceMs)));
      };
    });
  }
}

function named(body: RequestBody): string {
  const what = { limit: "order", market: "order", cancel: "cancel of", replace: "replace of" }[body.type];
  return `${what} ${body.order}`;
}

function spoken(body: RequestBody, { status, reason, remaining, fills }: Result): string {
  const traded = fills.reduce((sum, { quantity }) => sum + quantity, 0);
  const parts = [
    reason === undefined ? status : `${status}, ${reason}`,
    ...(traded > 0 ? [`${traded} traded`] : []),
    ...(remaining > 0 ? [`${remaining} open`] : []),
  ];
  return `${named(body)}: ${parts.join(", ")}`;
}
