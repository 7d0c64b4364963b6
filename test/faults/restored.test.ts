/** A backup is taken under load, and one server is brought back with it: with real processes, LevelDB and NATS (situation 141). */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";
import { type Pair, startPair } from "../helpers/pair/pair.ts";
import { until } from "../helpers/until.ts";

const program = fileURLToPath(new URL("../../deploy/twinlog.js", import.meta.url));
const withinMs = 30_000;

interface Ran {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

function twinlog(pair: Pair, words: readonly string[]): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [program, ...words],
      { cwd: pair.folder, maxBuffer: 64 * 1024 * 1024 },
      (error, out, err) => resolve({ status: error === null ? 0 : Number(error.code), out, err }),
    );
  });
}

const toService = (pair: Pair) => ["--service", pair.service, "--nats", pair.nats.url];

const order = (n: number) => ({
  type: "limit",
  symbol: "AAA",
  order: `o${n}`,
  side: "buy",
  price: 100 + (n % 7),
  quantity: 1,
});

const ask = (pair: Pair, n: number) => pair.askUntilAnswered(order(n), { client: "mm", id: String(n) });

/** Orders one after another, so that the n-th is record n, until it is told to stop. */
class Load {
  readonly replies = new Map<number, string>();
  readonly #done: Promise<void>;
  #isOver = false;

  constructor(pair: Pair) {
    this.#done = this.#run(pair);
  }

  async #run(pair: Pair): Promise<void> {
    for (let n = 1; !this.#isOver; n += 1) this.replies.set(n, (await ask(pair, n)).text);
  }

  async past(count: number): Promise<void> {
    await until(() => this.replies.size >= count, { withinMs, waitedFor: `${count} replies` });
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#done;
  }
}

async function rowsOf(pair: Pair, directory: string, copy: readonly string[] = []): Promise<string[]> {
  const { out } = await twinlog(pair, ["inspect", directory, "--rows", ...copy]);
  return out.trim().split("\n");
}

test("a backup under load; restored on one server it serves only by force, as it was, and the other one's newer store is set aside (situation 141)", async (t) => {
  const pair = await startPair(t);
  const { primary, backup } = await pair.normal();
  const { history: old } = await pair.registryRecord();
  const load = new Load(pair);
  await load.past(30);
  const file = join(pair.folder, "one.backup");
  const taken = await twinlog(pair, ["backup", file, "--json", ...toService(pair)]);
  t.is(taken.status, 0, taken.err);
  const { sequence, server, history } = JSON.parse(taken.out) as { sequence: number; server: string; history: string };
  t.is(server, backup, "the primary is left alone");
  t.is(history, old);
  t.true(sequence >= 30);
  await load.past(sequence + 30);
  await load.stop();
  t.deepEqual(await pair.normal(), { primary, backup }, "it cost nobody a role");
  const last = load.replies.size;

  for (const name of [backup, primary]) await pair.server(name).stop();
  // The last one out is alone in the record, and its disk has everything: just that one gets an older store.
  const directory = pair.settings.get(primary)?.dataDirectory ?? "";
  const restored = await twinlog(pair, ["restore", file, "--data", directory]);
  t.is(restored.status, 0, restored.err);
  const asBackedUp = await rowsOf(pair, directory);
  t.is(asBackedUp.length, sequence);

  pair.server(primary).start();
  const refusing = await pair.waitFor(primary, ({ state }) => /^(waiting|refusing)/.test(state));
  t.is(refusing.state, "refusing");
  t.regex(refusing.waitingFor, new RegExp(`was restored from a backup of .*, which ends at record ${sequence}`));
  t.regex(refusing.waitingFor, /goes on only as a new history, by `twinlog recover`: recover by force$/);
  const force = ["recover", "--server", primary, "--accept-loss", "--yes", ...toService(pair)];
  const recovered = await until(
    async () => {
      const ran = await twinlog(pair, force);
      return ran.status === 0 ? ran : undefined;
    },
    { withinMs, waitedFor: "the recovery" },
  );
  t.regex(recovered.out, new RegExp(`goes on with ${primary}@${old}/\\d+/${sequence}, result ${sequence}`));
  const alone = await pair.waitFor(primary, ({ state }) => state === "hot.alone");
  t.not(alone.history, old);
  t.false(
    pair.server(primary).lines.some((line) => line.includes("disk.empty")),
    "it was not empty at the start",
  );

  const again = await ask(pair, sequence);
  t.deepEqual([again.duplicate, again.text], [true, load.replies.get(sequence)], "the last one that was in the backup");
  const anew = await ask(pair, sequence + 1);
  t.deepEqual(
    [anew.duplicate, anew.reply.sequence],
    [false, sequence + 2],
    "after the record with which the new history begins",
  );
  t.true(anew.reply.ok, "its order is not in the tables: it was made after the backup");

  pair.server(backup).start();
  await pair.normal();
  await pair.waitFor(backup, ({ troubles }) => troubles.some(({ code }) => code === "store.aside"));
  const both = await Promise.all([primary, backup].map((name) => pair.newStatus(name)));
  t.deepEqual([...new Set(both.map((status) => status.history))], [alone.history]);
  await pair.server(backup).stop();
  const other = pair.settings.get(backup)?.dataDirectory ?? "";
  const { aside } = JSON.parse((await twinlog(pair, ["inspect", other, "--json"])).out) as {
    aside: { name: string }[];
  };
  t.is(aside.length, 1);
  const kept = JSON.parse((await twinlog(pair, ["inspect", other, "--json", "--copy", aside[0]?.name ?? ""])).out) as {
    history: string;
    log: { last: number };
  };
  t.is(kept.history, old);
  t.true(kept.log.last >= last - 1, "all that the other one had when it was told that it could go");
  await pair.server(primary).stop();
  const now = await rowsOf(pair, directory);
  t.deepEqual(
    asBackedUp.filter((row) => !now.includes(row)),
    [],
  );
  t.is(now.length, sequence + 1);
  pair.server(primary).start();
  await pair.waitFor(primary, ({ state }) => state === "hot.alone", { waitedFor: "it is a member's disk now" });
  t.true((await readFile(file)).length > 0, "the backup is as it was");
});
