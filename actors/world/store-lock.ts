/**
 * One process for each directory (situation 29), also for processes that cannot see each other: two containers with one
 * volume, each with process ids of its own (situation 55). What always holds:
 * 1. The lock is a small database of its own, `locked/`, which its holder keeps open: LevelDB has the kernel lock a file in
 *    it, which ends with the process, however that ends. Nothing is ever stored in it and nothing takes its place, neither a
 *    snapshot nor a store that is set aside; the locked file itself is never removed.
 * 2. Within one process nothing is opened twice: a second opening, refused or not, would give the kernel's lock away.
 * 3. Who holds it stands in the file `holder`, for people: no decision rests on it.
 */
import { randomBytes } from "node:crypto";
import { readdir, readFile, readlink, realpath, rename, rm, stat, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { type HeldDatabase, holdDatabase } from "./database-level.ts";
import { refuseFolderOfOthers } from "./folder-owner.ts";
import { StoreError } from "./ports.ts";

const lockName = "locked";
const holderName = "holder";
/** The kernel's lock is on this file of LevelDB's. */
const lockedFile = "LOCK";

/** Real paths of the directories that this process has. */
const held = new Set<string>();

interface Holder {
  readonly pid: number;
  readonly host: string;
  /** The space in which the process id counts (Linux); null where the system does not tell. */
  readonly space: string | null;
}

export class DirectoryLock {
  readonly #home: string;
  readonly #database: HeldDatabase;

  private constructor(home: string, database: HeldDatabase) {
    this.#home = home;
    this.#database = database;
  }

  /**
   * Throws StoreError `locked` when a living process, this one included, has the directory, `unsafe` when it is not ours
   * alone. Nothing was touched then. `names`: what we use in it, where other things may lie beside; otherwise all is ours.
   */
  static async take(directory: string, names?: readonly string[]): Promise<DirectoryLock> {
    const home = await realpath(directory);
    await refuseFolderOfOthers(home, names && [lockName, holderName, ...names]);
    if (held.has(home)) throw inUse(home, `process ${process.pid}, this one`);
    held.add(home);
    try {
      const database = await hold(join(home, lockName));
      await writeHolder(home);
      return new DirectoryLock(home, database);
    } catch (error) {
      held.delete(home);
      if (error instanceof StoreError && error.code === "locked") throw inUse(home, await holderOf(home));
      throw error;
    }
  }

  /**
   * For those who only look: takes it where the directory looks used, so that nobody begins to use it meanwhile. Null: nobody
   * has it, or it cannot be locked here. Throws as `take` does when somebody has it.
   */
  static async takeIfUsed(directory: string): Promise<DirectoryLock | null> {
    const isMarked = await stat(join(directory, holderName)).catch(() => null);
    if (isMarked === null) return null;
    try {
      return await DirectoryLock.take(directory);
    } catch (error) {
      if (error instanceof StoreError && error.code !== "locked") return null;
      throw error;
    }
  }

  async release(): Promise<void> {
    if (!held.has(this.#home)) return;
    await rm(join(this.#home, holderName), { force: true });
    await this.#database.close();
    held.delete(this.#home);
  }
}

function inUse(home: string, holder: string): StoreError {
  return new StoreError("locked", `${home} is in use by ${holder}`);
}

/** A crash may have left half a database: what is in it is worth nothing, only whose it is. */
async function hold(path: string): Promise<HeldDatabase> {
  try {
    return await holdDatabase(path);
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== "damaged") throw error;
    for (const name of await readdir(path))
      if (name !== lockedFile) await rm(join(path, name), { recursive: true, force: true });
    return await holdDatabase(path);
  }
}

async function writeHolder(home: string): Promise<void> {
  const holder: Holder = { pid: process.pid, host: hostname(), space: await spaceOfIds() };
  const draft = join(home, `${holderName}-${randomBytes(8).toString("hex")}`);
  await writeFile(draft, `${JSON.stringify(holder)}\n`);
  await rename(draft, join(home, holderName));
}

/** In words. */
async function holderOf(home: string): Promise<string> {
  const path = join(home, holderName);
  const holder = readHolder(await readFile(path, "utf8").catch(() => ""));
  if (holder === null) return "another process";
  const since = await stat(path).then(
    ({ mtime }) => `, since ${mtime.toISOString()}`,
    () => "",
  );
  const isElsewhere = holder.host !== hostname() || holder.space !== (await spaceOfIds());
  const where = isElsewhere ? ` of another container or machine (host ${holder.host})` : "";
  return `process ${holder.pid}${where}${since}`;
}

function readHolder(text: string): Holder | null {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null) return null;
    const { pid, host, space } = value as Record<string, unknown>;
    if (typeof pid !== "number" || typeof host !== "string") return null;
    return { pid, host, space: typeof space === "string" ? space : null };
  } catch {
    return null;
  }
}

async function spaceOfIds(): Promise<string | null> {
  return await readlink("/proc/self/ns/pid").catch(() => null);
}
