/**
 * Whose a folder is. What always holds: nothing is written to a folder that another user has or may write, or in which a
 * symbolic link leads elsewhere; one that others could only read is closed to them. The path that leads to the folder may be
 * a link: whoever configured it meant it. Where the system has no owners (Windows) nothing is refused.
 */
import type { Stats } from "node:fs";
import { chmod, lstat, readdir, realpath } from "node:fs/promises";
import { join } from "node:path";
import { StoreError } from "./ports.ts";

/** How far down is looked: a database's files are that far below the data directory. */
const levelsLookedAt = 3;
const byOthers = { write: 0o022, any: 0o077 };
const superuser = 0;

/** True if another user than this program's has it; the superuser counts as none. */
export function isOfAnother(file: Stats): boolean {
  const own = process.geteuid?.();
  return own !== undefined && file.uid !== own && file.uid !== superuser;
}

export function othersMayWrite(file: Stats): boolean {
  return process.geteuid !== undefined && (file.mode & byOthers.write) !== 0;
}

/** As `ls` and `chmod` know it. */
export function shownMode(file: Stats): string {
  return (file.mode & 0o7777).toString(8).padStart(4, "0");
}

/**
 * Throws StoreError `unsafe`, one line with how to mend it. `names`: what is looked at in the folder, where other things may lie
 * beside; otherwise all. What is not there is refused by nobody.
 */
export async function refuseFolderOfOthers(path: string, names?: readonly string[]): Promise<void> {
  const own = process.geteuid?.();
  if (own === undefined) return;
  const folder = await realpath(path).catch(() => null);
  if (folder === null) return;
  const itself = await lstat(folder);
  // What the superuser has in our folder is no danger; a folder of his own is a mistake.
  if (itself.uid !== own) throw ofAnother(folder, itself, folder);
  if (othersMayWrite(itself)) throw writable(folder, itself, folder);
  await refuseIn(folder, { names: names ?? (await readdir(folder)), levels: levelsLookedAt, root: folder });
}

async function refuseIn(
  folder: string,
  { names, levels, root }: { names: readonly string[]; levels: number; root: string },
): Promise<void> {
  for (const name of names) {
    const path = join(folder, name);
    const found = await lstat(path).catch(() => null);
    if (found === null) continue;
    if (found.isSymbolicLink())
      throw new StoreError(
        "unsafe",
        `${path} is a symbolic link: put what it leads to in its place, or configure that place instead of ${root}`,
      );
    if (isOfAnother(found)) throw ofAnother(path, found, root);
    if (othersMayWrite(found)) throw writable(path, found, root);
    if (found.isDirectory() && levels > 1)
      await refuseIn(path, { names: await readdir(path).catch(() => []), levels: levels - 1, root });
  }
}

function ofAnother(path: string, { uid }: Stats, root: string): StoreError {
  const own = process.geteuid?.();
  return new StoreError(
    "unsafe",
    `${path} belongs to user ${uid}, and this program runs as user ${own}: run it as that user, or make the folder its own with chown -R ${own} ${root}`,
  );
}

function writable(path: string, file: Stats, root: string): StoreError {
  return new StoreError(
    "unsafe",
    `${path} may be written by other users (mode ${shownMode(file)}): look at what is in it, then chmod -R go-w ${root}`,
  );
}

/**
 * Makes a folder of ours its owner's alone (0700). True: others could read it until now. `names`: it is left as it is where
 * something else lies in it, since others may have business there.
 */
export async function closeToOthers(path: string, names?: readonly string[]): Promise<boolean> {
  const found = await lstat(path).catch(() => null);
  if (process.geteuid === undefined || found === null || !found.isDirectory()) return false;
  if ((found.mode & byOthers.any) === 0) return false;
  if (names !== undefined && (await readdir(path)).some((name) => !names.includes(name))) return false;
  await chmod(path, found.mode & 0o7777 & ~byOthers.any);
  return true;
}
