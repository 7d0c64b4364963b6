/**
 * What the clients of a drill ask for: of the applications that this program brings along, or of any other one by a
 * template. What always holds: no two bodies of a drill are equal where the application tells them apart by a name.
 */
import { applications } from "../applications.ts";

export interface Workload {
  /** `client`: who will send it. */
  makeBody(n: number, unique: string, client: string): unknown;
  keyOf(body: unknown): string;
  /**
   * Clients keep their requests in order. Not where a request may have several transactions: requests that began in order
   * may end in another, and results tell of the end alone.
   */
  readonly isOrdered: boolean;
}

/** Of each client: only who opened an account moves money out of it. */
const accounts = 5;

/** Two sides at one price, so that the book stays small. */
function order(n: number, unique: string): unknown {
  const side = n % 2 === 0 ? "sell" : "buy";
  return { type: "limit", symbol: "DRILL", order: unique, side, price: 100, quantity: 1 };
}

function booking(n: number, _unique: string, client: string): unknown {
  const account = (of: number) => `${client}-${of % accounts}`;
  if (n % 10 === 0) return { type: "open", account: account(n / 10) };
  if (n % 3 === 0) return { type: "deposit", account: account(n), amount: 7 };
  return { type: "transfer", from: account(n), to: account(n + 1), amount: 1 };
}

const bodies: Readonly<Record<string, Workload["makeBody"]>> = { exchange: order, ledger: booking };

/** undefined: nothing is known of this application. */
export function workloadOf(application: string): Workload | undefined {
  const makeBody = bodies[application];
  const definition = applications.get(application);
  if (makeBody === undefined || definition === undefined) return undefined;
  return { makeBody, keyOf: (body) => definition.key(body as never), isOrdered: application === "exchange" };
}

/** `template`: JSON in which `{id}` and `{n}` stand for what is new in each request. Throws SyntaxError. */
export function workloadFrom(template: string, keyOf: (body: unknown) => string): Workload {
  const makeBody = (n: number, unique: string): unknown =>
    JSON.parse(template.replaceAll("{id}", unique).replaceAll("{n}", String(n)));
  makeBody(1, "1");
  return { makeBody, keyOf, isOrdered: false };
}
