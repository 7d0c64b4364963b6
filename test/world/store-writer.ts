/**
 * A program for store-level.test.ts: opens the store in the given directory and writes to it, one synced batch after
 * another, until it is killed or the store fails. It prints the number of each write once it was promised, and the
 * code of the error at the end.
 */
import { openNodeClock } from "../../actors/world/clock-node.ts";
import { StoreError } from "../../actors/world/ports.ts";
import { LevelStore } from "../../actors/world/store-level.ts";

const utf8 = new TextEncoder();
const store = new LevelStore(process.argv[2] ?? "", openNodeClock());

function put(key: string, value: Uint8Array) {
  return { type: "put" as const, key: utf8.encode(key), value };
}

async function attempt(run: () => Promise<unknown>): Promise<void> {
  try {
    await run();
    console.log("none");
  } catch (error) {
    console.log(error instanceof StoreError ? error.code : String(error));
  }
}

await store.open();
const before = await store.get(utf8.encode("count"));
let count = before === undefined ? 0 : Number(new TextDecoder().decode(before)) + 1;
try {
  for (;;) {
    await store.write([put(`k${count}`, new Uint8Array(1000).fill(count)), put("count", utf8.encode(`${count}`))], {
      sync: true,
    });
    console.log(`${count}`);
    count += 1;
  }
} catch (error) {
  console.log(error instanceof StoreError ? error.code : String(error));
  await attempt(() => store.write([put("more", utf8.encode("x"))], { sync: true }));
  await store.close().catch(() => undefined);
  await attempt(() => store.get(utf8.encode("count")));
}
