/**
 * The ledger: accounts with whole amounts. A transfer is two transactions: `reserve` takes the amount from one account
 * and notes the transfer as on its way; once that is committed, `settle` gives it to the other. What always holds:
 * what lies in accounts and what is on its way make together what was ever deposited, after each transaction; money leaves
 * an account by its client's word alone.
 *
 * An account belongs to the client that opened it, for good: to anyone else's transfer out of it it is unknown. Everybody
 * may pay into it, and ask for its balance, which the result of a deposit tells as well: balances are no secret here. A deposit
 * is taken at its word, whoever sends it.
 *
 * A transfer can be held for a while: `reserve` takes the amount, `complete` gives it to the other account, and `release`, by its client
 * or by the timer that every held transfer has, gives it back.
 */
import { z } from "zod";
import type { Reader, RequestContext, Transaction } from "../../application/contract.ts";
import { defineApplication } from "../../application/define.ts";

const AccountName = z
  .string()
  .regex(/^[!-~]{1,64}$/, "an account is 1 to 64 printable ASCII characters without spaces");
const TransferName = z
  .string()
  .regex(/^[!-~]{1,32}$/, "a transfer is 1 to 32 printable ASCII characters without spaces");
const Amount = z.int().min(1);
const Balance = z.int().min(0);

export const LedgerRequest = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("open"), account: AccountName }),
  z.strictObject({ type: z.literal("deposit"), account: AccountName, amount: Amount }),
  z.strictObject({ type: z.literal("transfer"), from: AccountName, to: AccountName, amount: Amount }),
  /** A transfer that waits for `complete`, until `untilMs` (ms since 1970); then it is released. `transfer` names it among its account's. */
  z.strictObject({
    type: z.literal("reserve"),
    transfer: TransferName,
    from: AccountName,
    to: AccountName,
    amount: Amount,
    untilMs: z.int().min(1),
  }),
  z.strictObject({ type: z.literal("complete"), from: AccountName, transfer: TransferName }),
  /** By its client, or by its timer. */
  z.strictObject({ type: z.literal("release"), from: AccountName, transfer: TransferName }),
]);
export type LedgerRequest = z.infer<typeof LedgerRequest>;

const reasons = [
  "account-exists",
  "unknown-account",
  "same-account",
  "insufficient-funds",
  "too-much",
  "transfer-exists",
  "unknown-transfer",
  "expired",
] as const;

export const LedgerResult = z.discriminatedUnion("status", [
  /** `balance`: of the account opened or paid into, or of a transfer's `from`, when the transaction was made. */
  z.strictObject({ status: z.literal("done"), balance: Balance }),
  z.strictObject({ status: z.literal("rejected"), reason: z.enum(reasons) }),
]);
export type LedgerResult = z.infer<typeof LedgerResult>;

const tables = {
  /** `client`: whose it is. */
  accounts: z.strictObject({ client: z.string(), balance: Balance }),
  /** Transfers on their way; the key is the JSON of client and request id. */
  transfers: z.strictObject({ from: AccountName, to: AccountName, amount: Amount }),
  /** Transfers that are neither completed nor released; the key is `<from> <transfer>`, and so is its timer's name. */
  reservations: z.strictObject({ from: AccountName, to: AccountName, amount: Amount }),
  /** One row, `deposited`: the sum of all deposits. It bounds every balance. */
  totals: z.strictObject({ amount: Balance }),
};
const queues = {
  /** The latest finished deposits and transfers. */
  journal: {
    item: z.strictObject({ from: AccountName.optional(), to: AccountName, amount: Amount }),
    maxItems: 1_000,
    whenFull: "dropOldest" as const,
  },
};
type Views = Readonly<Record<never, never>>;
type Context = RequestContext<typeof tables, typeof queues, Views, LedgerRequest>;
type Change = Transaction<typeof tables, typeof queues, Views, LedgerRequest>;

export const ledger = defineApplication({
  name: "ledger",
  request: LedgerRequest,
  result: LedgerResult,
  key: (body) => ("from" in body ? body.from : body.account),
  tables,
  queues,
  timers: { maxTimers: 1_000_000 },
  handle(request, context) {
    switch (request.type) {
      case "open":
        return open(request.account, context);
      case "deposit":
        return deposit(request.account, request.amount, context);
      case "transfer":
        return transfer(request, context);
      case "reserve":
        return reserve(request, context);
      case "complete":
        return complete(request, context);
      case "release":
        return release(request, context);
    }
  },
  queries: {
    balance: {
      body: z.strictObject({ account: AccountName }),
      result: z.object({ account: z.string(), balance: z.int().nullable(), sequence: z.int() }),
      answer: ({ account }, state, sequence) => ({
        account,
        balance: state.get("accounts", account)?.balance ?? null,
        sequence,
      }),
    },
  },
});

function open(account: string, { client, transaction }: Context): LedgerResult {
  return transaction("open", (tx) => {
    if (tx.has("accounts", account)) return rejected("account-exists");
    tx.put("accounts", account, { client, balance: 0 });
    return { status: "done", balance: 0 };
  });
}

