/** The broker goes and comes, or refuses the log-in: what is told of it, and how often. */
import test from "ava";
import { BrokerWatch, type BrokerWatchOptions } from "../../actors/operator/broker-watch.ts";
import { Troubles } from "../../actors/operator/troubles.ts";
import type { Clock, Log } from "../../actors/world/ports.ts";
import { Limits } from "../../schemas/settings.ts";

function watched() {
  const clock = { atMs: 0, nowMs: () => clock.atMs, wallMs: () => clock.atMs };
  const lines: string[] = [];
  const keep = (fields: Record<string, unknown>, message: string) => lines.push(`${fields.trouble}: ${message}`);
  const log = { info: keep, warn: keep, error: keep, debug: () => {} } as unknown as Log;
  const bus = { isConnected: true, connected: () => bus.isConnected, maxPayloadBytes: () => 1024 * 1024 };
  const troubles = new Troubles(clock as unknown as Clock, log);
  const watch = new BrokerWatch({
    settings: { service: "exchange", limits: Limits.parse({}) },
    world: { clock, bus },
    troubles,
  } as unknown as BrokerWatchOptions);
  const lose = (reason: string) => {
    bus.isConnected = false;
    watch.onFault({ kind: "lost", subject: "", reason });
  };
  const find = () => {
    bus.isConnected = true;
    watch.onBus(true);
  };
  return { clock, lines, troubles, watch, bus, lose, find };
}

test("18. NATS lost, the log-in refused, and found again are one line each, however often it is dialled", (t) => {
  const { lines, troubles, lose, find } = watched();
  for (let n = 0; n < 50; n += 1) lose("connection refused");
  for (let n = 0; n < 50; n += 1) lose("nats://127.0.0.1:4222: 'Authorization Violation'");
  t.deepEqual(
    troubles.open.map(({ code }) => code),
    ["nats.lost", "nats.refused"],
  );
  find();
  t.deepEqual(troubles.open, []);
  t.deepEqual(lines, [
    "nats.lost: no connection to NATS (connection refused): dials again",
    "nats.refused: this server cannot log in to NATS (nats://127.0.0.1:4222: 'Authorization Violation'): see what its settings say in `nats`",
    "nats.lost: over: there is no connection to NATS",
    "nats.refused: over: NATS refuses the log-in",
  ]);
});

test("18. a connection that comes and goes is told at most once a minute, and a line that the bus does not need is not told", (t) => {
  const { clock, lines, troubles, watch, lose, find } = watched();
  for (let second = 0; second < 180; second += 1) {
    clock.atMs += 500;
    lose("gone");
    clock.atMs += 500;
    find();
    troubles.onTick();
  }
  t.true(lines.length <= 8, lines.join("\n"));
  const before = lines.length;
  watch.onFault({ kind: "lost", subject: "", reason: "the other line" });
  t.deepEqual([lines.length, troubles.open], [before, []]);
});
