/**
 * A backup's file: a head, and then a snapshot's chunks (snapshot-codec.ts), each behind its length. What always holds: every
 * byte of it is under a hash; the last chunk says how many entries there are and what all of them hash to; nothing follows it.
 * Integers are little-endian.
 *
 *   head    "twinlog backup\n", u8 version, u32 length and u32 CRC-32 of what follows, JSON (schemas/backup.ts)
 *   chunk   u32 length, the chunk
 */
import { crc32 } from "node:zlib";
import { BackupHeader } from "../../schemas/backup.ts";
import { chunkHeaderBytes, minChunkBytes } from "./snapshot-codec.ts";

export const backupVersion = 1;
const magic = Buffer.from("twinlog backup\n");
/** What is read first: it says how much of the head is left. */
export const headStartBytes: number = magic.length + 9;
const maxHeaderBytes = 64 * 1024;
/** Nobody writes larger ones; a length beyond it is damage, not a reason to allocate. */
export const maxBackupChunkBytes: number = 1024 * 1024;
export const lengthBytes = 4;

/** none: the file is no backup. version: another version of Twinlog wrote it. damaged: it changed, or ends too early. */
export class BackupError extends Error {
  override readonly name = "BackupError";
  readonly code: "none" | "version" | "damaged";
  constructor(code: BackupError["code"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export function backupHead(header: BackupHeader): Buffer {
  const json = Buffer.from(JSON.stringify(header));
  const start = Buffer.alloc(headStartBytes);
  magic.copy(start);
  start[magic.length] = backupVersion;
  start.writeUInt32LE(json.length, magic.length + 1);
  start.writeUInt32LE(crc32(json), magic.length + 5);
  return Buffer.concat([start, json]);
}

/** How many bytes of JSON come after the first `headStartBytes`. Throws BackupError. */
export function headerLength(start: Buffer): number {
  if (start.length < headStartBytes || !start.subarray(0, magic.length).equals(magic))
    throw new BackupError("none", "it is no backup that this program wrote");
  const version = start[magic.length];
  if (version !== backupVersion)
    throw new BackupError("version", `it is a backup of version ${version}; this program knows ${backupVersion}`);
  const length = start.readUInt32LE(magic.length + 1);
  if (length > maxHeaderBytes) throw new BackupError("damaged", `its head says that it has ${length} bytes`);
  return length;
}

/** Throws BackupError. */
export function readHeader(start: Buffer, json: Buffer): BackupHeader {
  if (crc32(json) !== start.readUInt32LE(magic.length + 5))
    throw new BackupError("damaged", "its head does not match its hash");
  const parsed = BackupHeader.safeParse(JSON.parse(json.toString("utf8")));
  if (!parsed.success) throw new BackupError("version", "its head has other fields than this program knows");
  return parsed.data;
}

export function framedChunk(chunk: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(lengthBytes + chunk.length);
  framed.writeUInt32LE(chunk.length, 0);
  framed.set(chunk, lengthBytes);
  return framed;
}

/** Throws BackupError. */
export function chunkLength(frame: Buffer): number {
  const length = frame.readUInt32LE(0);
  if (length <= chunkHeaderBytes || length > maxBackupChunkBytes)
    throw new BackupError(
      "damaged",
      `it has a chunk of ${length} bytes; one has ${minChunkBytes} to ${maxBackupChunkBytes}`,
    );
  return length;
}
