/**
 * One client sends several times what a real pair can handle, over a bare connection, and ten others, by the library, ask now and then:
 * each of their requests is answered in time (rule 15, situation 138).
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import test, { type ExecutionContext } from "ava";
import { exchange } from "../../actors/applications/exchange/exchange.ts";
import { type Pair, startPair } from "../helpers/pair/pair.ts";
import { until } from "../helpers/until.ts";
import type { Flooded } from "./flooder.ts";

const perSecond = 60_000;
const requests = 67;
/** All of them, which are made within some 2 s: without turns a few had an answer by then. */
const withinMs = 15_000;

/** Its latest word. */
function startFlood(t: ExecutionContext, { nats, service }: Pair): { readonly told: () => Flooded } {
  let told: Flooded = { sent: 0, ok: 0, busy: 0 };
  const program = fileURLToPath(new URL("flooder.js", import.meta.url));
  const flooder = fork(program, [String(nats.port), service, String(perSecond)]);
  flooder.on("message", (message) => (told = message as Flooded));
  t.teardown(async () => {
    if (flooder.exitCode !== null || !flooder.kill("SIGKILL")) return;
    await once(flooder, "exit");
  });
  return { told: () => told };
}

test("a client that floods is held back, and what ten others ask is answered in time", async (t) => {
  t.timeout(300_000);
  const pair = await startPair(t, { restartMs: 100 });
  const order = (name: string) =>
    ({ type: "limit", symbol: "ETH", order: name, side: "buy", price: 10, quantity: 1, timeInForce: "IOC" }) as const;
  const names = Array.from({ length: 10 }, (_, at) => `polite${at}`);
  const clients = await Promise.all(
    names.map((client) => pair.client({ client, application: exchange, deadlineMs: 240_000 })),
  );
  for (const client of clients) await client.request(order("first"));
  const flood = startFlood(t, pair);
  await until(() => flood.told().sent > perSecond, { withinMs: 30_000, waitedFor: "the flood" });
  const waits: number[] = [];
  const ask = async (at: number) => {
    await delay(Math.floor(at / clients.length) * 300);
    const sinceMs = performance.now();
    await clients[at % clients.length]?.request(order(`o${at}`));
    waits.push(performance.now() - sinceMs);
  };
  const all = Promise.all(Array.from({ length: requests }, (_, at) => ask(at)));
  await until(() => waits.length === requests, { withinMs, waitedFor: "all answers" });
  await all;
  await until(() => flood.told().busy > 0 && flood.told().ok > 0, { withinMs: 30_000, waitedFor: "its own answers" });
  waits.sort((one, other) => one - other);
  const [median = 0, worst = 0] = [waits[requests >> 1], waits.at(-1)];
  const { sent, ok, busy } = flood.told();
  t.log(
    `median ${median.toFixed(0)} ms, worst ${worst.toFixed(0)} ms; of ${sent} in the flood ${ok} done, ${busy} busy`,
  );
  t.is(waits.length, requests);
});
