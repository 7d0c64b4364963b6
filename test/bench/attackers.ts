/**
 * `node dist/test/bench/attackers.js [--seconds 8] [--only flood,…]`: what a client of a pair, as it is shipped, waits for its answers
 * while an attacker runs beside it, one after the other; "nobody" is first and last. 100 requests a second of the client, and 1,000
 * of another one in the background. A latency counts from when its request was due.
 */
import { type ChildProcess, fork } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { exchange } from "../../actors/applications/exchange/exchange.ts";
import { Pair } from "../helpers/pair/pair.ts";
import { keyFileOf } from "../helpers/peer-key.ts";

const kinds = [
  "nobody",
  "flood",
  "no-envelopes",
  "queries",
  "deaf-readers",
  "replays",
  "long-replies",
  "peers-names",
  "ready-signals",
  "silent-connections",
  "nobody",
];
const { values } = parseArgs({ options: { seconds: { type: "string", default: "8" }, only: { type: "string" } } });
const chosen = values.only?.split(",") ?? kinds;
const perSecond = 100;
const lateMs = 10_000;
const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

const { path: keyFile, remove } = await keyFileOf();
const pair = await Pair.open({
  pace: "shipped",
  nats: { extraConfig: 'write_deadline: "500ms"' },
  settings: () => ({ peers: { keyFile } }),
});
const children: ChildProcess[] = [];
const start = (program: string, words: readonly string[]) => {
  const child = fork(here(program), words, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  children.push(child);
  return child;
};

try {
  const port = String(pair.nats.port);
  start("../pair/flooder.js", [port, pair.service, "1000"]);
  const client = await pair.client({ client: "alice", application: exchange });
  const place = (order: string, price = 100) =>
    client.request({ type: "limit", symbol: "BTCUSD", order, side: "buy", price, quantity: 1 });
  // A book that takes some time to be told whole.
  for (let batch = 0; batch < 20; batch += 1)
    await Promise.all(Array.from({ length: 500 }, (_, nth) => place(`warm-${batch}-${nth}`, 1 + 500 * batch + nth)));
  const mainPort = String(pair.settings.get("beta")?.servers.find(({ name }) => name === "beta")?.port);
  const at = (sorted: readonly number[], share: number) =>
    (sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN).toFixed(1);
  console.log("| beside | answered | median ms | p99 ms | longest ms | epochs |\n|---|---|---|---|---|---|");
  for (const [nth, kind] of chosen.entries()) {
    const attacker = start("./attacker.js", [kind, port, pair.service, mainPort]);
    await delay(1_000);
    const { epoch } = await pair.newStatus("alpha");
    const latencies: number[] = [];
    const beganMs = performance.now();
    const count = Number(values.seconds) * perSecond;
    const waits: Promise<unknown>[] = [];
    for (let number = 0; number < count; number += 1) {
      const dueMs = beganMs + (1_000 * number) / perSecond;
      await delay(Math.max(0, dueMs - performance.now()));
      const answered = place(`${nth}-${number}`).then(() => latencies.push(performance.now() - dueMs));
      waits.push(answered.catch(() => undefined));
    }
    await Promise.race([Promise.all(waits), delay(lateMs)]);
    attacker.kill("SIGKILL");
    await Promise.all(waits);
    const sorted = latencies.slice(0, count).toSorted((one, other) => one - other);
    const after = await pair.newStatus("alpha");
    console.log(
      `| ${kind} | ${sorted.length} of ${count} | ${at(sorted, 0.5)} | ${at(sorted, 0.99)} | ${at(sorted, 1)} | ${epoch} to ${after.epoch} |`,
    );
    await delay(1_000);
  }
} finally {
  for (const child of children) child.kill("SIGKILL");
  await pair.close();
  await remove();
}
process.exit(0);
