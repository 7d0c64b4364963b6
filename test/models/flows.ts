/**
 * Seeded flows of request bodies for the exchange and the ledger. The exchange's is rich in matches and has every kind of
 * order and of refusal; the ledger's has every result. The same seed gives the same bodies, and the same clients.
 */

import { Random } from "../helpers/random.ts";
import type { OrderBody } from "./plain-book.ts";
import type { LedgerBody } from "./plain-ledger.ts";

const symbols = ["AAA", "BBB"] as const;
const clients = ["anna", "ben", "carla"] as const;

export interface OfClient<Body> {
  readonly client: string;
  readonly body: Body;
}

/** Orders around a price that drifts, so that about half of those that may trade do. Ids are sometimes used again. */
export function* orderFlow(seed: number, count: number): Generator<OrderBody> {
  const random = new Random(seed);
  /** Ids sent lately; some are not in the book any more, or never were. */
  const recent: { symbol: string; order: string }[] = [];
  let middle = 1_000;
  for (let sent = 0; sent < count; sent += 1) {
    if (random.chance(0.02)) middle = Math.max(50, middle + random.whole(-15, 15));
    yield orderBody(random, recent, middle, `o${sent}`);
    while (recent.length > 120) recent.splice(random.whole(0, recent.length - 1), 1);
  }
}

function orderBody(
  random: Random,
  recent: { symbol: string; order: string }[],
  middle: number,
  fresh: string,
): OrderBody {
  const known = random.pick(recent) ?? { symbol: "AAA", order: "never" };
  const kind = random.next();
  if (kind < 0.16) return { type: "cancel", ...known };
  if (kind < 0.3)
    return { type: "replace", ...known, price: middle + random.whole(-9, 9), quantity: random.whole(1, 12) };
  const symbol = random.pick(symbols);
  const order = random.chance(0.04) ? known.order : fresh;
  const side = random.chance(0.5) ? "buy" : "sell";
  if (kind < 0.37) return { type: "market", symbol, order, side, quantity: random.whole(1, 25) };
  recent.push({ symbol, order });
  // Most orders rest a little away from the middle; the others reach over it.
  const away = random.chance(0.7) ? random.whole(0, 8) : random.whole(-6, 0);
  const price = side === "buy" ? middle - away : middle + away;
  const limit: OrderBody = { type: "limit", symbol, order, side, price, quantity: random.whole(1, 15) };
  const special = random.next();
  if (special < 0.1) return { ...limit, timeInForce: "IOC" };
  if (special < 0.2) return { ...limit, timeInForce: "FOK" };
  if (special < 0.35) return { ...limit, postOnly: true };
  return special < 0.4 ? { ...limit, timeInForce: "GTC", postOnly: false } : limit;
}

/** `orderFlow`, and who sends each: mostly a cancel or replace is of the client that used the id first, sometimes of another. */
export function* orderFlowOfClients(seed: number, count: number): Generator<OfClient<OrderBody>> {
  const random = new Random(seed);
  const owners = new Map<string, string>();
  for (const body of orderFlow(seed, count)) {
    const key = `${body.symbol}/${body.order}`;
    const owner = owners.get(key);
    const isOfOld = owner !== undefined && (body.type === "cancel" || body.type === "replace");
    const client = isOfOld && random.chance(0.8) ? owner : random.pick(clients);
    if (body.type === "limit" && owner === undefined) owners.set(key, client);
    yield { client, body };
  }
}

/** Few accounts and small balances, so that transfers often find too little. */
export function* ledgerFlow(seed: number, count: number): Generator<LedgerBody> {
  const random = new Random(seed);
  const account = () => `account-${random.whole(1, 12)}`;
  for (let sent = 0; sent < count; sent += 1) {
    const kind = random.next();
    if (kind < 0.1) yield { type: "open", account: account() };
    else if (kind < 0.35) yield { type: "deposit", account: account(), amount: random.whole(1, 100) };
    else yield { type: "transfer", from: account(), to: account(), amount: random.whole(1, 120) };
  }
}

/** `ledgerFlow`, and who sends each: mostly the money of an account is moved by who opened it, sometimes by another. */
export function* ledgerFlowOfClients(seed: number, count: number): Generator<OfClient<LedgerBody>> {
  const random = new Random(seed);
  const owners = new Map<string, string>();
  for (const body of ledgerFlow(seed, count)) {
    const owner = body.type === "transfer" ? owners.get(body.from) : undefined;
    const client = owner !== undefined && random.chance(0.8) ? owner : random.pick(clients);
    if (body.type === "open" && !owners.has(body.account)) owners.set(body.account, client);
    yield { client, body };
  }
}
