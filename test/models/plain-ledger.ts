/** A plain ledger: what the ledger's answers are checked against when its requests run one after the other. */
import { PlainTimers } from "./plain-timers.ts";

export type LedgerBody =
  | { type: "open"; account: string }
  | { type: "deposit"; account: string; amount: number }
  | { type: "transfer"; from: string; to: string; amount: number }
  | { type: "reserve"; transfer: string; from: string; to: string; amount: number; untilMs: number }
  | { type: "complete"; from: string; transfer: string }
  | { type: "release"; from: string; transfer: string };

type Settling = Extract<LedgerBody, { type: "complete" | "release" }>;

export type PlainLedgerResult = { status: "done"; balance: number } | { status: "rejected"; reason: string };

export class PlainLedger {
  readonly balances = new Map<string, number>();
  /** Account → the client that opened it. */
  readonly owners = new Map<string, string>();
  deposited = 0;
  /** `FROM TRANSFER` → what is held. */
  readonly held = new Map<string, { from: string; to: string; amount: number }>();
  readonly timers = new PlainTimers();

  /** The time of a held transfer is over. */
  expire(body: LedgerBody): PlainLedgerResult {
    return this.#settle(body as Settling);
  }

  /** It is there: the amount goes on, or back. */
  #settle({ type, from, transfer }: Settling): PlainLedgerResult {
    const key = `${from} ${transfer}`;
    const held = this.held.get(key);
    if (held === undefined) return { status: "rejected", reason: "unknown-transfer" };
    const account = type === "complete" ? held.to : held.from;
    this.balances.set(account, (this.balances.get(account) ?? 0) + held.amount);
    this.held.delete(key);
    this.timers.cancel(key);
    return { status: "done", balance: this.balances.get(from) ?? 0 };
  }

  execute(body: LedgerBody, client: string, nowMs = 0): PlainLedgerResult {
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

    if (body.type === "complete" || body.type === "release")
      return this.owners.get(body.from) === client ? this.#settle(body) : reject("unknown-transfer");
    if (body.type === "reserve" && body.untilMs <= nowMs) return reject("expired");

    const from = balances.get(body.from);
    const to = balances.get(body.to);
    if (from === undefined || to === undefined) return reject("unknown-account");
    if (this.owners.get(body.from) !== client) return reject("unknown-account");
    if (body.from === body.to) return reject("same-account");
    const key = body.type === "reserve" ? `${body.from} ${body.transfer}` : "";
    if (this.held.has(key)) return reject("transfer-exists");
    if (from < body.amount) return reject("insufficient-funds");
    balances.set(body.from, from - body.amount);
    if (body.type === "reserve") {
      this.held.set(key, { from: body.from, to: body.to, amount: body.amount });
      this.timers.set(key, body.untilMs, { type: "release", from: body.from, transfer: body.transfer });
      return { status: "done", balance: from - body.amount };
    }
    balances.set(body.to, to + body.amount);
    return { status: "done", balance: from - body.amount };
  }
}
