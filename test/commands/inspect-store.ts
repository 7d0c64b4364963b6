/** A small store on real LevelDB, for the commands that look at one. */
import { join } from "node:path";
import { exchange } from "../../actors/applications/exchange/exchange.ts";
import { LevelStore } from "../../actors/world/store-level.ts";
import { spaces } from "../../machines/checkpoint/layout.ts";
import { subjects } from "../../schemas/subjects.ts";
import { clock, freshAgent, push, put, remove, TestLog } from "../helpers/checkpoints.ts";
import { copyToLevel } from "../helpers/level-copy.ts";
import { OneServer, service } from "../helpers/one-server.ts";

/** A data directory with two rows, two items and four records; `close` ends whoever has it open. */
export async function makeStore(directory: string) {
  const log = new TestLog();
  const store = new LevelStore(join(directory, "store"), clock);
  const agent = await freshAgent(store, log);
  log.append([[put("a", "1"), push("10")], [put("b", '{"x":2}'), push("20")], [put("c", "3")], [remove("c")]]);
  agent.checkpoint.sync(log.end);
  await agent.checkpoint.saveMeta({ disk: "d1" });
  await agent.checkpoint.flush({ committed: 4, retainFrom: 1 });
  const close = async () => {
    await agent.checkpoint.close();
    await store.release();
  };
  return { log, close };
}

/** A data directory of the exchange with an order that is good till then, and one without a date. */
export async function makeStoreWithTimer(directory: string, goodTillMs: number): Promise<void> {
  const server = new OneServer({ application: exchange, settings: { limits: { cautionMs: 0, flushMs: 50 } } });
  await server.run(2_000);
  for (const [order, more] of Object.entries({ dated: { goodTillMs }, plain: {} })) {
    const body = { type: "limit", symbol: "X", order, side: "buy", price: 1, quantity: 1, ...more };
    const request = { client: "alice", id: order, body, issuedAt: server.clock.wallMs() };
    server.bus.publish(
      subjects.request(service, "X", "alice"),
      Buffer.from(JSON.stringify(request)),
      undefined,
      "inbox",
    );
  }
  await server.run(1_000);
  await copyToLevel(server.store.disk, directory);
}

/** The value of the row "b" changes, and its hash does not. */
export async function changeRow(directory: string): Promise<void> {
  const store = new LevelStore(join(directory, "store"), clock);
  await store.open();
  const key = Buffer.from([spaces.row, 0, "b".charCodeAt(0)]);
  const value = Buffer.from((await store.get(key)) ?? []);
  value.write("3", value.indexOf("2}"));
  await store.write([{ type: "put", key, value }], { sync: true });
  await store.release();
}
