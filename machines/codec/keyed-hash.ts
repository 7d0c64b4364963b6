/**
 * HalfSipHash-1-3, 64 bits, of a row's part and key: how the fold and the ledger tell rows apart. It is keyed with a
 * secret of the process, because clients choose keys: with a plain hash they could choose keys that collide, and make
 * a sound store look damaged. What always holds: the result lies in `low` and `high` until the next call, so that
 * nothing is allocated; both are signed 32-bit, and never both 0, which marks an empty slot.
 */
import { crc32 } from "node:zlib";

export class KeyedHash {
  readonly #key0: number;
  readonly #key1: number;
  low = 0;
  high = 0;

  /** `secret`: any text that outsiders cannot guess. */
  constructor(secret: string) {
    this.#key0 = crc32(`0${secret}`) | 0;
    this.#key1 = crc32(`1${[...secret].reverse().join("")}`) | 0;
  }

  /** Of `bytes` from `from` to `to` in the table `part`. */
  hash(part: number, bytes: Buffer, from: number, to: number): void {
    let v0 = this.#key0;
    let v1 = this.#key1 ^ 0xee;
    let v2 = 0x6c796765 ^ this.#key0;
    let v3 = 0x74656462 ^ this.#key1;
    // One step a word: the part, the key's words, the last word with the length; then two times three to finish.
    const absorbed = 2 + ((to - from) >>> 2);
    const half = absorbed + 2;
    const done = absorbed + 5;
    let at = from;
    let word = part;
    for (let step = 0; ; step += 1) {
      if (step < absorbed) {
        if (step > 0) {
          word = step === absorbed - 1 ? (to - from) << 24 : (bytes[at + 3] as number) << 24;
          if (at < to) word |= bytes[at] as number;
          if (at + 1 < to) word |= (bytes[at + 1] as number) << 8;
          if (at + 2 < to) word |= (bytes[at + 2] as number) << 16;
          at += 4;
        }
        v3 ^= word;
      } else if (step === absorbed) v2 ^= 0xee;
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);
      if (step < absorbed) v0 ^= word;
      else if (step === half) {
        this.low = v1 ^ v3;
        v1 ^= 0xdd;
      } else if (step === done) break;
    }
    this.high = v1 ^ v3;
    if (this.low === 0 && this.high === 0) this.low = 1;
  }
}
