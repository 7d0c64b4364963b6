/**
 * The store on real LevelDB: the conformance suite, and what only real disks and processes have (kill -9, leftover
 * locks, a file that may not grow, damage).
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import test, { type ExecutionContext } from "ava";
import { storeErrorOf } from "../../actors/world/database-level.ts";
import { StoreError } from "../../actors/world/ports.ts";
import { LevelStore } from "../../actors/world/store-level.ts";
import { bytesOf, realRig, textOf } from "../conformance/rig.ts";
import { storeConformance } from "../conformance/store.ts";
import { makeTemporaryDirectory, temporaryDirectory } from "../helpers/temporary-directory.ts";

storeConformance("store-level", async () => {
  const { path, remove } = await makeTemporaryDirectory();
  const rig = realRig();
  let life = 0;
  const home = () => join(path, `life${life}`);
  return {
    ...rig,
    make: () => new LevelStore(home(), rig.clock),
    // What the files hold now is what a process that is killed now leaves behind, its lock included.
    crash: async (store) => {
      const dead = home();
      life += 1;
      cpSync(dead, home(), { recursive: true });
      await store.release();
    },
    dispose: remove,
  };
});

const put = (key: string, value: string) => ({ type: "put" as const, key: bytesOf(key), value: bytesOf(value) });
const { clock, until } = realRig();

async function withStore<T>(directory: string, run: (store: LevelStore) => Promise<T>): Promise<T> {
  const store = new LevelStore(directory, clock);
  await store.open();
  try {
    return await run(store);
  } finally {
    await store.release().catch(() => undefined);
  }
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return "none";
  } catch (error) {
    return error instanceof StoreError ? error.code : String(error);
  }
}

const writerProgram = fileURLToPath(new URL("./store-writer.js", import.meta.url));

interface Writer {
  readonly child: ChildProcess;
  readonly lines: string[];
  readonly errors: () => string;
  readonly ended: Promise<void>;
}

/** Another process that opens the directory and writes to it until it is killed; it prints what it was promised. */
function startWriter(
  t: ExecutionContext,
  directory: string,
  { limitBlocks, within = [] }: { limitBlocks?: number; within?: readonly string[] } = {},
): Writer {
  const command = `${limitBlocks === undefined ? "" : `ulimit -f ${limitBlocks}; `}exec "$0" "$@"`;
  const program = [...within, process.execPath, writerProgram, directory];
  const child = spawn("sh", ["-c", command, ...program], { stdio: ["ignore", "pipe", "pipe"] });
  const lines: string[] = [];
  let errors = "";
  child.stderr.on("data", (text: Buffer) => {
    errors += text.toString();
  });
  createInterface({ input: child.stdout }).on("line", (line) => lines.push(line));
  const ended = new Promise<void>((resolve) => child.on("close", () => resolve()));
  t.teardown(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  return { child, lines, errors: () => errors, ended };
}

test("store-level: killed with -9 in the middle of synced writes, it has every write that was promised", async (t) => {
  const directory = join(await temporaryDirectory(t), "store");
  let promised = 0;
  for (let life = 0; life < 3; life += 1) {
    const writer = startWriter(t, directory);
    await until(() => writer.lines.length > 30, "the writer to have written");
    writer.child.kill("SIGKILL");
    await writer.ended;
    promised = Math.max(promised, Number(writer.lines.findLast((line) => /^\d+$/.test(line))));
    await withStore(directory, async (store) => {
      const count = Number(textOf((await store.get(bytesOf("count"))) ?? bytesOf("-1")));
      t.true(count >= promised, `${count} of ${promised}`);
      for (let at = 0; at <= count; at += 1) t.truthy(await store.get(bytesOf(`k${at}`)), `k${at}`);
    });
  }
});

test("store-level: a directory that another process has is refused, and free as soon as that is killed", async (t) => {
  const directory = join(await temporaryDirectory(t), "store");
  const writer = startWriter(t, directory);
  await until(() => writer.lines.length > 2, "the writer to have opened it");
  const error = await t.throwsAsync(new LevelStore(directory, clock).open(), { instanceOf: StoreError });
  t.is((error as StoreError).code, "locked");
  t.regex(error?.message ?? "", new RegExp(`process ${writer.child.pid}`));
  const linesThen = writer.lines.length;
  await until(() => writer.lines.length > linesThen + 5, "the writer to go on undisturbed");
  writer.child.kill("SIGKILL");
  await writer.ended;
  await withStore(directory, async (store) => t.truthy(await store.get(bytesOf("count"))));
});

/** A side store that is being filled, as a second process would find it. */
function sideFolder(directory: string): string {
  const path = join(directory, "store-2");
  mkdirSync(path);
  return path;
}

test("store-level: a second process removes nothing of the first one's, its side store included, before it is refused", async (t) => {
  const directory = join(await temporaryDirectory(t), "store");
  const writer = startWriter(t, directory);
  await until(() => writer.lines.length > 2, "the writer to have opened it");
  const side = sideFolder(directory);
  t.is(await codeOf(new LevelStore(directory, clock).open()), "locked");
  t.true(existsSync(side), "behind our lock");
  // A program that knows nothing of our lock: LevelDB's own stands behind it.
  rmSync(join(directory, "locked"), { recursive: true });
  t.is(await codeOf(new LevelStore(directory, clock).open()), "locked");
  t.true(existsSync(side), "behind LevelDB's");
});

test("store-level: two containers with one volume: the second is refused, and the first goes on undisturbed", async (t) => {
  const inContainer = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"];
  const cannot = spawnSync(inContainer[0] ?? "", [...inContainer.slice(1), "true"], { encoding: "utf8" });
  if (cannot.status !== 0) {
    t.log(`not run, because there are no process id spaces here: ${cannot.stderr}`);
    t.pass();
    return;
  }
  const directory = join(await temporaryDirectory(t), "store");
  const first = startWriter(t, directory, { within: inContainer });
  await until(() => first.lines.length > 2, "the first to have opened it");
  const side = sideFolder(directory);
  for (const within of [inContainer, []]) {
    const second = startWriter(t, directory, { within });
    await second.ended;
    t.regex(second.errors(), /is in use by process \d+ of another container or machine \(host .+\), since /);
  }
  t.true(existsSync(side), "nothing of the first one's was removed");
  const linesThen = first.lines.length;
  await until(() => first.lines.length > linesThen + 5, "the first to go on");
  first.child.kill("SIGKILL");
  await first.ended;
  await withStore(directory, async (store) => t.truthy(await store.get(bytesOf("count"))));
});

test("store-level: one that was refused in the same process does not give the kernel's lock away", async (t) => {
  const directory = await temporaryDirectory(t);
  await withStore(directory, async () => {
    for (const path of [directory, join(directory, "..", basename(directory))])
      t.is(await codeOf(new LevelStore(path, clock).open()), "locked");
    const other = startWriter(t, directory);
    await other.ended;
    t.regex(other.errors(), new RegExp(`is in use by process ${process.pid}, since`));
  });
  await withStore(directory, async () => t.pass());
});

for (const [what, damage] of [
  ["is of a dead process", () => undefined],
  [
    "is of another host",
    (at: string) => writeFileSync(join(at, "holder"), '{"pid":1,"host":"elsewhere","space":null}'),
  ],
  ["has garbage for its holder", (at: string) => writeFileSync(join(at, "holder"), "{")],
  ["was cut off by a loss of power", (at: string) => writeFileSync(join(at, "locked", "CURRENT"), "")],
  [
    "has lost its files",
    (at: string) => readdirSync(join(at, "locked")).map((name) => rmSync(join(at, "locked", name))),
  ],
  ["is an older program's", (at: string) => writeFileSync(join(at, "lock"), `{"pid":${process.pid},"started":null}`)],
] as const) {
  test(`store-level: a lock that ${what} does not keep anyone out`, async (t) => {
    const path = await temporaryDirectory(t);
    const directory = join(path, "copy");
    await withStore(join(path, "store"), async (store) => {
      await store.write([put("a", "1")], { sync: true });
      // As a process leaves it that is killed now.
      cpSync(join(path, "store"), directory, { recursive: true });
    });
    damage(directory);
    await withStore(directory, async (store) => {
      t.is(await codeOf(new LevelStore(directory, clock).open()), "locked", "the new one holds");
      t.truthy(await store.get(bytesOf("a")));
    });
    t.deepEqual(
      readdirSync(directory).filter((name) => name !== "lock"),
      ["active", "locked", "store-1"],
      "nothing is left behind",
    );
  });
}

test("store-level: a file that may not grow any more is `full`; the handle is dead, and what was promised is there", async (t) => {
  const directory = join(await temporaryDirectory(t), "store");
  const writer = startWriter(t, directory, { limitBlocks: 200 });
  await writer.ended;
  t.deepEqual(writer.lines.slice(-3), ["full", "full", "closed"], "the error, again for every later call, then closed");
  const promised = Number(writer.lines.findLast((line) => /^\d+$/.test(line)));
  t.true(promised > 10);
  await withStore(directory, async (store) => {
    for (let at = 0; at <= promised; at += 1) t.truthy(await store.get(bytesOf(`k${at}`)), `k${at}`);
  });
});

const damages: [what: string, damage: (directory: string) => void][] = [
  ["the list of tables is gone", (directory) => removeFile(directory, /^MANIFEST/)],
  ["LevelDB's pointer is gone", (directory) => removeFile(directory, /^CURRENT$/)],
  ["LevelDB's pointer is garbage", (directory) => writeFileSync(join(directory, "store-1", "CURRENT"), "garbage")],
  ["a table is gone", (directory) => removeFile(directory, /\.ldb$/)],
  ["the database is gone", (directory) => rmSync(join(directory, "store-1"), { recursive: true })],
  ["the file that names the right database is gone", (directory) => rmSync(join(directory, "active"))],
  ["the file that names the right database is garbage", (directory) => writeFileSync(join(directory, "active"), "\0")],
];

function removeFile(directory: string, pattern: RegExp): void {
  const name = readdirSync(join(directory, "store-1")).find((each) => pattern.test(each));
  if (name === undefined) throw new Error(`no file ${pattern}`);
  rmSync(join(directory, "store-1", name));
}

for (const [what, damage] of damages) {
  test(`store-level: damage is refused, never taken for an empty store: ${what}`, async (t) => {
    const directory = await temporaryDirectory(t);
    const value = "x".repeat(1000);
    await withStore(directory, (store) => store.write([put("a", value)], { sync: true }));
    // Opening again puts the log into a table.
    await withStore(directory, (store) => store.write([put("b", value)], { sync: true }));
    damage(directory);
    t.is(await codeOf(new LevelStore(directory, clock).open()), "damaged");
    t.is(await codeOf(new LevelStore(directory, clock).open()), "damaged", "and again, with the lock free");
  });
}

test("store-level: a crash at any step of the first opening leaves a directory that opens empty", async (t) => {
  for (const present of [["making"], ["making", "store-1"], ["making", "store-1", "active.draft"]]) {
    const directory = await temporaryDirectory(t);
    await withStore(directory, async () => undefined);
    const active = readFileSync(join(directory, "active"));
    rmSync(join(directory, "active"));
    if (!present.includes("store-1")) rmSync(join(directory, "store-1"), { recursive: true });
    for (const name of present) if (name !== "store-1") writeFileSync(join(directory, name), active);
    await withStore(directory, async (store) => t.is(await store.get(bytesOf("a")), undefined));
    await withStore(directory, (store) => store.write([put("a", "1")], { sync: true }));
    t.deepEqual(readdirSync(directory).toSorted(), ["active", "locked", "store-1"]);
  }
});

test("store-level: a crash between the switch to a side store and the end of the old one leaves the new one", async (t) => {
  const directory = await temporaryDirectory(t);
  await withStore(directory, async (store) => {
    await store.write([put("old", "1")], { sync: true });
    const side = await store.side();
    await side.write([put("new", "1")]);
    cpSync(join(directory, "store-1"), join(directory, "kept"), { recursive: true });
    await side.adopt(null);
  });
  cpSync(join(directory, "kept"), join(directory, "store-1"), { recursive: true });
  rmSync(join(directory, "kept"), { recursive: true });
  await withStore(directory, async (store) => {
    t.is(await store.get(bytesOf("old")), undefined);
    t.truthy(await store.get(bytesOf("new")));
  });
  t.deepEqual(readdirSync(directory).toSorted(), ["active", "locked", "store-2"]);
});

test("store-level: a store that was set aside is opened by its name, with all that was written to it", async (t) => {
  const directory = await temporaryDirectory(t);
  let name = "";
  await withStore(directory, async (store) => {
    await store.write([put("old", "1")], { sync: true });
    await store.write([put("unsynced", "1")], { sync: false });
    const side = await store.side();
    await side.write([put("new", "1")]);
    name = (await side.adopt("alpha.h1/odd name")) ?? "";
    t.regex(name, /^aside-\d{8}T\d{6}Z-alpha\.h1_odd_name-store-1$/);
  });
  // As whoever looks at it does.
  const copy = await temporaryDirectory(t);
  cpSync(join(directory, name), join(copy, "store-1"), { recursive: true });
  writeFileSync(join(copy, "active"), "store-1\n");
  await withStore(copy, async (store) => {
    t.truthy(await store.get(bytesOf("old")));
    t.truthy(await store.get(bytesOf("unsynced")));
    t.is(await store.get(bytesOf("new")), undefined);
  });
  await withStore(directory, async (store) => t.truthy(await store.get(bytesOf("new"))));
  t.true(existsSync(join(directory, name)), "no opening touches it");
});

test("store-level: a crash after a store was set aside, and before the new one counts, brings it back", async (t) => {
  const directory = await temporaryDirectory(t);
  await withStore(directory, async (store) => {
    await store.write([put("old", "1")], { sync: true });
    const side = await store.side();
    await side.write([put("new", "1")]);
    await side.adopt("h1");
    await store.write([put("later", "1")], { sync: true });
  });
  // The last step of the adoption has not come to the disk.
  writeFileSync(join(directory, "active"), "store-1\n");
  await withStore(directory, async (store) => {
    t.truthy(await store.get(bytesOf("old")));
    t.is(await store.get(bytesOf("new")), undefined);
    t.deepEqual((await store.usage()).aside, []);
  });
  t.deepEqual(readdirSync(directory).toSorted(), ["active", "locked", "store-1"], "the side store is gone");
});

test("store-level: a synced write after unsynced ones that began new log files finds all of them", async (t) => {
  const directory = await temporaryDirectory(t);
  await withStore(directory, async (store) => {
    const block = "b".repeat(1 << 20);
    for (let at = 0; at < 40; at += 1) await store.write([put(`k${at}`, block)], { sync: false });
    await store.write([put("last", "1")], { sync: true });
    await store.write([], { sync: true });
    t.is((await store.get(bytesOf("k0")))?.length, block.length);
  });
});

const mapped: [code: StoreError["code"], error: Error & { code?: string }][] = [
  ["full", new Error("IO error: /x/000003.log: No space left on device")],
  ["full", new Error("IO error: /x/000003.log: Disk quota exceeded")],
  ["damaged", Object.assign(new Error("Corruption: block checksum mismatch"), { code: "LEVEL_CORRUPTION" })],
  ["locked", Object.assign(new Error("IO error: lock /x/LOCK"), { code: "LEVEL_LOCKED" })],
  ["failed", Object.assign(new Error("IO error: lock /x/LOCK: No locks available"), { code: "LEVEL_LOCKED" })],
  ["failed", Object.assign(new Error("IO error: /x/000003.log: Input/output error"), { code: "LEVEL_IO_ERROR" })],
  ["failed", new Error("read-only file system")],
  ["closed", Object.assign(new Error("Database is not open"), { code: "LEVEL_DATABASE_NOT_OPEN" })],
];

for (const [code, error] of mapped) {
  test(`store-level: "${error.message}" is ${code}, also as a cause`, (t) => {
    t.is(storeErrorOf(error, "/x").code, code);
    t.is(
      storeErrorOf(Object.assign(new Error("outer", { cause: error }), { code: "LEVEL_DATABASE_NOT_OPEN" }), "/x").code,
      code,
    );
  });
}
