/** What the tests of the claims share: orders to send, and what is asked of every disk. */
import type { ExecutionContext } from "ava";
import type { ApplicationDefinition } from "../../actors/application/contract.ts";
import { exchange } from "../../actors/applications/exchange/exchange.ts";
import { type Disk, readDisk } from "./pair/disk.ts";
import type { Pair, RawReply } from "./pair/pair.ts";

/** Orders of this symbol only rest: what is in the book is the number of requests that took effect. */
export const buy = (n: number, symbol = "REST") =>
  ({ type: "limit", symbol, order: `o${n}`, side: "buy", price: 100, quantity: 1 }) as const;

/** Numbered orders of one client in plain NATS, one after the other. */
export class Orders {
  readonly #pair: Pair;
  readonly client: string;
  readonly symbol: string;
  sent = 0;

  constructor(pair: Pair, client: string) {
    this.#pair = pair;
    this.client = client;
    this.symbol = client.toUpperCase();
  }

  /** Sends `count` more and returns their replies; each is sent again until it is answered. */
  async send(count: number): Promise<RawReply[]> {
    const replies: RawReply[] = [];
    for (let done = 0; done < count; done += 1) {
      this.sent += 1;
      const { client, sent } = this;
      const reply = await this.#pair.askUntilAnswered(buy(sent, this.symbol), { client, id: String(sent) });
      if (!reply.reply.ok) throw new Error(`refused: ${reply.text}`);
      replies.push(reply);
    }
    return replies;
  }

  /** Sends number `n` once more, as it was. */
  again(n: number): Promise<RawReply> {
    return this.#pair.askUntilAnswered(buy(n, this.symbol), { client: this.client, id: String(n) });
  }

  /** How many orders rest in the book, by a query: read from committed state. */
  async resting(): Promise<number> {
    const { client } = this;
    const reader = await this.#pair.client({ client: `${client}-reads`, application: exchange });
    const { result } = await reader.query<{ bids: [number, number, number][] }>({ query: "book", symbol: this.symbol });
    await reader.disconnect();
    return result.bids.reduce((sum, [, , orders]) => sum + orders, 0);
  }
}

/** The records of a client's requests on a server's disk: `id` → the reply that the record holds. */
export function repliesOnDisk(disk: Disk, client: string): Map<string, string> {
  return new Map(
    disk.records
      .filter((record) => record.client === client && record.kind === "final")
      .map(({ id, reply }) => [id, reply]),
  );
}

/** One request, and what the disk of the server that answered it held right after its answer. */
export async function isFlushedWhenAnswered(pair: Pair, server: string, orders: Orders): Promise<boolean> {
  const [reply] = await orders.send(1);
  const disk = await readDisk(pair, server, exchange);
  return repliesOnDisk(disk, orders.client).get(String(orders.sent)) === reply?.text;
}

/** Whole logs of two servers, byte by byte, after both have flushed what they hold. */
export async function sameLogs(
  t: ExecutionContext,
  pair: Pair,
  [one, other]: readonly [string, string],
  application: ApplicationDefinition = exchange,
): Promise<Disk> {
  const { committed } = await pair.newStatus(one);
  await pair.waitFor(other, (status) => status.committed >= committed, { waitedFor: `committed ${committed}` });
  t.true((await pair.control(one, "flush")).ok);
  t.true((await pair.control(other, "flush")).ok);
  const [first, second] = [await readDisk(pair, one, application), await readDisk(pair, other, application)];
  const bytes = (disk: Disk) =>
    Buffer.concat(disk.records.filter(({ sequence }) => sequence <= committed).map((each) => each.bytes));
  t.true(first.last >= committed && second.last >= committed);
  t.true(bytes(first).equals(bytes(second)), `the logs of ${one} and ${other} differ`);
  return first;
}
