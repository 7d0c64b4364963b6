/**
 * Seeded randomness. Every use has a stream of its own, found by name, so that one more draw in one place does not
 * shift the draws of any other. The same seed and names give the same numbers on every machine.
 */
function mix(text: string, seed: number): number {
  let h = seed ^ 0x9e3779b9;
  for (let at = 0; at < text.length; at += 1) {
    h = Math.imul(h ^ text.charCodeAt(at), 0x85ebca6b);
    h ^= h >>> 13;
  }
  return Math.imul(h ^ (h >>> 16), 0xc2b2ae35) >>> 0;
}

/** sfc32: small, fast, and its 128 bits of state are ample for simulations. */
export class Rng {
  readonly #seed: number;
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number, name = "") {
    this.#seed = mix(name, seed);
    this.#a = mix("a", this.#seed);
    this.#b = mix("b", this.#seed);
    this.#c = seed | 0;
    for (let i = 0; i < 12; i += 1) this.uint32();
  }

  /** A stream of its own: depends on this one's seed and the name, not on what was drawn so far. */
  stream(name: string): Rng {
    return new Rng(this.#seed, name);
  }

  uint32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum;
    return sum >>> 0;
  }

  /** 0 <= x < 1. */
  next(): number {
    return this.uint32() / 0x1_0000_0000;
  }

  /** An integer, 0 <= n < limit. */
  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  /** An integer, from <= n <= to. */
  int(from: number, to: number): number {
    return from + this.below(to - from + 1);
  }

  between(from: number, to: number): number {
    return from + this.next() * (to - from);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new Error("pick: nothing to pick from");
    return item;
  }

  shuffle<T>(items: T[]): T[] {
    for (let at = items.length - 1; at > 0; at -= 1) {
      const other = this.below(at + 1);
      const a = items[at] as T;
      items[at] = items[other] as T;
      items[other] = a;
    }
    return items;
  }

  /** Exponential with the given mean: waiting times and latency tails. */
  exponential(mean: number): number {
    return -mean * Math.log(1 - this.next());
  }

  /** 22 characters that an incarnation or a write may have as its id. */
  id(): string {
    const letters = "0123456789abcdefghjkmnpqrstvwxyz";
    let text = "";
    for (let at = 0; at < 12; at += 1) text += letters[this.below(32)];
    return text;
  }
}
