/** Snapshots between two agents: whole or not at all, whatever stops them, and the receiver stays itself. */
import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import test, { type ExecutionContext } from "ava";
import { AsideFullError } from "../../actors/checkpoint/aside.ts";
import type { Checkpoint } from "../../actors/checkpoint/checkpoint.ts";
import { type OwnMeta, SnapshotSender } from "../../actors/checkpoint/snapshot.ts";
import { type StoreEntry, StoreError } from "../../actors/world/ports.ts";
import { RecoveryError } from "../../machines/checkpoint/scan.ts";
import {
  minChunkBytes,
  SnapshotDecoder,
  SnapshotEncoder,
  SnapshotError,
  snapshotVersion,
} from "../../machines/checkpoint/snapshot-codec.ts";
import { initialRecord } from "../../machines/replica/registry/initial-record.ts";
import type { OwnerMeta } from "../../schemas/checkpoint.ts";
import { agentOn, freshAgent, identity, owner, push, put, readBack, TestLog } from "../helpers/checkpoints.ts";
import { MemoryDisk, MemoryStore } from "../helpers/memory-store.ts";
import { until } from "../helpers/until.ts";

const beta = { ...identity, server: "beta" };
/** The log of a server that has none. */
const nothing = { end: { sequence: 0, hash: 0, epoch: 0 }, committed: 0, committedHash: 0, differs: false };
const own: OwnMeta = {
  server: "beta",
  incarnation: "b2",
  disk: "d2",
  previousEnd: null,
  epoch: 3,
  record: null,
  memberEpoch: 1,
  syncedEpoch: 0,
  life: 2,
};

/** A sender with tables, queue and a log that goes on above the tables. */
async function sender(): Promise<{ store: MemoryStore; log: TestLog; checkpoint: Checkpoint }> {
  const store = new MemoryStore();
  const log = new TestLog();
  const { checkpoint } = await freshAgent(store, log);
  log.append(
    Array.from({ length: 40 }, (_, at) => [put(`k${at}`, "v".repeat(at)), push(`item ${at}`)]),
    5,
  );
  await checkpoint.saveMeta({ epoch: 5, disk: "d1" });
  checkpoint.sync(40);
  await checkpoint.flush({ committed: 30, retainFrom: 1 });
  return { store, log, checkpoint };
}

/** With this much room for stores that are set aside. */
async function fullReceiver(asideLimits: { maxAsideCopies: number; maxAsideBytes: number }) {
  const store = new MemoryStore();
  const log = new TestLog();
  const agent = agentOn(store, log, { identity: beta, asideLimits });
  await agent.checkpoint.open({});
  await agent.checkpoint.create({ ...owner, server: "beta", history: "other" });
  log.append([[put("old", "state")], [put("old", "newer")]]);
  await agent.checkpoint.flush({ committed: 1, retainFrom: 1 });
  return { store, log, ...agent };
}

/** The log of that receiver: its second record is in memory alone. */
const theirs = (log: TestLog) => ({
  end: { sequence: 2, hash: log.hashAt(2), epoch: 1 },
  committed: 1,
  committedHash: log.hashAt(1),
  differs: false,
});

test("a store that holds what the snapshot does not is set aside, with all of its log, before the snapshot counts (situation 52)", async (t) => {
  const from = await sender();
  const to = await fullReceiver({ maxAsideCopies: 1, maxAsideBytes: 1_000_000 });
  await to.checkpoint.beginSnapshot();
  for (const chunk of await chunksOf(from.checkpoint, 1_000)) await to.checkpoint.takeChunk(Buffer.from(chunk));
  t.is(await to.checkpoint.adoptSnapshot(() => ({ own, log: theirs(to.log) })), "other");
  const { meta } = (await to.checkpoint.open({})) ?? {};
  t.deepEqual(
    [meta?.history, meta?.logEnd],
    ["h1", undefined],
    "how far its sender's log went says nothing of this disk",
  );
  t.truthy((await readBack(new MemoryStore(from.store.disk.after(99))))?.recovered.meta.logEnd);
  const [copy] = to.store.disk.aside;
  const disk = new MemoryDisk();
  for (const [key, value] of copy?.entries ?? [])
    disk.batches.push({ writes: [{ type: "put", key, value }], sync: true });
  const read = await readBack(new MemoryStore(disk), beta);
  t.is(read?.recovered.meta.history, "other");
  t.is(read?.recovered.end.sequence, 2, "the record that only memory had went to the disk first");
});

