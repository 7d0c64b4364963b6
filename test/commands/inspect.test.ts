/**
 * `twinlog inspect` on real LevelDB: what it counts, that it changes nothing, and that it passes over no damage.
 */
import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { RequestSearch } from "../../deploy/commands/inspect-request.ts";
import type { CheckpointMeta } from "../../schemas/checkpoint.ts";
import { batchOf, fieldsOf } from "../helpers/records.ts";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";
import { changeRow, makeStore, makeStoreWithTimer } from "./inspect-store.ts";
import { makeRig } from "./rig.ts";

async function digestOf(directory: string): Promise<string> {
  const hash = createHash("sha256");
  for (const name of (await readdir(directory, { recursive: true })).sort()) {
    const path = join(directory, name);
    if ((await stat(path)).isFile()) hash.update(name).update(await readFile(path));
    else hash.update(name);
  }
  return hash.digest("hex");
}

test("the summary counts what is there, and the store is not changed by a byte", async (t) => {
  const directory = await temporaryDirectory(t);
  const { log, close } = await makeStore(directory);
  await close();
  const before = await digestOf(directory);
  const { run } = makeRig();
  const ran = await run(["inspect", directory, "--json"]);
  t.is(ran.err, "");
  t.is(ran.status, 0);
  t.like(JSON.parse(ran.out), {
    sound: true,
    disk: "d1",
    applied: 4,
    committed: 4,
    log: { first: 1, last: 4, epoch: 1, hash: log.hash },
    parts: { "part 0": { part: 0, count: 2 }, "part 9": { part: 9, count: 2 } },
  });
  const text = await run(["inspect", join(directory, "store")]);
  t.regex(text.out, /records 1 to 4/);
  t.regex(text.out, /^disk +d1$/m);
  t.is(await digestOf(directory), before);
});

test("records and rows are printed a line each", async (t) => {
  const directory = await temporaryDirectory(t);
  const { close } = await makeStore(directory);
  await close();
  const { run } = makeRig();
  const parse = (text: string) =>
    text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  const records = parse((await run(["inspect", directory, "--records", "--from", "3"])).out);
  t.deepEqual(
    records.map(({ sequence, kind, effects, reply }) => [sequence, kind, effects, reply]),
    [
      [3, "final", [{ put: 0, key: "c", value: 3 }], { ok: true }],
      [4, "final", [{ delete: 0, key: "c" }], { ok: true }],
    ],
  );
  t.deepEqual(parse((await run(["inspect", directory, "--rows"])).out), [
    { table: "part 0", key: "a", value: 1 },
    { table: "part 0", key: "b", value: { x: 2 } },
    { queue: "part 9", value: 10 },
    { queue: "part 9", value: 20 },
  ]);
});

