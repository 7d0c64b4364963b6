/**
 * `init --results-stream` for a real pair: the stream is made once, and stores each result once through the death of a primary, which publishes
 * some of them again.
 */
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import test from "ava";
import { runCommand } from "../../deploy/nats/command.ts";
import { startPair } from "../helpers/pair/pair.ts";
import { until } from "../helpers/until.ts";

const program = fileURLToPath(new URL("../../deploy/twinlog.js", import.meta.url));
const withinMs = 30_000;

test("a stream over results is made once, stores each once through a takeover, and servers tell of it", async (t) => {
  const pair = await startPair(t, { service: "exchange", restartMs: 300 });
  const { primary } = await pair.normal();
  const init = (...more: string[]) =>
    runCommand(
      process.execPath,
      [program, "init", "--config", join(pair.folder, "alpha.json"), "--results-stream", ...more],
      { timeoutMs: 60_000 },
    );
  const made = await init("--results-max-age", "1h");
  t.is(made.status, 0, made.stderr);
  t.regex(made.stdout, /^stream RESULTS_exchange keeps the results of exchange$/m);
  const again = await init("--results-max-age", "2h", "--results-max-bytes", "5000000");
  t.is(again.status, 0, again.stderr);
  t.regex(again.stdout, /^stream RESULTS_exchange is there already$/m);
  t.regex(again.stderr, /keeps 3600000 ms and 10737418240 bytes, not 7200000 and 5000000/);

  const client = await pair.client({ client: "alice" });
  const order = (at: number) =>
    client.request(
      { type: "limit", symbol: "BTCUSD", order: `o${at}`, side: "buy", price: at, quantity: 1 },
      { key: "BTCUSD" },
    );
  const count = 200;
  const answers = Array.from({ length: count }, (_, at) => order(at + 1));
  pair.server(primary).signal("SIGKILL");
  await Promise.all(answers);
  await pair.normal();
  const streams = await pair.raw.jetstreamManager();
  const stored = async () => (await streams.streams.info("RESULTS_exchange")).state.messages;
  await until(async () => (await stored()) >= count, { withinMs, waitedFor: "every result to be stored" });
  const numbers = new Set<string>();
  for (let at = 1; at <= count; at += 1) {
    const message = await streams.streams.getMessage("RESULTS_exchange", { seq: at });
    numbers.add(message.header.get("Twinlog-Result"));
  }
  t.is(numbers.size, count, "each of them once");
  t.is(await stored(), count);
  await until(() => (pair.status(primary)?.surroundings?.resultsStream?.messages ?? 0) > 0, {
    withinMs,
    waitedFor: "the server that was started again to tell of it",
  });
  t.deepEqual(pair.status(primary)?.surroundings?.resultsStream?.subjects, ["exchange.result.>"]);
});

test("a stream of that name over something else is refused, in words", async (t) => {
  const pair = await startPair(t, { service: "exchange" });
  const streams = await pair.raw.jetstreamManager();
  await streams.streams.add({ name: "RESULTS_exchange", subjects: ["exchange.result.BTCUSD.*"] });
  const config = join(pair.folder, "alpha.json");
  const { status, stderr } = await runCommand(
    process.execPath,
    [program, "init", "--config", config, "--results-stream"],
    { timeoutMs: 60_000 },
  );
  t.is(status, 1);
  t.regex(stderr, /stands over exchange\.result\.BTCUSD\.\*; wanted is exchange\.result\.> alone/);
});