test("a log that differs from the one that it should be a part of is set aside, whatever its history is called (rule 7)", async (t) => {
  const from = await sender();
  for (const differs of [false, true]) {
    const to = await receiver(new MemoryStore(), { history: "h1" });
    await to.checkpoint.beginSnapshot();
    for (const chunk of await chunksOf(from.checkpoint, 1_000)) await to.checkpoint.takeChunk(Buffer.from(chunk));
    const log = { end: { sequence: 1, hash: 1, epoch: 1 }, committed: 0, committedHash: 0, differs };
    t.is(await to.checkpoint.adoptSnapshot(() => ({ own, log })), differs ? "h1" : null);
    t.is(to.store.disk.aside.length, differs ? 1 : 0);
  }
});

for (const [what, limits] of [
  ["number", { maxAsideCopies: 0, maxAsideBytes: 1_000_000 }],
  ["bytes", { maxAsideCopies: 9, maxAsideBytes: 10 }],
] as const)
  test(`where no further store may be set aside (${what}) the snapshot is refused in words, and nothing is deleted (situation 52)`, async (t) => {
    const from = await sender();
    const to = await fullReceiver(limits);
    await to.checkpoint.beginSnapshot();
    for (const chunk of await chunksOf(from.checkpoint, 1_000)) await to.checkpoint.takeChunk(Buffer.from(chunk));
    const error = await t.throwsAsync(
      to.checkpoint.adoptSnapshot(() => ({ own, log: theirs(to.log) })),
      { instanceOf: AsideFullError },
    );
    t.regex(error?.message ?? "", /maxAside(Copies|Bytes) is \d+$/);
    await isUnmoved(t, to);
    t.is(await to.checkpoint.whyNoRoomAside(), error?.message ?? "");
  });

test("that the sender's store was restored from a backup says nothing of who takes its snapshot", async (t) => {
  const from = await sender();
  await from.checkpoint.saveMeta({ restored: { sequence: 30, takenAt: "then" } });
  const to = await receiver();
  await to.checkpoint.beginSnapshot();
  for (const chunk of await chunksOf(from.checkpoint, 1_000)) await to.checkpoint.takeChunk(Buffer.from(chunk));
  await to.checkpoint.adoptSnapshot(() => ({ own, log: nothing }));
  t.is((await to.checkpoint.open({}))?.meta.restored, undefined);
});

/** A receiver with a state of its own. */
async function receiver(store = new MemoryStore(), more: Partial<OwnerMeta> = {}) {
  const log = new TestLog();
  const agent = agentOn(store, log, { identity: beta });
  if ((await agent.checkpoint.open({})) === null) await agent.checkpoint.create({ ...owner, server: "beta", ...more });
  log.append([[put("old", "state")]]);
  await agent.checkpoint.flush({ committed: 1, retainFrom: 1 });
  return { store, log, ...agent };
}

async function chunksOf(checkpoint: Checkpoint, chunkBytes: number): Promise<Buffer[]> {
  const chunks: Buffer[] = [];
  const source = checkpoint.sendSnapshot(chunkBytes);
  for (let chunk = await source.next(); chunk !== null; chunk = await source.next()) chunks.push(chunk);
  return chunks;
}

async function isUnmoved(
  t: ExecutionContext,
  { store, checkpoint }: { store: MemoryStore; checkpoint: Checkpoint },
): Promise<void> {
  t.is(checkpoint.state, "idle");
  t.is(checkpoint.nextChunk, null);
  await checkpoint.saveMeta({ resultNumber: 9 });
  const read = await readBack(new MemoryStore(store.disk.after(99)), beta);
  t.deepEqual(read?.state, { rows: { "0/old": "state" }, queues: {} });
}

