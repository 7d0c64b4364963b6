/**
 * This client's orders, and what it has sent that is not answered: all that must outlive the page. What always holds:
 * 1. A request is kept, with its id and its stamp, before its first copy is sent, and until it is answered.
 * 2. Orders and the position behind the last result that counted in them are stored together, so that each result counts once, however
 *    often the page is closed, opened and loaded again in between.
 */
import { type HistoryEvent, type Position, positionAfter, type ResultEvent } from "twinlog/browser";
import type { RequestBody, Result } from "./exchange.ts";

/** unsure: results about it cannot be had any more. */
export type OrderState = "sending" | Result["status"] | "unsure";

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
      this.#change(body.symbol, body.order, (own) => ({ ...own, open: 0, state: "rejected", why }));
    this.#save();
  }

  onEvent(event: ResultEvent | HistoryEvent): void {
    if (event.type === "history") {
      if (event.previous !== undefined) this.unsure();
    } else if (event.reply.ok) {
      const result = event.reply.result as Result;
      if (event.client === this.#client) this.#onOwn(event.key, result);
      for (const { maker, quantity } of result.fills)
        this.#change(event.key, maker, (own) => {
          const open = own.open - quantity;
          return { ...own, open, state: open > 0 ? own.state : "filled" };
        });
    }
    this.#kept.position = positionAfter(event);
    this.#save();
  }

  /** Results were missed: nobody here knows what became of what was open. */
  unsure(): void {
    this.#kept.orders = this.#kept.orders.map((own) => (own.state === "resting" ? { ...own, state: "unsure" } : own));
    delete this.#kept.position;
    this.#save();
  }

  #onOwn(symbol: string, { order, status, remaining, reason }: Result): void {
    // Of a cancel that came too late: what became of the order was told before.
    if (reason === "unknown-order") return;
    this.#change(symbol, order, (own) =>
      reason === undefined
        ? { ...own, open: remaining, state: status }
        : { ...own, open: 0, state: "rejected", why: reason },
    );
  }

  /** Ids are one symbol's, and one that is over may come again: the newest is meant. */
  #change(symbol: string, order: string, change: (own: OwnOrder) => OwnOrder): void {
    const at = this.#kept.orders.findIndex((own) => own.order === order && own.symbol === symbol);
    const own = this.#kept.orders[at];
    if (own !== undefined) this.#kept.orders[at] = change(own);
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
