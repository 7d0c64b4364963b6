/**
 * One table, one queue of the state in memory. They only hold values; what may go in was decided before.
 */
import type { z } from "zod";
import type { WhenFull } from "./contract.ts";
import { StateError } from "./errors.ts";

export interface Table {
  readonly kind: "table";
  readonly part: number;
  readonly name: string;
  readonly schema: z.ZodType;
  readonly rows: Map<string, unknown>;
}

/** A ring that grows up to its bound. `head` is the index, since the queue's first item ever, of the oldest item. */
export class Queue {
  readonly kind = "queue";
  readonly part: number;
  readonly name: string;
  readonly schema: z.ZodType;
  readonly maxItems: number;
  readonly whenFull: WhenFull;
  #ring: unknown[] = Array.from({ length: 16 });
  #head = 0;
  #length = 0;

  constructor(part: { part: number; name: string; schema: z.ZodType; maxItems: number; whenFull: WhenFull }) {
    this.part = part.part;
    this.name = part.name;
    this.schema = part.schema;
    this.maxItems = part.maxItems;
    this.whenFull = part.whenFull;
  }

  get head(): number {
    return this.#head;
  }

  get length(): number {
    return this.#length;
  }

  /** The item `offset` places after the oldest. */
  at(offset: number): unknown {
    return this.#ring[(this.#head + offset) % this.#ring.length];
  }

  push(item: unknown): void {
    if (this.#length === this.#ring.length) this.#grow();
    this.#ring[(this.#head + this.#length) % this.#ring.length] = item;
    this.#length += 1;
  }

  shift(): unknown {
    if (this.#length === 0) throw new StateError(`queue ${this.name} is empty`);
    const at = this.#head % this.#ring.length;
    const item = this.#ring[at];
    this.#ring[at] = undefined;
    this.#head += 1;
    this.#length -= 1;
    return item;
  }

  /** Empties the queue; the next item pushed has this index. */
  reset(head: number): void {
    this.#ring = Array.from({ length: 16 });
    this.#head = head;
    this.#length = 0;
  }

  #grow(): void {
    const grown: unknown[] = Array.from({ length: 2 * this.#ring.length });
    for (let offset = 0; offset < this.#length; offset += 1)
      grown[(this.#head + offset) % grown.length] = this.at(offset);
    this.#ring = grown;
  }
}