test("a snapshot in chunks of any size makes the receiver's state the sender's, and leaves its own name, disk, life and epoch", async (t) => {
  const from = await sender();
  const sent = await readBack(new MemoryStore(from.store.disk.after(99)));
  for (const [chunkBytes, epoch] of [
    [minChunkBytes, 3],
    [100, 9],
    [1_000_000, 5],
  ] as const) {
    const to = await receiver();
    await to.checkpoint.beginSnapshot();
    const chunks = await chunksOf(from.checkpoint, chunkBytes);
    t.true(chunks.every((chunk) => chunk.length <= chunkBytes));
    for (const [at, chunk] of chunks.entries()) {
      t.is(to.checkpoint.nextChunk, at + 1);
      t.is(await to.checkpoint.takeChunk(Buffer.from(chunk)), at === chunks.length - 1 ? "complete" : "taken");
    }
    await to.checkpoint.adoptSnapshot(() => ({ own: { ...own, epoch }, log: nothing }));
    t.is(to.checkpoint.state, "adopted");
    const recovered = await to.checkpoint.open({});
    t.like(recovered?.meta, { server: "beta", incarnation: "b2", epoch: Math.max(5, epoch), history: "h1" });
    t.is(recovered?.meta.disk, "d2", "the disk is the one that it was");
    t.deepEqual(recovered?.end, sent?.recovered.end);
    const read = await readBack(new MemoryStore(to.store.disk.after(99)), beta);
    t.deepEqual(read?.state, from.log.modelAt(30).plain());
    // And it goes on from there: tables catch up with the log that came along.
    const log = new TestLog();
    const store = new MemoryStore(to.store.disk.after(99));
    const next = agentOn(store, log, { identity: beta });
    await next.checkpoint.open({ onBatch: (batch) => log.take(batch) });
    await next.checkpoint.flush({ committed: 40, retainFrom: 41 });
    const later = await readBack(new MemoryStore(store.disk.after(99)), beta);
    t.deepEqual(later?.state, from.log.modelAt(40).plain());
  }
});

test("what the sender writes while it sends is not in the snapshot", async (t) => {
  const from = await sender();
  const source = from.checkpoint.sendSnapshot(200);
  const to = await receiver();
  await to.checkpoint.beginSnapshot();
  for (let chunk = await source.next(), at = 0; chunk !== null; chunk = await source.next(), at += 1) {
    if (at === 1) await from.checkpoint.flush({ committed: 40, retainFrom: 41 });
    await to.checkpoint.takeChunk(chunk);
  }
  await to.checkpoint.adoptSnapshot(() => ({ own, log: nothing }));
  const read = await readBack(new MemoryStore(to.store.disk.after(99)), beta);
  t.deepEqual(read?.state, from.log.modelAt(30).plain());
  t.is(read?.recovered.meta.resultNumber, 30);
});

test("closing while a snapshot is adopted lets that end: the adopted store is there at the next start", async (t) => {
  const from = await sender();
  const to = await receiver();
  await to.checkpoint.beginSnapshot();
  for (const chunk of await chunksOf(from.checkpoint, 4096)) await to.checkpoint.takeChunk(chunk);
  let open = () => {};
  to.store.adoptGate = new Promise((resolve) => {
    open = () => resolve();
  });
  const adopted = to.checkpoint.adoptSnapshot(() => ({ own, log: nothing }));
  await until(() => to.checkpoint.state === "adopting", { withinMs: 10_000, everyMs: 1 });
  const closed = to.checkpoint.close();
  open();
  await Promise.all([adopted, closed]);
  t.is(to.checkpoint.state, "closed");
  t.is(to.store.discarded, 0);
  const read = await readBack(new MemoryStore(to.store.disk.after(99)), beta);
  t.deepEqual(read?.state, from.log.modelAt(30).plain());
});

test("an empty server takes a snapshot, and is empty again when it is given up", async (t) => {
  const from = await sender();
  const store = new MemoryStore();
  const { checkpoint } = agentOn(store, new TestLog(), { identity: beta });
  await checkpoint.open({});
  await checkpoint.beginSnapshot();
  await checkpoint.dropSnapshot();
  t.is(checkpoint.state, "fresh");
  await checkpoint.beginSnapshot();
  for (const chunk of await chunksOf(from.checkpoint, 4096)) await checkpoint.takeChunk(chunk);
  await checkpoint.adoptSnapshot(() => ({ own, log: nothing }));
  t.is((await checkpoint.open({}))?.end.sequence, 40);
});

