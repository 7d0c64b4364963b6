/** Claims 25, 35 and 36, with the ledger: an application whose requests are more than one transaction. One pair for all. */
import test from "ava";
import { ledger } from "../../actors/applications/ledger/ledger.ts";
import { readDisk } from "../helpers/pair/disk.ts";
import { type Pair, sharedPair } from "../helpers/pair/pair.ts";
import { until } from "../helpers/until.ts";

const flushRecords = 30;
const shared = sharedPair(test, { application: "ledger", limits: { flushMs: 60_000, flushRecords } });

interface Balance {
  balance: number | null;
}

async function openAccounts(pair: Pair, name: string, ...accounts: string[]) {
  const client = await pair.client({ client: name, application: ledger });
  for (const account of accounts) {
    await client.request({ type: "open", account });
    await client.request({ type: "deposit", account, amount: 100 });
  }
  const balance = async (account: string) =>
    (await client.query<Balance>({ query: "balance", account })).result.balance;
  return { client, balance };
}

test.serial(
  "25. A request is processed as one or more discrete transactions, and each makes a record of its own",
  async (t) => {
    const pair = shared.current;
    const { primary, backup } = await pair.normal();
    const { client, balance } = await openAccounts(pair, "claim25", "a25", "b25");
    await client.request({ type: "transfer", from: "a25", to: "b25", amount: 30 }, { id: "transfer" });
    t.is(await balance("a25"), 70);
    t.is(await balance("b25"), 130);
    for (const name of [primary, backup]) {
      const { committed } = await pair.newStatus(primary);
      await pair.waitFor(name, (status) => status.committed >= committed);
      await pair.control(name, "flush");
      const { records } = await readDisk(pair, name, ledger);
      const made = records.filter(({ client, id }) => client === "claim25" && id === "transfer");
      t.deepEqual(
        made.filter((record) => record.name !== "").map((record) => record.name),
        ["reserve", "settle"],
      );
      t.is(made.at(-1)?.kind, "final");
      t.deepEqual(
        records
          .filter(({ client, kind }) => client === "claim25" && kind === "final")
          .map((record) => record.name)
          .slice(0, 2),
        ["open", "deposit"],
        "one transaction, one record",
      );
    }
  },
);

test.serial(
  "35. A backup server mirrors records in memory and flushes them periodically, and processes, saves and flushes by itself when the primary is gone",
  async (t) => {
    const pair = shared.current;
    const { primary, backup } = await pair.normal();
    const { client, balance } = await openAccounts(pair, "claim35", "a35");
    const { sequence, flushed } = await pair.newStatus(backup);
    t.true(flushed < sequence, "mirrored, in memory");
    for (let n = 0; n < flushRecords; n += 1) await client.request({ type: "deposit", account: "a35", amount: 1 });
    await pair.waitFor(backup, (status) => status.flushed >= sequence);

    await pair.server(primary).kill();
    await pair.waitForMode("backup-only");
    for (let n = 1; n <= 3; n += 1) {
      const answer = await client.request({ type: "deposit", account: "a35", amount: 1 });
      const { records } = await readDisk(pair, backup, ledger);
      t.is(records.find((record) => record.sequence === answer.sequence)?.reply, Buffer.from(answer.bytes).toString());
    }
    t.is(await balance("a35"), 100 + flushRecords + 3);
    pair.server(primary).start();
    await pair.normal();
  },
);

test.serial(
  "36. A backup server that finds the primary gone flushes its memory, applies what is outstanding to tables and a queue, and tells clients that it is ready",
  async (t) => {
    const pair = shared.current;
    const { primary, backup } = await pair.normal();
    await pair.control(backup, "flush");
    const { client, balance } = await openAccounts(pair, "claim36", "a36", "b36");
    const answer = await client.request({ type: "transfer", from: "a36", to: "b36", amount: 45 });
    const before = await readDisk(pair, backup, ledger);
    t.true(before.last < answer.sequence, "so far only in memory");
    t.false(before.tables.get("accounts")?.has("a36"));

    const signals = pair.signals.length;
    await pair.server(primary).kill();
    await pair.waitForMode("backup-only");
    const ready = await until(() => pair.signals[signals], { withinMs: 20_000, waitedFor: "the signal" });
    t.like(ready, { signal: "ready", server: backup });
    t.true((await readDisk(pair, backup, ledger)).last >= answer.sequence);
    t.is(await balance("a36"), 55);
    t.is(await balance("b36"), 145);
    await pair.control(backup, "flush");
    const disk = await readDisk(pair, backup, ledger);
    t.deepEqual(disk.tables.get("accounts")?.get("a36"), { client: "claim36", balance: 55 });
    t.deepEqual(disk.tables.get("accounts")?.get("b36"), { client: "claim36", balance: 145 });
    t.is(disk.tables.get("transfers")?.size, 0);
    t.deepEqual(disk.queues.get("journal")?.at(-1), { from: "a36", to: "b36", amount: 45 });
    pair.server(primary).start();
    await pair.normal();
  },
);
