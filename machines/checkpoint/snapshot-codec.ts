/**
 * A snapshot as chunks (rule 7): the store's entries as one stream of bytes, cut into chunks of bounded size, so that
 * an entry larger than a frame passes too. What always holds: chunks are numbered from 1 and each has its own CRC; the
 * last one carries the number of entries, the number of bytes and the SHA-256 of all of them, and nothing counts as
 * received before that one matches. Integers are little-endian.
 *
 *   chunk   u8 version, u8 kind (1 data, 2 end), u16 0, u32 number, u32 CRC-32 of all other bytes, payload
 *   data    part of the stream: u16 key length, u32 value length, key, value, …
 *   end     f64 entries, f64 bytes of the stream, SHA-256 of the stream
 */
import { createHash, type Hash } from "node:crypto";
import { crc32 } from "node:zlib";
import { view } from "./layout.ts";

export const snapshotVersion = 1;
const kinds = { data: 1, end: 2 } as const;
export const chunkHeaderBytes = 12;
const entryHeaderBytes = 6;
const endBytes = 48;
/** Smallest chunk that a sender may be asked for: the last chunk must fit. */
export const minChunkBytes = chunkHeaderBytes + endBytes;
/** Nobody sends larger values; a length beyond it is damage, not a reason to allocate. */
const maxValueBytes = 256 * 1024 * 1024;

/** version: sent by a newer or older Twinlog. damaged: bytes changed on the way. digest: all came, but not what was sent. */
export class SnapshotError extends Error {
  readonly code: "version" | "damaged" | "digest";
  constructor(code: SnapshotError["code"], message: string) {
    super(message);
    this.name = "SnapshotError";
    this.code = code;
  }
}

function chunkHash(chunk: Buffer): number {
  return crc32(chunk.subarray(chunkHeaderBytes), crc32(chunk.subarray(0, 8)));
}

function chunkOf(kind: number, number: number, target: Buffer, end: number): Buffer {
  const chunk = target.subarray(0, end);
  chunk.writeUInt32LE(snapshotVersion | (kind << 8), 0);
  chunk.writeUInt32LE(number, 4);
  chunk.writeUInt32LE(chunkHash(chunk), 8);
  return chunk;
}

/** By its own word; a decoder proves it. */
export function isEndChunk(chunk: Uint8Array): boolean {
  return chunk[1] === kinds.end;
}

export class SnapshotEncoder {
  readonly #chunkBytes: number;
  readonly #digest: Hash = createHash("sha256");
  #chunk: Buffer;
  #used = chunkHeaderBytes;
  #number = 0;
  #entries = 0;
  #bytes = 0;
  #ready: Buffer[] = [];

  constructor(chunkBytes: number) {
    if (chunkBytes < minChunkBytes) throw new RangeError(`chunks of ${chunkBytes} bytes; at least ${minChunkBytes}`);
    this.#chunkBytes = chunkBytes;
    this.#chunk = Buffer.allocUnsafe(chunkBytes);
  }

  /** Takes one entry in; the chunks that it filled, often none. */
  add(key: Uint8Array, value: Uint8Array): Buffer[] {
    const header = Buffer.allocUnsafe(entryHeaderBytes);
    header.writeUInt16LE(key.length, 0);
    header.writeUInt32LE(value.length, 2);
    this.#entries += 1;
    this.#write(header);
    this.#write(key);
    this.#write(value);
    return this.#take();
  }

  /** The chunks that remain; the last one is the end. */
  finish(): Buffer[] {
    this.#cut();
    const end = Buffer.allocUnsafe(minChunkBytes);
    end.writeDoubleLE(this.#entries, chunkHeaderBytes);
    end.writeDoubleLE(this.#bytes, chunkHeaderBytes + 8);
    this.#digest.digest().copy(end, chunkHeaderBytes + 16);
    this.#number += 1;
    this.#ready.push(chunkOf(kinds.end, this.#number, end, end.length));
    return this.#take();
  }

  #write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      if (this.#used === this.#chunkBytes) this.#cut();
      const part = bytes.subarray(at, at + this.#chunkBytes - this.#used);
      this.#chunk.set(part, this.#used);
      this.#used += part.length;
      at += part.length;
    }
  }

  #cut(): void {
    if (this.#used === chunkHeaderBytes) return;
    this.#number += 1;
    const chunk = chunkOf(kinds.data, this.#number, this.#chunk, this.#used);
    this.#digest.update(chunk.subarray(chunkHeaderBytes));
    this.#bytes += chunk.length - chunkHeaderBytes;
    this.#ready.push(chunk);
    this.#chunk = Buffer.allocUnsafe(this.#chunkBytes);
    this.#used = chunkHeaderBytes;
  }

  #take(): Buffer[] {
    const ready = this.#ready;
    this.#ready = [];
    return ready;
  }
}

export type SnapshotEntry = readonly [key: Buffer, value: Buffer];

/** repeated: this chunk was here before. early: one before it is missing. Neither changes anything. */
export type ChunkOutcome =
  | { outcome: "taken"; entries: SnapshotEntry[] }
  | { outcome: "complete" }
  | { outcome: "repeated" | "early" };

export class SnapshotDecoder {
  readonly #digest: Hash = createHash("sha256");
  #number = 0;
  #entries = 0;
  #bytes = 0;
  #rest: Buffer[] = [];
  #restBytes = 0;
  #isComplete = false;

