/**
 * The states that were visited, as hashes of 64 bits: 8 bytes each in an open table. What always holds: it is at most half
 * full. Two states of ten million have the same hash with a chance of about one in 400,000.
 */
import { createHash } from "node:crypto";

const firstCapacity = 1 << 16;

export class Visited {
  #high = new Uint32Array(firstCapacity);
  #low = new Uint32Array(firstCapacity);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** False: it was there. */
  add(text: string): boolean {
    const digest = createHash("sha1").update(text).digest();
    // Zero in both halves means an empty place.
    const isNew = this.#put(digest.readUInt32LE(0), digest.readUInt32LE(4) | 1);
    if (isNew && this.#count * 2 > this.#high.length) this.#grow();
    return isNew;
  }

  #put(high: number, low: number): boolean {
    const mask = this.#high.length - 1;
    for (let at = high & mask; ; at = (at + 1) & mask) {
      if (this.#high[at] === high && this.#low[at] === low >>> 0) return false;
      if (this.#high[at] !== 0 || this.#low[at] !== 0) continue;
      this.#high[at] = high;
      this.#low[at] = low;
      this.#count += 1;
      return true;
    }
  }

  #grow(): void {
    const high = this.#high;
    const low = this.#low;
    this.#high = new Uint32Array(2 * high.length);
    this.#low = new Uint32Array(2 * low.length);
    this.#count = 0;
    high.forEach((one, at) => {
      const other = low[at] as number;
      if (one !== 0 || other !== 0) this.#put(one, other);
    });
  }
}
