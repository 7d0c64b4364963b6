/**
 * What simulated clients ask for, one workload an application: bodies that meet each other often (few accounts, few
 * symbols) and sometimes try what is another client's, queries, and the plain model against which the log is replayed.
 */
import type { Application } from "../../../actors/application/define.ts";
import { exchange } from "../../../actors/applications/exchange/exchange.ts";
import { ledger } from "../../../actors/applications/ledger/ledger.ts";
import type { Rng } from "../../../actors/testing/world/rng.ts";
import type { CommittedRecord, SequentialModel } from "../../../machines/checker/history.ts";
import { type OrderBody, PlainBook } from "../../models/plain-book.ts";
import { type LedgerBody, PlainLedger, type PlainLedgerResult } from "../../models/plain-ledger.ts";

export interface Workload {
  readonly application: Application;
  /** `unique`: a name that no body had before. */
  body(rng: Rng, client: string, unique: string): unknown;
  /** As `body`, and surely another one. */
  otherBody(body: unknown): unknown;
  /** A body of more than so many bytes. */
  largeBody(bytes: number): unknown;
  key(body: unknown): string;
  query(rng: Rng): unknown;
  makeModel(): SequentialModel;
}

const symbols = ["AAA", "BBB"] as const;
const middle = 1_000;

/** Mostly the client itself, else one of those that there may be. */
function someClient(rng: Rng, client: string): string {
  return rng.chance(0.75) ? client : `client${rng.int(1, 4)}`;
}

function order(rng: Rng, client: string, unique: string): OrderBody {
  const symbol = rng.pick(symbols);
  const known = `${someClient(rng, client)}.${rng.int(1, 10)}`;
  const kind = rng.next();
  if (kind < 0.15) return { type: "cancel", symbol, order: known };
  const price = middle + rng.int(-5, 5);
  const quantity = rng.int(1, 12);
  if (kind < 0.25) return { type: "replace", symbol, order: known, price, quantity };
  const side = rng.chance(0.5) ? "buy" : "sell";
  const name = rng.chance(0.7) ? known : unique;
  if (kind < 0.32) return { type: "market", symbol, order: name, side, quantity };
  const limit: OrderBody = { type: "limit", symbol, order: name, side, price, quantity };
  const special = rng.next();
  if (special < 0.1) return { ...limit, timeInForce: "IOC" };
  if (special < 0.2) return { ...limit, timeInForce: "FOK" };
  return special < 0.3 ? { ...limit, postOnly: true } : limit;
}

function requestOf({ client, id }: CommittedRecord): string {
  return `${client} ${id}`;
}

function bookModel(): SequentialModel {
  const book = new PlainBook();
  // Where the handler went on after its transaction, that one is a record of its own, and done whatever became of the rest.
  const matched = new Map<string, unknown>();
  return {
    run: (record, body) => {
      const request = requestOf(record);
      const execute = () => book.execute(body as OrderBody, record.client);
      if (record.kind === "transaction") matched.set(request, execute());
      if (record.kind !== "final") return undefined;
      return matched.has(request) ? matched.get(request) : execute();
    },
    query: (body) => {
      const { symbol } = body as { symbol: string };
      return { symbol, ...book.levels(symbol) };
    },
  };
}

function someAccount(rng: Rng, client: string): string {
  return `${someClient(rng, client)}.${rng.int(1, 3)}`;
}

function ledgerBody(rng: Rng, client: string): LedgerBody {
  const account = () => someAccount(rng, client);
  const kind = rng.next();
  if (kind < 0.15) return { type: "open", account: account() };
  if (kind < 0.5) return { type: "deposit", account: account(), amount: rng.int(1, 100) };
  return { type: "transfer", from: account(), to: account(), amount: rng.int(1, 80) };
}

/** The plain ledger runs a transfer at once; in the log its two transactions may have others in between. */
function ledgerModel(): SequentialModel {
  const plain = new PlainLedger();
  const reserved = new Map<string, PlainLedgerResult>();
  const reserve = (record: CommittedRecord, body: Extract<LedgerBody, { type: "transfer" }>): PlainLedgerResult => {
    const receiver = plain.balances.get(body.to);
    const result = plain.execute(body, record.client);
    // Reserved, and not settled yet: the receiver has nothing of it.
    if (result.status === "done" && receiver !== undefined) plain.balances.set(body.to, receiver);
    reserved.set(requestOf(record), result);
    return result;
  };
  const transfer = (record: CommittedRecord, body: Extract<LedgerBody, { type: "transfer" }>): unknown => {
    if (record.name === "reserve") return reserve(record, body);
    if (record.name === "settle") plain.balances.set(body.to, (plain.balances.get(body.to) ?? 0) + body.amount);
    return record.kind === "final" ? reserved.get(requestOf(record)) : undefined;
  };
  return {
    run: (record, given) => {
      const body = given as LedgerBody;
      if (record.kind !== "final" && record.kind !== "transaction") return undefined;
      return body.type === "transfer" ? transfer(record, body) : plain.execute(body, record.client);
    },
    query: (body) => {
      const { account } = body as { account: string };
      return { account, balance: plain.balances.get(account) ?? null };
    },
  };
}

export const workloads: Readonly<Record<"exchange" | "ledger", Workload>> = {
  exchange: {
    application: exchange as unknown as Application,
    body: order,
    otherBody: (body) => ({ ...(body as OrderBody), symbol: "CCC" }),
    largeBody: (bytes) => ({ type: "cancel", symbol: symbols[0], order: "o".repeat(bytes) }),
    key: (body) => (body as OrderBody).symbol,
    query: (rng) => ({ query: "book", symbol: rng.pick(symbols) }),
    makeModel: bookModel,
  },
  ledger: {
    application: ledger as unknown as Application,
    body: ledgerBody,
    otherBody: () => ({ type: "open", account: "other" }),
    largeBody: (bytes) => ({ type: "open", account: "a".repeat(bytes) }),
    key: (body) => {
      const request = body as LedgerBody;
      return request.type === "transfer" ? request.from : request.account;
    },
    query: (rng) => ({ query: "balance", account: someAccount(rng, "client1") }),
    makeModel: ledgerModel,
  },
};
