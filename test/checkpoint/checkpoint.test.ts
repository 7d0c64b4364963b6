/** The agent on a store in memory: group commit, flushes, retention, truncation, failures, and what it refuses when. */
import test, { type ExecutionContext } from "ava";
import { CheckpointError } from "../../actors/checkpoint/checkpoint-error.ts";
import { StoreError } from "../../actors/world/ports.ts";
import { metaKey, segmentKey, spaces } from "../../machines/checkpoint/layout.ts";
import { verifyBatch } from "../../machines/log/batch.ts";
import {
  agentOn,
  collect,
  freshAgent,
  Model,
  owner,
  push,
  put,
  readBack,
  remove,
  shift,
  TestLog,
} from "../helpers/checkpoints.ts";
import { MemoryStore } from "../helpers/memory-store.ts";
import { until } from "../helpers/until.ts";

async function begun() {
  const store = new MemoryStore();
  const log = new TestLog();
  const agent = await freshAgent(store, log);
  return { store, log, ...agent };
}

const soon = (isTrue: () => boolean) => until(isTrue, { withinMs: 10_000, everyMs: 1 });

/** Holds all writes back until `open` is called. */
function closeGate(store: MemoryStore): () => void {
  let open = () => {};
  store.gate = new Promise((resolve) => {
    open = resolve;
  });
  return () => open();
}

async function refused(t: ExecutionContext, run: () => unknown, code: CheckpointError["code"]): Promise<void> {
  const error = await t.throwsAsync(async () => run(), { instanceOf: CheckpointError });
  t.is(error?.code, code);
}

test("a fresh store is empty, and is this server's once it was created", async (t) => {
  const store = new MemoryStore();
  const { checkpoint } = agentOn(store, new TestLog());
  t.is(await checkpoint.open({}), null);
  await refused(t, () => checkpoint.saveMeta({ epoch: 2 }), "busy");
  t.false(checkpoint.sync(1));
  await checkpoint.create(owner);
  await checkpoint.close();
  const read = await readBack(new MemoryStore(store.disk.after(99)));
  t.like(read?.recovered.meta, { ...owner, flushes: 0, firstRetained: 1 });
  t.like(read?.recovered.end, { sequence: 0, hash: 0, epoch: 0 });
});

test("all syncs asked for while a write is under way go together into the next one", async (t) => {
  const { store, log, checkpoint, synced } = await begun();
  const before = store.disk.batches.length;
  log.append([[put("a", "1")]]);
  const open = closeGate(store);
  t.true(checkpoint.sync(1));
  t.deepEqual(synced, [], "no callback comes from inside the call");
  await new Promise((resolve) => setImmediate(resolve));
  for (let at = 2; at <= 50; at += 1) {
    log.append([[put("a", String(at))]]);
    checkpoint.sync(at);
    await new Promise((resolve) => setImmediate(resolve));
  }
  open();
  await soon(() => synced.at(-1) === 50);
  t.deepEqual(synced, [1, 50]);
  const batches = store.disk.batches.slice(before);
  t.deepEqual(
    batches.map(({ writes, sync }) => [writes.length, sync]),
    [
      [1, true],
      [1, true],
    ],
  );
  checkpoint.sync(50);
  await new Promise((resolve) => setImmediate(resolve));
  t.is(store.disk.batches.length, before + 2, "what is synced is not written again");
  t.is(checkpoint.synced, 50);
});

test("written is not synced; a sync of what is only written is a synced write of its own", async (t) => {
  const { store, log, checkpoint, synced, written } = await begun();
  log.append([[put("a", "1")], [put("b", "1")]]);
  t.true(checkpoint.write(2));
  await soon(() => written.length > 0);
  t.deepEqual([written, synced], [[2], []]);
  t.false(store.disk.batches.at(-1)?.sync);
  t.is(checkpoint.synced, 0);
  checkpoint.sync(2);
  await soon(() => synced.length > 0);
  t.deepEqual([written, synced], [[2], [2]]);
  const last = store.disk.batches.at(-1);
  t.true(last?.sync);
  t.is(last?.writes.length, 1, "an empty batch need not sync anything");
});

