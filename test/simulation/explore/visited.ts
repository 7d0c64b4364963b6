/**
 * The states that were visited, each as the few numbers that tell it from all others, in an open table. What always holds:
 * the table is at most two thirds full; no two states are taken for one, as hashes of them could be.
 */
const firstCapacity = 1 << 12;

export class Visited {
  readonly #width: number;
  /** Each number is one more than it was given as, so that a place that begins with zero is empty. */
  #numbers: Uint32Array;
  #capacity = firstCapacity;
  #count = 0;

  /** `width`: numbers of a state. */
  constructor(width: number) {
    this.#width = width;
    this.#numbers = new Uint32Array(firstCapacity * width);
  }

  get count(): number {
    return this.#count;
  }

  /** False: it was there. */
  add(state: readonly number[]): boolean {
    if (!this.#put(state, 0, 1)) return false;
    this.#count += 1;
    if (this.#count * 3 > this.#capacity * 2) this.#grow();
    return true;
  }

  #put(numbers: ArrayLike<number>, from: number, more: 0 | 1): boolean {
    const width = this.#width;
    const table = this.#numbers;
    let hash = 0;
    for (let at = 0; at < width; at += 1) {
      hash = Math.imul(hash ^ ((numbers[from + at] as number) + more), 0x9e3779b1);
      hash ^= hash >>> 15;
    }
    const mask = this.#capacity - 1;
    for (let place = hash & mask; ; place = (place + 1) & mask) {
      const start = place * width;
      if (table[start] === 0) {
        for (let at = 0; at < width; at += 1) table[start + at] = (numbers[from + at] as number) + more;
        return true;
      }
      let at = 0;
      while (at < width && table[start + at] === (numbers[from + at] as number) + more) at += 1;
      if (at === width) return false;
    }
  }

  #grow(): void {
    const before = this.#numbers;
    this.#capacity *= 2;
    this.#numbers = new Uint32Array(this.#capacity * this.#width);
    for (let start = 0; start < before.length; start += this.#width)
      if (before[start] !== 0) this.#put(before, start, 0);
  }
}
