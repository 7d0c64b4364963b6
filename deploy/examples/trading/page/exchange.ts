/**
 * What the service exchange takes and answers: exchange, digest 9c13bce2c9535501.
 * Written by `twinlog schema --format types`: a change made here does not last.
 */

export type RequestBody =
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
  | {
      type: "market";
      symbol: string;
      order: string;
      side: "buy" | "sell";
      quantity: number;
    }
  | {
      type: "cancel";
      symbol: string;
      order: string;
    }
  | {
      type: "replace";
      symbol: string;
      order: string;
      price: number;
      quantity: number;
    };
export type QueryBody = QueryBook | QueryOrders;

export interface Service {
  request: RequestBody;
  result: Result;
  query: QueryBody;
  answer: AnswerBook | AnswerOrders;
}
export interface Result {
  status: "resting" | "filled" | "cancelled" | "rejected";
  order: string;
  reason?: "order-exists" | "unknown-order" | "would-trade" | "expired";
  remaining: number;
  fills: {
    maker: string;
    taker: string;
    price: number;
    quantity: number;
  }[];
}
export interface QueryBook {
  query: "book";
  symbol: string;
  depth?: number;
}
export interface QueryOrders {
  query: "orders";
  symbol: string;
  after?: number;
}
export interface AnswerBook {
  symbol: string;
  bids: [number, number, number][];
  asks: [number, number, number][];
  sequence: number;
}
export interface AnswerOrders {
  symbol: string;
  orders: {
    order: string;
    side: "buy" | "sell";
    price: number;
    remaining: number;
    postOnly?: true;
    goodTillMs?: number;
  }[];
  next?: number;
  sequence: number;
}