test("a flush puts tables at the commit point, and the log above it apart", async (t) => {
  const { store, log, checkpoint } = await begun();
  log.append([[put("a", "1"), push("x")], [put("b", "2")], [remove("a"), push("y"), shift(1)]]);
  checkpoint.sync(3);
  const report = await checkpoint.flush({ committed: 2, retainFrom: 1 });
  t.deepEqual(report, { records: 2, writes: 3, applied: 2 });
  t.is(checkpoint.synced, 3);
  const read = await readBack(new MemoryStore(store.disk.after(99)));
  t.deepEqual(read?.state, log.modelAt(2).plain());
  t.like(read?.recovered.meta, { committed: 2, resultNumber: 2, flushes: 1 });
  t.is(read?.recovered.end.sequence, 3);
  await checkpoint.flush({ committed: 3, retainFrom: 1 });
  const again = await readBack(new MemoryStore(store.disk.after(99)));
  t.deepEqual(again?.state, { rows: { "0/b": "2" }, queues: { 9: ["y"] } });
  t.is(
    again?.batches.reduce((count, batch) => count + batch.last - batch.first + 1, 0),
    3,
  );
});

test("a flush remembers the latest time at which a request was taken, and no earlier one after it (rule 20)", async (t) => {
  const { store, log, checkpoint } = await begun();
  const flushed = async (takenMs: number[]) => {
    for (const each of takenMs) log.append([[put("a", String(each))]], 1, each);
    checkpoint.sync(log.end);
    await checkpoint.flush({ committed: log.end, retainFrom: log.end + 1 });
    return (await readBack(new MemoryStore(store.disk.after(99))))?.recovered.meta.takenMs;
  };
  t.is(await flushed([500, 700, 600]), 700);
  t.is(await flushed([650]), 700);
});

test("a row is written once per flush, however often it changed; segments are not written twice", async (t) => {
  const { store, log, checkpoint, synced } = await begun();
  for (let at = 1; at <= 20; at += 1) log.append([[put("hot", String(at))]]);
  checkpoint.sync(12);
  await soon(() => synced.length > 0);
  await checkpoint.flush({ committed: 20, retainFrom: 1 });
  const writes = store.disk.batches.at(-1)?.writes ?? [];
  const kinds = writes.map(({ key }) => key[0]);
  t.deepEqual(kinds.toSorted(), [spaces.meta, spaces.row, spaces.segment]);
});

test("old segments go when the caller lets them, never above what is applied", async (t) => {
  const { store, log, checkpoint, synced } = await begun();
  for (let at = 1; at <= 6; at += 1) {
    log.append([[put("a", String(at))], [put("b", String(at))]]);
    checkpoint.sync(2 * at);
    await soon(() => synced.at(-1) === 2 * at);
  }
  await checkpoint.flush({ committed: 5, retainFrom: 4 });
  t.is(checkpoint.meta?.firstRetained, 3, "a segment goes as a whole or not at all");
  await checkpoint.flush({ committed: 7, retainFrom: 1_000 });
  t.is(checkpoint.meta?.firstRetained, 7);
  await checkpoint.flush({ committed: 12, retainFrom: 1_000 });
  t.is(checkpoint.meta?.firstRetained, 13);
  const read = await readBack(new MemoryStore(store.disk.after(99)));
  t.deepEqual(read?.state, log.modelAt(12).plain());
  t.deepEqual(read?.batches, []);
  t.like(read?.recovered.end, { sequence: 12, hash: log.hash, epoch: 1 });
});

test("one flush at a time; syncs and meta go on meanwhile", async (t) => {
  const { log, checkpoint, synced } = await begun();
  log.append(Array.from({ length: 3000 }, (_, at) => [put(`k${at}`, "x".repeat(200))]));
  log.append([[put("late", "1")]]);
  const flush = checkpoint.flush({ committed: 3000, retainFrom: 1 });
  t.is(checkpoint.state, "flushing");
  await refused(t, () => checkpoint.flush({ committed: 3001, retainFrom: 1 }), "busy");
  checkpoint.sync(3001);
  await Promise.all([checkpoint.saveMeta({ epoch: 4 }), soon(() => synced.includes(3001))]);
  t.is(checkpoint.applied, 0, "a long flush does not hold up a sync");
  await flush;
  t.is(checkpoint.applied, 3000);
  t.is(checkpoint.meta?.epoch, 4);
});

