/**
 * Claims 1 to 5, 11, 15, 16, 26, 33 and 34: the three states of the pair and the ways between them. One pair for all, so each test
 * leaves it in the normal state. Its servers flush every 50 records and otherwise not within the time that a test takes.
 */
import test from "ava";
import { exchange } from "../../actors/applications/exchange/exchange.ts";
import { isFlushedWhenAnswered, Orders, repliesOnDisk, sameLogs } from "../helpers/orders.ts";
import { readDisk } from "../helpers/pair/disk.ts";
import { type Pair, sharedPair } from "../helpers/pair/pair.ts";
import { until } from "../helpers/until.ts";

const flushRecords = 50;
/** A level of the book: price, quantity, orders. */
type Levels = [number, number, number][];

const shared = sharedPair(test, { limits: { flushMs: 60_000, flushRecords } });

/** How often a server flushed since it was started, and how far its log on disk goes. */
async function flushed(pair: Pair, server: string): Promise<{ flushes: number; synced: number }> {
  const { flushes, synced } = await pair.report(server, "checkpoint");
  return { flushes: Number(flushes), synced: Number(synced) };
}

const requestsSeenBy = async (pair: Pair, server: string) =>
  Number((await pair.report(server, "application")).requests);

/** Both servers hold everything on disk, so that what comes next starts a new interval of flushes. */
async function flushBoth(pair: Pair): Promise<void> {
  for (const name of pair.servers.keys()) await pair.control(name, "flush");
}

test.serial(
  "1. In the normal state the log is in the memory of both servers and is flushed now and then; the one that is left flushes after each message, a backup once it has recovered the primary's last state",
  async (t) => {
    const pair = shared.current;
    const orders = new Orders(pair, "claim1");

    // Normal: the primary alone talks to clients; both hold the log, neither has it on disk.
    const { primary, backup } = await pair.normal();
    await orders.send(20);
    const { sequence } = await pair.newStatus(primary);
    await pair.waitFor(backup, (status) => status.sequence === sequence);
    for (const name of [primary, backup])
      t.is(repliesOnDisk(await readDisk(pair, name, exchange), "claim1").size, 0, `${name} wrote what it need not`);
    t.is(await requestsSeenBy(pair, backup), 0);
    await orders.send(flushRecords);
    for (const name of [primary, backup]) {
      await pair.waitFor(name, (status) => status.flushed >= flushRecords);
      t.true(repliesOnDisk(await readDisk(pair, name, exchange), "claim1").size >= flushRecords);
    }
    await orders.send(5);

    // Primary-only: the same server goes on, and each message is on its disk when it is answered.
    await pair.server(backup).kill();
    t.is((await pair.waitForMode("primary-only")).primary, primary);
    for (let n = 0; n < 3; n += 1) t.true(await isFlushedWhenAnswered(pair, primary, orders));

    // Backup-only: what only the primary's and the backup's memory held is there, then each message is flushed.
    pair.server(backup).start();
    await pair.normal();
    await flushBoth(pair);
    const inMemory = await orders.send(7);
    t.is(repliesOnDisk(await readDisk(pair, backup, exchange), "claim1").has(inMemory.at(-1)?.reply.id ?? ""), false);
    await pair.server(primary).kill();
    t.is((await pair.waitForMode("backup-only")).primary, backup);
    t.is(await orders.resting(), orders.sent);
    t.is((await orders.again(orders.sent)).text, inMemory.at(-1)?.text ?? "");
    for (let n = 0; n < 3; n += 1) t.true(await isFlushedWhenAnswered(pair, backup, orders));
    t.is(await orders.resting(), orders.sent);

    pair.server(primary).start();
    await pair.normal();
  },
);

