/**
 * What a server finds at its start: after a crash at any moment, a dense prefix that holds everything that was synced;
 * after any damage, one clear refusal and never another state.
 */
import test from "ava";
import * as fc from "fast-check";
import { readLog } from "../../actors/checkpoint/recovery.ts";
import {
  formatVersion,
  hashBytes,
  itemKey,
  itemValue,
  metaKey,
  metaValue,
  segmentKey,
  segmentValue,
  spaces,
} from "../../machines/checkpoint/layout.ts";
import { RecoveryError } from "../../machines/checkpoint/scan.ts";
import { chainHash } from "../../machines/codec/record.ts";
import { hashAt, type LogBatch } from "../../machines/log/batch.ts";
import type { CheckpointMeta } from "../../schemas/checkpoint.ts";
import {
  agentOn,
  type Change,
  collect,
  freshAgent,
  identity,
  push,
  put,
  type Reading,
  readBack,
  recordOf,
  remove,
  shift,
  TestLog,
} from "../helpers/checkpoints.ts";
import { type MemoryDisk, MemoryStore } from "../helpers/memory-store.ts";
import { until } from "../helpers/until.ts";

type Step =
  | { do: "append"; count: number; keys: number }
  | { do: "sync" }
  | { do: "write" }
  | { do: "meta" }
  | { do: "flush"; share: number; retain: number }
  | { do: "truncate"; share: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("append" as const),
      count: fc.integer({ min: 1, max: 4 }),
      keys: fc.nat(3),
    }),
  },
  { weight: 4, arbitrary: fc.constantFrom<Step>({ do: "sync" }, { do: "write" }, { do: "meta" }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("flush" as const),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
      retain: fc.nat(30),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("truncate" as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
  },
);

/** What a disk with so many batches must hold at least. */
interface Promised {
  readonly batches: number;
  readonly sequence: number;
  readonly hash: number;
}

async function live(
  steps: readonly Step[],
  yields: readonly boolean[],
): Promise<{ disk: MemoryDisk; log: TestLog; promises: Promised[] }> {
  const store = new MemoryStore();
  const log = new TestLog();
  const { checkpoint, synced } = await freshAgent(store, log);
  const promises: Promised[] = [];
  const promise = (sequence: number) =>
    promises.push({ batches: store.disk.batches.length, sequence, hash: log.hashAt(sequence) });
  const work: Promise<unknown>[] = [];
  let told = 0;
  let epoch = 1;
  let committed = 0;
  const hear = () => {
    for (; told < synced.length; told += 1) promise(synced[told] as number);
  };
  for (const [at, now] of steps.entries()) {
    if (now.do === "append") {
      const transactions = Array.from({ length: now.count }, (_, each): Change[] => {
        const key = `k${(log.end + each) % (now.keys + 1)}`;
        return each % 3 === 2 ? [remove(key)] : [put(key, `${at}-${each}`), push(`i${at}`)];
      });
      log.append(transactions, epoch);
    } else if (now.do === "sync") checkpoint.sync(log.end);
    else if (now.do === "write") checkpoint.write(log.end);
    else if (now.do === "meta") work.push(checkpoint.saveMeta({ resultNumber: at }));
    else if (now.do === "flush") {
      await Promise.all(work);
      committed = Math.max(committed, Math.floor(now.share * log.end));
      checkpoint.sync(log.end);
      work.push(checkpoint.flush({ committed, retainFrom: log.end - now.retain }));
    } else {
      const after = committed + Math.floor(now.share * (log.end - committed));
      hear();
      log.truncate(after);
      epoch += 1;
      work.push(checkpoint.truncate(after));
      if ((promises.at(-1)?.sequence ?? 0) > after) promise(after);
    }
    if (yields[at % yields.length] === true) await new Promise((resolve) => setImmediate(resolve));
    hear();
  }
  await Promise.all(work);
  hear();
  await checkpoint.close();
  return { disk: store.disk, log, promises };
}

test("a crash at any moment leaves a dense prefix that holds everything synced, and tables that stand on it", async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 25 }),
      fc.array(fc.boolean(), { minLength: 1, maxLength: 5 }),
      async (steps, yields) => {
        const { disk, log, promises } = await live(steps, yields);
        for (let count = 1; count <= disk.batches.length; count += 1) {
          const read = await readBack(new MemoryStore(disk.after(count)));
          if (read === null) throw new Error("a created store is not empty");
          const { recovered, state, batches } = read;
          const applied = recovered.meta.applied.sequence;
          t.deepEqual(state, log.modelAt(applied).plain());
          t.true(applied <= recovered.end.sequence);
          let next = recovered.meta.firstRetained;
          for (const batch of batches) {
            t.is(batch.first, next);
            next = batch.last + 1;
          }
          t.is(next, recovered.end.sequence + 1);
          const held = promises.findLast((promise) => promise.batches <= count);
          if (held === undefined) continue;
          t.true(recovered.end.sequence >= held.sequence);
          const holder = batches.find(({ last }) => last >= held.sequence);
          if (holder !== undefined && holder.first <= held.sequence) t.is(hashAt(holder, held.sequence), held.hash);
          else t.true(held.sequence <= applied);
        }
      },
    ),
    { numRuns: 100 },
  );
});

