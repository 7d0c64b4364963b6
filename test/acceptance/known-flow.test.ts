/**
 * Flows of orders sent by `twinlog replay` to a pair whose hot server is killed with -9 meanwhile: exactly the trades, the book and
 * the refusals that are known of them.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import test from "ava";
import { exchange } from "../../actors/applications/exchange/exchange.ts";
import { type Pair, startPair } from "../helpers/pair/pair.ts";
import { Random } from "../helpers/random.ts";
import { bookHead, type KnownFlow, knownFlows, notRun, rowsOf, tradesHead } from "../models/known-flows.ts";

const program = fileURLToPath(new URL("../../deploy/twinlog.js", import.meta.url));
const resendEvery = 50;

/** A small flow is over soon: fewer kills fit into it, and it is sent with less at once. */
const paceOf = ({ bodies }: KnownFlow) =>
  bodies.length < 10_000 ? { kills: 1, inFlight: 32 } : { kills: 3, inFlight: 256 };

/** Kills the hot server so many times, each after a random number of results from when both are in sync, until `isOver`. */
async function killNowAndThen(
  pair: Pair,
  { flow, kills, isOver }: { flow: KnownFlow; kills: number; isOver: () => boolean },
): Promise<number> {
  const random = new Random(7);
  const watcher = await pair.client({ client: "watcher", application: exchange });
  const reader = watcher.results();
  const seen = { results: 0 };
  const reading = (async () => {
    for await (const event of reader) if (event.type === "result") seen.results = event.result;
  })();
  let killed = 0;
  for (; killed < kills && !isOver(); killed += 1) {
    const { primary } = await pair.normal();
    const moment = seen.results + random.whole(Math.ceil(flow.bodies.length / 240), Math.ceil(flow.bodies.length / 15));
    while (!isOver() && seen.results < moment) await new Promise((next) => setImmediate(next));
    if (isOver()) break;
    await pair.server(primary).kill();
  }
  reader.close();
  await reading;
  return killed;
}

for (const flow of knownFlows())
  test.serial(
    `a flow of orders, replayed while the hot server is killed, ends with the trades, the book and the refusals that are known of it: ${flow.name}`,
    async (t) => {
      if (notRun !== null) t.log(notRun);
      t.timeout(240_000);
      const { kills, inFlight } = paceOf(flow);
      const pair = await startPair(t, { pace: "shipped", restartMs: 500 });
      const [trades, book] = [join(pair.folder, "trades.csv"), join(pair.folder, "book.csv")];
      const common = ["--service", pair.service, "--nats", pair.nats.url, "--json"];
      const files = ["--trades", trades, "--book", book];
      const child = spawn(
        process.execPath,
        [
          program,
          "replay",
          flow.requestsFile,
          "--in-flight",
          String(inFlight),
          "--resend-every",
          String(resendEvery),
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
      const killed = await killNowAndThen(pair, { flow, kills, isOver: () => isOver });
      t.is(await ended, 0, err);
      t.is(killed, kills);

      const summary = JSON.parse(out) as Record<string, number>;
      const { seconds = 0, longestGapMs = 0, resends } = summary;
      t.log(`${kills} kills, ${seconds.toFixed(1)} s, longest gap ${longestGapMs.toFixed(0)} ms, ${resends} resends`);
      const duplicates = Math.floor(flow.bodies.length / resendEvery);
      t.like(summary, {
        sent: flow.bodies.length,
        answered: flow.bodies.length,
        failed: 0,
        refused: 0,
        unknown: 0,
        duplicatesSent: duplicates,
        duplicatesEqual: duplicates,
        rejected: flow.rejected,
      });
      t.deepEqual(rowsOf(await readFile(trades, "utf8"), tradesHead), [...flow.trades]);
      t.deepEqual(rowsOf(await readFile(book, "utf8"), bookHead).sort(), [...flow.book].sort());
    },
  );