test("a truncation takes back what is under way, and the new log's records are reported anew", async (t) => {
  const { store, log, checkpoint, synced } = await begun();
  log.append([[put("a", "1")], [put("b", "1")], [put("c", "old")], [put("d", "old")]]);
  await checkpoint.flush({ committed: 1, retainFrom: 1 });
  const open = closeGate(store);
  checkpoint.sync(4);
  await new Promise((resolve) => setImmediate(resolve));
  log.truncate(2);
  const truncated = checkpoint.truncate(2);
  log.append([[put("c", "new")]], 2);
  checkpoint.sync(3);
  const all = [...synced];
  open();
  await truncated;
  await soon(() => checkpoint.synced === 3);
  t.deepEqual(all, [1]);
  t.deepEqual(synced, [1, 2, 3], "4, of the old log, was never reported");
  const read = await readBack(new MemoryStore(store.disk.after(99)));
  t.is(read?.recovered.end.sequence, 3);
  t.is(read?.recovered.end.hash, log.hash);
  t.is(read?.recovered.end.epoch, 2);
});

test("a truncation takes back what was only written", async (t) => {
  const { log, checkpoint, written } = await begun();
  log.append([[put("a", "1")], [put("b", "1")], [put("c", "old")], [put("d", "old")]]);
  checkpoint.write(4);
  await soon(() => written.length > 0);
  log.truncate(2);
  await checkpoint.truncate(2);
  t.is(checkpoint.written, 2);
  log.append([[put("c", "new")]], 2);
  checkpoint.write(3);
  await soon(() => checkpoint.written === 3);
  t.deepEqual(written, [4, 3]);
});

test("truncations that come while one is under way are all done, to the lowest", async (t) => {
  const { store, log, checkpoint, synced } = await begun();
  log.append([[put("a", "1")], [put("b", "1")], [put("c", "1")], [put("d", "1")]]);
  checkpoint.sync(4);
  await soon(() => synced.length > 0);
  const open = closeGate(store);
  const first = checkpoint.truncate(3);
  await new Promise((resolve) => setImmediate(resolve));
  const others = [checkpoint.truncate(1), checkpoint.truncate(3)];
  open();
  await Promise.all([first, ...others]);
  const read = await readBack(new MemoryStore(store.disk.after(99)));
  t.is(read?.recovered.end.sequence, 1);
  t.is(checkpoint.synced, 1);
});

test("a truncation below the tables is a programmer error", async (t) => {
  const { log, checkpoint } = await begun();
  log.append([[put("a", "1")], [put("b", "1")]]);
  await checkpoint.flush({ committed: 2, retainFrom: 1 });
  await t.throwsAsync(checkpoint.truncate(1), { instanceOf: RangeError });
});

test("the first error is reported once, everything that waits is told, and nothing is written any more", async (t) => {
  for (const code of ["failed", "full"] as const) {
    const { store, log, checkpoint, failures, synced } = await begun();
    log.append([[put("a", "1")], [put("b", "1")], [put("c", "1")]]);
    checkpoint.sync(2);
    await soon(() => synced.length === 1);
    store.failure = code;
    store.failAfter = 0;
    const open = closeGate(store);
    checkpoint.sync(3);
    const waiting = [
      checkpoint.saveMeta({ epoch: 2 }),
      checkpoint.flush({ committed: 1, retainFrom: 1 }),
      checkpoint.truncate(1),
    ];
    const told = Promise.allSettled(waiting);
    open();
    for (const outcome of await told) t.like(outcome, { status: "rejected", reason: { code } });
    t.is(failures.length, 1);
    t.true(failures[0] instanceof StoreError);
    t.deepEqual(synced, [2]);
    store.failAfter = null;
    const before = store.disk.batches.length;
    t.false(checkpoint.sync(3));
    t.false(checkpoint.write(3));
    await refused(t, () => checkpoint.saveMeta({}), "failed");
    await refused(t, () => checkpoint.flush({ committed: 1, retainFrom: 1 }), "failed");
    await refused(t, () => checkpoint.truncate(1), "failed");
    await refused(t, () => checkpoint.sendSnapshot(4096), "failed");
    await refused(t, () => checkpoint.open({}), "failed");
    await checkpoint.close();
    t.is(store.disk.batches.length, before);
    t.is(failures.length, 1);
  }
});