/** Five writes that build on each other, each with rows, items and log of its own; the last one flushes everything. */
async function storeWithHistory(): Promise<{ disk: MemoryDisk; full: Reading }> {
  const store = new MemoryStore();
  const log = new TestLog();
  const { checkpoint, synced } = await freshAgent(store, log);
  for (let round = 0; round < 4; round += 1) {
    const at = log.end;
    log.append([
      [put(`a${at}`, "1"), push(`i${at}`)],
      [put("same", `${at}`), put(`ü${at}`, "2", 1)],
    ]);
    await checkpoint.flush({ committed: log.end, retainFrom: 3 });
    log.append([[remove(`a${at}`)], [shift(1), push("j"), push("k")]]);
    checkpoint.sync(log.end);
    await until(() => synced.at(-1) === log.end, { withinMs: 10_000, everyMs: 1 });
  }
  await checkpoint.flush({ committed: log.end, retainFrom: 3 });
  await checkpoint.close();
  const full = await readBack(new MemoryStore(store.disk.after(99)));
  if (full === null) throw new Error("nothing was stored");
  return { disk: store.disk, full };
}

/** The error's code and sentence, or what was found. */
async function outcomeOf(disk: MemoryDisk): Promise<RecoveryError | Reading | null> {
  try {
    return await readBack(new MemoryStore(disk));
  } catch (error) {
    if (error instanceof RecoveryError) return error;
    throw error;
  }
}

test("a synced write lost from the middle, whichever it is, is found", async (t) => {
  const { disk, full } = await storeWithHistory();
  const last = disk.batches.length - 1;
  t.is(last, 9);
  for (let index = 1; index < last; index += 1) {
    const outcome = await outcomeOf(disk.without(index));
    t.true(outcome instanceof RecoveryError, `batch ${index}`);
    t.is((outcome as RecoveryError).code, "damaged");
  }
  // The first only created the store, with a meta that all others rewrote; the last is the newest: an older disk.
  t.deepEqual(((await outcomeOf(disk.without(0))) as Reading).state, full.state);
  t.true(((await outcomeOf(disk.without(last))) as Reading).recovered.meta.flushes === 4);
});

test("the end of the log, lost before nothing but meta was written, is found; what was cut is no loss (rules 7 and 14)", async (t) => {
  const store = new MemoryStore();
  const log = new TestLog();
  const { checkpoint, synced } = await freshAgent(store, log);
  log.append([[put("a", "1")], [put("b", "1")]]);
  checkpoint.sync(2);
  await until(() => synced.at(-1) === 2, { withinMs: 10_000, everyMs: 1 });
  const lost = store.disk.batches.length - 1;
  await checkpoint.saveMeta({ epoch: 9 });
  const outcome = await outcomeOf(store.disk.after(99).edit(() => undefined));
  t.is((outcome as Reading).recovered.end.sequence, 2);
  const shorter = (await outcomeOf(store.disk.without(lost))) as RecoveryError;
  t.is(shorter.code, "damaged");
  t.is(shorter.message, "this server's store is damaged: its log ends at record 0, and went on to 2");
  log.truncate(1);
  await checkpoint.truncate(1);
  await checkpoint.close();
  t.is(((await outcomeOf(store.disk.after(99))) as Reading).recovered.end.sequence, 1);
});

