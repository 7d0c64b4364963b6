/** A small store on real LevelDB, for the commands that look at one. */
import { join } from "node:path";
import { LevelStore } from "../../actors/world/store-level.ts";
import { spaces } from "../../machines/checkpoint/layout.ts";
import { clock, freshAgent, push, put, remove, TestLog } from "../helpers/checkpoints.ts";

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
