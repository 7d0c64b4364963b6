/** The simulated disk and store: what survives which end of a process, and that faults are as bad as they claim. */
import test from "ava";
import { Rng } from "../../../actors/testing/world/rng.ts";
import { Scheduler } from "../../../actors/testing/world/scheduler.ts";
import { SimDisk } from "../../../actors/testing/world/sim-disk.ts";
import { type KillKind, SimProcess } from "../../../actors/testing/world/sim-process.ts";
import { SimStore } from "../../../actors/testing/world/sim-store.ts";
import { StoreError, type StoreWrite } from "../../../actors/world/ports.ts";

const silent = { onProcessError: () => {}, onPlannedCrash: () => {} };
const bytes = (text: string) => Buffer.from(text);
const put = (key: string, value = key): StoreWrite => ({ type: "put", key: bytes(key), value: bytes(value) });

function setUp(seed = 1) {
  const scheduler = new Scheduler();
  const disk = new SimDisk(new Rng(seed, "disk"));
  let life = 0;
  const begin = () => {
    life += 1;
    const process = new SimProcess(scheduler, "alpha", life, silent);
    return { process, store: new SimStore(process, disk, new Rng(seed, `store ${life}`)) };
  };
  /** Runs the world until the promise is settled. */
  const settle = async <T>(promise: Promise<T>): Promise<T> => {
    let isSettled = false;
    const watched = promise.finally(() => {
      isSettled = true;
    });
    watched.catch(() => {});
    await scheduler.run(scheduler.nowMs + 1_000, () => isSettled);
    return await watched;
  };
  return { scheduler, disk, begin, settle };
}

async function keysOf(store: SimStore): Promise<string[]> {
  const keys: string[] = [];
  for await (const [key] of store.image()) keys.push(Buffer.from(key).toString());
  return keys;
}

test("what was synced survives every crash; what was not is lost from the end, whole batches at a time", async (t) => {
  const kept = new Set<string>();
  for (let seed = 0; seed < 40; seed += 1) {
    const { disk, begin, settle } = setUp(seed);
    const first = begin();
    await settle(first.store.open());
    await settle(first.store.write([put("a"), put("b")], { sync: true }));
    await settle(first.store.write([put("c"), put("d")], { sync: false }));
    await settle(first.store.write([put("e")], { sync: false }));
    first.process.kill("machine");
    const second = begin();
    await settle(second.store.open());
    const keys = await settle(keysOf(second.store));
    kept.add(keys.join(""));
    t.is(disk.lockedBy, second.process);
  }
  t.deepEqual([...kept].sort(), ["ab", "abcd", "abcde"]);
});

test("a process that is killed loses nothing of what was written", async (t) => {
  const { begin, settle } = setUp();
  const first = begin();
  await settle(first.store.open());
  await settle(first.store.write([put("a")], { sync: false }));
  first.process.kill("process");
  const second = begin();
  await settle(second.store.open());
  t.deepEqual(await settle(keysOf(second.store)), ["a"]);
});

test("a second process on the disk is refused as locked, also while the first is paused", async (t) => {
  const { begin, settle } = setUp();
  const first = begin();
  await settle(first.store.open());
  first.process.pause();
  const second = begin();
  const error = await t.throwsAsync(settle(second.store.open()), { instanceOf: StoreError });
  t.is((error as StoreError).code, "locked");
});

test("a failed sync kills the handle, and the batch may be gone", async (t) => {
  const { disk, begin, settle } = setUp();
  const first = begin();
  await settle(first.store.open());
  disk.failingSyncs = 1;
  const error = await t.throwsAsync(settle(first.store.write([put("a")], { sync: true })));
  t.is((error as StoreError).code, "failed");
  await t.throwsAsync(settle(first.store.write([put("b")], { sync: false })));
  first.process.kill("process");
  const second = begin();
  await settle(second.store.open());
  t.false((await settle(keysOf(second.store))).includes("b"));
});

test("a full disk refuses writes, and to be opened", async (t) => {
  const { disk, begin, settle } = setUp();
  const first = begin();
  await settle(first.store.open());
  disk.isFull = true;
  const error = await t.throwsAsync(settle(first.store.write([put("a")], { sync: true })));
  t.is((error as StoreError).code, "full");
  first.process.kill();
  await t.throwsAsync(settle(begin().store.open()));
});

