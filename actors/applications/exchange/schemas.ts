/**
 * What the exchange's clients send and get, and what it stores. Prices are whole ticks,
 * quantities whole units, both from 1 to 2^53-1; their product is never formed. Order ids are unique among a symbol's live
 * orders, whoever's they are. An order belongs to the client that sent it: to anyone else's cancel or replace it is unknown.
 */
import { z } from "zod";

const SymbolName = z.string().regex(/^[A-Za-z0-9._-]{1,32}$/, "a symbol is 1 to 32 letters, digits, '.', '_' and '-'");
const OrderId = z.string().regex(/^[!-~]{1,64}$/, "an order id is 1 to 64 printable ASCII characters without spaces");
const Side = z.enum(["buy", "sell"]);
const Price = z.int().min(1);
const Quantity = z.int().min(1);

export const OrderRequest = z.discriminatedUnion("type", [
  z
    .strictObject({
      type: z.literal("limit"),
      symbol: SymbolName,
      order: OrderId,
      side: Side,
      price: Price,
      quantity: Quantity,
      timeInForce: z.enum(["GTC", "IOC", "FOK"]).default("GTC"),
      /** Rejected if it would trade. */
      postOnly: z.boolean().default(false),
      /** Good till date, ms since 1970: what rests of it then is cancelled. Rejected where that is past; with GTC only. */
      goodTillMs: z.int().min(1).optional(),
    })
    .refine(({ timeInForce, goodTillMs }) => timeInForce === "GTC" || goodTillMs === undefined, "goodTillMs needs GTC"),
  z.strictObject({ type: z.literal("market"), symbol: SymbolName, order: OrderId, side: Side, quantity: Quantity }),
  z.strictObject({ type: z.literal("cancel"), symbol: SymbolName, order: OrderId }),
  /** `quantity`: what shall be open from now on. */
  z.strictObject({ type: z.literal("replace"), symbol: SymbolName, order: OrderId, price: Price, quantity: Quantity }),
]);
export type OrderRequest = z.infer<typeof OrderRequest>;

// What the exchange makes itself is checked for its types only.

const Fill = z.object({ maker: z.string(), taker: z.string(), price: z.int(), quantity: z.int() });
export type Fill = z.infer<typeof Fill>;

export const OrderResult = z.object({
  status: z.enum(["resting", "filled", "cancelled", "rejected"]),
  order: z.string(),
  /** With `rejected` only. */
  reason: z.enum(["order-exists", "unknown-order", "would-trade", "expired"]).optional(),
  /** What is in the book afterwards: 0 unless resting. */
  remaining: z.int(),
  /** Best price first, oldest order first. */
  fills: z.array(Fill),
});
export type OrderResult = z.infer<typeof OrderResult>;

/** A resting order; its key is `<symbol>/<order>`. */
export const Order = z.object({
  symbol: z.string(),
  order: z.string(),
  /** Whose it is. It is in the row so that a server that takes over knows it. */
  client: z.string(),
  side: Side,
  price: z.int(),
  remaining: z.int(),
  /** Time priority within the symbol's book: lower is older. It is in the row so that it survives a reload. */
  arrival: z.int(),
  postOnly: z.literal(true).optional(),
  /** Its timer, of the name of the row's key, cancels it then. */
  goodTillMs: z.int().optional(),
});
export type Order = Readonly<z.infer<typeof Order>>;

export const Execution = z.object({
  symbol: z.string(),
  taker: z.string(),
  maker: z.string(),
  /** The taker's. */
  side: Side,
  price: z.int(),
  quantity: z.int(),
});

/** Without `depth`: all levels. */
export const BookQuery = z.strictObject({ symbol: SymbolName, depth: z.int().min(1).optional() });

/** So many orders are in one answer. */
export const maxOwnOrders = 1_000;

/** `after`: what the answer before called `next`; without it from the oldest on. */
export const OwnOrdersQuery = z.strictObject({ symbol: SymbolName, after: z.int().min(1).optional() });

const OwnOrder = Order.omit({ symbol: true, client: true, arrival: true });
/** What rests of the asker's orders, the oldest first. `next`: there are more, after it. `sequence`: the log position that it is of. */
export const OwnOrders = z.object({
  symbol: z.string(),
  orders: z.array(OwnOrder),
  next: z.int().optional(),
  sequence: z.int(),
});

export function ownOrder({
  symbol: _symbol,
  client: _client,
  arrival: _arrival,
  ...own
}: Order): z.infer<typeof OwnOrder> {
  return own;
}

const Level = z.tuple([z.int().describe("price"), z.int().describe("quantity"), z.int().describe("orders")]);
/** Best price first. `sequence`: the log position that it is of. */
export const Book = z.object({ symbol: z.string(), bids: z.array(Level), asks: z.array(Level), sequence: z.int() });