test("every changed byte of every value and key, and every missing or foreign entry, is found", async (t) => {
  const { disk, full } = await storeWithHistory();
  const whole = disk.after(99);
  const names = [...whole.base.keys()];
  const mustRefuse = async (what: string, change: Parameters<MemoryDisk["edit"]>[0]) => {
    const outcome = await outcomeOf(whole.edit(change));
    t.true(outcome instanceof RecoveryError, what);
    if (outcome instanceof RecoveryError) t.regex(outcome.message, /^this (server's )?store [^\n]+\w$/);
  };
  for (const name of names) {
    const [key, value] = whole.base.get(name) ?? [];
    if (key === undefined || value === undefined) throw new Error("no entry");
    const kind = Object.entries(spaces).find(([, space]) => space === key[0])?.[0];
    await mustRefuse(`${kind} missing`, (entries) => entries.delete(name));
    for (let at = 0; at < value.length; at += 1)
      await mustRefuse(`${kind}, byte ${at} changed`, (entries) => {
        const changed = Buffer.from(value);
        changed[at] = (changed[at] ?? 0) ^ 0x04;
        entries.set(name, [key, changed]);
      });
    await mustRefuse(`${kind} cut off`, (entries) => entries.set(name, [key, value.subarray(0, hashBytes - 1)]));
    const other = Buffer.from(key);
    other[key.length - 1] = (other.at(-1) ?? 0) ^ 0x40;
    await mustRefuse(`${kind} under another key`, (entries) => {
      entries.delete(name);
      entries.set(other.toString("latin1"), [other, value]);
    });
  }
  for (const foreign of [
    [spaces.row, 0, 0x7a],
    [spaces.item, 9, 0, 0, 0, 0, 0, 0, 0, 99],
    [spaces.segment, 0, 0, 0, 0, 0, 0, 0, 1],
    [77],
  ])
    await mustRefuse(`a key ${foreign}`, (entries) =>
      entries.set(Buffer.from(foreign).toString("latin1"), [Buffer.from(foreign), Buffer.alloc(30)]),
    );
  t.deepEqual(((await outcomeOf(whole)) as Reading).state, full.state);
});

test("a store of another service or server, that the program cannot read, or of another format, is refused by name", async (t) => {
  const { disk } = await storeWithHistory();
  const strange = {
    service: { service: "other" },
    server: { server: "other" },
    schema: { whyUnreadable: ({ schema }: CheckpointMeta) => `it began with ${schema}, which is another program` },
  };
  for (const code of ["service", "server", "schema"] as const) {
    const agent = agentOn(new MemoryStore(disk.after(99)), new TestLog(), {
      identity: { ...identity, ...strange[code] },
    });
    const error = await t.throwsAsync(agent.checkpoint.open({}), { instanceOf: RecoveryError });
    t.is(error?.code, code);
    t.regex(error?.message ?? "", /other/);
    t.is(agent.checkpoint.state, "failed");
    t.deepEqual(agent.failures, [], "whoever opens is told by the error");
  }
  const change = (edit: (value: Buffer) => Buffer) =>
    outcomeOf(
      disk.edit((entries) => {
        const [key, value] = entries.get("\u0001") ?? [metaKey, metaKey];
        entries.set("\u0001", [key, edit(Buffer.from(value))]);
      }),
    );
  const newer = await change((value) => {
    value[0] = formatVersion + 1;
    return value;
  });
  t.is((newer as RecoveryError).code, "format");
  const full = await readBack(new MemoryStore(disk.after(99)));
  const unknown = await change(() => {
    const meta = { ...full?.recovered.meta, queues: "none" };
    return metaValue(meta as never);
  });
  t.is((unknown as RecoveryError).code, "format");
});

test("tables that stand in another log than the one beside them are found", async (t) => {
  const { disk } = await storeWithHistory();
  const full = await readBack(new MemoryStore(disk.after(99)));
  const meta = full?.recovered.meta;
  if (meta === undefined) throw new Error("nothing was stored");
  for (const applied of [
    { ...meta.applied, hash: (meta.applied.hash ^ 1) >>> 0 },
    { ...meta.applied, sequence: meta.applied.sequence - 1 },
    { ...meta.applied, sequence: meta.applied.sequence + 1 },
  ]) {
    const outcome = await outcomeOf(
      disk.edit((entries) => entries.set("\u0001", [metaKey, metaValue({ ...meta, applied })])),
    );
    t.is((outcome as RecoveryError).code, "damaged");
  }
});

/** Sound in itself: records, sequences and hashes; only its place in the log is wrong. */
async function storeOf(...parts: { epoch: number; chained: boolean }[]): Promise<MemoryDisk> {
  const store = new MemoryStore();
  const log = new TestLog();
  const { checkpoint } = await freshAgent(store, log);
  log.append([[put("a", "1")], [put("b", "1")]]);
  await checkpoint.flush({ committed: 2, retainFrom: 1 });
  await checkpoint.flush({ committed: 2, retainFrom: 3 });
  await checkpoint.close();
  const writes = parts.map(({ epoch, chained }) => {
    const bytes = recordOf(log.end + 1, [put("c", String(epoch))], epoch);
    const previousHash = chained ? log.hash : (log.hash ^ 1) >>> 0;
    const first = log.end + 1;
    const batch = { first, last: first, previousHash, lastHash: chainHash(bytes, previousHash), bytes };
    log.take(batch);
    return { type: "put" as const, key: segmentKey(first), value: segmentValue([batch], bytes.length) };
  });
  store.disk.batches.push({ writes, sync: true });
  return store.disk;
}

test("a segment of another log, right after the tables or later, and epochs that fall are found", async (t) => {
  const sound = (await outcomeOf(await storeOf({ epoch: 2, chained: true }, { epoch: 3, chained: true }))) as Reading;
  t.is(sound.recovered.end.sequence, 4);
  t.is(sound.recovered.end.epoch, 3);
  for (const disk of [
    await storeOf({ epoch: 2, chained: false }),
    await storeOf({ epoch: 2, chained: true }, { epoch: 2, chained: false }),
    await storeOf({ epoch: 2, chained: true }, { epoch: 1, chained: true }),
  ])
    t.is(((await outcomeOf(disk)) as RecoveryError).code, "damaged");
});

test("a queue with as many items as it should have, but other ones, is found", async (t) => {
  const { disk, full } = await storeWithHistory();
  const place = full.recovered.meta.queues[0];
  if (place === undefined) throw new Error("there is a queue");
  const outcome = await outcomeOf(
    disk.edit((entries) => {
      const { part, head, tail } = place;
      entries.delete(itemKey(part, tail - 1).toString("latin1"));
      const stale = itemKey(part, head - 1);
      entries.set(stale.toString("latin1"), [stale, itemValue(part, head - 1, Buffer.from("back"))]);
    }),
  );
  t.is((outcome as RecoveryError).code, "damaged");
});

test("a log that is read while it is cut or dropped ends where it no longer chains", async (t) => {
  const log = new TestLog();
  for (let at = 0; at < 4; at += 1) log.append([[put("a", "1")], [put("b", "1")]]);
  const other = new TestLog();
  for (let at = 0; at < 4; at += 1) other.append([[put("a", "2")], [put("b", "1")]]);
  const read = async (batches: Iterable<LogBatch>, from: number) => {
    const store = new MemoryStore();
    await store.open();
    const writes = Array.from(batches, (batch) => ({
      type: "put" as const,
      key: segmentKey(batch.first),
      value: segmentValue([batch], batch.bytes.length),
    }));
    await store.write(writes, { sync: false });
    return (await collect(readLog(store, from))).map(({ first, last }) => [first, last]);
  };
  const whole = [
    [4, 4],
    [5, 6],
    [7, 8],
  ];
  t.deepEqual(await read(log.batches(1, 8), 4), whole);
  t.deepEqual(await read(log.batches(5, 8), 4), whole.slice(1), "the first segment was dropped");
  t.deepEqual(await read(log.batches(1, 3), 4), [], "its end was truncated");
  t.deepEqual(await read([...log.batches(3, 4), ...log.batches(7, 8)], 4), [[4, 4]]);
  t.deepEqual(await read([...log.batches(3, 4), ...other.batches(5, 8)], 4), [[4, 4]]);
});