test.serial(
  "2. Each server runs the application, a replication agent and a checkpoint agent; only the hot application processes messages, and with both servers there the logs are mirrored and flushed by a criterion",
  async (t) => {
    const pair = shared.current;
    const orders = new Orders(pair, "claim2");
    const { primary, backup } = await pair.normal();
    for (const name of [primary, backup])
      for (const actor of ["application", "replication", "checkpoint", "failover"] as const)
        t.is((await pair.report(name, actor)).actor, actor);
    t.is((await pair.report(primary, "application")).process, "hot");
    t.is((await pair.report(backup, "application")).process, "warm");

    await flushBoth(pair);
    const before = { [primary]: await flushed(pair, primary), [backup]: await flushed(pair, backup) };
    const seen = await requestsSeenBy(pair, primary);
    await orders.send(flushRecords - 1);
    t.is(await requestsSeenBy(pair, primary), seen + flushRecords - 1);
    t.is(await requestsSeenBy(pair, backup), 0);
    t.deepEqual({ [primary]: await flushed(pair, primary), [backup]: await flushed(pair, backup) }, before);
    await orders.send(1);
    for (const name of [primary, backup])
      await pair.waitFor(name, (status) => status.flushed >= (before[name]?.synced ?? 0) + flushRecords);
    await sameLogs(t, pair, [primary, backup]);

    // Alone, on either side, writing the result to the log and flushing it go together.
    await pair.server(primary).kill();
    await pair.waitForMode("backup-only");
    t.true(await isFlushedWhenAnswered(pair, backup, orders));
    t.true((await requestsSeenBy(pair, backup)) > 0);
    pair.server(primary).start();
    await pair.normal();
    await pair.server(primary).kill();
    await pair.waitForMode("primary-only");
    t.true(await isFlushedWhenAnswered(pair, backup, orders));
    pair.server(primary).start();
    await pair.normal();
    await sameLogs(t, pair, [primary, backup]);
  },
);

test.serial(
  "3. A client reaches the primary alone when the backup is away, and the backup alone when the primary is; either way it carries on from the last known state",
  async (t) => {
    const pair = shared.current;
    const { primary, backup } = await pair.normal();
    const client = await pair.client({ client: "claim3", application: exchange });
    const order = (n: number) =>
      ({ type: "limit", symbol: "THREE", order: `o${n}`, side: "sell", price: 9, quantity: 1 }) as const;
    const book = async () =>
      (await client.query<{ asks: Levels }>({ query: "book", symbol: "THREE" })).result.asks.flatMap(
        (level) => level[2],
      );
    await client.request(order(1));

    await pair.server(backup).kill();
    await pair.waitForMode("primary-only");
    const alone = await client.request(order(2));
    t.deepEqual(await book(), [2]);
    t.is((await pair.newStatus(primary)).epoch, alone.epoch);

    pair.server(backup).start();
    await pair.normal();
    await client.request(order(3));
    await pair.server(primary).kill();
    const after = await client.request(order(4));
    t.deepEqual(await book(), [4]);
    t.is((await pair.waitForMode("backup-only")).primary, backup);
    t.true(after.epoch > alone.epoch);
    t.true((await readDisk(pair, backup, exchange)).last >= after.sequence);

    pair.server(primary).start();
    await pair.normal();
  },
);

test.serial("4. Whichever server is available processes the messages and flushes its log after each", async (t) => {
  const pair = shared.current;
  const orders = new Orders(pair, "claim4");
  for (const lost of ["alpha", "beta"]) {
    await pair.normal();
    const left = lost === "alpha" ? "beta" : "alpha";
    await orders.send(3);
    await pair.server(lost).kill();
    t.true(await isFlushedWhenAnswered(pair, left, orders));
    t.true(await isFlushedWhenAnswered(pair, left, orders));
    t.is(await orders.resting(), orders.sent);
    pair.server(lost).start();
  }
  await pair.normal();
});

