/**
 * `twinlog inspect` on real LevelDB: what it counts, that it changes nothing, and that it passes over no damage.
 */
import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";
import { changeRow, makeStore } from "./inspect-store.ts";
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

test("a store with a changed row is not called sound", async (t) => {
  const directory = await temporaryDirectory(t);
  const { close } = await makeStore(directory);
  await close();
  await changeRow(directory);
  const { run } = makeRig();
  const ran = await run(["inspect", directory]);
  t.is(ran.status, 1);
  t.is(ran.out, "");
  t.regex(ran.err, /^twinlog: .*damaged: the row "b" of part 0 does not match its hash\n$/);
});
