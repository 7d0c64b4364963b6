/** What a server in memory has on its disk, as a data directory on real LevelDB. */
import { join } from "node:path";
import { LevelStore } from "../../actors/world/store-level.ts";
import { clock } from "./checkpoints.ts";
import type { MemoryDisk } from "./memory-store.ts";

export async function copyToLevel(disk: MemoryDisk, directory: string): Promise<void> {
  const store = new LevelStore(join(directory, "store"), clock);
  await store.open();
  await store.write(
    disk.entries().map(([key, value]) => ({ type: "put", key, value })),
    { sync: true },
  );
  await store.release();
}