function deposit(account: string, amount: number, { transaction }: Context): LedgerResult {
  return transaction("deposit", (tx) => {
    const row = tx.get("accounts", account);
    if (row === undefined) return rejected("unknown-account");
    const total = (tx.get("totals", "deposited")?.amount ?? 0) + amount;
    if (!Number.isSafeInteger(total)) return rejected("too-much");
    const balance = row.balance + amount;
    tx.put("accounts", account, { ...row, balance });
    tx.put("totals", "deposited", { amount: total });
    tx.push("journal", { to: account, amount });
    return { status: "done", balance };
  });
}

async function transfer(
  { from, to, amount }: { from: string; to: string; amount: number },
  { client, id, transaction, committed }: Context,
): Promise<LedgerResult> {
  const key = JSON.stringify([client, id]);
  const reserved = transaction("reserve", (tx): LedgerResult => {
    const source = tx.get("accounts", from);
    if (source?.client !== client || !tx.has("accounts", to)) return rejected("unknown-account");
    if (from === to) return rejected("same-account");
    if (source.balance < amount) return rejected("insufficient-funds");
    const balance = source.balance - amount;
    tx.put("accounts", from, { ...source, balance });
    tx.put("transfers", key, { from, to, amount });
    return { status: "done", balance };
  });
  if (reserved.status === "rejected") return reserved;
  await committed();
  transaction("settle", (tx) => {
    const receiver = tx.get("accounts", to);
    if (receiver === undefined) throw new Error(`account ${to} is gone, and accounts are never closed`);
    tx.put("accounts", to, { ...receiver, balance: receiver.balance + amount });
    tx.delete("transfers", key);
    tx.push("journal", { from, to, amount });
  });
  return reserved;
}

function reserve(
  { transfer, from, to, amount, untilMs }: Extract<LedgerRequest, { type: "reserve" }>,
  { client, transaction }: Context,
): LedgerResult {
  const key = `${from} ${transfer}`;
  return transaction("reserve", (tx) => {
    if (untilMs <= tx.nowMs) return rejected("expired");
    const source = tx.get("accounts", from);
    if (source?.client !== client || !tx.has("accounts", to)) return rejected("unknown-account");
    if (from === to) return rejected("same-account");
    if (tx.has("reservations", key)) return rejected("transfer-exists");
    if (source.balance < amount) return rejected("insufficient-funds");
    tx.put("reservations", key, { from, to, amount });
    tx.schedule(key, untilMs, { type: "release", from, transfer });
    return withBalance(tx, from, source, -amount);
  });
}

/** The reservation, if it is there and this client's, or whoever asks is its timer (`client` undefined); it is gone, and its timer too. */
function taken(tx: Change, { from, transfer }: { from: string; transfer: string }, client: string | undefined) {
  const key = `${from} ${transfer}`;
  const reservation = tx.get("reservations", key);
  const source = tx.get("accounts", from);
  if (reservation === undefined || source === undefined) return undefined;
  if (client !== undefined && source.client !== client) return undefined;
  tx.delete("reservations", key);
  if (client !== undefined) tx.cancel(key);
  return { reservation, source };
}

function complete(
  request: Extract<LedgerRequest, { type: "complete" }>,
  { client, transaction }: Context,
): LedgerResult {
  return transaction("complete", (tx) => {
    const found = taken(tx, request, client);
    if (found === undefined) return rejected("unknown-transfer");
    const { from, to, amount } = found.reservation;
    const receiver = tx.get("accounts", to);
    if (receiver === undefined) throw new Error(`account ${to} is gone, and accounts are never closed`);
    tx.put("accounts", to, { ...receiver, balance: receiver.balance + amount });
    tx.push("journal", { from, to, amount });
    return { status: "done", balance: found.source.balance };
  });
}

function release(
  request: Extract<LedgerRequest, { type: "release" }>,
  { client, timer, transaction }: Context,
): LedgerResult {
  return transaction("release", (tx) => {
    const found = taken(tx, request, timer === undefined ? client : undefined);
    if (found === undefined) return rejected("unknown-transfer");
    return withBalance(tx, request.from, found.source, found.reservation.amount);
  });
}

function withBalance(tx: Change, name: string, row: { client: string; balance: number }, by: number): LedgerResult {
  const balance = row.balance + by;
  tx.put("accounts", name, { ...row, balance });
  return { status: "done", balance };
}

function rejected(reason: (typeof reasons)[number]): LedgerResult {
  return { status: "rejected", reason };
}

/** What is missing (negative) or too much (positive) in accounts and on the way: 0, always. */
export function ledgerImbalance(state: Reader<typeof tables, typeof queues, Views>): number {
  let sum = -(state.get("totals", "deposited")?.amount ?? 0);
  for (const [, { balance }] of state.rows("accounts")) sum += balance;
  for (const [, { amount }] of state.rows("transfers")) sum += amount;
  for (const [, { amount }] of state.rows("reservations")) sum += amount;
  return sum;
}