test("an epoch that falls, and a log that does not hold what it was asked for, stop the agent", async (t) => {
  const one = await begun();
  await one.checkpoint.saveMeta({ epoch: 5 });
  await t.throwsAsync(one.checkpoint.saveMeta({ epoch: 4 }), { instanceOf: RangeError });
  t.is(one.checkpoint.state, "failed");
  t.is(one.failures.length, 1);
  const other = await begun();
  other.log.append([[put("a", "1")]]);
  other.checkpoint.sync(2);
  await soon(() => other.failures.length === 1);
  t.true(other.failures[0] instanceof RangeError);
});

test("an error of the disk while it is being closed is what closing tells, and nobody else", async (t) => {
  const { store, log, checkpoint, failures } = await begun();
  log.append([[put("a", "1")]]);
  const open = closeGate(store);
  checkpoint.sync(1);
  await Promise.resolve();
  store.failAfter = 0;
  const closed = checkpoint.close();
  open();
  t.like(await closed, { code: "failed" });
  t.deepEqual(failures, []);
  t.is(await checkpoint.close(), null, "once");
  const sound = await begun();
  t.is(await sound.checkpoint.close(), null);
});

test("closing lets what is under way end; then everything is refused", async (t) => {
  const { store, log, checkpoint, synced } = await begun();
  log.append(Array.from({ length: 3000 }, (_, at) => [put(`k${at}`, "x".repeat(200))]));
  const flush = checkpoint.flush({ committed: 3000, retainFrom: 1 });
  checkpoint.sync(1);
  const closed = checkpoint.close();
  t.is(checkpoint.state, "stopping");
  await refused(t, () => checkpoint.saveMeta({}), "closed");
  await Promise.all([flush, closed]);
  t.is(synced.at(-1), 3000);
  t.is(checkpoint.state, "closed");
  t.false(checkpoint.sync(1));
  t.false(store.disk.isOpen);
  t.deepEqual((await readBack(new MemoryStore(store.disk.after(99))))?.state, log.modelAt(3000).plain());
});

test("tables count as on the disk when their flush is there, not when it was begun", async (t) => {
  const { store, log, checkpoint } = await begun();
  log.append([[put("a", "1")]]);
  const open = closeGate(store);
  const flush = checkpoint.flush({ committed: 1, retainFrom: 1 });
  await soon(() => (checkpoint.meta?.applied.sequence ?? 0) === 1);
  t.is(checkpoint.applied, 0);
  open();
  await flush;
  t.is(checkpoint.applied, 1);
});

test("closing in the middle of opening lets the reading end, closes the store and is no failure (clean stop)", async (t) => {
  const { store } = await begun();
  for (const disk of [store.disk.after(99), new MemoryStore().disk]) {
    const next = agentOn(new MemoryStore(disk), new TestLog());
    const opening = next.checkpoint.open({});
    t.is(next.checkpoint.state, "recovering");
    const closed = next.checkpoint.close();
    t.is(next.checkpoint.state, "abandoning");
    await Promise.all([opening, closed]);
    t.is(next.checkpoint.state, "closed");
    t.false(disk.isOpen);
    t.deepEqual(next.failures, []);
    await refused(t, () => next.checkpoint.create(owner), "closed");
  }
});

test("what a store held when it was opened is reported as synced only after a synced write", async (t) => {
  const { store, log, checkpoint, written } = await begun();
  log.append([[put("a", "1")], [put("b", "1")]]);
  await checkpoint.flush({ committed: 1, retainFrom: 1 });
  checkpoint.write(2);
  await soon(() => written.includes(2));
  const next = agentOn(new MemoryStore(store.disk.after(99)), log);
  await next.checkpoint.open({});
  t.deepEqual([next.checkpoint.synced, next.checkpoint.written], [1, 2]);
  await next.checkpoint.saveMeta({ incarnation: "i2" });
  t.deepEqual(next.synced, [2]);
  t.is(next.checkpoint.synced, 2);
});

