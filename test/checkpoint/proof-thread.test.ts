/** A store that another thread reads and proves, on real LevelDB: all is as if it were read here (rule 14). */
import { cpSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { StoreError } from "../../actors/world/ports.ts";
import { LevelStore } from "../../actors/world/store-level.ts";
import { threadMessages } from "../../actors/world/thread-messages.ts";
import { RecoveryError } from "../../machines/checkpoint/scan.ts";
import { agentOn, clock, freshAgent, identity, push, put, readBack, shift, TestLog } from "../helpers/checkpoints.ts";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";
import { until } from "../helpers/until.ts";

const here = { threadFromBytes: Number.POSITIVE_INFINITY };
const elsewhere = { threadFromBytes: 0 };

/** Rows, items and a log: flushed through record 58, and synced through 60. Closed. */
async function filled(directory: string, size = 4_000): Promise<void> {
  const log = new TestLog();
  const store = new LevelStore(directory, clock);
  const { checkpoint, synced } = await freshAgent(store, log);
  for (let round = 0; round < 20; round += 1) {
    const value = String(round).repeat(size);
    log.append([[put(`k${log.end}`, value), push(`i${log.end}`)], [put("same", value)], [push("x"), shift(1)]]);
    checkpoint.sync(log.end);
    await until(() => synced.at(-1) === log.end, { withinMs: 20_000, everyMs: 1 });
    if (round % 4 === 3) await checkpoint.flush({ committed: log.end - 2, retainFrom: log.end - 10 });
  }
  await checkpoint.close();
  await store.release();
}

/** What comes of opening it, as text. */
async function outcome(directory: string, options: { threadFromBytes: number }): Promise<string> {
  try {
    const read = await readBack(new LevelStore(directory, clock, options));
    if (read === null) return "empty";
    const { meta, end, ledger, index, tail } = read.recovered;
    const { digest } = ledger;
    const batches = read.batches.map(({ bytes, ...batch }) => ({
      ...batch,
      bytes: Buffer.from(bytes).toString("hex"),
    }));
    const found = {
      digest,
      first: index.first,
      through: index.end,
      segments: index.count,
      tail: tail.map((one) => one.last),
    };
    return JSON.stringify({ meta, end, ...found, state: read.state, batches });
  } catch (error) {
    if (!(error instanceof RecoveryError || error instanceof StoreError)) throw error;
    return `${error.name} ${error.code}: ${error.message.replaceAll(directory, "")}`;
  }
}

async function bothWays(t: ExecutionContext, directory: string): Promise<string> {
  const [one, other] = [`${directory}-1`, `${directory}-2`];
  for (const copy of [one, other]) cpSync(directory, copy, { recursive: true });
  const read = await outcome(one, here);
  t.is(await outcome(other, elsewhere), read);
  return read;
}

test("what is read, and what is found out of it, is the same; and the store serves on", async (t) => {
  const directory = join(await temporaryDirectory(t), "a");
  // More than may be on its way at once.
  await filled(directory, 60_000);
  const read = await bothWays(t, directory);
  t.true(read.length > 50_000);
  const log = new TestLog();
  const store = new LevelStore(directory, clock, elsewhere);
  const { checkpoint, failures } = agentOn(store, log);
  const recovered = await checkpoint.open({});
  t.is(recovered?.end.sequence, 60);
  await checkpoint.saveMeta({ resultNumber: 9 });
  await checkpoint.close();
  await store.release();
  t.deepEqual(failures, []);
  t.like((await readBack(new LevelStore(directory, clock)))?.recovered.meta, { resultNumber: 9 });
});

test("an empty store is empty", async (t) => {
  const directory = join(await temporaryDirectory(t), "a");
  t.is(await outcome(directory, elsewhere), "empty");
});

test("what is damaged, or of somebody else, is found and told in the same words", async (t) => {
  const folder = await temporaryDirectory(t);
  const directory = join(folder, "a");
  await filled(directory);
  const files = readdirSync(directory, { recursive: true, encoding: "utf8" }).filter(
    (name) => /\.(log|ldb)$/.test(name) && statSync(join(directory, name)).size > 0,
  );
  const told: string[] = [];
  for (const [number, file] of files.entries())
    for (let part = 1; part < 6; part += 1) {
      const copy = join(folder, `copy${number}-${part}`);
      cpSync(directory, copy, { recursive: true });
      const bytes = readFileSync(join(copy, file));
      const at = Math.floor((part * bytes.length) / 6);
      bytes[at] = (bytes[at] ?? 0) ^ 0xff;
      writeFileSync(join(copy, file), bytes);
      told.push(await bothWays(t, copy));
    }
  t.true(told.some((text) => text.includes("damaged")));
});

test("a program that can make nothing of it says so before anything is loaded, and lets go of the store", async (t) => {
  const directory = join(await temporaryDirectory(t), "a");
  await filled(directory);
  const unreadable = { ...identity, whyUnreadable: () => "of another program" };
  for (let time = 0; time < 2; time += 1) {
    const store = new LevelStore(directory, clock, elsewhere);
    const { checkpoint } = agentOn(store, new TestLog(), { identity: unreadable });
    const rows: string[] = [];
    const opening = checkpoint.open({ onRow: (_part, key) => rows.push(key.toString()) });
    await t.throwsAsync(opening, { instanceOf: RecoveryError, code: "schema", message: "of another program" });
    t.deepEqual(rows, []);
    await checkpoint.close();
    await store.release();
  }
  t.not(await readBack(new LevelStore(directory, clock)), null);
});

test("a thread that dies is a failure of the store, and whoever has heard enough ends it", async (t) => {
  const program = (text: string) => new URL(`data:text/javascript,${encodeURIComponent(text)}`);
  const dying = threadMessages(
    program('import { parentPort } from "node:worker_threads"; parentPort.postMessage(1); throw new Error("no more");'),
    null,
  );
  t.is((await dying.next()).value, 1);
  await t.throwsAsync(async () => await dying.next(), { instanceOf: StoreError, code: "failed", message: /no more/ });
  const endless = threadMessages(
    program(
      'import { parentPort } from "node:worker_threads"; parentPort.on("message", (word) => parentPort.postMessage(word)); parentPort.postMessage(0);',
    ),
    null,
  );
  const heard: unknown[] = [];
  for await (const message of endless) {
    heard.push(message);
    if (heard.length === 3) break;
  }
  t.deepEqual(heard, [0, "taken", "taken"]);
});
