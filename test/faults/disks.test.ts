/** Disks that are full, damaged, cut short, old copies, or wanted by two processes, under load. */
import { execFile, execFileSync } from "node:child_process";
import { cp, readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import test, { type ExecutionContext } from "ava";
import { atEnd } from "../helpers/at-end.ts";
import { type Pair, startPair } from "../helpers/pair/pair.ts";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";
import { until } from "../helpers/until.ts";
import { inFull, notRun } from "./full.ts";
import { Proof } from "./proof.ts";
import { writeTwin } from "./twin.ts";

const full = inFull(test);
const withinMs = 30_000;
const program = fileURLToPath(new URL("../../deploy/twinlog.js", import.meta.url));
/** So that who was removed need not wait for long before it is taken in again. */
const limits = { suspicionMs: 2_000 };
const diskBytes = 24 * 1_024 * 1_024;

const directoryOf = (pair: Pair, server: string) => pair.settings.get(server)?.dataDirectory ?? "";

const mounted = new Set<string>();
function unmount(path: string): void {
  if (mounted.delete(path)) execFileSync("umount", ["-l", path]);
}
atEnd(() => mounted.forEach(unmount));

/** A small disk of its own; or why there can be none. */
async function smallDisk(t: ExecutionContext): Promise<{ path: string } | string> {
  const path = await temporaryDirectory(t);
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${diskBytes},mode=0700`, "tmpfs", path], { stdio: "pipe" });
  } catch (error) {
    return `no tmpfs can be mounted here: ${String((error as { stderr?: Buffer }).stderr ?? error).trim()}`;
  }
  mounted.add(path);
  t.teardown(() => unmount(path));
  return { path };
}

async function fill(path: string): Promise<() => Promise<void>> {
  const junk = join(path, "junk");
  for (let bytes = diskBytes; bytes > 0; bytes = Math.floor(bytes / 2)) {
    const before = await readFile(junk).catch(() => Buffer.alloc(0));
    await writeFile(junk, Buffer.alloc(before.length + bytes)).catch(async () => await truncate(junk, before.length));
  }
  return () => rm(junk);
}

async function fullDisk(t: ExecutionContext, who: "primary" | "backup"): Promise<void> {
  const disk = await smallDisk(t);
  if (typeof disk === "string") return notRun(t, disk);
  const name = who === "primary" ? "alpha" : "beta";
  const other = who === "primary" ? "beta" : "alpha";
  const pair = await startPair(t, {
    restartMs: 500,
    limits,
    settings: (server) => (server === name ? { dataDirectory: disk.path } : {}),
  });
  const proof = await Proof.begin(t, pair);
  let free = (): Promise<void> => Promise.resolve();
  await proof.gap(`the ${who}'s disk is full`, async () => {
    free = await fill(disk.path);
    await until(() => pair.server(name).ends.length > 0, { withinMs, waitedFor: `${name} to stop` });
  });
  t.true(
    pair.server(name).lines.some((line) => /no space|full/i.test(line)),
    "it says why",
  );
  await pair.waitFor(other, ({ role, application }) => role === "primary" && application === "hot");
  await proof.answers(50, "answers while the disk is full");
  await free();
  await proof.prove();
}

full("the primary's disk is full: it stops with a clear message, the backup takes over", (t) => fullDisk(t, "primary"));
full("the backup's disk is full: it stops with a clear message, the primary goes on alone", (t) =>
  fullDisk(t, "backup"),
);

/** The database's files, the largest log or table first. */
async function databaseFiles(pair: Pair, server: string): Promise<string[]> {
  const store = join(directoryOf(pair, server), "store");
  const active = join(store, (await readFile(join(store, "active"), "utf8")).trim());
  const files = (await readdir(active)).filter((name) => /\.(log|ldb)$/.test(name)).map((name) => join(active, name));
  const sizes = new Map(await Promise.all(files.map(async (path) => [path, (await stat(path)).size] as const)));
  return files.sort((one, two) => (sizes.get(two) ?? 0) - (sizes.get(one) ?? 0));
}

const damages: Readonly<Record<string, (pair: Pair, server: string) => Promise<void>>> = {
  "a byte changed in the middle": async (pair, server) => {
    const [path = ""] = await databaseFiles(pair, server);
    const bytes = await readFile(path);
    const at = Math.floor(bytes.length / 2);
    bytes[at] = (bytes[at] ?? 0) ^ 0xff;
    await writeFile(path, bytes);
  },
  "a file cut in half": async (pair, server) => {
    const [path = ""] = await databaseFiles(pair, server);
    await truncate(path, Math.floor((await stat(path)).size / 2));
  },
  "all tables and logs gone": async (pair, server) => {
    for (const path of await databaseFiles(pair, server)) await rm(path);
  },
  "the file that names the database gone": (pair, server) => rm(join(directoryOf(pair, server), "store", "active")),
  "CURRENT overwritten": async (pair, server) => {
    const [path = ""] = await databaseFiles(pair, server);
    await writeFile(join(path, "..", "CURRENT"), "nonsense\n");
  },
};

