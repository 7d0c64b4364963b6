/**
 * The ledger of rows: for every row on disk, the hash of its value (layout.ts), found by the keyed hash of its key. It
 * is what lets a flush keep the digest of all rows without reading the rows that it overwrites. 12 bytes a slot, at
 * most three quarters full: about 25 MB for 1,000,000 rows, in typed arrays that cost the garbage collector nothing.
 * What always holds: `digest` is the number and the sum of the hashes that are in it. Two rows whose 64-bit hashes are
 * equal would be taken for one; with 10,000,000 rows that has a chance of 3 in a million, and no key can be chosen for it.
 */
import type { RowDigest } from "../../schemas/checkpoint.ts";

const shardCount = 256;
const firstSlots = 16;
const stride = 3;

/** One of many small tables, so that growing one never takes long. */
class Shard {
  slots = new Int32Array(firstSlots * stride);
  mask = firstSlots - 1;
  used = 0;

  become(slots: Int32Array<ArrayBuffer>, used: number): void {
    this.slots = slots;
    this.mask = slots.length / stride - 1;
    this.used = used;
  }

  /** The slot that holds the row, or the empty one where it would go, as an index into `slots`. */
  find(low: number, high: number): number {
    const { slots, mask } = this;
    for (let slot = low & mask; ; slot = (slot + 1) & mask) {
      const at = slot * stride;
      const seenLow = slots[at] as number;
      const seenHigh = slots[at + 1] as number;
      if ((seenLow === low && seenHigh === high) || (seenLow === 0 && seenHigh === 0)) return at;
    }
  }

  isEmpty(at: number): boolean {
    return this.slots[at] === 0 && this.slots[at + 1] === 0;
  }

  set(at: number, low: number, high: number, hash: number): void {
    this.slots[at] = low;
    this.slots[at + 1] = high;
    this.slots[at + 2] = hash;
  }

  grow(): void {
    const old = this.slots;
    this.mask = this.mask * 2 + 1;
    this.slots = new Int32Array((this.mask + 1) * stride);
    for (let at = 0; at < old.length; at += stride) {
      const low = old[at] as number;
      const high = old[at + 1] as number;
      if (low !== 0 || high !== 0) this.set(this.find(low, high), low, high, old[at + 2] as number);
    }
  }

  /** Empties a slot and moves up those after it that it kept from their own place. */
  remove(from: number): void {
    const { slots, mask } = this;
    let hole = from / stride;
    for (let slot = (hole + 1) & mask; !this.isEmpty(slot * stride); slot = (slot + 1) & mask) {
      const home = (slots[slot * stride] as number) & mask;
      if (((slot - home) & mask) < ((slot - hole) & mask)) continue;
      slots.copyWithin(hole * stride, slot * stride, slot * stride + stride);
      hole = slot;
    }
    this.set(hole * stride, 0, 0, 0);
    this.used -= 1;
  }
}

/** All that a ledger is, as plain data: it may go to another thread. */
export interface LedgerParts {
  readonly digest: RowDigest;
  readonly shards: readonly { readonly slots: Int32Array<ArrayBuffer>; readonly used: number }[];
}

export class RowLedger {
  readonly #shards = Array.from({ length: shardCount }, () => new Shard());
  #rows = 0;
  #sum = 0;

  /** Made of these, which are its own from now on. */
  static of({ digest, shards }: LedgerParts): RowLedger {
    const ledger = new RowLedger();
    ledger.#rows = digest.rows;
    ledger.#sum = digest.sum;
    for (const [index, { slots, used }] of shards.entries()) ledger.#shards[index]?.become(slots, used);
    return ledger;
  }

  get parts(): LedgerParts {
    return { digest: this.digest, shards: this.#shards.map(({ slots, used }) => ({ slots, used })) };
  }

  get digest(): RowDigest {
    return { rows: this.#rows, sum: this.#sum };
  }

  #shard(high: number): Shard {
    return this.#shards[high >>> 24] as Shard;
  }

  /** The row now has this hash. False when it was there already. */
  put(low: number, high: number, hash: number): boolean {
    const shard = this.#shard(high);
    const at = shard.find(low, high);
    const isNew = shard.isEmpty(at);
    const before = shard.slots[at + 2] as number;
    shard.set(at, low, high, hash);
    this.#sum = (this.#sum - before + hash) >>> 0;
    if (!isNew) return false;
    this.#rows += 1;
    shard.used += 1;
    if (shard.used * 4 > (shard.mask + 1) * 3) shard.grow();
    return true;
  }

  /** False when there is no such row. */
  delete(low: number, high: number): boolean {
    const shard = this.#shard(high);
    const at = shard.find(low, high);
    if (shard.isEmpty(at)) return false;
    this.#rows -= 1;
    this.#sum = (this.#sum - (shard.slots[at + 2] as number)) >>> 0;
    shard.remove(at);
    return true;
  }
}
