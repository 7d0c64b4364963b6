/**
 * The ledger: accounts with whole amounts. A transfer is two transactions: `reserve` takes the amount from one account
 * and notes the transfer as on its way; once that is committed, `settle` gives it to the other. What always holds:
 * what lies in accounts and what is on its way make together what was ever deposited, after each transaction; money leaves
 * an account by its client's word alone.
 *
 * An account belongs to the client that opened it, for good: to anyone else's transfer out of it it is unknown. Everybody
 * may pay into it, and ask for its balance, which the result of a deposit tells as well: balances are no secret here. A deposit
 * is taken at its word, whoever sends it.
 */
import { z } from "zod";
import type { Reader, RequestContext } from "../../application/contract.ts";
import { defineApplication } from "../../application/define.ts";

const AccountName = z
  .string()
  .regex(/^[!-~]{1,64}$/, "an account is 1 to 64 printable ASCII characters without spaces");
const Amount = z.int().min(1);
const Balance = z.int().min(0);

export const LedgerRequest = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("open"), account: AccountName }),
  z.strictObject({ type: z.literal("deposit"), account: AccountName, amount: Amount }),
  z.strictObject({ type: z.literal("transfer"), from: AccountName, to: AccountName, amount: Amount }),
]);
export type LedgerRequest = z.infer<typeof LedgerRequest>;

const reasons = ["account-exists", "unknown-account", "same-account", "insufficient-funds", "too-much"] as const;

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
type Context = RequestContext<typeof tables, typeof queues, Views>;

export const ledger = defineApplication({
  name: "ledger",
  request: LedgerRequest,
  result: LedgerResult,
  key: (body) => (body.type === "transfer" ? body.from : body.account),
  tables,
  queues,
  handle(request, context) {
    switch (request.type) {
      case "open":
        return open(request.account, context);
      case "deposit":
        return deposit(request.account, request.amount, context);
      case "transfer":
        return transfer(request, context);
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

function rejected(reason: (typeof reasons)[number]): LedgerResult {
  return { status: "rejected", reason };
}

/** What is missing (negative) or too much (positive) in accounts and on the way: 0, always. */
export function ledgerImbalance(state: Reader<typeof tables, typeof queues, Views>): number {
  let sum = -(state.get("totals", "deposited")?.amount ?? 0);
  for (const [, { balance }] of state.rows("accounts")) sum += balance;
  for (const [, { amount }] of state.rows("transfers")) sum += amount;
  return sum;
}
