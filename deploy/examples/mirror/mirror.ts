/**
 * An integrator with state of its own: a mirror of the stock, each result applied once, over takeovers, restarts of the integrator and
 * results that are forgotten before they were read. `mirror.js FILE`
 */
import { type Connection, connect, ForgottenError, type Position, positionAfter } from "twinlog";
import { Database, type Mirror } from "./database.ts";

type Change = { readonly change: number };
type Page = readonly { readonly item: string; readonly quantity: number }[];

const pageItems = 100;

/** The whole state as it is, and where results go on behind it. */
async function snapshot(client: Connection<unknown, unknown>): Promise<Mirror> {
  // First the position, then the pages: what is committed before the position is known is in every page.
  const position = await nextPosition(client);
  const items: Mirror["items"] = {};
  for (let after = ""; ; ) {
    const page = await client.query<Page>({ query: "page", after, limit: pageItems });
    // Others go on meanwhile: each page is of another moment, and says which.
    for (const { item, quantity } of page.result) items[item] = { quantity, asOf: page.sequence };
    const last = page.result.at(-1);
    if (last === undefined) return { position, items };
    after = last.item;
  }
}

async function nextPosition(client: Connection<unknown, unknown>): Promise<Position> {
  for await (const event of client.results({ from: "next" })) return positionAfter(event);
  throw new Error("the client was closed");
}

/** Until results are forgotten, or a new history may have lost some: then the mirror begins anew. */
async function follow(client: Connection<unknown, unknown>, database: Database, mirror: Mirror): Promise<void> {
  const { items } = mirror;
  for await (const event of client.results(mirror.position)) {
    if (event.type === "history" && event.previous !== undefined) return;
    if (event.type === "result" && event.reply.ok) {
      const { change } = event.reply.result as Change;
      const { quantity, asOf } = items[event.key] ?? { quantity: 0, asOf: 0 };
      // What the page has seen already is passed over.
      if (change !== 0 && event.sequence > asOf) items[event.key] = { quantity: quantity + change, asOf };
    }
    mirror.position = positionAfter(event);
    database.save(mirror);
  }
}

const nats = process.env.TWINLOG_NATS ?? "nats://127.0.0.1:4222";
const client = await connect({ nats, service: "stock", client: "mirror" });
const database = new Database(process.argv[2] ?? "mirror.json");
for (;;) {
  let mirror = database.load();
  if (mirror === undefined) {
    mirror = await snapshot(client);
    database.save(mirror);
    console.log(`snapshot of ${Object.keys(mirror.items).length} items, results from ${mirror.position.from} on`);
  }
  try {
    await follow(client, database, mirror);
    console.log("a new history: from a snapshot");
  } catch (error) {
    if (!(error instanceof ForgottenError)) throw error;
    console.log(`${error.message}: from a snapshot`);
  }
  database.clear();
}
