/**
 * What simulated clients ask for, one workload an application: bodies that meet each other often (few accounts, few
 * symbols) and sometimes try what is another client's, queries, and the plain model against which the log is replayed.
 */
import type { Application } from "../../../actors/application/define.ts";
import { exchange } from "../../../actors/applications/exchange/exchange.ts";
import { ledger } from "../../../actors/applications/ledger/ledger.ts";
import type { Rng } from "../../../actors/testing/world/rng.ts";
import type { CommittedRecord, SequentialModel } from "../../../machines/checker/history.ts";
import { timersName } from "../../../schemas/timers.ts";
import { type OrderBody, PlainBook } from "../../models/plain-book.ts";
import { type LedgerBody, PlainLedger, type PlainLedgerResult } from "../../models/plain-ledger.ts";
import { NoTimer, type PlainTimers } from "../../models/plain-timers.ts";

export interface Workload {
  readonly application: Application;
  /** `unique`: a name that no body had before. `nowMs`: the client's clock. */
  body(rng: Rng, client: string, unique: string, nowMs: number): unknown;
  /** The same, some of them with a date. */
  timedBody(rng: Rng, client: string, unique: string, nowMs: number): unknown;
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

/** A rest that is good till a date, soon. */
function timedOrder(rng: Rng, client: string, unique: string, nowMs: number): OrderBody {
  const body = order(rng, client, unique);
  const dated = rng.stream(unique);
  const isPlain = body.type !== "limit" || (body.timeInForce ?? "GTC") !== "GTC";
  return isPlain || dated.chance(0.4) ? body : { ...body, goodTillMs: nowMs + dated.int(50, 4_000) };
}

/** What any model says of timers: one whose request failed is done, and one that was due long ago should be. */
function timersOf(timers: PlainTimers): Pick<SequentialModel, "fail" | "overdue"> {
  return { fail: (record) => void timers.take(record), overdue: (ms) => timers.dueBefore(ms) };
}

function bookModel(): SequentialModel {
  const book = new PlainBook();
  // Where the handler went on after its transaction, that one is a record of its own, and done whatever became of the rest.
  const matched = new Map<string, unknown>();
  return {
    ...timersOf(book.timers),
    run: (record, body) => {
      const request = requestOf(record);
      const execute = () => {
        const timed = book.timers.take(record);
        if (timed instanceof NoTimer) return timed;
        if (timed !== undefined) return book.expire(timed as OrderBody);
        return book.execute(body as OrderBody, record.client, record.takenMs);
      };
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

/** Some transfers are held for a while, and completed or released, in time or too late. */
function timedLedgerBody(rng: Rng, client: string, unique: string, nowMs: number): LedgerBody {
  const body = ledgerBody(rng, client);
  const dated = rng.stream(unique);
  if (body.type !== "transfer" || dated.chance(0.3)) return body;
  const { from, to, amount } = body;
  const transfer = `t${dated.int(1, 3)}`;
  const kind = dated.next();
  if (kind < 0.25) return { type: "complete", from, transfer };
  if (kind < 0.4) return { type: "release", from, transfer };
  return { type: "reserve", transfer, from, to, amount, untilMs: nowMs + dated.int(50, 4_000) };
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
  const executed = new Map<string, unknown>();
  const execute = (record: CommittedRecord, body: LedgerBody): unknown => {
    const timed = plain.timers.take(record);
    if (timed instanceof NoTimer) return timed;
    if (timed !== undefined) return plain.expire(timed as LedgerBody);
    return plain.execute(body, record.client, record.takenMs);
  };
  return {
    ...timersOf(plain.timers),
    run: (record, given) => {
      const body = given as LedgerBody;
      if (record.kind !== "final" && record.kind !== "transaction") return undefined;
      if (record.client !== timersName && body.type === "transfer") return transfer(record, body);
      // Where the handler went on after its transaction, that one is a record of its own.
      const request = requestOf(record);
      if (record.kind === "final") return executed.has(request) ? executed.get(request) : execute(record, body);
      executed.set(request, execute(record, body));
      return undefined;
    },
    query: (body) => {
      const { account } = body as { account: string };
      return { account, balance: plain.balances.get(account) ?? null };
    },
  };
}

/** What clients of a seed ask for. */
export function workloadOf({ workload, timers }: { workload: keyof typeof workloads; timers: boolean }): Workload {
  const its = workloads[workload];
  return timers ? { ...its, body: its.timedBody } : its;
}

export const workloads: Readonly<Record<"exchange" | "ledger", Workload>> = {
  exchange: {
    application: exchange as unknown as Application,
    body: order,
    timedBody: timedOrder,
    otherBody: (body) => ({ ...(body as OrderBody), symbol: "CCC" }),
    largeBody: (bytes) => ({ type: "cancel", symbol: symbols[0], order: "o".repeat(bytes) }),
    key: (body) => (body as OrderBody).symbol,
    query: (rng) => ({ query: "book", symbol: rng.pick(symbols) }),
    makeModel: bookModel,
  },
  ledger: {
    application: ledger as unknown as Application,
    body: ledgerBody,
    timedBody: timedLedgerBody,
    otherBody: () => ({ type: "open", account: "other" }),
    largeBody: (bytes) => ({ type: "open", account: "a".repeat(bytes) }),
    key: (body) => {
      const request = body as LedgerBody;
      return "from" in request ? request.from : request.account;
    },
    query: (rng) => ({ query: "balance", account: someAccount(rng, "client1") }),
    makeModel: ledgerModel,
  },
};