test("a snapshot given up after any chunk leaves the old store as it was", async (t) => {
  const from = await sender();
  const chunks = await chunksOf(from.checkpoint, 512);
  for (let stop = 0; stop <= chunks.length; stop += 1) {
    const to = await receiver();
    await to.checkpoint.beginSnapshot();
    for (const chunk of chunks.slice(0, stop)) await to.checkpoint.takeChunk(chunk);
    // Meanwhile the server can still note an epoch that it accepted.
    await to.checkpoint.saveMeta({ epoch: 4 });
    await to.checkpoint.dropSnapshot();
    t.is(to.store.discarded, 1);
    await isUnmoved(t, to);
  }
});

test("chunks may be repeated or come too early; neither changes anything", async (t) => {
  const from = await sender();
  const chunks = await chunksOf(from.checkpoint, 512);
  const to = await receiver();
  await to.checkpoint.beginSnapshot();
  for (const [at, chunk] of chunks.entries()) {
    const later = chunks[at + 1];
    if (later !== undefined) t.is(await to.checkpoint.takeChunk(later), "early");
    await to.checkpoint.takeChunk(chunk);
    t.is(await to.checkpoint.takeChunk(chunk), "repeated");
  }
  await to.checkpoint.adoptSnapshot(() => ({ own, log: nothing }));
  t.is((await to.checkpoint.open({}))?.end.sequence, 40);
});

test("any changed byte drops the snapshot, and the old store is as it was", async (t) => {
  const from = await sender();
  const chunks = await chunksOf(from.checkpoint, 2048);
  for (const [which, chunk] of chunks.entries())
    for (let at = 0; at < chunk.length; at += which === chunks.length - 1 ? 1 : 97) {
      const to = await receiver();
      await to.checkpoint.beginSnapshot();
      const changed = Buffer.from(chunk);
      changed[at] = (changed[at] ?? 0) ^ 0x80;
      const run = async () => {
        for (const [index, whole] of chunks.entries()) await to.checkpoint.takeChunk(index === which ? changed : whole);
        await to.checkpoint.adoptSnapshot(() => ({ own, log: nothing }));
      };
      await t.throwsAsync(run(), { instanceOf: SnapshotError }, `byte ${at} of chunk ${which + 1}`);
      await isUnmoved(t, to);
    }
});

test("a snapshot whose end speaks of other entries, or of other bytes, is not complete", (t) => {
  const streams = [
    [["k", 200, 0]],
    [["k", 200, 1]],
    [
      ["k", 100, 0],
      ["l", 93, 0],
    ],
  ] as const;
  const [sent = [], ...others] = streams.map((entries) => {
    const encoder = new SnapshotEncoder(64);
    const chunks = entries.flatMap(([key, length, fill]) => encoder.add(Buffer.from(key), Buffer.alloc(length, fill)));
    return [...chunks, ...encoder.finish()];
  });
  for (const other of others) {
    const decoder = new SnapshotDecoder();
    for (const chunk of sent.slice(0, -1)) decoder.take(chunk);
    t.is(other.length, sent.length);
    t.throws(() => decoder.take(other.at(-1) ?? Buffer.alloc(0)), { instanceOf: SnapshotError, code: "digest" });
  }
});

/** A chunk as only a broken sender makes it: sound for itself. */
function forged(number: number, kind: number, payload: Buffer): Buffer {
  const chunk = Buffer.concat([Buffer.alloc(12), payload]);
  chunk.writeUInt32LE(snapshotVersion | (kind << 8), 0);
  chunk.writeUInt32LE(number, 4);
  chunk.writeUInt32LE(crc32(payload, crc32(chunk.subarray(0, 8))), 8);
  return chunk;
}

test("an end that counts wrong, or comes in the middle of an entry, is refused though its digest matches", (t) => {
  const entry = Buffer.from([1, 0, 3, 0, 0, 0, 0x6b, 1, 2, 3]);
  const end = (stream: Buffer, entries: number) => {
    const payload = Buffer.concat([Buffer.alloc(16), createHash("sha256").update(stream).digest()]);
    payload.writeDoubleLE(entries, 0);
    payload.writeDoubleLE(stream.length, 8);
    return forged(2, 2, payload);
  };
  const cases: [Buffer, number, SnapshotError["code"] | null][] = [
    [entry, 1, null],
    [entry, 2, "digest"],
    [entry.subarray(0, 8), 0, "damaged"],
  ];
  for (const [stream, entries, code] of cases) {
    const decoder = new SnapshotDecoder();
    decoder.take(forged(1, 1, stream));
    if (code === null) t.is(decoder.take(end(stream, entries)).outcome, "complete");
    else t.throws(() => decoder.take(end(stream, entries)), { instanceOf: SnapshotError, code });
  }
  t.throws(() => new SnapshotDecoder().take(forged(1, 3, entry)), { code: "damaged" });
});

