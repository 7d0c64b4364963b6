/** `twinlog backup --data` and `verify` on real LevelDB: what is written is proved, no damage is passed over, nothing is left behind. */
import { readdir, readFile, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { openNodeClock } from "../../actors/world/clock-node.ts";
import { readBackup } from "../../deploy/backups/file.ts";
import { BackupError } from "../../machines/checkpoint/backup-format.ts";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";
import { changeRow, makeStore } from "./inspect-store.ts";
import { makeRig } from "./rig.ts";

const clock = openNodeClock();

async function backedUp(t: ExecutionContext) {
  const directory = await temporaryDirectory(t);
  const data = join(directory, "alpha");
  const { close, log } = await makeStore(data);
  await close();
  const { run } = makeRig();
  const file = join(directory, "one.backup");
  const ran = await run(["backup", file, "--data", data]);
  t.is(ran.status, 0, ran.err);
  return { directory, data, file, run, log, ran };
}

test("a stopped server's store becomes one file that verify finds sound, and no other file", async (t) => {
  const { directory, file, run, log, ran } = await backedUp(t);
  t.regex(
    ran.out,
    /^.*one\.backup: shop through record 4 \(epoch 1, history h1\), from alpha; \d+ bytes, all of it checked\n$/,
  );
  t.deepEqual((await readdir(directory)).sort(), ["alpha", "one.backup"]);
  t.is((await stat(file)).mode & 0o777, 0o600, "all of everybody's data is in it");
  const json = await run(["verify", file, "--json"]);
  t.is(json.status, 0, json.err);
  t.like(JSON.parse(json.out), {
    sound: true,
    server: "alpha",
    history: "h1",
    sequence: 4,
    applied: 4,
    log: { first: 1, last: 4, epoch: 1, hash: log.hash },
    parts: { "part 0": { part: 0, count: 2 }, "part 9": { part: 9, count: 2 } },
  });
  const text = await run(["verify", file]);
  t.is(text.status, 0);
  t.regex(text.out, /^state +as of record 4, of epoch 1, hash [0-9a-f]{8}$/m);
  t.regex(text.out, /^sound +yes/m);
});

test("a file that is there is never written over, and what fails leaves nothing behind", async (t) => {
  const { directory, data, file, run } = await backedUp(t);
  const before = await readFile(file);
  const again = await run(["backup", file, "--data", data]);
  t.is(again.status, 1);
  t.regex(again.err, /^twinlog: .*one\.backup is there already: a backup is never written over\n$/);
  t.deepEqual(await readFile(file), before);
  for (const [words, says] of [
    [["backup", join(directory, "no", "two"), "--data", data], /ENOENT/],
    [["backup", join(directory, "two"), "--data", join(directory, "nowhere")], /holds no server's store/],
    [["backup", join(directory, "two"), "--data", data, "--copy", "none"], /has no copy none/],
    [["backup", join(directory, "two"), "--copy", "none"], /give --data as well/],
    [
      ["backup", join(directory, "two"), "--data", data, "--server", "beta"],
      /--server for a running server, or --data/,
    ],
    [["backup", join(directory, "two")], /no server of exchange speaks/],
  ] as const) {
    const ran = await run(words);
    t.is(ran.status, 1, words.join(" "));
    t.regex(ran.err, says);
  }
  await changeRow(data);
  const damaged = await run(["backup", join(directory, "two"), "--data", data]);
  t.is(damaged.status, 1);
  t.regex(
    damaged.err,
    /^twinlog: what came is not sound, and there is no backup: the row "b" of part 0 does not match its hash\n$/,
  );
  t.deepEqual((await readdir(directory)).sort(), ["alpha", "one.backup"]);
});

test("whichever bit of a backup is another one, and wherever it ends too early, it is not sound", async (t) => {
  const { file, run } = await backedUp(t);
  const bytes = await readFile(file);
  const isFound = async (what: string) => {
    await t.throwsAsync(readBackup(file, clock), { instanceOf: BackupError }, what);
  };
  for (let at = 0; at < bytes.length; at += 7) {
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] as number) ^ (1 << (at % 8));
    await writeFile(file, changed);
    await isFound(`byte ${at}`);
  }
  await writeFile(file, Buffer.concat([bytes, Buffer.from("more")]));
  await isFound("something follows");
  await writeFile(file, bytes);
  for (let length = bytes.length - 1; length >= 0; length -= 61) {
    await truncate(file, length);
    await isFound(`${length} bytes are left`);
  }
  const ran = await run(["verify", file, "--json"]);
  t.is(ran.status, 1);
  t.like(JSON.parse(ran.out), { sound: false, file });
  t.regex(ran.err, /is no sound backup: /);
  t.regex((await run(["verify", join(file, "x")])).err, /ENOTDIR/);
});
