/** What is left of a history when a new one has begun: with real processes, LevelDB and NATS. */
import test, { type ExecutionContext } from "ava";
import { type HistoryEvent, type ResultEvent, readResults } from "../../actors/client/results.ts";
import { NatsBus } from "../../actors/world/bus-nats.ts";
import { openNodeClock } from "../../actors/world/clock-node.ts";
import { NatsLine } from "../../actors/world/connection-nats.ts";
import { type Pair, startPair } from "../pair/pair.ts";
import { keptLog } from "../world/silent-log.ts";

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
  const bus = new NatsBus(new NatsLine({ nats: { servers: [pair.nats.url] }, name: "reader", clock, log: keptLog() }));
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
