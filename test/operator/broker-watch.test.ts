/** The broker goes and comes, or refuses the log-in: what is told of it, and how often. */
import test from "ava";
import { BrokerWatch, type BrokerWatchOptions } from "../../actors/operator/broker-watch.ts";
import { Troubles } from "../../actors/operator/troubles.ts";
import type { Clock, Log } from "../../actors/world/ports.ts";
import { Limits } from "../../schemas/settings.ts";

/** What is tried out. */
const needed = ["$KV.twinlog.exchange", "exchange.server.beta.deaths", "_INBOX.client.=.x"];

function watched() {
  const clock = { atMs: 0, nowMs: () => clock.atMs, wallMs: () => clock.atMs };
  const lines: string[] = [];
  const keep = (fields: Record<string, unknown>, message: string) => lines.push(`${fields.trouble}: ${message}`);
  const log = { info: keep, warn: keep, error: keep, debug: () => {} } as unknown as Log;
  const published: string[] = [];
  const bus = {
    isConnected: true,
    connected: () => bus.isConnected,
    maxPayloadBytes: () => 1024 * 1024,
    publish: (subject: string) => published.push(subject),
    /** On all connections. */
    hasAll: false,
    flush: () => Promise.resolve(bus.hasAll),
  };
  const troubles = new Troubles(clock as unknown as Clock, log);
  const watch = new BrokerWatch({
    settings: { service: "exchange", limits: Limits.parse({}), replyPrefixes: ["_INBOX.client."] },
    world: { clock, bus, log, triedOut: needed.map((subject) => ({ subject })), registry: { streamsOver: () => null } },
    mailbox: {
      watch: (work: Promise<unknown> | null, onDone: (value: unknown) => void) => void work?.then(onDone),
    },
    troubles,
    delivery: () => ({ replies: 0, omittedReplies: 0, omittedResults: 0, areResultsHeldBack: false }),
  } as unknown as BrokerWatchOptions);
  const lose = (reason: string) => {
    bus.isConnected = false;
    watch.onFault({ kind: "lost", subject: "", reason });
  };
  const find = () => {
    bus.isConnected = true;
    watch.onBus(true);
  };
  return { clock, lines, published, troubles, watch, bus, lose, find };
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

test("60. what is needed later is tried out at once, each that is forbidden is named once, and allowed it is over", (t) => {
  const { clock, lines, published, troubles, watch } = watched();
  const forbidden = new Set(needed);
  /** A second, and what the broker says to what was published in it. */
  const tick = () => {
    clock.atMs += 1_000;
    published.length = 0;
    watch.onTick();
    for (const subject of published)
      if (forbidden.has(subject)) watch.onFault({ kind: "publish", subject, reason: "forbidden" });
    return [...published];
  };
  t.deepEqual(tick(), needed, "with the first look");
  t.deepEqual(tick(), []);
  watch.onFault({ kind: "subscribe", subject: "$KV.more", reason: "forbidden" });
  const messages = new Map(troubles.open.map(({ code, message }) => [code as string, message]));
  t.deepEqual([...messages.keys()], ["forbidden.registry", "forbidden.servers", "forbidden.replies"]);
  t.regex(
    messages.get("forbidden.registry") ?? "",
    /to publish on \$KV\.twinlog\.exchange, to subscribe on \$KV\.more \(/,
  );
  t.regex(messages.get("forbidden.servers") ?? "", /publish on exchange\.server\.beta\.deaths/);
  t.regex(messages.get("forbidden.replies") ?? "", /publish on _INBOX\.client\.> /);
  for (let second = 0; second < 30; second += 1) tick();
  t.is(troubles.open.length, 3, "what stays forbidden stays told");
  t.is(lines.filter((line) => !line.includes("over:")).length, 4, "a line for each subject, once");
  forbidden.clear();
  for (let second = 0; second < 20; second += 1) tick();
  t.deepEqual(troubles.open, [], "nobody has asked for anything, and yet it is over");
  let seconds = 1;
  while (tick().length === 0) seconds += 1;
  t.true(seconds > 30, "what is allowed is tried seldom");
});

test("a lost connection for results is told after a second, under its own code, and is over when NATS has all again", async (t) => {
  const { clock, troubles, watch, bus, lose, find } = watched();
  const loseResults = () => watch.onFault({ kind: "lost", subject: "exchange.result.>", reason: "too many" });
  const tick = async (forMs: number) => {
    clock.atMs += forMs;
    watch.onTick();
    await Promise.resolve();
    await Promise.resolve();
  };
  const open = () => troubles.open.map(({ code }) => code);
  loseResults();
  await tick(500);
  t.deepEqual(open(), [], "it is dialled at once");
  loseResults();
  await tick(500);
  t.deepEqual(open(), ["nats.results"]);
  t.regex(troubles.open[0]?.message ?? "", /too many/);
  bus.hasAll = true;
  await tick(100);
  t.deepEqual(open(), []);

  bus.hasAll = false;
  loseResults();
  lose("the broker is gone");
  await tick(5_000);
  t.deepEqual(open(), ["nats.lost"], "all of it is told, and not also its part");
  find();
  await tick(500);
  t.deepEqual(open(), [], "the other connection has its second too");
  await tick(500);
  t.deepEqual(open(), ["nats.results"]);
});