test("an error that may not be met any more is not met, then or later", async (t) => {
  const { disk, begin, settle } = setUp();
  const { store, process } = begin();
  let mayFail = false;
  disk.mayFail = () => mayFail;
  disk.isFull = true;
  await settle(store.open());
  disk.failingWrites = 1;
  await settle(store.write([put("a")], { sync: false }));
  disk.failingSyncs = 1;
  await settle(store.write([put("b")], { sync: true }));
  t.deepEqual([disk.failingWrites, disk.failingSyncs, disk.failedProcess], [0, 0, ""]);
  disk.isFull = false;
  mayFail = true;
  await settle(store.write([put("c")], { sync: true }));
  process.kill("machine");
  const second = begin();
  await settle(second.store.open());
  t.deepEqual(await settle(keysOf(second.store)), ["a", "b", "c"]);
});

test("a side store is adopted whole or not at all", async (t) => {
  for (const when of ["before", "after"] as const) {
    const { begin, settle, scheduler } = setUp();
    const first = begin();
    await settle(first.store.open());
    await settle(first.store.write([put("old")], { sync: true }));
    const side = await settle(first.store.side());
    await settle(side.write([put("new1")]));
    await settle(side.write([put("new2")]));
    const mayStrike = () => true;
    first.process.plan = { what: "side.adopt", when, countdown: 1, kind: "machine", mayStrike, fault: 1 };
    side.adopt(null).catch(() => {});
    await scheduler.run(scheduler.nowMs + 10);
    t.is(first.process.state, "dead");
    const second = begin();
    await settle(second.store.open());
    t.deepEqual(await settle(keysOf(second.store)), when === "before" ? ["old"] : ["new1", "new2"]);
  }
});

test("ranges are in byte order, half open, reversed and limited", async (t) => {
  const { begin, settle } = setUp();
  const { store } = begin();
  await settle(store.open());
  const keys = [[0x00], [0x7f], [0x80], [0xff], [0xff, 0x00]].map((key) => Uint8Array.from(key));
  await settle(
    store.write(
      [...keys].reverse().map((key) => ({ type: "put", key, value: key })),
      { sync: false },
    ),
  );
  const read = async (options: { reverse?: boolean; limit?: number }) => {
    const found: number[][] = [];
    for await (const [key] of store.entries({
      from: Uint8Array.from([0x7f]),
      to: Uint8Array.from([0xff, 0x00]),
      ...options,
    }))
      found.push([...key]);
    return found;
  };
  t.deepEqual(await settle(read({})), [[0x7f], [0x80], [0xff]]);
  t.deepEqual(await settle(read({ reverse: true, limit: 2 })), [[0xff], [0x80]]);
});

test("a batch lost from the middle leaves what came after it", async (t) => {
  const { disk, begin, settle } = setUp();
  const { store } = begin();
  await settle(store.open());
  for (const key of ["a", "b", "c", "d"]) await settle(store.write([put(key)], { sync: true }));
  t.true(disk.main.loseMiddle(new Rng(1)));
  const keys = await settle(keysOf(store));
  t.is(keys.length, 3);
  t.true(keys.includes("d"));
});

for (const kind of ["process", "machine"] satisfies KillKind[]) {
  test(`written values are the store's own: changing them afterwards changes nothing (${kind})`, async (t) => {
    const { begin, settle } = setUp();
    const first = begin();
    await settle(first.store.open());
    const value = bytes("good");
    const written = first.store.write([{ type: "put", key: bytes("k"), value }], { sync: true });
    value[0] = 0;
    await settle(written);
    first.process.kill(kind);
    const second = begin();
    await settle(second.store.open());
    t.deepEqual(Buffer.from((await settle(second.store.get(bytes("k")))) ?? []), bytes("good"));
  });
}

test("a copy of a harmed disk is harmed as well, and an empty disk or a snapshot in its place is not", async (t) => {
  const { disk, begin, settle } = setUp();
  const { store } = begin();
  await settle(store.open());
  for (const key of ["a", "b", "c", "d"]) await settle(store.write([put(key)], { sync: true }));
  t.not(disk.damage(["middle"]), null);
  disk.saveCopy();
  disk.wipe();
  t.false(disk.main.isHarmed);
  disk.restoreCopy();
  t.true(disk.main.isHarmed, "what refuses it is right");
  const side = await settle(store.side());
  await settle(side.adopt(null));
  t.false(disk.main.isHarmed);
});

test("whatever puts another disk in a server's place, an older one or less of it, is told", (t) => {
  const { disk } = setUp();
  let times = 0;
  disk.onOther = () => {
    times += 1;
  };
  t.false(disk.restoreCopy());
  t.is(times, 0);
  disk.saveCopy();
  disk.restoreCopy();
  disk.put(disk.main.copy());
  disk.wipe();
  for (const key of ["a", "b", "c"]) {
    disk.main.write([put(key)]);
    disk.main.sync();
  }
  disk.damage(["truncated"]);
  t.is(times, 4);
});