test.serial(
  "5. With more than one server, one processes messages and the rest hold a mirror image that is flushed at intervals; a server that is alone flushes more often",
  async (t) => {
    const pair = shared.current;
    const orders = new Orders(pair, "claim5");
    const { primary, backup } = await pair.normal();
    await flushBoth(pair);
    const synced = async () => (await flushed(pair, primary)).synced;
    /** How often the log on disk grew while ten messages were answered one by one. */
    const growthOverTen = async () => {
      let times = 0;
      let last = await synced();
      for (let n = 0; n < 10; n += 1) {
        await orders.send(1);
        const now = await synced();
        if (now > last) times += 1;
        last = now;
      }
      return times;
    };
    t.is(await growthOverTen(), 0);
    await sameLogs(t, pair, [primary, backup]);
    await pair.server(backup).kill();
    await pair.waitForMode("primary-only").catch(() => pair.waitForMode("backup-only"));
    t.is(await growthOverTen(), 10);
    pair.server(backup).start();
    await pair.normal();
  },
);

test.serial("11. The servers are a primary and a backup, by the registry's word and by their own", async (t) => {
  const pair = shared.current;
  const { primary, backup } = await pair.normal();
  const record = await pair.registryRecord();
  t.is(record.primary.server, primary);
  t.deepEqual(record.inSync.map(({ server }) => server).sort(), [primary, backup].sort());
  t.is((await pair.newStatus(primary)).role, "primary");
  t.is((await pair.newStatus(backup)).role, "backup");
});

test.serial("15. The application process is hot where messages are processed, and otherwise warm", async (t) => {
  const pair = shared.current;
  const orders = new Orders(pair, "claim15");
  const { primary, backup } = await pair.normal();
  const applied = async (name: string) => Number((await pair.report(name, "application")).applied);
  const before = await requestsSeenBy(pair, backup);
  const replies = await orders.send(5);
  t.is((await pair.newStatus(primary)).application, "hot");
  const warm = await pair.newStatus(backup);
  t.is(warm.application, "warm");
  t.is(await requestsSeenBy(pair, backup), before);
  // It follows the log without processing anything: its tables are those of the hot one.
  const last = replies.at(-1)?.reply.sequence ?? 0;
  await pair.waitFor(backup, (status) => status.committed >= last);
  t.true((await applied(backup)) >= last);
  t.deepEqual((await pair.report(backup, "application")).size, (await pair.report(primary, "application")).size);
});

test.serial(
  "16. When the primary is lost, the backup's warm application becomes hot and processes messages",
  async (t) => {
    const pair = shared.current;
    const orders = new Orders(pair, "claim16");
    const { primary, backup } = await pair.normal();
    await orders.send(2);
    const { pid } = pair.server(backup);
    const before = pair.events.length;
    await pair.server(primary).kill();
    t.is((await pair.waitFor(backup, ({ application }) => application === "hot")).application, "hot");
    const [reply] = await orders.send(1);
    t.true(reply?.reply.ok);
    t.is(pair.server(backup).pid, pid, "it is the process that was warm");
    t.is(await orders.resting(), 3);
    const states = pair.events.slice(before).filter(({ server }) => server === backup);
    t.is(states[0]?.from, "following.warm");
    t.true(states.some(({ to }) => to.startsWith("hot")));
    pair.server(primary).start();
    await pair.normal();
  },
);

test.serial(
  "26. A backup that took over keeps the primary's role when the old primary comes back, which becomes its backup",
  async (t) => {
    const pair = shared.current;
    const orders = new Orders(pair, "claim26");
    const old = await pair.normal();
    await orders.send(3);
    await pair.server(old.primary).kill();
    await orders.send(3);
    pair.server(old.primary).start();
    t.deepEqual(await pair.normal(), { primary: old.backup, backup: old.primary });
    const [reply] = await orders.send(1);
    const record = await pair.registryRecord();
    t.is(record.primary.server, old.backup);
    t.is(reply?.reply.epoch, record.epoch);
    t.is((await pair.newStatus(old.primary)).application, "warm");
    // As a backup in full: it takes over in its turn and has everything.
    await pair.server(old.backup).kill();
    t.is((await pair.waitForMode("backup-only")).primary, old.primary);
    t.is(await orders.resting(), 7);
    pair.server(old.backup).start();
    await pair.normal();
  },
);

