/** The agent on real LevelDB: a life, a sudden end, a snapshot, and LevelDB's own silent loss found. */
import { cpSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { LevelStore } from "../../actors/world/store-level.ts";
import { RecoveryError } from "../../machines/checkpoint/scan.ts";
import {
  agentOn,
  clock,
  freshAgent,
  identity,
  owner,
  push,
  put,
  readBack,
  shift,
  TestLog,
} from "../helpers/checkpoints.ts";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";
import { until } from "../helpers/until.ts";

/** Sixty records, flushed and synced in turns, and a tail that is only synced. */
async function live(directory: string) {
  const log = new TestLog();
  const agent = await freshAgent(new LevelStore(directory, clock), log);
  for (let round = 0; round < 20; round += 1) {
    const at = log.end;
    const value = String(round).repeat(400);
    log.append([[put(`k${at}`, value), push(`i${at}`)], [put("same", value)], [push("x"), shift(1)]]);
    agent.checkpoint.sync(log.end);
    await until(() => agent.synced.at(-1) === log.end, { withinMs: 20_000, everyMs: 1 });
    if (round % 4 === 3) await agent.checkpoint.flush({ committed: log.end - 2, retainFrom: log.end - 10 });
  }
  return { log, ...agent };
}

test("what was synced is there after a sudden end, with the tables at their place in the log", async (t) => {
  const directory = await temporaryDirectory(t);
  const { log, checkpoint } = await live(join(directory, "a"));
  cpSync(join(directory, "a"), join(directory, "b"), { recursive: true });
  await checkpoint.close();
  const read = await readBack(new LevelStore(join(directory, "b"), clock));
  t.is(read?.recovered.end.sequence, 60);
  t.is(read?.recovered.end.hash, log.hash);
  t.is(read?.recovered.meta.applied.sequence, 58);
  t.deepEqual(read?.state, log.modelAt(58).plain());
  t.true((read?.recovered.meta.firstRetained ?? 0) > 40);
});

test("a snapshot through two real stores", async (t) => {
  const directory = await temporaryDirectory(t);
  const from = await live(join(directory, "a"));
  const store = new LevelStore(join(directory, "b"), clock);
  const beta = { ...identity, server: "beta" };
  const to = agentOn(store, new TestLog(), { identity: beta });
  await to.checkpoint.open({});
  await to.checkpoint.create({ ...owner, server: "beta" });
  await to.checkpoint.beginSnapshot();
  const source = from.checkpoint.sendSnapshot(1000);
  for (let chunk = await source.next(); chunk !== null; chunk = await source.next())
    await to.checkpoint.takeChunk(chunk);
  const nothing = { end: { sequence: 0, hash: 0, epoch: 0 }, committed: 0, committedHash: 0, differs: false };
  await to.checkpoint.adoptSnapshot(() => ({
    own: {
      server: "beta",
      incarnation: "b2",
      disk: "d2",
      previousEnd: null,
      epoch: 1,
      record: null,
      memberEpoch: 1,
      syncedEpoch: 0,
      life: 2,
    },
    log: nothing,
  }));
  t.is((await to.checkpoint.open({}))?.end.hash, from.log.hash);
  await Promise.all([from.checkpoint.close(), to.checkpoint.close()]);
  await store.release();
  const read = await readBack(new LevelStore(join(directory, "b"), clock), beta);
  t.deepEqual(read?.state, from.log.modelAt(58).plain());
});

test("a snapshot given up while a real store proves it leaves the old one as it was (situation 135)", async (t) => {
  const directory = await temporaryDirectory(t);
  const from = await live(join(directory, "a"));
  const store = new LevelStore(join(directory, "b"), clock);
  const beta = { ...identity, server: "beta" };
  const to = agentOn(store, new TestLog(), { identity: beta });
  await to.checkpoint.open({});
  await to.checkpoint.create({ ...owner, server: "beta" });
  const makeSide = store.side.bind(store);
  for (const after of [1, 5]) {
    let readOn = () => {};
    const given = new Promise<void>((resolve) => {
      readOn = resolve;
    });
    let isReading = () => {};
    const reading = new Promise<void>((resolve) => {
      isReading = resolve;
    });
    store.side = async () => {
      const side = await makeSide();
      return {
        write: (batch) => side.write(batch),
        image: async function* () {
          let count = 0;
          for await (const entry of side.image()) {
            count += 1;
            if (count === after) {
              isReading();
              await given;
            }
            yield entry;
          }
        },
        adopt: (asideAs) => side.adopt(asideAs),
        discard: () => side.discard(),
      };
    };
    await to.checkpoint.beginSnapshot();
    const source = from.checkpoint.sendSnapshot(1000);
    for (let chunk = await source.next(); chunk !== null; chunk = await source.next())
      await to.checkpoint.takeChunk(chunk);
    const log = { end: { sequence: 0, hash: 0, epoch: 0 }, committed: 0, committedHash: 0, differs: false };
    const own = { server: "beta", incarnation: "b2", disk: "d2", previousEnd: null, record: null };
    const adopting = to.checkpoint.adoptSnapshot(() => ({
      own: { ...own, epoch: 1, memberEpoch: 1, syncedEpoch: 0, life: 2 },
      log,
    }));
    const told = t.throwsAsync(adopting, { code: "busy" });
    await reading;
    await to.checkpoint.dropSnapshot();
    readOn();
    await told;
    t.is(to.checkpoint.state, "idle");
  }
  t.deepEqual(to.failures, []);
  await to.checkpoint.saveMeta({ resultNumber: 9 });
  await Promise.all([from.checkpoint.close(), to.checkpoint.close()]);
  await store.release();
  const read = await readBack(new LevelStore(join(directory, "b"), clock), beta);
  t.like(read?.recovered.meta, { resultNumber: 9, incarnation: owner.incarnation });
});

test("a byte flipped anywhere in LevelDB's files is found, does no harm, or leaves an older disk: never another state", async (t) => {
  const directory = await temporaryDirectory(t);
  const { log, checkpoint } = await live(join(directory, "a"));
  cpSync(join(directory, "a"), join(directory, "whole"), { recursive: true });
  await checkpoint.close();
  const files = readdirSync(join(directory, "whole"), { recursive: true, encoding: "utf8" }).filter(
    (name) => /\.(log|ldb)$/.test(name) && statSync(join(directory, "whole", name)).size > 0,
  );
  t.true(files.length > 0);
  let found = 0;
  let tries = 0;
  for (const file of files) {
    const bytes = readFileSync(join(directory, "whole", file));
    for (let part = 0; part < 24; part += 1) {
      const copy = join(directory, `copy${tries}`);
      cpSync(join(directory, "whole"), copy, { recursive: true });
      const changed = Buffer.from(bytes);
      const at = Math.floor(((part + 0.5) * bytes.length) / 24);
      changed[at] = (changed[at] ?? 0) ^ 0xff;
      writeFileSync(join(copy, file), changed);
      tries += 1;
      try {
        const read = await readBack(new LevelStore(copy, clock));
        if (read === null) continue;
        // Sound in itself: a true state of this very log, as it was at some moment.
        const { applied } = read.recovered.meta;
        t.deepEqual(read.state, log.modelAt(applied.sequence).plain());
        t.is(read.recovered.end.hash, log.hashAt(read.recovered.end.sequence));
      } catch (error) {
        if (!(error instanceof RecoveryError)) t.is((error as { code?: string }).code, "damaged");
        found += 1;
      }
    }
  }
  t.true(found > 0, `${found} of ${tries} were refused`);
  t.log(`${tries} flipped bytes: ${found} refused, ${tries - found} left a true state`);
});
