/** What is left of a history when a new one has begun: with real processes, LevelDB and NATS. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import type { HistoryEvent, ResultEvent } from "../../actors/client/result-events.ts";
import { readResults } from "../../actors/client/results.ts";
import { NatsBus } from "../../actors/world/bus-nats.ts";
import { openNodeClock } from "../../actors/world/clock-node.ts";
import { NatsLine } from "../../actors/world/connection-nats.ts";
import { inspect } from "../../deploy/inspect.ts";
import { ControlReply } from "../../schemas/status.ts";
import { subjects } from "../../schemas/subjects.ts";
import { keptLog } from "../helpers/kept-log.ts";
import { type Pair, startPair } from "../helpers/pair/pair.ts";
import { until } from "../helpers/until.ts";

const order = (n: number) => ({
  type: "limit",
  symbol: "AAA",
  order: `o${n}`,
  side: "buy",
  price: 100 + (n % 7),
  quantity: 1,
});

async function ask(pair: Pair, from: number, count: number): Promise<void> {
  for (let n = from; n < from + count; n += 1) await pair.askUntilAnswered(order(n), { client: "mm", id: String(n) });
}

/** All that can be read from the first result of this history on. */
async function read(t: ExecutionContext, pair: Pair, history: string): Promise<(HistoryEvent | ResultEvent)[]> {
  const clock = openNodeClock();
  const bus = new NatsBus(
    new NatsLine({ nats: { servers: [pair.nats.url] }, name: "reader", inboxPrefix: "_INBOX", clock, log: keptLog() }),
  );
  await bus.start(() => undefined);
  t.teardown(() => bus.stop());
  const events: (HistoryEvent | ResultEvent)[] = [];
  for await (const event of readResults({ service: pair.service, bus, clock, history, from: 1, follow: false }))
    events.push(event);
  return events;
}

function briefly(events: readonly (HistoryEvent | ResultEvent)[]): unknown[] {
  const told: unknown[] = [];
  for (const event of events)
    if (event.type === "history") told.push([event.history, event.previous?.last ?? null]);
    else if (typeof told.at(-1) === "number" && event.result === (told.at(-1) as number) + 1)
      told[told.length - 1] = event.result;
    else told.push(event.result === 1 ? 1 : `a gap before ${event.result}`);
  return told;
}

test.serial(
  "both are killed: flushed results that nobody has read are read by the old history's name, to its true end, also from who takes over",
  async (t) => {
    // Nothing was published: what is read comes from the disks.
    const pair = await startPair(t, { restartMs: 300, settings: () => ({ publishResults: false }) });
    const { primary, backup } = await pair.normal();
    const { history: old } = await pair.registryRecord();
    await ask(pair, 1, 40);
    for (const name of [primary, backup]) {
      await pair.control(name, "flush");
      await pair.waitFor(name, ({ flushed }) => flushed >= 40);
    }
    await Promise.all([pair.server(primary).kill(), pair.server(backup).kill()]);
    const next = await pair.normal();
    const { history } = await pair.registryRecord();
    t.not(history, old);
    await ask(pair, 41, 3);
    const expected = [[old, null], 40, [history, 40], 3];
    t.deepEqual(briefly(await read(t, pair, old)), expected);
    await pair.server(next.primary).kill();
    t.is((await pair.normal()).primary, next.backup);
    t.deepEqual(briefly(await read(t, pair, old)), expected);
  },
);

const directoryOf = (pair: Pair, name: string) => pair.settings.get(name)?.dataDirectory ?? "";

/** Both stop, the one that held most first; the other comes back with an empty disk, and goes on by force while it is alone. */
async function forcedOnEmptyDisk(t: ExecutionContext, limits: Record<string, number> = {}) {
  const pair = await startPair(t, { limits });
  const { primary, backup } = await pair.normal();
  const { history: old } = await pair.registryRecord();
  await ask(pair, 1, 30);
  await pair.server(primary).stop();
  await pair.server(backup).stop();
  await rm(join(directoryOf(pair, backup), "store"), { recursive: true });
  pair.server(backup).start();
  const { incarnation } = await pair.waitFor(backup, ({ state }) => /^(waiting|refusing)/.test(state));
  await until(async () => (await recover(pair, backup, incarnation)) || undefined, {
    withinMs: 20_000,
    waitedFor: "the recovery",
  });
  await pair.waitFor(backup, ({ state }) => state === "hot.alone");
  await ask(pair, 31, 5);
  pair.server(primary).start();
  return { pair, old, emptied: backup, other: primary };
}

async function recover(pair: Pair, name: string, incarnation: string): Promise<boolean> {
  const subject = subjects.control(pair.service, name, "recover");
  const message = await pair.raw.request(subject, JSON.stringify({ incarnation }), { timeout: 5_000 });
  return ControlReply.parse(message.json()).ok;
}

test.serial(
  "an empty server was recovered by force: who joins it sets its own store aside, whole, and says so in status, log and inspect (situation 52)",
  async (t) => {
    const { pair, old, emptied, other } = await forcedOnEmptyDisk(t);
    await pair.normal();
    const status = await pair.waitFor(other, ({ troubles }) => troubles.some(({ code }) => code === "store.aside"));
    const told = status.troubles.find(({ code }) => code === "store.aside")?.message ?? "";
    t.regex(told, /1 earlier store is set aside/);
    t.true(
      pair.server(other).lines.some((line) => /was set aside as aside-/.test(line)),
      "the log says it",
    );
    // Also from who takes over, and over a restart: nothing touches it.
    await pair.server(emptied).kill();
    await pair.waitFor(other, ({ state }) => state === "hot.alone");
    const name = /aside-\S+-store-\d+/.exec(told)?.[0] ?? "";
    const clock = openNodeClock();
    let last = 0;
    const onBatch = (batch: { last: number }) => {
      last = batch.last;
    };
    const copy = await inspect(directoryOf(pair, other), clock, { onBatch }, name);
    t.is(copy.meta.history, old);
    t.is(last, 30, "every record that was acknowledged");
    await pair.server(other).stop();
    const present = await inspect(directoryOf(pair, other), clock, {});
    t.not(present.meta.history, old);
    t.deepEqual(
      present.aside.map((each) => each.name),
      [name],
    );
  },
);

test.serial(
  "where no further store may be set aside a joiner refuses in words, and keeps its own (situation 52)",
  async (t) => {
    const { pair, old, other } = await forcedOnEmptyDisk(t, { maxAsideCopies: 0 });
    const status = await pair.waitFor(other, ({ troubles }) => troubles.some(({ code }) => code === "store.asideFull"));
    const told = status.troubles.find(({ code }) => code === "store.asideFull")?.message ?? "";
    t.regex(told, /does not join.*maxAsideCopies is 0.*remove what nobody needs, or raise the limit/);
    await pair.server(other).stop();
    let last = 0;
    const onBatch = (batch: { last: number }) => {
      last = batch.last;
    };
    const kept = await inspect(directoryOf(pair, other), openNodeClock(), { onBatch });
    t.is(kept.meta.history, old);
    t.is(last, 30);
    t.deepEqual(kept.aside, []);
  },
);