  /** Number of the next chunk that is wanted. */
  get next(): number {
    return this.#number + 1;
  }

  /** Throws SnapshotError; then nothing more of this snapshot can be used. */
  take(bytes: Uint8Array): ChunkOutcome {
    const chunk = view(bytes);
    if (chunk.length < chunkHeaderBytes) throw new SnapshotError("damaged", "a chunk of the snapshot is cut off");
    if (chunk[0] !== snapshotVersion)
      throw new SnapshotError("version", `a snapshot of version ${chunk[0]}; this program knows ${snapshotVersion}`);
    const payload = chunk.subarray(chunkHeaderBytes);
    if (chunkHash(chunk) !== chunk.readUInt32LE(8))
      throw new SnapshotError("damaged", "a chunk of the snapshot does not match its hash");
    const number = chunk.readUInt32LE(4);
    if (number <= this.#number) return { outcome: "repeated" };
    if (number > this.next || this.#isComplete) return { outcome: "early" };
    this.#number = number;
    if (chunk[1] === kinds.data) return { outcome: "taken", entries: this.#onData(payload) };
    if (chunk[1] !== kinds.end) throw new SnapshotError("damaged", `a chunk of the unknown kind ${chunk[1]}`);
    this.#onEnd(payload);
    return { outcome: "complete" };
  }

  #onEnd(payload: Buffer): void {
    if (payload.length !== endBytes || this.#restBytes > 0)
      throw new SnapshotError("damaged", "the snapshot ends in the middle of an entry");
    const entries = payload.readDoubleLE(0);
    const bytes = payload.readDoubleLE(8);
    if (entries !== this.#entries || bytes !== this.#bytes)
      throw new SnapshotError("digest", `${this.#entries} entries came; ${entries} were sent`);
    if (!this.#digest.digest().equals(payload.subarray(16)))
      throw new SnapshotError("digest", "the snapshot does not match its digest");
    this.#isComplete = true;
  }

  #onData(payload: Buffer): SnapshotEntry[] {
    this.#digest.update(payload);
    this.#bytes += payload.length;
    this.#rest.push(payload);
    this.#restBytes += payload.length;
    if (this.#restBytes < this.#wanted()) return [];
    const bytes = this.#rest.length === 1 ? payload : Buffer.concat(this.#rest);
    const entries: SnapshotEntry[] = [];
    let at = 0;
    for (let end = entryEnd(bytes, at); end !== null && end <= bytes.length; end = entryEnd(bytes, at)) {
      const valueAt = at + entryHeaderBytes + bytes.readUInt16LE(at);
      entries.push([bytes.subarray(at + entryHeaderBytes, valueAt), bytes.subarray(valueAt, end)]);
      at = end;
    }
    this.#entries += entries.length;
    this.#rest = at < bytes.length ? [bytes.subarray(at)] : [];
    this.#restBytes = bytes.length - at;
    return entries;
  }

  /** How many bytes must wait before an entry can be whole: pieces of a large value are not joined again and again. */
  #wanted(): number {
    const head = this.#rest[0] as Buffer;
    return entryEnd(head, 0) ?? entryHeaderBytes;
  }
}

/** Where the entry at `at` ends; null when not even its lengths are there. */
function entryEnd(bytes: Buffer, at: number): number | null {
  if (at + entryHeaderBytes > bytes.length) return null;
  const valueBytes = bytes.readUInt32LE(at + 2);
  if (valueBytes > maxValueBytes) throw new SnapshotError("damaged", `an entry of ${valueBytes} bytes`);
  return at + entryHeaderBytes + bytes.readUInt16LE(at) + valueBytes;
}
