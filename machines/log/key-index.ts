/**
 * From a request's key to where its reply stands: positions in a ring, found by the key's keyed hash. Typed arrays, so that a million
 * keys are no million objects for V8 to mark; many small tables, so that growing one never takes long. What always holds: it knows
 * hashes, not keys: whoever asks compares the keys of all that it finds.
 */
import { KeyedHash } from "../codec/keyed-hash.ts";

const firstSlots = 4;

/** A key's bytes and their hash, until it is asked for another one. */
export class KeyHasher {
  readonly #hash: KeyedHash;
  #key: string | null = null;
  /** UTF-8; the key is the first `length` of them. */
  bytes = Buffer.allocUnsafeSlow(1024);
  length = 0;
  /** Signed, 32 bits, never 0. */
  hash = 1;

  /** `secret`: any text that clients, who choose keys, cannot guess. */
  constructor(secret: string) {
    this.#hash = new KeyedHash(secret);
  }

  take(key: string): void {
    if (key === this.#key) return;
    if (3 * key.length > this.bytes.length) this.bytes = Buffer.allocUnsafeSlow(3 * key.length);
    this.length = this.bytes.write(key, 0);
    this.#hash.hash(0, this.bytes, 0, this.length);
    this.hash = this.#hash.low === 0 ? 1 : this.#hash.low;
    this.#key = key;
  }
}

/** Pairs of hash and position; a hash of 0 is an empty slot. */
class Shard {
  slots: Int32Array;
  mask: number;
  used: number;

  constructor(slots: Int32Array, used: number) {
    this.slots = slots;
    this.mask = slots.length / 2 - 1;
    this.used = used;
  }

  /** The first slot at or after `slot` that is empty or has this hash. */
  seek(hash: number, slot: number): number {
    const { slots, mask } = this;
    let at = slot & mask;
    while (slots[2 * at] !== 0 && slots[2 * at] !== hash) at = (at + 1) & mask;
    return at;
  }

  add(hash: number, position: number): void {
    const { slots, mask } = this;
    let at = hash & mask;
    while (slots[2 * at] !== 0) at = (at + 1) & mask;
    slots[2 * at] = hash;
    slots[2 * at + 1] = position;
  }

  grow(): void {
    const old = this.slots;
    this.slots = new Int32Array(2 * old.length);
    this.mask = old.length - 1;
    for (let at = 0; at < old.length; at += 2) if (old[at] !== 0) this.add(old[at] as number, old[at + 1] as number);
  }

  /** Empties a slot and moves up those after it that it kept from their own place. */
  remove(slot: number): void {
    const { slots, mask } = this;
    let hole = slot;
    for (let at = (hole + 1) & mask; slots[2 * at] !== 0; at = (at + 1) & mask) {
      const home = (slots[2 * at] as number) & mask;
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      slots[2 * hole] = slots[2 * at] as number;
      slots[2 * hole + 1] = slots[2 * at + 1] as number;
      hole = at;
    }
    slots[2 * hole] = 0;
    this.used -= 1;
  }
}

/** Positions are kept modulo 2^32, as unsigned numbers. */
export class KeyIndex {
  /** By the upper bits of hashes; what is not needed yet is not there. */
  #shards: (Shard | undefined)[] = [];
  /** What was found last. */
  #shard: Shard | undefined;
  #slot = 0;
  #hash = 0;

  /** A position under this hash; -1: there is none. `next` gives another one. */
  first(hash: number): number {
    this.#hash = hash;
    this.#shard = this.#shards[hash >>> 24];
    return this.#found(hash);
  }

  /** After a position that was found. */
  next(): number {
    return this.#found(this.#slot + 1);
  }

  #found(slot: number): number {
    const shard = this.#shard;
    if (shard === undefined) return -1;
    this.#slot = shard.seek(this.#hash, slot);
    return shard.slots[2 * this.#slot] === 0 ? -1 : (shard.slots[2 * this.#slot + 1] as number) >>> 0;
  }

  /** In the place of the position that was found last. */
  replace(position: number): void {
    if (this.#shard !== undefined) this.#shard.slots[2 * this.#slot + 1] = position;
  }

  add(hash: number, position: number): void {
    let shard = this.#shards[hash >>> 24];
    if (shard === undefined) {
      shard = new Shard(new Int32Array(2 * firstSlots), 0);
      this.#shards[hash >>> 24] = shard;
    }
    if (4 * (shard.used + 1) > 3 * (shard.mask + 1)) shard.grow();
    shard.add(hash, position);
    shard.used += 1;
  }

  /** Nothing happens where another position took its place. */
  remove(hash: number, position: number): void {
    let found = this.first(hash);
    while (found !== -1 && found !== position >>> 0) found = this.next();
    if (found !== -1) this.#shard?.remove(this.#slot);
  }

  clone(): KeyIndex {
    const copy = new KeyIndex();
    // Holes stay holes.
    copy.#shards = this.#shards.map((shard) => shard && new Shard(shard.slots.slice(), shard.used));
    return copy;
  }
}
