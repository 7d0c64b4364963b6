/**
 * The thread that reads and proves a large store while the main thread makes the application's state of it (rule 14;
 * `actors/checkpoint/proved-elsewhere.ts` takes what it says). What always holds: it is the only one that has the database open, and has closed
 * it when it ends; no more than so many messages are on their way.
 */
import { constants, setPriority } from "node:os";
import process from "node:process";
import { parentPort, workerData } from "node:worker_threads";
import { BlockWriter } from "../../machines/checkpoint/blocks.ts";
import { everything } from "../../machines/checkpoint/layout.ts";
import { RecoveryError, Scan } from "../../machines/checkpoint/scan.ts";
import { KeyedHash } from "../../machines/codec/keyed-hash.ts";
import type { ProofMessage, ToProve } from "../checkpoint/proved-elsewhere.ts";
import { openNodeClock } from "../world/clock-node.ts";
import { Database } from "../world/database-level.ts";
import { StoreError } from "../world/ports.ts";

const maxOnTheirWay = 8;

const { path, data } = workerData as { readonly path: string; readonly data: ToProve };
const way = { messages: 0, onTaken: () => {} };
parentPort?.on("message", () => {
  way.messages -= 1;
  way.onTaken();
});

function say(message: ProofMessage, transferred: readonly ArrayBuffer[] = []): void {
  way.messages += 1;
  parentPort?.postMessage(message, transferred);
}

async function prove(): Promise<void> {
  const { service, server, secret } = data;
  const writer = new BlockWriter((block) => say({ type: "block", block }, [block.buffer]));
  const scan = new Scan({ service, server }, new KeyedHash(secret), {
    onMeta: (meta) => say({ type: "meta", meta }),
    onRow: (part, key, value) => writer.onRow(part, key, value),
    onItem: (part, value) => writer.onItem(part, value),
    onBatch: (batch) => writer.onBatch(batch),
  });
  const database = await Database.open(path, openNodeClock(), { create: false });
  try {
    for await (const some of database.some(everything)) {
      for (const [key, value] of some) scan.entry(key, value);
      while (way.messages > maxOnTheirWay)
        await new Promise<void>((resolve) => {
          way.onTaken = resolve;
        });
    }
    const found = scan.finish();
    writer.flush();
    if (found === null) return;
    const { end, ledger } = found;
    const { parts } = ledger;
    say(
      { type: "proved", end, ledger: parts },
      parts.shards.map(({ slots }) => slots.buffer),
    );
  } finally {
    await database.close();
  }
}

// Linux counts priorities by thread: a server beside this one that serves goes first.
if (process.platform === "linux") setPriority(constants.priority.PRIORITY_LOW);

try {
  await prove();
} catch (error) {
  if (error instanceof RecoveryError || error instanceof StoreError)
    say({
      type: error instanceof StoreError ? "failed" : "refused",
      code: error.code,
      message: error.message,
    } as ProofMessage);
  else throw error;
} finally {
  parentPort?.close();
}
