/**
 * A nats-server program on this machine: one that has shown, by running, that it is one and which version it is.
 * What always holds: nothing is run that another user than ours or root has or may write, or that lies in such a folder.
 */
import type { Stats } from "node:fs";
import { realpath, stat } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { isOfAnother, othersMayWrite, shownMode } from "../../actors/world/folder-owner.ts";
import { complaint, runCommand } from "./command.ts";

export type NatsBinary = { path: string; version: string };

const versionTimeoutMs = 5_000;

/** Runs `path --version`. A string says why this is no nats-server that we can use. */
export async function inspectBinary(path: string): Promise<NatsBinary | string> {
  const unsafe = await whyNotToRun(path);
  if (unsafe !== "") {
    return unsafe;
  }
  const result = await runCommand(path, ["--version"], { timeoutMs: versionTimeoutMs });
  if (result.status !== 0) {
    return complaint(result, path);
  }
  const version = /^nats-server: v(\d+\.\d+\.\d+\S*)/.exec(result.stdout)?.[1];
  if (version === undefined) {
    return `${path} does not say that it is nats-server`;
  }
  return isAtLeast(version, 2, 9) ? { path, version } : `${path} is nats-server ${version}, and 2.9 or newer is needed`;
}

/** One line with how to mend it; empty where the program may be run, or is not there. */
async function whyNotToRun(path: string): Promise<string> {
  // The system would look for it on the PATH, and run what was not looked at.
  if (path === basename(path)) {
    return `${path} is a name, and a path is needed`;
  }
  const file = await realpath(path).catch(() => undefined);
  if (file === undefined) {
    return "";
  }
  // A link is judged by its own folder, and by what it leads to.
  const places = new Set([await realpath(dirname(path)), dirname(file), file]);
  for (const place of places) {
    const unsafe = await whyUnsafe(place);
    if (unsafe !== "") {
      return `${path} is not run: ${unsafe}`;
    }
  }
  return "";
}

/** Of a file or folder: who else may change what is in it, and how to mend that; empty: nobody, or it is not there. */
export async function whyUnsafe(path: string): Promise<string> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) {
    return "";
  }
  if (isOfAnother(found)) {
    const own = process.geteuid?.();
    return `${path} belongs to user ${found.uid}, neither to root nor to this program's user ${own} (chown ${own} ${path})`;
  }
  if (othersMayWrite(found) && !isOfAdministrators(found)) {
    return `${path} may be written by other users, mode ${shownMode(found)} (chmod go-w ${path})`;
  }
  return "";
}

/** A folder of root's whose group may write: the administrator gave it to them, as Debian does with /usr/local. */
function isOfAdministrators({ uid, mode }: Stats): boolean {
  return uid === 0 && (mode & worldWritable) === 0;
}

const worldWritable = 0o002;

/** Compares the first two numbers of a version such as `2.10.27` or `2.11.0-RC.1`. */
export function isAtLeast(version: string, major: number, minor: number): boolean {
  const [itsMajor = 0, itsMinor = 0] = version.split(".").map(Number);
  return itsMajor > major || (itsMajor === major && itsMinor >= minor);
}
