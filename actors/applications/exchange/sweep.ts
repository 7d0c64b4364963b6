/**
 * An order that meets more than fits in a record goes on in further transactions, one behind the other in the same turn. What always
 * holds: nothing of the symbol comes between them, after the death of a server neither, for what is begun is resumed before anything
 * new is taken; the order trades as one that had all in one record, until its fills take `maxFillBytes`: what is left then is dropped,
 * and an order that is to be filled whole or not at all is not begun.
 */
import { bytesOf, type Change, maxFillBytes, maxFills, type Sweep, settle, take } from "./matching.ts";
import type { Fill, OrderResult } from "./schemas.ts";

type Transact = <R>(name: string, change: (tx: Change) => R) => R;

export function goOn(sweep: Sweep, transaction: Transact): OrderResult {
  const { taker, isReplacing } = sweep;
  const fills = [...sweep.fills];
  let [open, isFull, part] = [sweep.open, true, 1];
  while (open > 0 && isFull) {
    part += 1;
    const room = maxFillBytes - fills.reduce((bytes, fill) => bytes + bytesOf(fill), 0);
    const more = transaction(`match ${part}`, (tx) => {
      const its: Fill[] = [];
      return { open: take(tx, taker, open, its, room), fills: its };
    });
    fills.push(...more.fills);
    open = more.open;
    isFull = more.fills.length === maxFills;
  }
  const { symbol, order, side, price, timeInForce } = taker;
  const rest = transaction("rest", (tx) => {
    const mayRest = timeInForce === "GTC" && !tx.views.books.wouldTrade(symbol, side, price);
    return settle(tx, `${symbol}/${order}`, taker, isReplacing, open, mayRest, []);
  });
  return { ...rest, fills };
}
