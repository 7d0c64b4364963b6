/**
 * The rows that one flush changes: the newest effect on each, found by its key's bytes where they lie in the batches.
 * What always holds: one entry a row, whatever number of effects it had; nothing is copied or decoded before `emit`;
 * every batch that was given stays as it is until then.
 */

import type { KeyedHash } from "../codec/keyed-hash.ts";
import { hashBytes, rowHash, rowKeyAt, spaces, type Write } from "./layout.ts";
import type { RowLedger } from "./row-ledger.ts";

/** Fields of an entry. `end` is -1 where the row was deleted. */
const stride = 7;
const fields = { low: 0, high: 1, source: 2, keyAt: 3, valueAt: 4, end: 5, part: 6 } as const;

export class FoldRows {
  readonly #hash: KeyedHash;
  readonly #sources: Buffer[] = [];
  #bytes: Buffer = Buffer.alloc(0);
  #slots = new Int32Array(2048);
  #entries = new Int32Array(1024 * stride);
  #count = 0;
  #emitted = 0;

  constructor(hash: KeyedHash) {
    this.#hash = hash;
  }

  /** Number of rows that changed. */
  get count(): number {
    return this.#count;
  }

  /** The offsets of the calls that follow point into these bytes. */
  use(bytes: Buffer): void {
    this.#sources.push(bytes);
    this.#bytes = bytes;
  }

  put(part: number, keyAt: number, valueAt: number, end: number): void {
    this.#set(part, keyAt, valueAt, end);
  }

  delete(part: number, keyAt: number, keyEnd: number): void {
    this.#set(part, keyAt, keyEnd, -1);
  }

  #set(part: number, keyAt: number, valueAt: number, end: number): void {
    const hash = this.#hash;
    hash.hash(part, this.#bytes, keyAt, valueAt);
    const { low, high } = hash;
    const mask = this.#slots.length - 1;
    const entries = this.#entries;
    let slot = low & mask;
    for (let entry = this.#slots[slot] as number; entry !== 0; entry = this.#slots[slot] as number) {
      const at = (entry - 1) * stride;
      if (entries[at] === low && entries[at + 1] === high && this.#isKey(at, part, keyAt, valueAt)) {
        this.#write(at, keyAt, valueAt, end);
        return;
      }
      slot = (slot + 1) & mask;
    }
    if ((this.#count + 1) * stride > entries.length) {
      const grown = new Int32Array(entries.length * 2);
      grown.set(entries);
      this.#entries = grown;
    }
    const at = this.#count * stride;
    this.#entries[at + fields.low] = low;
    this.#entries[at + fields.high] = high;
    this.#entries[at + fields.part] = part;
    this.#write(at, keyAt, valueAt, end);
    this.#count += 1;
    this.#slots[slot] = this.#count;
    if (this.#count * 2 > this.#slots.length) this.#grow();
  }

  #write(at: number, keyAt: number, valueAt: number, end: number): void {
    const entries = this.#entries;
    entries[at + fields.source] = this.#sources.length - 1;
    entries[at + fields.keyAt] = keyAt;
    entries[at + fields.valueAt] = valueAt;
    entries[at + fields.end] = end;
  }

  #isKey(at: number, part: number, keyAt: number, valueAt: number): boolean {
    const entries = this.#entries;
    const length = valueAt - keyAt;
    const otherAt = entries[at + fields.keyAt] as number;
    if (entries[at + fields.part] !== part || (entries[at + fields.valueAt] as number) - otherAt !== length)
      return false;
    const other = this.#sources[entries[at + fields.source] as number] as Buffer;
    const bytes = this.#bytes;
    for (let offset = 0; offset < length; offset += 1)
      if (bytes[keyAt + offset] !== other[otherAt + offset]) return false;
    return true;
  }

  #grow(): void {
    const slots = new Int32Array(this.#slots.length * 4);
    const mask = slots.length - 1;
    for (let entry = 1; entry <= this.#count; entry += 1) {
      let slot = (this.#entries[(entry - 1) * stride] as number) & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = entry;
    }
    this.#slots = slots;
  }

  /**
   * Adds the writes of at most `limit` more rows to `writes` and enters them in the ledger. False when all are done.
   * A row that was made and deleted since the last flush leaves no write.
   */
  emit(ledger: RowLedger, writes: Write[], limit: number): boolean {
    const until = Math.min(this.#count, this.#emitted + limit);
    const arena = Buffer.allocUnsafeSlow(this.#arenaBytes(until));
    let used = 0;
    for (let entry = this.#emitted; entry < until; entry += 1)
      used = this.#emitRow(entry * stride, arena, used, ledger, writes);
    this.#emitted = until;
    return until < this.#count;
  }

  #arenaBytes(until: number): number {
    const entries = this.#entries;
    let bytes = 0;
    for (let at = this.#emitted * stride; at < until * stride; at += stride) {
      const keyAt = entries[at + fields.keyAt] as number;
      const end = entries[at + fields.end] as number;
      bytes +=
        end < 0 ? rowKeyAt + (entries[at + fields.valueAt] as number) - keyAt : rowKeyAt + hashBytes + end - keyAt;
    }
    return bytes;
  }

  /** Copies key, hash and value into the arena, and returns how much of it is used then. */
  #emitRow(at: number, arena: Buffer, used: number, ledger: RowLedger, writes: Write[]): number {
    const entries = this.#entries;
    const low = entries[at + fields.low] as number;
    const high = entries[at + fields.high] as number;
    const keyAt = entries[at + fields.keyAt] as number;
    const valueAt = entries[at + fields.valueAt] as number;
    const end = entries[at + fields.end] as number;
    const part = entries[at + fields.part] as number;
    const source = this.#sources[entries[at + fields.source] as number] as Buffer;
    if (end < 0 && !ledger.delete(low, high)) return used;
    arena[used] = spaces.row;
    arena[used + 1] = part;
    const keyEnd = used + rowKeyAt + valueAt - keyAt;
    source.copy(arena, used + rowKeyAt, keyAt, valueAt);
    const key = arena.subarray(used, keyEnd);
    if (end < 0) {
      writes.push({ type: "delete", key });
      return keyEnd;
    }
    const hash = rowHash(part, valueAt - keyAt, source.subarray(keyAt, end));
    ledger.put(low, high, hash);
    arena.writeUInt32LE(hash, keyEnd);
    const valueEnd = keyEnd + hashBytes + end - valueAt;
    source.copy(arena, keyEnd + hashBytes, valueAt, end);
    writes.push({ type: "put", key, value: arena.subarray(keyEnd, valueEnd) });
    return valueEnd;
  }
}
