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

/** Items that lie together. */
const pieceItems = 1024;

/**
 * Items in pieces of one size, so that no push moves what is there already, however much that is. `head` is the index, since the
 * queue's first item ever, of the oldest item.
 */
export class Queue {
  readonly kind = "queue";
  readonly part: number;
  readonly name: string;
  readonly schema: z.ZodType;
  readonly maxItems: number;
  readonly whenFull: WhenFull;
  /** By index, divided by the size of a piece. */
  readonly #pieces = new Map<number, unknown[]>();
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
    const index = this.#head + offset;
    return this.#pieces.get(Math.floor(index / pieceItems))?.[index % pieceItems];
  }

  push(item: unknown): void {
    const index = this.#head + this.#length;
    const which = Math.floor(index / pieceItems);
    const piece = this.#pieces.get(which);
    if (piece === undefined) {
      const begun: unknown[] = [];
      begun[index % pieceItems] = item;
      this.#pieces.set(which, begun);
    } else piece[index % pieceItems] = item;
    this.#length += 1;
  }

  shift(): unknown {
    if (this.#length === 0) throw new StateError(`queue ${this.name} is empty`);
    const which = Math.floor(this.#head / pieceItems);
    const at = this.#head % pieceItems;
    const piece = this.#pieces.get(which);
    const item = piece?.[at];
    if (piece !== undefined) piece[at] = undefined;
    this.#head += 1;
    this.#length -= 1;
    if (at === pieceItems - 1) this.#pieces.delete(which);
    return item;
  }

  /** Empties the queue; the next item pushed has this index. */
  reset(head: number): void {
    this.#pieces.clear();
    this.#head = head;
    this.#length = 0;
  }
}
