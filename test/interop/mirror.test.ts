/**
 * The integrator of deploy/examples/mirror, as it stands: its sums, of which each result is a part, are the service's own, whatever
 * dies on the way and however long it was away. A result that it applied twice or not at all would stay in them for ever.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";
import test, { type ExecutionContext } from "ava";
import type { Client } from "../../actors/index.ts";
import type { Mirror } from "../../deploy/examples/mirror/database.ts";
import { stock } from "../../deploy/examples/mirror/stock.ts";
import { type Pair, startPair } from "../helpers/pair/pair.ts";
import { Random } from "../helpers/random.ts";
import { until } from "../helpers/until.ts";
import { brokerOf, type RunningClient, startClient } from "./example-client.ts";

const built = fileURLToPath(new URL("../../deploy/examples/mirror/", import.meta.url));
const withinMs = 60_000;

type Stock = Client<{ item: string; change: number }, { change: number }>;

function mirrorOf(t: ExecutionContext, pair: Pair, file: string): RunningClient {
  const environment = { TWINLOG_NATS: pair.nats.url.replace("//", "//mirror:pass@") };
  return startClient(t, { command: process.execPath, args: [`${built}mirror.js`], environment }, pair.nats.url, [file]);
}

/** Requests of which some are refused, over more items than a page holds; a handful in flight. */
async function change(client: Stock, random: Random, count: number): Promise<void> {
  const one = () => client.request({ item: `item ${random.whole(1, 250)}`, change: random.whole(-3, 5) });
  for (let sent = 0; sent < count; sent += 5) await Promise.all(Array.from({ length: 5 }, one));
}

/** All items, when nothing changes any more. */
async function quantities(client: Stock): Promise<Record<string, number>> {
  const body = { query: "page", after: "", limit: 1_000 };
  const { result } = await client.query<{ item: string; quantity: number }[]>(body);
  return Object.fromEntries(result.map(({ item, quantity }) => [item, quantity]));
}

test("a mirror holds what the service holds: from a snapshot, over deaths of everybody, and after its results were forgotten", async (t) => {
  const of = (role: "integrator" | "client") => ({ service: "stock", bucket: "twinlog", role, name: "mirror" });
  const pair = await startPair(t, {
    service: "stock",
    application: `${built}stock.js`,
    restartMs: 300,
    limits: { rememberReplies: 200, maxRetainedBytes: 0 },
    nats: { extraConfig: brokerOf("user: mirror, password: pass", [of("integrator"), of("client")]) },
  });
  const client: Stock = await pair.client({ client: "shop", application: stock });
  const random = new Random(7);
  const file = join(pair.folder, "mirror.json");
  const mirrored = () => {
    const { items } = JSON.parse(readFileSync(file, "utf8")) as Mirror;
    return Object.fromEntries(Object.entries(items).map(([item, { quantity }]) => [item, quantity]));
  };
  const isLevel = async () => {
    const wanted = await quantities(client);
    await until(() => isDeepStrictEqual(mirrored(), wanted), { withinMs, waitedFor: "the mirror" }).catch(() => {});
    t.deepEqual(mirrored(), wanted);
  };

  await change(client, random, 400);
  const first = mirrorOf(t, pair, file);
  const going = change(client, random, 300);
  await until(() => first.lines.length > 0, { withinMs, waitedFor: "the first snapshot" });
  const { primary } = await pair.normal();
  pair.server(primary).signal("SIGKILL");
  await change(client, random, 300);
  await going;
  await isLevel();

  const more = change(client, random, 60);
  first.kill("SIGKILL");
  await first.ended;
  const second = mirrorOf(t, pair, file);
  await more;
  await isLevel();
  t.deepEqual(second.lines, [], "it goes on from its position");

  second.kill("SIGKILL");
  await second.ended;
  await change(client, random, 300);
  const third = mirrorOf(t, pair, file);
  await change(client, random, 100);
  await isLevel();
  await pair.normal();
  await pair.nats.restart();
  await change(client, random, 100);
  await isLevel();
  t.regex(third.lines.join("\n"), /^FORGOTTEN: .*: from a snapshot\nsnapshot of \d+ items, results from \d+ on$/);
});
