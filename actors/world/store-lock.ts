/**
 * One process for each store directory (situation 29). What always holds:
 * 1. The lock file is made by linking a finished file, so that it is never seen half written, and of two who try at once
 *    one wins.
 * 2. A lock that a dead process left is taken over: it names the process by its id and its start, so that a new process
 *    with the old id is not taken for the owner; a lock that was copied along with the directory counts as left.
 * 3. LevelDB's own lock stands behind this one, for processes that cannot see each other. This one comes first, because
 *    LevelDB loses its own when the same process tries to open a database twice.
 */
import { randomBytes } from "node:crypto";
import { link, readFile, realpath, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { StoreError } from "./ports.ts";

const lockName = "lock";

interface Owner {
  readonly pid: number;
  /** When that process started, in a form that only equals itself; null where the system does not tell. */
  readonly started: string | null;
  readonly directory: string;
}

export class DirectoryLock {
  readonly #path: string;
  readonly #text: string;

  private constructor(path: string, text: string) {
    this.#path = path;
    this.#text = text;
  }

  /** Throws StoreError `locked` when a living process, this one included, has the directory. */
  static async take(directory: string): Promise<DirectoryLock> {
    const home = await realpath(directory);
    const path = join(home, lockName);
    const owner: Owner = { pid: process.pid, started: await startOf(process.pid), directory: home };
    const lock = new DirectoryLock(path, `${JSON.stringify(owner)}\n`);
    const draft = `${path}-${randomBytes(8).toString("hex")}`;
    await writeFile(draft, lock.#text, { flag: "wx" });
    try {
      while (!(await linked(draft, path))) await removeIfLeft(path, home);
    } finally {
      await rm(draft, { force: true });
    }
    return lock;
  }

  async release(): Promise<void> {
    const found = await readFile(this.#path, "utf8").catch(() => "");
    if (found === this.#text) await rm(this.#path, { force: true });
  }
}

/** The process that has the directory now; null: nobody. Changes nothing, for those who only look. */
export async function holderOf(directory: string): Promise<number | null> {
  const home = await realpath(directory);
  const text = await readFile(join(home, lockName), "utf8").catch(() => null);
  const owner = text === null ? null : readOwner(text);
  return owner !== null && owner.directory === home && (await isAlive(owner)) ? owner.pid : null;
}

async function linked(draft: string, path: string): Promise<boolean> {
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** Removes a lock that nobody holds any more; throws `locked` if somebody does. */
async function removeIfLeft(path: string, home: string): Promise<void> {
  const text = await readFile(path, "utf8").catch(() => null);
  if (text === null) return;
  const owner = readOwner(text);
  if (owner !== null && owner.directory === home && (await isAlive(owner)))
    throw new StoreError(
      "locked",
      `${home} is in use by process ${owner.pid}; one server has one directory (if that process is no Twinlog server, remove ${path})`,
    );
  // Moved away under a name of its own first: if it is not what was read, another process was quicker, and gets it back.
  const aside = `${path}-${randomBytes(8).toString("hex")}`;
  try {
    await rename(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw error;
  }
  if ((await readFile(aside, "utf8")) !== text) await linked(aside, path);
  await rm(aside, { force: true });
}

function readOwner(text: string): Owner | null {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null) return null;
    const { pid, started, directory } = value as Record<string, unknown>;
    if (typeof pid !== "number" || !Number.isInteger(pid) || pid <= 0 || typeof directory !== "string") return null;
    return { pid, started: typeof started === "string" ? started : null, directory };
  } catch {
    return null;
  }
}

async function isAlive(owner: Owner): Promise<boolean> {
  try {
    process.kill(owner.pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
  }
  const started = await startOf(owner.pid);
  return started === null || owner.started === null ? started !== ended : started === owner.started;
}

const ended = "ended";

/** The boot and the tick at which a process started (Linux); `ended` for a zombie; null where the system does not tell. */
async function startOf(pid: number): Promise<string | null> {
  try {
    const [boot, stat] = await Promise.all([
      readFile("/proc/sys/kernel/random/boot_id", "utf8"),
      readFile(`/proc/${pid}/stat`, "utf8"),
    ]);
    // The second field is the program's name in brackets and may hold anything; the third is the state, the 22nd the start.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" || fields[0] === "X" ? ended : `${boot.trim()}/${fields[19]}`;
  } catch {
    return null;
  }
}