for (const [name, damage] of Object.entries(damages))
  full(`a damaged LevelDB directory: ${name}; refused or caught up, and never served from`, async (t) => {
    const pair = await startPair(t, { limits });
    const proof = await Proof.begin(t, pair);
    const { backup } = await pair.normal();
    await proof.answers(150);
    await pair.control(backup, "flush");
    await pair.server(backup).kill();
    await damage(pair, backup);
    await proof.answers(50, "answers of the one that is alone");
    const starts = pair.server(backup).ends.length;
    pair.server(backup).start();
    const isFollowing = () => pair.status(backup)?.state === "following.warm";
    await until(() => pair.server(backup).ends.length > starts || isFollowing(), {
      withinMs,
      waitedFor: "the server with the damaged disk to refuse, or to catch up",
    });
    if (!isFollowing()) {
      const said = pair.server(backup).lines.findLast((line) => /twinlog:/.test(line)) ?? "";
      t.log(said);
      t.regex(said, /damaged|missing|gone|corrupt|IO error|hole|does not|cannot|not fit|changed/i);
      t.is(pair.server(backup).ends.at(-1)?.code, 1);
      // What an operator does: the directory goes, and the server takes everything from the primary.
      await rm(join(directoryOf(pair, backup), "store"), { recursive: true });
      pair.server(backup).start();
    } else t.log("what was lost was the end of the log: it caught up");
    await proof.prove();
  });

full("an old copy of the disk: the backup's catches up, the sole member's is refused", async (t) => {
  const pair = await startPair(t, { limits: { ...limits, baseMs: 200 } });
  const proof = await Proof.begin(t, pair);
  const { primary, backup } = await pair.normal();
  const copies = await temporaryDirectory(t);
  const copy = async (name: string, to: string) => {
    await rm(join(copies, to), { recursive: true, force: true });
    await cp(directoryOf(pair, name), join(copies, to), { recursive: true });
  };
  const restore = async (name: string, from: string) => {
    await rm(directoryOf(pair, name), { recursive: true });
    await cp(join(copies, from), directoryOf(pair, name), { recursive: true });
  };
  await pair.server(backup).stop();
  await copy(backup, "backup-old");
  pair.server(backup).start();
  await pair.normal();
  await proof.answers(100);
  await pair.server(backup).stop();
  await restore(backup, "backup-old");
  pair.server(backup).start();
  await pair.normal();

  await pair.server(backup).stop();
  await pair.waitFor(primary, ({ state }) => state === "hot.alone");
  await pair.control(primary, "flush");
  pair.server(primary).signal("SIGSTOP");
  await copy(primary, "primary-old");
  pair.server(primary).signal("SIGCONT");
  await proof.answers(100);
  // An old copy shows only against the registry's base, which moves now and then.
  const { sequence } = await pair.newStatus(primary);
  await until(async () => (await pair.registryRecord()).base.sequence >= sequence, { withinMs, waitedFor: "the base" });
  await proof.gap("the sole member comes back with an old disk, then with its own", async () => {
    t.is((await pair.server(primary).stop()).code, 0);
    await copy(primary, "primary-newest");
    await restore(primary, "primary-old");
    pair.server(primary).start();
    const { why, waitingFor } = await pair.waitFor(primary, ({ state }) => state === "refusing");
    t.regex(`${why} ${waitingFor}`, /older|does not hold/);
    pair.server(backup).start();
    const waiting = await pair.waitFor(backup, ({ state }) => state === "waiting" || state === "refusing");
    t.regex(waiting.waitingFor || waiting.why, new RegExp(primary));
    await pair.server(primary).stop();
    await restore(primary, "primary-newest");
    pair.server(primary).start();
  });
  await proof.prove();
});

test.serial(
  "two processes on one directory: the second is refused in one line, the first is not disturbed",
  async (t) => {
    const pair = await startPair(t);
    const proof = await Proof.begin(t, pair);
    const { primary } = await pair.normal();
    // Neither its port nor its name tells them apart from a twin on another machine with the same disk.
    const config = await writeTwin(t, pair, primary, "same");
    const { epoch, pid } = await pair.newStatus(primary);
    let second = { code: 0, err: "" };
    await proof.gap("a second process on the primary's directory", async () => {
      second = await new Promise((resolve) => {
        execFile(process.execPath, [program, "server", "--config", config], (error, _, err) =>
          resolve({ code: Number(error?.code ?? 0), err }),
        );
      });
    });
    t.is(second.code, 1);
    t.regex(second.err, new RegExp(`is in use by process ${pid}`));
    t.like(await pair.newStatus(primary), { pid, epoch, mode: "normal", role: "primary" });
    await proof.prove();
  },
);