test("a store in use, no store, and an empty folder are one line each", async (t) => {
  const directory = await temporaryDirectory(t);
  const { close } = await makeStore(directory);
  const { run } = makeRig();
  const used = await run(["inspect", directory]);
  t.is(used.status, 1);
  t.regex(used.err, /^twinlog: .* is in use by process \d+.*: stop that server first.*\n$/);
  await close();
  t.is((await run(["inspect", directory])).status, 0);
  const none = await run(["inspect", join(directory, "nowhere")]);
  t.is(none.status, 1);
  t.regex(none.err, /^twinlog: .*holds no server's store\n$/);
});

test("a store with a changed row is not called sound, and says which disk it takes itself for", async (t) => {
  const directory = await temporaryDirectory(t);
  const { close } = await makeStore(directory);
  await close();
  await changeRow(directory);
  const { run } = makeRig();
  const ran = await run(["inspect", directory]);
  t.is(ran.status, 1);
  t.is(ran.out, "");
  const [itself = "", why = ""] = ran.err.split("\n");
  t.regex(
    itself,
    /^twinlog: unproved, in its own words: disk \S+, of alpha of \w+ \(incarnation \S+\), history \S+, epoch \d+, committed/,
  );
  t.regex(why, /^twinlog: .*damaged: the row "b" of part 0 does not match its hash$/);
});

/** A closed store, and what a command prints of it: parsed lines. */
async function looking(t: ExecutionContext) {
  const directory = await temporaryDirectory(t);
  const { close } = await makeStore(directory);
  await close();
  const { run } = makeRig();
  const lines = async (...flags: string[]) => {
    const { status, out, err } = await run(["inspect", directory, ...flags]);
    t.is(status, 0, err);
    const parsed = out.split("\n").filter((line) => line !== "");
    return { found: parsed.map((line) => JSON.parse(line) as Record<string, unknown>), err };
  };
  const refused = async (...flags: string[]) => {
    const { status, err } = await run(["inspect", directory, ...flags]);
    t.is(status, 1);
    return err;
  };
  return { directory, run, lines, refused };
}

test("records are chosen by number, range and client, and no more than a limit is printed", async (t) => {
  const { lines, refused } = await looking(t);
  const sequences = async (...flags: string[]) => (await lines(...flags)).found.map(({ sequence }) => sequence);
  t.deepEqual(await sequences("--sequence", "3"), [3]);
  t.deepEqual(await sequences("--from", "2", "--to", "3"), [2, 3]);
  t.deepEqual(await sequences("--to", "1"), [1]);
  t.deepEqual(await sequences("--sequence", "9"), []);
  t.deepEqual(await sequences("--client", "alice", "--from", "4"), [4]);
  t.deepEqual(await sequences("--client", "bob"), []);
  const cut = await lines("--records", "--limit", "3");
  t.is(cut.found.length, 3);
  t.is(cut.err, "twinlog: 1 more are not shown: see --limit\n");
  t.deepEqual([(await lines("--records", "--limit", "0")).found.length, (await lines("--records")).err], [4, ""]);
  t.regex(await refused("--sequence", "1", "--from", "2"), /--sequence for one record, or --from and --to/);
  t.regex(await refused("--records", "--rows"), /one at a time/);
});

test("rows are chosen by table, key and prefix, items by their queue; a name that is none is refused", async (t) => {
  const { lines, refused } = await looking(t);
  const keys = async (...flags: string[]) => (await lines(...flags)).found.map(({ key, queue }) => key ?? queue);
  t.deepEqual(await keys("--table", "part 0"), ["a", "b"]);
  t.deepEqual(await keys("--key", "b"), ["b"]);
  t.deepEqual(await keys("--table", "part 0", "--prefix", "a"), ["a"]);
  t.deepEqual(await keys("--prefix", "c"), []);
  t.deepEqual(await keys("--queue", "part 9"), ["part 9", "part 9"]);
  t.deepEqual((await lines("--queue", "part 9", "--limit", "1")).found, [{ queue: "part 9", value: 10 }]);
  t.regex(await refused("--table", "orders"), /there is no table orders; there are: part 0, part 9/);
  t.regex(await refused("--queue", "part 9", "--key", "a"), /items of a queue have no keys/);
});

test("a request is found by client and id: its records, its result and whether a duplicate gets its reply", async (t) => {
  const { directory, run, lines, refused } = await looking(t);
  const { found } = await lines("--client", "alice", "--id", "2", "--json");
  t.like(found[0], {
    state: "done",
    sequence: 2,
    resultNumber: 2,
    reply: { ok: true },
    isRemembered: true,
    omitted: 0,
  });
  t.like(found[0]?.records, [{ sequence: 2, client: "alice", id: "2" }]);
  const text = (await run(["inspect", directory, "--client", "alice", "--id", "2"])).out;
  t.regex(text, /^request +2 of alice\nstate +done: record 2, result 2\nreply +\{"ok":true\}\nremembered +yes/);
  const unknown = (await run(["inspect", directory, "--client", "alice", "--id", "9"])).out;
  t.regex(unknown, /^state +no record of it, and this disk has all of the log$/m);
  t.regex(await refused("--id", "2"), /--id is of one client/);
});

test("a request that has no result yet is in progress, and one whose reply is forgotten is no duplicate's", (t) => {
  const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  const records = [
    fieldsOf({ sequence: 1, kind: 3, id: "a" }),
    fieldsOf({ sequence: 2, kind: 1, id: "a" }),
    fieldsOf({ sequence: 3, id: "b", takenMs: 1, traceparent }),
    fieldsOf({ sequence: 4, id: "a", client: "bob" }),
  ];
  const search = (id: string, limit = 10) => {
    const found = new RequestSearch("alice", id, limit);
    found.onBatch(batchOf(records, 0));
    return found;
  };
  const meta = (forgottenThrough: number) => ({ forgottenThrough, firstRetained: 1 }) as CheckpointMeta;
  t.like(search("a").found(meta(0)), { state: "in progress", sequence: null, isRemembered: false, omitted: 0 });
  t.is(search("a").found(meta(0)).records.length, 2);
  t.like(search("a", 1).found(meta(0)), { omitted: 1 });
  t.like(search("b").found(meta(2)), { state: "done", sequence: 3, isRemembered: true });
  t.like(search("b").found(meta(2)).records, [{ sequence: 3, traceparent }]);
  t.like(search("a").found(meta(0)).records, [{ sequence: 1, traceparent: undefined }]);
  t.like(search("b").found(meta(3)), { state: "done", sequence: 3, isRemembered: false });
});

test("--verify proves the store and each that was set aside, and one that is not sound ends it with 1", async (t) => {
  const { directory, run } = await looking(t);
  const file = join(directory, "one.backup");
  t.is((await run(["backup", file, "--data", directory])).status, 0);
  t.is((await run(["restore", file, "--data", directory])).status, 0);
  const both = await run(["inspect", directory, "--verify"]);
  t.is(both.status, 0, both.err);
  t.regex(
    both.out,
    /^sound +store: alpha of shop, history h1, through record 4\nsound +aside-.*: alpha of shop, history h1, through record 4\n$/,
  );
  await changeRow(directory);
  const one = await run(["inspect", directory, "--verify", "--json"]);
  t.is(one.status, 1);
  t.like(JSON.parse(one.out), { sound: false });
  t.deepEqual(
    (JSON.parse(one.out) as { checks: { sound: boolean }[] }).checks.map(({ sound }) => sound),
    [false, true],
  );
});

test("timers are rows: how many there are, when the next is due, and what each asks", async (t) => {
  const directory = await temporaryDirectory(t);
  const goodTillMs = 4_000_000_000_000;
  await makeStoreWithTimer(directory, goodTillMs);
  const { run } = makeRig();
  const { out, err } = await run(["inspect", directory, "--json"]);
  t.is(err, "");
  t.like(JSON.parse(out), { nextTimerMs: goodTillMs, parts: { $timers: { count: 1 }, orders: { count: 2 } } });
  const text = await run(["inspect", directory]);
  t.regex(text.out, /^ {2}\$timers +1 rows$/m);
  t.regex(text.out, /^next timer +2096-10-02T07:06:40\.000Z$/m);
  const rows = await run(["inspect", directory, "--table", "$timers"]);
  t.regex(rows.out, /"X\/dated".*"type":"cancel"/s);
});
