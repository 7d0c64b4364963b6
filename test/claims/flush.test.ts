/**
 * Claims 6, 13, 21, 28, 29 and 38: when servers flush, and more than one backup. One group of three for all: alpha flushes by time,
 * beta by count, gamma when its memory fills; alpha is the primary until claim 13.
 */
import test from "ava";
import { exchange } from "../../actors/applications/exchange/exchange.ts";
import { Orders, repliesOnDisk, sameLogs } from "../helpers/orders.ts";
import { readDisk } from "../helpers/pair/disk.ts";
import { calmLimits, type Pair, sharedPair } from "../helpers/pair/pair.ts";

const never = { ...calmLimits, flushMs: 60_000, flushRecords: 1_000_000 };
const flushMs = 300;
const flushRecords = 40;
const flushBytes = 48 * 1024;
const criteria: Readonly<Record<string, object>> = {
  alpha: { ...never, flushMs },
  beta: { ...never, flushRecords },
  gamma: { ...never, flushBytes },
};
const shared = sharedPair(test, {
  servers: ["alpha", "beta", "gamma"],
  settings: (server) => ({ limits: criteria[server] }),
});

const flushes = async (pair: Pair, server: string) => Number((await pair.report(server, "checkpoint")).flushes);

test.serial(
  "6. The log is flushed after a fixed time, after a number of records, or when the memory is needed",
  async (t) => {
    const pair = shared.current;
    const orders = new Orders(pair, "claim6");
    const isHeldBy = async (server: string, sequence: number) =>
      await pair.waitFor(server, ({ committed }) => committed >= sequence);

    // Time: alpha flushes one record, the others have no reason to.
    await orders.send(1);
    const { sequence: first } = await pair.newStatus("alpha");
    await pair.waitFor("alpha", ({ flushed }) => flushed >= first);
    for (const name of ["beta", "gamma"]) t.is((await isHeldBy(name, first)).flushed, 0, name);

    // Count: beta flushes with the fortieth record, not with the one before.
    while ((await pair.newStatus("alpha")).sequence < flushRecords - 1) await orders.send(1);
    await isHeldBy("beta", flushRecords - 1);
    t.is((await pair.newStatus("beta")).flushed, 0);
    await orders.send(1);
    await pair.waitFor("beta", ({ flushed }) => flushed >= flushRecords);
    const { sequence } = await pair.newStatus("alpha");
    await isHeldBy("gamma", sequence);
    t.is((await pair.newStatus("gamma")).flushed, 0);

    // Memory: gamma flushes when so many bytes are not on its disk, whenever that is.
    const onDisk = await readDisk(pair, "alpha", exchange);
    const bytes = onDisk.records.reduce((sum, record) => sum + record.bytes.length, 0);
    t.true(bytes < flushBytes);
    const needed = Math.ceil(flushBytes / (bytes / onDisk.records.length));
    while ((await pair.newStatus("alpha")).sequence < needed + 10) await orders.send(20);
    const freed = await pair.waitFor("gamma", ({ flushed }) => flushed > 0);
    t.true(freed.flushed > needed / 2);
  },
);

test.serial("21. A checkpoint agent on each server flushes that server's own log", async (t) => {
  const pair = shared.current;
  const orders = new Orders(pair, "claim21");
  await pair.control("beta", "flush");
  await orders.send(3);
  const { sequence } = await pair.newStatus("alpha");
  for (const name of ["beta", "gamma"]) await pair.waitFor(name, ({ committed }) => committed >= sequence);
  const [beta, gamma] = [await pair.newStatus("beta"), await pair.newStatus("gamma")];
  t.true(beta.flushed < sequence && gamma.flushed < sequence);
  t.true((await pair.control("gamma", "flush")).ok);
  t.is((await pair.newStatus("gamma")).flushed, sequence);
  t.is((await pair.newStatus("beta")).flushed, beta.flushed, "beta's agent has its own log and its own reasons");
  t.is(repliesOnDisk(await readDisk(pair, "gamma", exchange), "claim21").size, 3);
  t.is(repliesOnDisk(await readDisk(pair, "beta", exchange), "claim21").size, 0);
});

test.serial("28. The primary's memory is flushed periodically", async (t) => {
  const pair = shared.current;
  const orders = new Orders(pair, "claim28");
  for (let round = 1; round <= 3; round += 1) {
    await orders.send(2);
    const { sequence, role } = await pair.newStatus("alpha");
    t.is(role, "primary");
    // Nobody asks for anything while we wait.
    await pair.waitFor("alpha", ({ flushed }) => flushed >= sequence);
    t.is(repliesOnDisk(await readDisk(pair, "alpha", exchange), "claim28").size, 2 * round);
  }
});

test.serial("38. A primary flushes its memory in intervals, not with each record", async (t) => {
  const pair = shared.current;
  const orders = new Orders(pair, "claim38");
  const before = await flushes(pair, "alpha");
  const since = performance.now();
  while ((await flushes(pair, "alpha")) < before + 3) await orders.send(10);
  const intervals = (performance.now() - since) / flushMs;
  const made = (await flushes(pair, "alpha")) - before;
  t.true(made <= intervals + 2, `${made} flushes in ${intervals} intervals`);
  t.true(made < orders.sent);
});

test.serial(
  "13. There may be one more backup: all hold the mirror image, and of two losses one after the other neither loses anything",
  async (t) => {
    const pair = shared.current;
    const orders = new Orders(pair, "claim13");
    t.is((await pair.normal()).primary, "alpha");
    t.is((await pair.registryRecord()).inSync.length, 3);
    await orders.send(20);
    await sameLogs(t, pair, ["alpha", "beta"]);
    await sameLogs(t, pair, ["alpha", "gamma"]);

    await pair.server("alpha").kill();
    await orders.send(20);
    const { primary, backup } = await pair.normal();
    t.deepEqual([primary, backup].sort(), ["beta", "gamma"]);
    t.is((await pair.registryRecord()).mode, "normal", "two are still in sync");

    await pair.server(primary).kill();
    await orders.send(20);
    t.is((await pair.waitForMode("backup-only")).primary, backup);
    t.is(await orders.resting(), 60);
    for (const name of ["alpha", primary]) pair.server(name).start();
    await pair.normal();
    await sameLogs(t, pair, [backup, "alpha"]);
  },
);

test.serial("29. The backup's memory is flushed periodically", async (t) => {
  const pair = shared.current;
  const orders = new Orders(pair, "claim29");
  for (let round = 1; round <= 3; round += 1) {
    await orders.send(2);
    const { role } = await pair.newStatus("alpha");
    t.is(role, "backup");
    const { sequence } = await pair.newStatus((await pair.normal()).primary);
    await pair.waitFor("alpha", ({ flushed }) => flushed >= sequence);
    t.is(repliesOnDisk(await readDisk(pair, "alpha", exchange), "claim29").size, 2 * round);
  }
});
