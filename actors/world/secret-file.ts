/**
 * A file with a secret, read anew whenever it is needed, so that it can be replaced while we run. What always holds: a file
 * into which others may write is never read, and no error shows what is in one. One that others can read is somebody's
 * mistake, or a mounted secret's way: it is read, and whoever opens the world says so once.
 */
import type { Stats } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { othersMayWrite, shownMode } from "./folder-owner.ts";

/** Why there is no secret. */
export class SecretFileError extends Error {
  override readonly name = "SecretFileError";
}

/** The largest that is read: credentials take some 2 KiB, authorities' certificates more. */
const maxFileBytes = 1024 * 1024;
const readableBy = { group: 0o040, anybody: 0o004 };

/** The file's text, whole. Throws SecretFileError. */
export const readSecret = (path: string): Promise<string> => read(path, refuse);

/** What is no secret, such as a certificate. Throws SecretFileError. */
export const readPlain = (path: string): Promise<string> => read(path, refuseSize);

/** The only line of the file. Throws SecretFileError. */
export async function readSecretLine(path: string): Promise<string> {
  const [line = "", ...more] = (await readSecret(path)).replace(/\r?\n$/, "").split("\n");
  if (line === "") throw new SecretFileError(`${path} is empty`);
  if (more.length > 0) throw new SecretFileError(`${path} has more than one line`);
  return line;
}

/** Of a file that others can read, and could be closed to them, one line that says how; "" for any other. */
export async function whoElseReads(path: string): Promise<string> {
  const file = await stat(path).catch(() => null);
  const own = process.geteuid?.();
  if (file === null || own === undefined) return "";
  // Another's file that our group may read was made for us.
  const others = readableBy.anybody | (file.uid === own ? readableBy.group : 0);
  if ((file.mode & others) === 0) return "";
  return `others can read the secret in ${path} (mode ${shownMode(file)}): chmod go-rwx ${path}`;
}

async function read(path: string, check: (path: string, file: Stats) => void): Promise<string> {
  try {
    // Before it is opened: a pipe would wait for a writer.
    check(path, await stat(path));
    return (await readFile(path, "utf8")).replace(/^\ufeff/, "");
  } catch (error) {
    if (error instanceof SecretFileError) throw error;
    throw new SecretFileError(`${path} cannot be read (${(error as NodeJS.ErrnoException).code ?? "unknown error"})`);
  }
}

function refuse(path: string, file: Stats): void {
  refuseSize(path, file);
  if (othersMayWrite(file))
    throw new SecretFileError(`others may write ${path} (mode ${shownMode(file)}): chmod go-w ${path}`);
}

function refuseSize(path: string, file: Stats): void {
  if (!file.isFile()) throw new SecretFileError(`${path} is no file`);
  if (file.size > maxFileBytes) throw new SecretFileError(`${path} is too large (${file.size} bytes)`);
}
