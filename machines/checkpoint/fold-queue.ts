/**
 * One queue in one flush. What always holds: an item has one index for ever, so it is written once and deleted once;
 * what is pushed and shifted between two flushes never reaches the disk, but stays in the chain of hashes.
 */
import { crc32 } from "node:zlib";
import type { QueuePlace } from "../../schemas/checkpoint.ts";
import { itemKey, itemValue, type Write } from "./layout.ts";

/** Effects that no sound log holds: more was taken from a queue than was in it. */
export class FoldError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "FoldError";
  }
}

export class FoldQueue {
  readonly #before: QueuePlace;
  #head: number;
  #hash: number;
  readonly #pushed: Uint8Array[] = [];

  constructor(before: QueuePlace) {
    this.#before = before;
    this.#head = before.head;
    this.#hash = before.hash;
  }

  /** `value` is kept until `emit`. */
  push(value: Uint8Array): void {
    this.#pushed.push(value);
    this.#hash = crc32(value, this.#hash);
  }

  shift(count: number): void {
    this.#head += count;
    if (this.#head > this.#before.tail + this.#pushed.length)
      throw new FoldError(`${count} items shifted from the queue ${this.#before.part}, which has fewer`);
  }

  get place(): QueuePlace {
    const { part, tail } = this.#before;
    return { part, head: this.#head, tail: tail + this.#pushed.length, hash: this.#hash };
  }

  emit(writes: Write[]): void {
    const { part, head, tail } = this.#before;
    for (let index = head; index < Math.min(this.#head, tail); index += 1)
      writes.push({ type: "delete", key: itemKey(part, index) });
    for (let index = Math.max(this.#head, tail); index < tail + this.#pushed.length; index += 1) {
      const item = this.#pushed[index - tail] as Uint8Array;
      writes.push({ type: "put", key: itemKey(part, index), value: itemValue(part, index, item) });
    }
  }
}
