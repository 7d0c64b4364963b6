/** Timers on real servers: one that is due after its primary was killed, and one that is due while all are down (rule 20, situation 146). */
import test from "ava";
import { subjects } from "../../schemas/subjects.ts";
import { timersName } from "../../schemas/timers.ts";
import { type Pair, startPair } from "../helpers/pair/pair.ts";
import { until } from "../helpers/until.ts";

const service = "exchange";
const withinMs = 60_000;

async function rest(pair: Pair, order: string, inMs: number): Promise<void> {
  const body = {
    type: "limit",
    symbol: "S",
    order,
    side: "buy",
    price: 10,
    quantity: 1,
    goodTillMs: Date.now() + inMs,
  };
  const { text } = await pair.askUntilAnswered(body, { client: "alice", id: order });
  if (!text.includes('"resting"')) throw new Error(text);
}

test("an order's date comes on whichever server is there, once: after a kill, and after all were down", async (t) => {
  const pair = await startPair(t, { service, restartMs: 100 });
  const came: string[] = [];
  pair.raw.subscribe(subjects.results(service), {
    callback: (_error, message) => {
      const { client, id, result } = JSON.parse(message.string());
      if (client === timersName) came.push(`${String(id).split("@")[0]} ${result.status}`);
    },
  });
  await pair.raw.flush();
  const { primary, backup } = await pair.normal();
  await rest(pair, "killed", 2_000);
  t.like((await pair.newStatus(primary)).timers, { count: 1 });
  await pair.server(primary).kill();
  await until(() => came.includes("S/killed cancelled"), { withinMs, waitedFor: `its date at ${backup}` });
  await pair.normal();

  await rest(pair, "down", 1_500);
  const dueMs = Date.now() + 1_500;
  for (const server of pair.servers.values()) await server.stop();
  await until(() => Date.now() > dueMs, { withinMs, waitedFor: "its date" });
  for (const server of pair.servers.values()) server.start();
  await until(() => came.includes("S/down cancelled"), { withinMs, waitedFor: "its date, late" });
  const { primary: now } = await pair.normal();
  t.deepEqual((await pair.newStatus(now)).timers, { count: 0, nextMs: null });
  t.deepEqual([...new Set(came)].sort(), ["S/down cancelled", "S/killed cancelled"]);
});
