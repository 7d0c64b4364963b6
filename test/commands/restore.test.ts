/** `twinlog restore` on real LevelDB: what a restored store carries and what not, and that nothing that was there is lost. */
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { LevelStore } from "../../actors/world/store-level.ts";
import { metaKey, readMeta } from "../../machines/checkpoint/layout.ts";
import { initialRecord } from "../../machines/replica/registry/initial-record.ts";
import { clock, freshAgent, identity, owner, push, put, readBack, shift, TestLog } from "../helpers/checkpoints.ts";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";
import { makeRig } from "./rig.ts";

const { run } = makeRig();

/** A member's store with records of epoch 5, and a backup of it; afterwards it has one record more. */
async function backedUp(t: ExecutionContext) {
  const directory = await temporaryDirectory(t);
  const data = join(directory, "alpha");
  const file = join(directory, "one.backup");
  const store = new LevelStore(join(data, "store"), clock);
  const log = new TestLog();
  const { checkpoint } = await freshAgent(store, log);
  log.append(
    [
      [put("a", "1"), push("10"), push("20")],
      [put("b", "2"), shift(1)],
    ],
    5,
  );
  const record = { ...initialRecord("shop", "alpha", "h1"), epoch: 7 };
  await checkpoint.saveMeta({ disk: "d1", epoch: 7, memberEpoch: 7, syncedEpoch: 7, life: 9, record });
  await checkpoint.flush({ committed: 2, retainFrom: 1 });
  await checkpoint.close();
  await store.release();
  t.is((await run(["backup", file, "--data", data])).status, 0);
  const again = new LevelStore(join(data, "store"), clock);
  const newer = new TestLog();
  const agent = await freshAgent(again, newer);
  agent.checkpoint.append([]);
  await agent.checkpoint.saveMeta({ resultNumber: 3 });
  await agent.checkpoint.close();
  await again.release();
  return { directory, data, file, model: log.modelAt(2).plain() };
}

async function metaOf(data: string) {
  const store = new LevelStore(join(data, "store"), clock);
  await store.open();
  try {
    return readMeta((await store.get(metaKey)) ?? Buffer.alloc(0));
  } finally {
    await store.release();
  }
}

async function asideIn(data: string): Promise<string> {
  return (await readdir(join(data, "store"))).find((name) => name.startsWith("aside-")) ?? "none";
}

/** All of it, as `inspect` tells it. */
async function contentOf(data: string): Promise<string> {
  const [summary, rows, records] = await Promise.all(
    [["--json"], ["--rows"], ["--records"]].map((flags) => run(["inspect", data, ...flags])),
  );
  return `${summary?.out}${rows?.out}${records?.out}`;
}

test("a restored store has the backup's state and history, and nothing of what its server was to the registry (rule 18)", async (t) => {
  const { data, file, model } = await backedUp(t);
  const before = await metaOf(data);
  t.is(before.resultNumber, 3);
  const ran = await run(["restore", file, "--data", data]);
  t.is(ran.status, 0, ran.err);
  t.regex(
    ran.out,
    /^.*alpha: alpha's store is .*one\.backup, shop through record 2; the store that was there is aside-.*-h1-store-1 now\n/,
  );
  t.regex(ran.out, /^ {2}twinlog recover --server alpha --accept-loss$/m);
  const meta = await metaOf(data);
  t.like(meta, {
    server: "alpha",
    history: "h1",
    epoch: 5,
    memberEpoch: 0,
    syncedEpoch: 0,
    life: 0,
    previousEnd: null,
  });
  t.like(meta, { restored: { sequence: 2, takenAt: meta.restored?.takenAt }, resultNumber: 2 });
  t.truthy(before.logEnd);
  t.deepEqual([meta.disk, meta.record, meta.logEnd], [undefined, undefined, undefined], "its log ends with the backup");
  t.not(meta.incarnation, before.incarnation);
  const read = await readBack(new LevelStore(join(data, "store"), clock));
  t.deepEqual(read?.state, model);
  t.like(read?.recovered.end, { sequence: 2, epoch: 5 });
  const aside = await asideIn(data);
  const kept = await run(["inspect", data, "--copy", aside, "--json"]);
  t.like(JSON.parse(kept.out), { sound: true, results: 3, disk: "d1", epoch: 7 });
});

test("a backup becomes another server's store by its name, in a directory that is not there yet", async (t) => {
  const { directory, file, model } = await backedUp(t);
  const data = join(directory, "gamma");
  const nameless = await run(["restore", file, "--data", data]);
  t.is(nameless.status, 1);
  t.regex(nameless.err, /nothing in .*gamma says which server's it is: add --server/);
  const ran = await run(["restore", file, "--data", data, "--server", "gamma", "--json"]);
  t.is(ran.status, 0, ran.err);
  t.like(JSON.parse(ran.out), { restored: "gamma", asideAs: null, backup: { sequence: 2, server: "alpha" } });
  const read = await readBack(new LevelStore(join(data, "store"), clock), { ...identity, server: "gamma" });
  t.deepEqual(read?.state, model);
});

test("nothing is touched for a backup that is not sound, a server that runs, or another's directory", async (t) => {
  const { directory, data, file } = await backedUp(t);
  const before = await contentOf(data);
  const bad = join(directory, "bad.backup");
  const bytes = await readFile(file);
  bytes[bytes.length - 70] = (bytes[bytes.length - 70] as number) ^ 1;
  await writeFile(bad, bytes);
  t.regex((await run(["restore", bad, "--data", data])).err, /bad\.backup is no sound backup/);
  t.regex((await run(["restore", file, "--data", data, "--server", "beta"])).err, /is alpha's and not beta's/);
  const running = new LevelStore(join(data, "store"), clock);
  await running.open();
  t.regex((await run(["restore", file, "--data", data])).err, /is in use by process \d+.*: stop that server first/);
  await running.release();
  t.is(await contentOf(data), before);

  const other = new LevelStore(join(directory, "other", "store"), clock);
  const agent = await freshAgent(other, new TestLog());
  await agent.checkpoint.saveMeta({ ...owner, service: "bank" });
  await agent.checkpoint.close();
  await other.release();
  const ran = await run(["restore", file, "--data", join(directory, "other")]);
  t.regex(ran.err, /is of the service bank, and the backup of shop/);
});

test("a store that is too damaged to be opened gives way as well, and is kept", async (t) => {
  const { data, file, model } = await backedUp(t);
  await writeFile(join(data, "store", "store-1", "CURRENT"), "nonsense\n");
  t.regex((await run(["restore", file, "--data", data])).err, /add --server/);
  const ran = await run(["restore", file, "--data", data, "--server", "alpha"]);
  t.is(ran.status, 0, ran.err);
  t.deepEqual((await readBack(new LevelStore(join(data, "store"), clock)))?.state, model);
  const aside = await asideIn(data);
  t.is(await readFile(join(data, "store", aside, "CURRENT"), "utf8"), "nonsense\n");
});