test("a sender that stops gives the image back, read or not", async (t) => {
  for (const chunks of [0, 1]) {
    let held = 0;
    const image = async function* (): AsyncGenerator<StoreEntry> {
      try {
        for (;;) yield [Buffer.from("k"), Buffer.alloc(500)];
      } finally {
        held -= 1;
      }
    };
    held += 1;
    const source = new SnapshotSender(image(), 400);
    for (let at = 0; at < chunks; at += 1) await source.next();
    await source.stop();
    t.is(held, 0);
    t.is(await source.next(), null);
  }
});

test("a snapshot dropped while it is being adopted leaves the store as it was, and alive", async (t) => {
  const from = await sender();
  const to = await receiver();
  await to.checkpoint.beginSnapshot();
  for (const chunk of await chunksOf(from.checkpoint, 4096)) await to.checkpoint.takeChunk(chunk);
  let open = () => {};
  to.store.sideGate = new Promise((resolve) => {
    open = resolve;
  });
  const adopting = to.checkpoint.adoptSnapshot(() => ({ own, log: nothing }));
  const told = t.throwsAsync(adopting, { code: "busy" });
  await to.checkpoint.dropSnapshot();
  open();
  await told;
  t.deepEqual(to.failures, []);
  await isUnmoved(t, to);
});

/** A server that has the first records of the sender's log, and a snapshot of all of it to prove. */
async function proving(from: { log: TestLog; checkpoint: Checkpoint }) {
  const store = new MemoryStore();
  const log = new TestLog();
  const to = agentOn(store, log, { identity: beta });
  await to.checkpoint.open({});
  await to.checkpoint.create({ ...owner, server: "beta" });
  log.append(from.log.changes.slice(0, 10), 5);
  await to.checkpoint.flush({ committed: 10, retainFrom: 1 });
  await to.checkpoint.beginSnapshot();
  for (const chunk of await chunksOf(from.checkpoint, 4096)) await to.checkpoint.takeChunk(chunk);
  const { gate, open } = closedGate();
  store.sideGate = gate;
  const server = { isWanted: true, memberEpoch: 1, committed: 10 };
  const wanted = () => {
    const { isWanted, memberEpoch, committed } = server;
    const end = { sequence: log.end, hash: log.hash, epoch: 5 };
    const standing = { end, committed, committedHash: log.hashAt(committed), differs: false };
    return isWanted ? { own: { ...own, memberEpoch }, log: standing } : null;
  };
  return { ...to, store, log, open, server, wanted };
}

const closedGate = () => {
  let open = () => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { gate, open };
};

type Proving = Awaited<ReturnType<typeof proving>>;
const overtaking: readonly [string, (to: Proving) => void][] = [
  ["it follows in another session", ({ server }) => void Object.assign(server, { isWanted: false })],
  ["its log goes on", ({ log }) => void log.append([[put("more", "acknowledged")]], 9)],
  ["more of its log is committed", ({ server }) => void Object.assign(server, { committed: 9 })],
  ["it counts as a member", ({ server }) => void Object.assign(server, { memberEpoch: 9 })],
];

for (const [what, overtake] of overtaking)
  test(`a snapshot is overtaken where ${what} while it is proved: the store goes on (situation 135)`, async (t) => {
    const from = await sender();
    const to = await proving(from);
    const adopting = t.throwsAsync(to.checkpoint.adoptSnapshot(to.wanted), { code: "overtaken" });
    overtake(to);
    to.checkpoint.sync(to.log.end);
    await to.checkpoint.saveMeta({ memberEpoch: 9, epoch: 9 });
    to.open();
    await adopting;
    t.is(to.checkpoint.state, "idle");
    t.is(to.store.discarded, 1);
    t.deepEqual(to.failures, []);
    t.is(to.synced.at(-1), to.log.end);
    const read = await readBack(new MemoryStore(to.store.disk.after(99)), beta);
    t.is(read?.recovered.end.sequence, to.log.end);
    t.like(read?.recovered.meta, { memberEpoch: 9, epoch: 9 });
  });