test("the store is read again as it stands: what is written meanwhile is not in it", async (t) => {
  const { log, checkpoint, synced } = await begun();
  log.append([[put("a", "1"), push("x")], [put("a", "2")], [put("a", "3"), push("y")]]);
  await checkpoint.flush({ committed: 2, retainFrom: 1 });
  const model = new Model();
  const reload = checkpoint.reload({
    onRow: (part, key, value) => model.apply([put(key.toString(), value.toString(), part)]),
    onItem: (part, value) => model.apply([push(value.toString(), part)]),
  });
  checkpoint.sync(3);
  await checkpoint.flush({ committed: 3, retainFrom: 1 });
  await reload;
  t.deepEqual(model.plain(), log.modelAt(2).plain());
  t.deepEqual([checkpoint.applied, synced.at(-1)], [3, 3]);
});

test("tables that changed on the disk are found when they are read again, and that is the end of the store", async (t) => {
  const { store, log, checkpoint, failures } = await begun();
  log.append([[put("a", "1"), put("b", "2")]]);
  await checkpoint.flush({ committed: 1, retainFrom: 1 });
  const row = store.disk.entries().find(([key]) => key[0] === spaces.row)?.[0];
  await store.write([{ type: "delete", key: row ?? metaKey }], { sync: false });
  await t.throwsAsync(checkpoint.reload({}), { code: "damaged" });
  t.is(checkpoint.state, "failed");
  t.is(failures.length, 1);
});

test("the log is read from disk for a joiner, from any record, in batches that chain", async (t) => {
  const { log, checkpoint, synced } = await begun();
  for (let at = 1; at <= 30; at += 3) {
    log.append([[put("a", "1")], [put("b", "1")], [put("c", "1")]]);
    checkpoint.sync(log.end);
    await soon(() => synced.at(-1) === log.end);
  }
  await checkpoint.flush({ committed: 20, retainFrom: 8 });
  for (let from = 1; from <= 30; from += 1) {
    // What is below was dropped for its age.
    let next = Math.max(from, 7);
    for (const batch of await collect(checkpoint.readLog(from))) {
      t.is(batch.first, next);
      t.is(verifyBatch(batch), null);
      t.is(batch.previousHash, log.hashAt(next - 1));
      next = batch.last + 1;
    }
    t.is(next, 31);
    const batch = await checkpoint.readBatch(from);
    t.is(batch === null, from < 7, "what is below was dropped, here too");
    if (batch !== null) t.true(batch.first <= from && from <= batch.last && verifyBatch(batch) === null);
  }
  t.is(await checkpoint.readBatch(31), null);
  t.deepEqual(await collect(checkpoint.readLog(31)), [], "not there yet");
  log.truncate(25);
  await checkpoint.truncate(25);
  t.deepEqual(
    (await collect(checkpoint.readLog(25))).map(({ first, last }) => [first, last]),
    [[25, 25]],
  );
  t.deepEqual(await collect(checkpoint.readLog(26)), []);
});

test("a batch on disk that is not sound is the end of the store as well", async (t) => {
  const { store, log, checkpoint, failures } = await begun();
  log.append([[put("a", "1")]]);
  await checkpoint.flush({ committed: 1, retainFrom: 1 });
  await store.write([{ type: "put", key: segmentKey(1), value: Buffer.from("no segment at all") }], { sync: false });
  await t.throwsAsync(checkpoint.readBatch(1));
  t.is(checkpoint.state, "failed");
  t.is(failures.length, 1);
});

test("a log on disk that is not sound is the end of the store, and a store that failed is not read", async (t) => {
  const { store, log, checkpoint, failures } = await begun();
  log.append([[put("a", "1")]]);
  await checkpoint.flush({ committed: 1, retainFrom: 1 });
  await store.write([{ type: "put", key: segmentKey(1), value: Buffer.from("no segment at all") }], { sync: false });
  await t.throwsAsync(collect(checkpoint.readLog(1)));
  t.is(checkpoint.state, "failed");
  t.is(failures.length, 1);
  await t.throwsAsync(collect(checkpoint.readLog(1)), { code: "failed" });
  await t.throwsAsync(checkpoint.readBatch(1), { code: "failed" });
  await t.throwsAsync(checkpoint.reload({}), { code: "failed" });
});
