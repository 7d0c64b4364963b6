/** The harness for tests with real servers: it starts what it says, knows who is who, and leaves nothing behind. */
import { existsSync } from "node:fs";
import process from "node:process";
import test from "ava";
import { exchange } from "../../actors/applications/exchange/exchange.ts";
import { startPair } from "../helpers/pair/pair.ts";

const order = { type: "limit", symbol: "BTCUSD", order: "o1", side: "buy", price: 100, quantity: 5 } as const;

const isAlive = (pid: number) => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

test("a pair serves, survives the loss of its primary, takes it back, and leaves nothing", async (t) => {
  const pair = await startPair(t, { restartMs: 100 });
  const { primary } = await pair.normal();
  t.is(primary, "alpha");
  const client = await pair.client({ client: "alice", application: exchange });
  t.is((await client.request(order)).result.status, "resting");
  await pair.server("alpha").kill();
  t.is((await client.request({ ...order, order: "o2" })).result.status, "resting");
  t.deepEqual(await pair.normal(), { primary: "beta", backup: "alpha" });
  t.is(pair.server("alpha").starts, 2);
  t.is((await pair.registryRecord()).primary.server, "beta");
  const pids = [...pair.servers.values()].map(({ pid }) => pid ?? 0);
  t.true(pids.every(isAlive));
  const { folder } = pair;
  await pair.close();
  t.false(pids.some(isAlive) || isAlive(pair.nats.pid));
  t.false(existsSync(folder));
});