test("a snapshot that nobody wants any more is not proved", async (t) => {
  const to = await proving(await sender());
  to.server.isWanted = false;
  await t.throwsAsync(to.checkpoint.adoptSnapshot(to.wanted), { code: "overtaken" });
  t.is(to.checkpoint.state, "idle");
});

test("whether a snapshot is wanted is asked when the old store has told all that it was asked for, and it takes nothing more (situation 135)", async (t) => {
  for (const isOvertaken of [true, false]) {
    const to = await proving(await sender());
    to.open();
    const { gate, open } = closedGate();
    to.store.gate = gate;
    const told: string[] = [];
    const saved = to.checkpoint.saveMeta({ epoch: 7 }).then(() => told.push("saved"));
    const adopting = to.checkpoint.adoptSnapshot(() => {
      told.push(`asked, ${to.checkpoint.state}`);
      return to.wanted();
    });
    const done = isOvertaken ? t.throwsAsync(adopting, { code: "overtaken" }) : adopting;
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    to.server.isWanted = !isOvertaken;
    const { gate: adoptGate, open: rename } = closedGate();
    to.store.adoptGate = adoptGate;
    open();
    await saved;
    if (!isOvertaken) {
      await until(() => to.checkpoint.givesWay, { withinMs: 10_000, everyMs: 1 });
      t.false(to.checkpoint.sync(10));
      await t.throwsAsync(to.checkpoint.saveMeta({ epoch: 8 }), { code: "busy" });
    }
    rename();
    await done;
    t.deepEqual(told, ["asked, receiving", "saved", "asked, receiving"]);
    const read = await readBack(new MemoryStore(to.store.disk.after(99)), beta);
    t.is(read?.recovered.end.sequence, isOvertaken ? 10 : 40);
    t.is(read?.recovered.meta.epoch, 7);
  }
});

test("meta that is being saved is in the old store before the new one takes its place, and its epoch goes along (invariant 8)", async (t) => {
  const from = await sender();
  const to = await receiver();
  await to.checkpoint.beginSnapshot();
  for (const chunk of await chunksOf(from.checkpoint, 4096)) await to.checkpoint.takeChunk(chunk);
  let open = () => {};
  to.store.gate = new Promise((resolve) => {
    open = resolve;
  });
  const saved = to.checkpoint.saveMeta({ resultNumber: 77, epoch: 9 });
  const adopted = to.checkpoint.adoptSnapshot(() => ({ own, log: nothing }));
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  t.is(to.checkpoint.state, "receiving");
  open();
  await Promise.all([saved, adopted]);
  t.like((await to.checkpoint.open({}))?.meta, { resultNumber: 30, incarnation: "b2", epoch: 9 });
});

for (const [what, atFirst, atLast, kept] of [
  ["this server's, where that is newer", 6, 6, 6],
  ["this server's, where it learned of a newer one meanwhile", 3, 7, 7],
  ["the sender's, where that is newer", 3, 3, 4],
] as const)
  test(`a snapshot keeps the newest registry record that is known: ${what} (situation 54)`, async (t) => {
    const recordOf = (epoch: number) => ({ ...initialRecord("demo", "beta", "h1"), epoch });
    const from = await sender();
    await from.checkpoint.saveMeta({ record: recordOf(4) });
    const to = await receiver();
    await to.checkpoint.beginSnapshot();
    for (const chunk of await chunksOf(from.checkpoint, 4096)) await to.checkpoint.takeChunk(chunk);
    const known = [atFirst, atLast];
    await to.checkpoint.adoptSnapshot(() => {
      const epoch = known.shift() ?? atLast;
      return { own: { ...own, epoch, record: recordOf(epoch) }, log: nothing };
    });
    const adopted = await to.checkpoint.open({});
    t.is(adopted?.meta.record?.epoch, kept);
    t.is(adopted?.meta.epoch, Math.max(kept, 5), "the sender has seen epoch 5");
  });

