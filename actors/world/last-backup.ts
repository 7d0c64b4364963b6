/**
 * When the last backup was read from a server: kept beside its store, so that the next process knows it too. What always holds: it
 * is whole, or as it was; nothing is decided by it, so one that cannot be read is none.
 */
import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { LastBackup } from "../../schemas/surroundings.ts";

/** In the data directory. */
export const lastBackupFile = "last-backup.json";

export async function readLastBackup(dataDirectory: string): Promise<LastBackup | null> {
  try {
    return LastBackup.parse(JSON.parse(await readFile(join(dataDirectory, lastBackupFile), "utf8")));
  } catch {
    return null;
  }
}

export async function writeLastBackup(dataDirectory: string, backup: LastBackup): Promise<void> {
  const file = join(dataDirectory, lastBackupFile);
  await writeFile(`${file}.new`, `${JSON.stringify(backup)}\n`, { mode: 0o600 });
  await rename(`${file}.new`, file);
}
