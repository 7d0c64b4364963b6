/** A plain ledger: what the ledger's answers are checked against when its requests run one after the other. */
export type LedgerBody =
  | { type: "open"; account: string }
  | { type: "deposit"; account: string; amount: number }
  | { type: "transfer"; from: string; to: string; amount: number };

export type PlainLedgerResult = { status: "done"; balance: number } | { status: "rejected"; reason: string };

export class PlainLedger {
  readonly balances = new Map<string, number>();
  /** Account → the client that opened it. */
  readonly owners = new Map<string, string>();
  deposited = 0;

  execute(body: LedgerBody, client: string): PlainLedgerResult {
    const reject = (reason: string): PlainLedgerResult => ({ status: "rejected", reason });
    const { balances } = this;

    if (body.type === "open") {
      if (balances.has(body.account)) return reject("account-exists");
      balances.set(body.account, 0);
      this.owners.set(body.account, client);
      return { status: "done", balance: 0 };
    }

    if (body.type === "deposit") {
      const balance = balances.get(body.account);
      if (balance === undefined) return reject("unknown-account");
      if (this.deposited + body.amount > Number.MAX_SAFE_INTEGER) return reject("too-much");
      this.deposited += body.amount;
      balances.set(body.account, balance + body.amount);
      return { status: "done", balance: balance + body.amount };
    }

    const from = balances.get(body.from);
    const to = balances.get(body.to);
    if (from === undefined || to === undefined) return reject("unknown-account");
    if (this.owners.get(body.from) !== client) return reject("unknown-account");
    if (body.from === body.to) return reject("same-account");
    if (from < body.amount) return reject("insufficient-funds");
    balances.set(body.from, from - body.amount);
    balances.set(body.to, to + body.amount);
    return { status: "done", balance: from - body.amount };
  }
}
