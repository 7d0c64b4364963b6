/** What Prometheus reads from a real pair: the same metrics from both servers, a takeover with its reason, what took how long. */
import test from "ava";
import { startPair } from "../helpers/pair/pair.ts";
import { Ports } from "../helpers/pair/ports.ts";
import { until } from "../helpers/until.ts";

const withinMs = 30_000;

test("both servers tell their part; a takeover counts where it happened, with its reason; clients' names stand nowhere", async (t) => {
  const held = new Ports();
  t.teardown(() => held.release());
  const ports = new Map([
    ["alpha", await held.reserve()],
    ["beta", await held.reserve()],
  ]);
  const pair = await startPair(t, { settings: (server) => ({ http: { port: ports.get(server) } }), restartMs: 100 });
  const read = async (server: string) =>
    (await fetch(`http://127.0.0.1:${ports.get(server)}/metrics`, { signal: AbortSignal.timeout(10_000) })).text();
  const value = async (server: string, name: string, label = "") => {
    const lines = (await read(server)).split("\n").filter((line) => line.startsWith(`twinlog_${name}{`));
    return Number(
      lines
        .find((line) => line.includes(label))
        ?.split(" ")
        .at(-1),
    );
  };
  const { primary, backup } = await pair.normal();
  for (let nth = 0; nth < 20; nth += 1)
    await pair.askUntilAnswered(
      { type: "limit", symbol: "BTCUSD", order: `o${nth}`, side: "buy", price: 100, quantity: 1 },
      { client: "mallory", id: `r${nth}` },
    );
  t.is(await value(primary, "role", 'role="primary"'), 1);
  t.is(await value(backup, "role", 'role="backup"'), 1);
  t.is(await value(primary, "committed_sequence"), 20);
  t.true((await value(primary, "request_duration_seconds_count")) >= 20);
  t.true((await value(primary, "mirror_duration_seconds_count")) >= 1);
  t.is(await value(backup, "mirror_duration_seconds_count"), 0);
  await until(async () => (await value(backup, "committed_sequence")) === 20, { withinMs });
  t.is(await value(backup, "lag_records"), 0);
  await until(async () => (await value(primary, "results_unconfirmed_records")) === 0, { withinMs });
  const takeovers = 'reason="lost"';
  t.is(await value(backup, "takeovers_total", takeovers), 0);
  await pair.server(primary).kill();
  await until(async () => (await value(backup, "takeovers_total", takeovers)) === 1, { withinMs });
  await until(async () => (await value(backup, "serving")) === 1, { withinMs });
  // It is told once that is said to clients, a moment after it serves.
  await until(async () => (await value(backup, "failover_gap_seconds_count")) === 1, { withinMs });
  t.true((await value(backup, "failover_gap_seconds_sum")) > 0);
  await pair.normal();
  await until(async () => (await value(primary, "backup_ready")) === 1, { withinMs });
  t.is(await value(primary, "failover_gap_seconds_count"), 0);
  t.is(await value(primary, "takeovers_total", takeovers), 0, "another process, and it took nothing over");
  for (const server of [primary, backup]) t.notRegex(await read(server), /mallory/);
});
