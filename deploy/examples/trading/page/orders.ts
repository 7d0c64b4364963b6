/**
 * This client's orders, and what it has sent that is not answered: all that must outlive the page. What always holds:
 * 1. A request is kept, with its id and its stamp, before its first copy is sent, and until it is answered.
 * 2. Orders and the position behind the last result that counted in them are stored together, so that each result counts once, however
 *    often the page is closed, opened and loaded again in between.
 * 3. What the exchange says that is open is taken for orders that are not known here, or not surely; each result counts in an order once,
 *    also one that was heard before the exchange's answer, and is later.
 */
import { type HistoryEvent, type Position, positionAfter, type ResultEvent } from "twinlog/browser";
import type { AnswerOrders, RequestBody, Result } from "./exchange.ts";

/** unsure: results about it cannot be had any more, and the exchange was not asked yet. over: they could not, and nothing rests of it. */
export type OrderState = "sending" | Result["status"] | "unsure" | "over";

export interface OwnOrder {
  readonly order: string;
  readonly symbol: string;
  readonly side: "buy" | "sell";
  /** null: at any. */
  readonly price: number | null;
  readonly quantity: number;
  readonly open: number;
  readonly state: OrderState;
  /** Why it was rejected. */
  readonly why?: string;
  /** The last sequence that counted in it. */
  readonly asOf?: number;
}

/** A request that is not answered. */
export interface Pending {
  readonly id: string;
  readonly body: RequestBody;
  readonly issuedAt: number;
}

interface Kept {
  position?: Position;
  orders: OwnOrder[];
  pending: Pending[];
}

/** The service's own client, whose requests are timers that are due. */
const timers = "$timers";
/** What an order may be in whose request was refused. */
const notYetOpen: ReadonlySet<OrderState> = new Set(["sending", "unsure", "over"]);
/** Orders that are over and still shown. */
const maxOver = 50;

export const isOpen = ({ state }: OwnOrder): boolean =>
  state === "sending" || state === "resting" || state === "unsure";

export class Orders {
  readonly #storage: Storage;
  readonly #place: string;
  readonly #client: string;
  #kept: Kept;

  constructor(storage: Storage, service: string, client: string) {
    this.#storage = storage;
    this.#place = `${service} ${client}`;
    this.#client = client;
    const kept = storage.getItem(this.#place);
    this.#kept = kept === null ? { orders: [], pending: [] } : (JSON.parse(kept) as Kept);
  }

  /** The newest first. */
  get all(): readonly OwnOrder[] {
    return this.#kept.orders;
  }
  get pending(): readonly Pending[] {
    return this.#kept.pending;
  }
  get position(): Position | undefined {
    return this.#kept.position;
  }

  willSend(pending: Pending): void {
    const { body } = pending;
    this.#kept.pending.push(pending);
    if (body.type === "limit" || body.type === "market") {
      const { order, symbol, side, quantity } = body;
      const price = body.type === "limit" ? body.price : null;
      this.#kept.orders.unshift({ order, symbol, side, price, quantity, open: quantity, state: "sending" });
    }
    this.#save();
  }

  /** What an answer changed comes with the results, in its turn. `why`: it was refused, or failed. */
  isAnswered({ id, body }: Pending, why?: string): void {
    this.#kept.pending = this.#kept.pending.filter((each) => each.id !== id);
    if (why !== undefined && (body.type === "limit" || body.type === "market"))
      this.#kept.orders = this.#kept.orders.map((own) =>
        own.symbol === body.symbol && own.order === body.order && notYetOpen.has(own.state)
          ? { ...own, open: 0, state: "rejected", why }
          : own,
      );
    this.#save();
  }

  onEvent(event: ResultEvent | HistoryEvent): void {
    if (event.type === "result") this.#count(event);
    else if (event.previous !== undefined) this.unsure();
    this.#kept.position = positionAfter(event);
    this.#save();
  }

  /** Results were missed: nobody here knows what became of what was open. */
  unsure(): void {
    this.#kept.orders = this.#kept.orders.map(({ asOf: _asOf, ...own }) =>
      own.state === "resting" || own.state === "sending" ? { ...own, state: "unsure" } : own,
    );
    delete this.#kept.position;
    this.#save();
  }

  /** Symbols of which it is not known what is open. */
  get unsureSymbols(): string[] {
    return [...new Set(this.#kept.orders.flatMap(({ state, symbol }) => (state === "unsure" ? [symbol] : [])))];
  }

  /** What the exchange says that is open, or a part of that. `heard`: results since it was asked; some are later than the answer. */
  onOpen({ symbol, orders, sequence: asOf }: AnswerOrders, heard: readonly ResultEvent[]): void {
    for (const { order, side, price, remaining: open } of orders) {
      const own = this.#kept.orders.find((each) => each.order === order && each.symbol === symbol);
      if (own !== undefined && (own.asOf ?? -1) > asOf) continue;
      if (own === undefined || !isOpen(own)) {
        // One of this id that is over makes room.
        this.#kept.orders = this.#kept.orders.filter((each) => each !== own);
        this.#kept.orders.unshift({ order, symbol, side, price, quantity: open, open, state: "resting", asOf });
      } else if (own.state === "unsure")
        this.#change(symbol, order, asOf, (before) => ({ ...before, price, open, state: "resting" }));
    }
    for (const event of heard) if (event.sequence > asOf) this.#count(event);
    this.#save();
  }

  /** The exchange has told all that is open there, as of this sequence: what is still unsure is over. */
  onAllOpen(symbol: string, asOf: number): void {
    this.#kept.orders = this.#kept.orders.map((own) =>
      own.symbol === symbol && own.state === "unsure" ? { ...own, open: 0, state: "over", asOf } : own,
    );
    this.#save();
  }

  #count({ client, key: symbol, sequence, reply }: ResultEvent): void {
    if (!reply.ok) return;
    const result = reply.result as Result;
    if (client === this.#client) this.#onOwn(symbol, result, sequence);
    // Of an order that has a date, when that is past.
    else if (client === timers && this.#isOpenHere(symbol, result.order)) this.#onOwn(symbol, result, sequence);
    for (const { maker, quantity } of result.fills)
      this.#change(symbol, maker, sequence, (own) => {
        const open = own.open - quantity;
        return { ...own, open, state: open > 0 ? own.state : "filled" };
      });
  }

  #isOpenHere(symbol: string, order: string): boolean {
    return this.#kept.orders.some((own) => own.symbol === symbol && own.order === order && isOpen(own));
  }

  #onOwn(symbol: string, { order, status, remaining, reason }: Result, sequence: number): void {
    // Of a cancel that came too late: what became of the order was told before.
    if (reason === "unknown-order") return;
    this.#change(symbol, order, sequence, (own) =>
      reason === undefined
        ? { ...own, open: remaining, state: status }
        : { ...own, open: 0, state: "rejected", why: reason },
    );
  }

  /** Ids are one symbol's, and one that is over may come again: the newest is meant. Each sequence counts once. */
  #change(symbol: string, order: string, sequence: number, change: (own: OwnOrder) => OwnOrder): void {
    const at = this.#kept.orders.findIndex((own) => own.order === order && own.symbol === symbol);
    const own = this.#kept.orders[at];
    if (own !== undefined && sequence > (own.asOf ?? -1)) this.#kept.orders[at] = { ...change(own), asOf: sequence };
  }

  #save(): void {
    let over = 0;
    this.#kept.orders = this.#kept.orders.filter((own) => {
      if (isOpen(own)) return true;
      over += 1;
      return over <= maxOver;
    });
    this.#storage.setItem(this.#place, JSON.stringify(this.#kept));
  }
}
