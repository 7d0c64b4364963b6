/**
 * The store's layout: every key and every value format, in one place. Keys sort so that one pass over the whole store
 * meets meta first, then rows, queue items and the log, which is the order of recovery.
 *
 *   1                                   meta: u8 format, u32 CRC-32 of the rest, JSON (schemas/checkpoint.ts)
 *   2, u8 part, key in UTF-8            row: u32 hash of part, key and value; the value, JSON as the transaction wrote it
 *   3, u8 part, u64 index               queue item: u32 hash of part, index and value; the value
 *   4, u64 first sequence               segment: u8 format, 3 bytes 0, u32 previous hash, u32 last hash, f64 last
 *                                       sequence, records (machines/codec/record.ts)
 *
 * Integers in keys are big-endian, in values little-endian. What always holds: a value's hash covers its key, so that a
 * value under the wrong key is found as well as a changed one.
 */
import { crc32 } from "node:zlib";
import { CheckpointMeta } from "../../schemas/checkpoint.ts";
import type { LogBatch } from "../log/batch.ts";

/** Another number: another layout, which this program must not touch. */
export const formatVersion = 1;

export const spaces = { meta: 1, row: 2, item: 3, segment: 4 } as const;

/** One change of the store; the port's StoreWrite has this shape. */
export type Write = { type: "put"; key: Uint8Array; value: Uint8Array } | { type: "delete"; key: Uint8Array };

/** Every key lies in it. */
export const everything: { from: Uint8Array; to: Uint8Array } = { from: Uint8Array.of(0), to: Uint8Array.of(255) };
export const metaKey: Uint8Array = Uint8Array.of(spaces.meta);

export const rowKeyAt = 2;
export const hashBytes = 4;
const segmentHeaderBytes = 20;

/** A value cannot be what this layout writes. `format`: another version wrote it; `damaged`: it changed on the disk. */
export class LayoutError extends Error {
  readonly code: "format" | "damaged";
  constructor(code: LayoutError["code"], message: string) {
    super(message);
    this.name = "LayoutError";
    this.code = code;
  }
}

/** The same bytes as a Buffer, whoever owns them. */
export function view(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function writeUint64(target: Buffer, at: number, value: number): void {
  target.writeUInt32BE(Math.floor(value / 0x1_0000_0000), at);
  target.writeUInt32BE(value >>> 0, at + 4);
}

export function readUint64(bytes: Uint8Array, at: number): number {
  const buffer = view(bytes);
  return buffer.readUInt32BE(at) * 0x1_0000_0000 + buffer.readUInt32BE(at + 4);
}

/** `keyAndValue`: the key's bytes and right after them the value's, as a put effect holds them. */
export function rowHash(part: number, keyLength: number, keyAndValue: Uint8Array): number {
  return crc32(keyAndValue, (part << 16) | keyLength);
}

/** The same hash, of a row whose key and value lie apart. */
export function storedRowHash(part: number, key: Uint8Array, value: Uint8Array): number {
  return crc32(value, rowHash(part, key.length, key));
}

export function itemHash(part: number, index: number, value: Uint8Array): number {
  return crc32(value, (index * 256 + part) >>> 0);
}

export function itemKey(part: number, index: number): Buffer {
  const key = Buffer.allocUnsafe(10);
  key[0] = spaces.item;
  key[1] = part;
  writeUint64(key, 2, index);
  return key;
}

export function itemValue(part: number, index: number, item: Uint8Array): Buffer {
  const value = Buffer.allocUnsafe(hashBytes + item.length);
  value.writeUInt32LE(itemHash(part, index, item), 0);
  value.set(item, hashBytes);
  return value;
}

export function segmentKey(first: number): Buffer {
  const key = Buffer.allocUnsafe(9);
  key[0] = spaces.segment;
  writeUint64(key, 1, first);
  return key;
}

/** Batches that chain, as one segment. */
export function segmentValue(batches: readonly LogBatch[], bytes: number): Buffer {
  const value = Buffer.allocUnsafe(segmentHeaderBytes + bytes);
  const last = batches[batches.length - 1];
  value.writeUInt32LE(formatVersion, 0);
  value.writeUInt32LE(batches[0]?.previousHash ?? 0, 4);
  value.writeUInt32LE(last?.lastHash ?? 0, 8);
  value.writeDoubleLE(last?.last ?? 0, 12);
  let at = segmentHeaderBytes;
  for (const batch of batches) {
    value.set(batch.bytes, at);
    at += batch.bytes.length;
  }
  return value;
}

/** The batch of a segment, not yet verified (`verifyBatch` does that). Its bytes are a view of `value`. */
export function readSegment(key: Uint8Array, value: Uint8Array): LogBatch {
  if (key.length !== 9 || value.length < segmentHeaderBytes)
    throw new LayoutError("damaged", "a segment of the log is cut off");
  const buffer = view(value);
  if (buffer.readUInt32LE(0) !== formatVersion)
    throw new LayoutError("format", `a segment of format ${buffer[0]}; this program knows ${formatVersion}`);
  return {
    first: readUint64(key, 1),
    last: buffer.readDoubleLE(12),
    previousHash: buffer.readUInt32LE(4),
    lastHash: buffer.readUInt32LE(8),
    bytes: buffer.subarray(segmentHeaderBytes),
  };
}

export function metaValue(meta: CheckpointMeta): Buffer {
  const json = Buffer.from(JSON.stringify(meta));
  const value = Buffer.allocUnsafe(5 + json.length);
  value[0] = formatVersion;
  value.writeUInt32LE(crc32(json), 1);
  value.set(json, 5);
  return value;
}

export function readMeta(value: Uint8Array): CheckpointMeta {
  const buffer = view(value);
  if (buffer.length < 6) throw new LayoutError("damaged", "the meta record is cut off");
  if (buffer[0] !== formatVersion)
    throw new LayoutError("format", `the store has format ${buffer[0]}; this program knows ${formatVersion}`);
  const json = buffer.subarray(5);
  if (crc32(json) !== buffer.readUInt32LE(1))
    throw new LayoutError("damaged", "the meta record does not match its hash");
  const parsed = CheckpointMeta.safeParse(jsonOf(json));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const at = issue === undefined ? "" : ` (${issue.path.join(".")}: ${issue.message})`;
  throw new LayoutError("format", `the meta record has other fields than this program knows${at}`);
}

/** Undefined where it is none: what was written had its hash as well. */
function jsonOf(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch {
    return undefined;
  }
}

/** No key of this layout is empty, or of another space. */
export function isKey(key: Uint8Array): boolean {
  const [space] = key;
  if (space === spaces.meta) return key.length === metaKey.length;
  return space === spaces.row || space === spaces.item || space === spaces.segment;
}
