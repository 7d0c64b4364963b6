/** Keys that servers share, for tests: in a file of its own, as servers have them. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { openNodeClock } from "../../actors/world/clock-node.ts";
import { PeerKeys } from "../../actors/world/peer-keys.ts";
import type { PeerProof } from "../../actors/world/peer-proof.ts";
import type { Clock } from "../../actors/world/ports.ts";
import { keptLog } from "./kept-log.ts";
import { makeTemporaryDirectory } from "./temporary-directory.ts";

export const someKey = "a-key-that-all-servers-of-a-test-share";

/** Until `remove` the file is there. */
export async function keyFileOf(key = someKey): Promise<{ path: string; remove: () => Promise<void> }> {
  const { path: folder, remove } = await makeTemporaryDirectory();
  const path = join(folder, "peers.key");
  writeFileSync(path, key, { mode: 0o600 });
  return { path, remove };
}

/** The file is not needed any more: it is not read again as long as a test takes. */
export async function proofWith(key = someKey, isRequired = true, clock: Clock = openNodeClock()): Promise<PeerProof> {
  const { path, remove } = await keyFileOf(key);
  const frozen = { ...clock, nowMs: () => 0 };
  const keys = await PeerKeys.open(path, frozen, keptLog());
  await remove();
  return { keys, isRequired };
}
