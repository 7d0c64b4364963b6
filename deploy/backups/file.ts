/**
 * Backups as files. What always holds: what is written is proved on the way and on the disk, names and all, before the file has
 * its name, and a file that is there is never written over; what fails leaves nothing behind; one chunk at a time is in memory.
 */
import { rmSync } from "node:fs";
import { type FileHandle, link, open, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import type { Clock } from "../../actors/world/ports.ts";
import { syncDirectory } from "../../actors/world/store-directory.ts";
import { BackupCheck, type BackupSummary } from "../../machines/checkpoint/backup-check.ts";
import {
  BackupError,
  backupHead,
  chunkLength,
  framedChunk,
  headerLength,
  headStartBytes,
  lengthBytes,
  readHeader,
} from "../../machines/checkpoint/backup-format.ts";
import { KeyedHash } from "../../machines/codec/keyed-hash.ts";
import type { BackupHeader } from "../../schemas/backup.ts";

/** A sound backup. */
export interface Backup extends BackupSummary {
  readonly header: BackupHeader;
  /** Of the file. */
  readonly bytes: number;
}

/** The file cannot be read or written; one line. */
export class BackupFileError extends Error {
  override readonly name = "BackupFileError";
}

/** Throws BackupFileError, BackupError and whatever `chunks` throws; then there is no file. */
export async function writeBackup(
  path: string,
  header: BackupHeader,
  chunks: AsyncIterable<Uint8Array>,
  clock: Clock,
): Promise<Backup> {
  if (await isThere(path)) throw new BackupFileError(`${path} is there already: a backup is never written over`);
  const draft = `${path}.${clock.randomId()}.partial`;
  // Whoever ends this process at once leaves nothing behind either.
  const remove = () => rmSync(draft, { force: true });
  const file = await named(path, () => open(draft, "wx", 0o600));
  process.once("exit", remove);
  try {
    const check = new BackupCheck(new KeyedHash(clock.randomId()));
    let bytes = await put(path, file, backupHead(header));
    for await (const chunk of chunks) {
      check.take(chunk);
      bytes += await put(path, file, framedChunk(chunk));
    }
    const summary = check.finish();
    await named(path, () => file.sync());
    // Unlike a renaming, it refuses where a file of that name has come meanwhile.
    await named(path, () => link(draft, path));
    await rm(draft);
    await named(path, () => syncDirectory(dirname(path)));
    return { ...summary, header, bytes };
  } catch (error) {
    if (!(error instanceof BackupError)) throw error;
    throw new BackupError(error.code, `what came is not sound, and there is no backup: ${error.message}`, {
      cause: error,
    });
  } finally {
    await file.close();
    process.off("exit", remove);
    remove();
  }
}

async function put(path: string, file: FileHandle, bytes: Buffer): Promise<number> {
  await named(path, () => file.writeFile(bytes));
  return bytes.length;
}

async function isThere(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}

async function named<T>(path: string, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    throw new BackupFileError(`${path}: ${(error as Error).message}`, { cause: error });
  }
}

/**
 * Reads a backup and proves all of it. `onChunk` gets each chunk once it is proved by itself; what came counts only when this
 * returns. Throws BackupFileError, BackupError, and what `onChunk` throws.
 */
export async function readBackup(
  path: string,
  clock: Clock,
  onChunk: (chunk: Buffer) => Promise<void> = async () => {},
): Promise<Backup> {
  const file = await named(path, () => open(path, "r"));
  try {
    const { size: bytes } = await named(path, () => file.stat());
    const start = await take(path, file, headStartBytes);
    const json = await take(path, file, headerLength(start));
    const header = readHeader(start, json);
    const check = new BackupCheck(new KeyedHash(clock.randomId()));
    for (;;) {
      const frame = await take(path, file, lengthBytes);
      if (frame.length === 0) break;
      const length = frame.length === lengthBytes ? chunkLength(frame) : 0;
      const chunk = await take(path, file, length);
      if (length === 0 || chunk.length < length) throw new BackupError("damaged", "it ends in the middle of a chunk");
      check.take(chunk);
      await onChunk(chunk);
    }
    return { ...check.finish(), header, bytes };
  } catch (error) {
    if (!(error instanceof BackupError)) throw error;
    throw new BackupError(error.code, `${path} is no sound backup: ${error.message}`, { cause: error });
  } finally {
    await file.close();
  }
}

/** The next bytes; fewer at the file's end. */
async function take(path: string, file: FileHandle, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await named(path, () => file.read(buffer, filled, length - filled, null));
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}