test("a sender whose store is damaged is found before the old store is given up", async (t) => {
  const from = await sender();
  const damaged = new MemoryStore(
    from.store.disk.edit((entries) => {
      const name = [...entries.keys()].find((key) => key.charCodeAt(0) === 2);
      entries.delete(name ?? "");
    }),
  );
  await damaged.open();
  const encoder = new SnapshotEncoder(1024);
  const to = await receiver();
  await to.checkpoint.beginSnapshot();
  const chunks: Buffer[] = [];
  for await (const [key, value] of damaged.image()) chunks.push(...encoder.add(key, value));
  for (const chunk of [...chunks, ...encoder.finish()]) await to.checkpoint.takeChunk(chunk);
  const error = await t.throwsAsync(
    to.checkpoint.adoptSnapshot(() => ({ own, log: nothing })),
    { instanceOf: RecoveryError },
  );
  t.is(error?.code, "damaged");
  await isUnmoved(t, to);
});

test("a snapshot of another service's store is refused", async (t) => {
  const from = await sender();
  await from.checkpoint.saveMeta({ service: "other" });
  const to = await receiver();
  await to.checkpoint.beginSnapshot();
  for (const chunk of await chunksOf(from.checkpoint, 4096)) await to.checkpoint.takeChunk(chunk);
  await t.throwsAsync(
    to.checkpoint.adoptSnapshot(() => ({ own, log: nothing })),
    { instanceOf: RecoveryError, code: "service" },
  );
  await isUnmoved(t, to);
});

test("a full disk while receiving is the end of the handle; the old store is found again", async (t) => {
  const from = await sender();
  const chunks = await chunksOf(from.checkpoint, 4096);
  const to = await receiver();
  await to.checkpoint.beginSnapshot();
  to.store.failure = "full";
  to.store.failAfter = 0;
  const run = async () => {
    for (const chunk of chunks) await to.checkpoint.takeChunk(chunk);
  };
  await t.throwsAsync(run(), { instanceOf: StoreError, code: "full" });
  t.is(to.checkpoint.state, "failed");
  t.is(to.failures.length, 1);
  await to.checkpoint.close();
  const read = await readBack(new MemoryStore(to.store.disk.after(99)), beta);
  t.deepEqual(read?.state, { rows: { "0/old": "state" }, queues: {} });
});

test("closing in the middle drops the snapshot; flushes and a second one wait for the first", async (t) => {
  const to = await receiver();
  await to.checkpoint.beginSnapshot();
  await t.throwsAsync(to.checkpoint.beginSnapshot(), { code: "busy" });
  await t.throwsAsync(to.checkpoint.flush({ committed: 1, retainFrom: 1 }), { code: "busy" });
  await to.checkpoint.close();
  t.is(to.store.discarded, 1);
  t.is(to.failures.length, 0);
});

test("a snapshot that is asked for in the middle of a flush begins when that has ended", async (t) => {
  const from = await sender();
  const to = await receiver();
  to.log.append([[put("more", "state")]]);
  let open = () => {};
  to.store.gate = new Promise((resolve) => {
    open = resolve;
  });
  const flushed = to.checkpoint.flush({ committed: 2, retainFrom: 1 });
  const begun = to.checkpoint.beginSnapshot();
  t.is(to.checkpoint.state, "flushing");
  open();
  await begun;
  t.is((await flushed).applied, 2);
  t.is(to.checkpoint.state, "receiving");
  for (const chunk of await chunksOf(from.checkpoint, 4096)) await to.checkpoint.takeChunk(chunk);
  await to.checkpoint.adoptSnapshot(() => ({ own, log: nothing }));
  t.is((await to.checkpoint.open({}))?.end.sequence, 40);
  t.is(to.failures.length, 0);
});

test("closing while a side directory is made waits for it and drops it: the next life makes its own", async (t) => {
  const to = await receiver();
  let open = () => {};
  to.store.makingGate = new Promise((resolve) => {
    open = resolve;
  });
  const begun = to.checkpoint.beginSnapshot();
  const closed = to.checkpoint.close();
  open();
  await Promise.all([begun, closed]);
  t.is(to.store.discarded, 1);
  const { checkpoint } = agentOn(to.store, to.log, { identity: beta });
  await checkpoint.open({});
  await checkpoint.beginSnapshot();
  t.is(checkpoint.state, "receiving");
});