test.serial(
  "33. While the primary is there, a backup mirrors its records in memory and flushes them periodically; when it is not, the backup processes requests and flushes each",
  async (t) => {
    const pair = shared.current;
    const orders = new Orders(pair, "claim33");
    const { primary, backup } = await pair.normal();
    await flushBoth(pair);
    const onDisk = async () => repliesOnDisk(await readDisk(pair, backup, exchange), "claim33").size;
    const few = await orders.send(10);
    await pair.waitFor(backup, (status) => status.sequence >= (few.at(-1)?.reply.sequence ?? 0));
    t.is(await onDisk(), 0);
    const { flushed: before } = await pair.newStatus(backup);
    await orders.send(flushRecords);
    await pair.waitFor(backup, (status) => status.flushed > before);
    t.true((await onDisk()) >= 10);

    await pair.server(primary).kill();
    t.true(await isFlushedWhenAnswered(pair, backup, orders));
    t.true(await isFlushedWhenAnswered(pair, backup, orders));
    t.is(await onDisk(), orders.sent);
    pair.server(primary).start();
    await pair.normal();
  },
);

test.serial(
  "34. A backup that finds the primary gone first flushes its memory, applies what is outstanding to a table and a queue, and signals that it is ready",
  async (t) => {
    const pair = shared.current;
    const { primary, backup } = await pair.normal();
    await flushBoth(pair);
    const trader = await pair.client({ client: "claim34", application: exchange });
    const order = (n: number, side: "buy" | "sell", quantity: number) =>
      ({ type: "limit", symbol: "QT", order: `o${n}`, side, price: 50, quantity }) as const;
    // The table `orders` and the queue `executions` change, in memory only.
    await trader.request(order(1, "sell", 10));
    const { sequence } = await trader.request(order(2, "buy", 4));
    t.is(repliesOnDisk(await readDisk(pair, backup, exchange), "claim34").size, 0);

    const signals = pair.signals.length;
    const events = pair.events.length;
    await pair.server(primary).kill();
    await pair.waitForMode("backup-only");
    const ready = await until(() => pair.signals[signals], { withinMs: 20_000, waitedFor: "the signal" });
    t.like(ready, { signal: "ready", server: backup });
    t.true(ready.sequence >= sequence);
    const takeover = pair.events
      .slice(events)
      .filter(({ server, machine }) => server === backup && machine === "lifecycle");
    t.deepEqual(
      takeover.map(({ event, to }) => [event, to]),
      [
        ["primary.lost.alone", "candidate.syncing"],
        ["disk.synced", "candidate.asking"],
        ["cas.won.alone", "hot.alone"],
      ],
    );
    t.true((await flushed(pair, backup)).synced >= sequence);
    t.is(repliesOnDisk(await readDisk(pair, backup, exchange), "claim34").size, 2);

    // Applied: the table answers a query, and on the disk table and queue have it after the next flush.
    const book = await trader.query<{ asks: unknown[] }>({ query: "book", symbol: "QT" });
    t.deepEqual(book.result.asks, [[50, 6, 1]]);
    await pair.control(backup, "flush");
    const disk = await readDisk(pair, backup, exchange);
    const rows = [...(disk.tables.get("orders")?.values() ?? [])] as { symbol: string; remaining: number }[];
    t.deepEqual(
      rows.filter(({ symbol }) => symbol === "QT").map(({ remaining }) => remaining),
      [6],
    );
    t.like(disk.queues.get("executions")?.at(-1), { symbol: "QT", price: 50, quantity: 4 });
    pair.server(primary).start();
    await pair.normal();
  },
);
