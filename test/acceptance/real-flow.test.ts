/**
 * Half an hour of one real exchange, sent by `twinlog replay` to a pair whose hot server is killed with -9 meanwhile: exactly the
 * trades, the book and the refusals that are known of it. Needs ../shared.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import test from "ava";
import { type Pair, startPair } from "../helpers/pair/pair.ts";
import { Random } from "../helpers/random.ts";

const folder = fileURLToPath(new URL("../../../../shared/order-flow/", import.meta.url));
const program = fileURLToPath(new URL("../../deploy/twinlog.js", import.meta.url));
const kills = 3;

/** Kills the hot server at random moments, each time both are in sync again, until `isOver`. */
async function killNowAndThen(pair: Pair, isOver: () => boolean): Promise<number> {
  const random = new Random(7);
  let killed = 0;
  while (killed < kills) {
    const { primary } = await pair.normal();
    const { sequence } = await pair.newStatus(primary);
    const moment = sequence + random.whole(500, 8_000);
    // A status is as far as it was when it was sent: the moment of the kill is as random as the machine is.
    while (!isOver() && (pair.status(primary)?.sequence ?? 0) < moment) await new Promise((next) => setImmediate(next));
    if (isOver()) return killed;
    await pair.server(primary).kill();
    killed += 1;
  }
  return killed;
}

test("a real order flow, replayed while the hot server is killed, ends with the trades, the book and the refusals that are known of it", async (t) => {
  if (!existsSync(folder)) {
    t.log("not run: there is no ../shared/order-flow beside the project");
    t.pass();
    return;
  }
  t.timeout(240_000);
  const pair = await startPair(t, { pace: "shipped", restartMs: 500 });
  const [trades, book] = [join(pair.folder, "trades.csv"), join(pair.folder, "book.csv")];
  const common = ["--service", pair.service, "--nats", pair.nats.url, "--json"];
  const files = ["--trades", trades, "--book", book];
  const child = spawn(
    process.execPath,
    [
      program,
      "replay",
      `${folder}requests.ndjson.gz`,
      "--in-flight",
      "256",
      "--resend-every",
      "50",
      ...common,
      ...files,
    ],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  let out = "";
  let err = "";
  child.stdout.on("data", (data: Buffer) => {
    out += data.toString();
  });
  child.stderr.on("data", (data: Buffer) => {
    err += data.toString();
  });
  let isOver = false;
  const ended = once(child, "close").then(([code]) => {
    isOver = true;
    return code as number;
  });
  t.teardown(() => child.kill("SIGKILL"));
  const killed = await killNowAndThen(pair, () => isOver);
  t.is(await ended, 0, err);
  t.is(killed, kills);

  const summary = JSON.parse(out) as Record<string, number>;
  const { seconds = 0, longestGapMs = 0, resends } = summary;
  t.log(`${kills} kills, ${seconds.toFixed(1)} s, longest gap ${longestGapMs.toFixed(0)} ms, ${resends} resends`);
  t.like(summary, {
    sent: 120_000,
    answered: 120_000,
    failed: 0,
    refused: 0,
    unknown: 0,
    duplicatesSent: 2_400,
    duplicatesEqual: 2_400,
    rejected: Number(await readFile(`${folder}expected-rejected.txt`, "utf8")),
  });
  const lines = async (path: string) => (await readFile(path, "utf8")).trim().split(/\r?\n/);
  t.deepEqual(await lines(trades), await lines(`${folder}expected-trades.csv`));
  t.deepEqual((await lines(book)).sort(), (await lines(`${folder}expected-book.csv`)).sort());
});
