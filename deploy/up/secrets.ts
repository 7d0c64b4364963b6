/**
 * The secrets of a service that runs on one machine. Each is a file of its own, made once and kept. What always holds: it is
 * readable by its user alone from the first moment, and whole, or not there.
 */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/** What the file holds; it is made where it is not there. */
export function keptSecret(file: string, make: () => string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  const secret = make();
  writeOwn(file, secret);
  return secret;
}

/** For this user alone; under another name first, so that a reader never sees half a file. */
export function writeOwn(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  // What is there already would keep its mode, or lead elsewhere.
  rmSync(`${file}.new`, { force: true });
  writeFileSync(`${file}.new`, text, { mode: 0o600, flag: "wx", flush: true });
  renameSync(`${file}.new`, file);
}
