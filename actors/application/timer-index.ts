/**
 * The timers of a state in the order in which they are due: by time, then in the order in which they were set. It is derived from the
 * rows, like a view. What always holds: each row has its place here, unless it was fired and no record says yet that it is done;
 * what is here and no row any more is passed over, and never outgrows the rows.
 */
import type { Timer } from "../../schemas/timers.ts";

export interface WaitingTimer {
  readonly id: string;
  readonly timer: Timer;
}

/** Places of timers that are gone, beside those that are there. */
const spareFew = 64;

export class TimerIndex {
  readonly #rows: ReadonlyMap<string, unknown>;
  /** A binary heap: each comes before the two at twice its place. */
  #heap: WaitingTimer[] = [];
  readonly #fired = new Map<string, WaitingTimer>();

  /** `rows`: the table's, as they are at each moment. */
  constructor(rows: ReadonlyMap<string, unknown>) {
    this.#rows = rows;
  }

  /** The row is set. */
  put(id: string, timer: Timer): void {
    this.#fired.delete(id);
    this.#push({ id, timer });
    if (this.#heap.length > 2 * this.#rows.size + spareFew) this.#sweep();
  }

  /** The row is gone. */
  delete(id: string): void {
    this.#fired.delete(id);
  }

  /** The one that is due first, of those that are not fired; it stays. */
  get next(): WaitingTimer | undefined {
    for (let [first] = this.#heap; first !== undefined; [first] = this.#heap) {
      if (this.#isThere(first)) return first;
      this.#pop();
    }
    return undefined;
  }

  /** How much is kept, of timers that are gone too. */
  get places(): number {
    return this.#heap.length;
  }

  /** In their order, those that are fired among them. */
  get all(): WaitingTimer[] {
    const all = [...this.#rows].map(([id, row]): WaitingTimer => ({ id, timer: row as Timer }));
    return all.sort((one, other) => (isBefore(one, other) ? -1 : 1));
  }

  /** The one that is next is on its way: it is no more, until it is put back. */
  fire(): void {
    const first = this.#pop();
    if (first !== undefined) this.#fired.set(first.id, first);
  }

  /** It did not come to run. */
  putBack(waiting: WaitingTimer): void {
    if (this.#fired.delete(waiting.id)) this.#push(waiting);
  }

  /** Whoever fired them runs them no more. */
  putAllBack(): void {
    for (const waiting of this.#fired.values()) this.putBack(waiting);
  }

  #isThere({ id, timer }: WaitingTimer): boolean {
    return this.#rows.get(id) === timer;
  }

  #sweep(): void {
    const there = this.#heap.filter((waiting) => this.#isThere(waiting));
    this.#heap = [];
    for (const waiting of there) this.#push(waiting);
  }

  #push(waiting: WaitingTimer): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(waiting);
    while (at > 0) {
      const above = (at - 1) >> 1;
      const other = heap[above] as WaitingTimer;
      if (!isBefore(waiting, other)) break;
      heap[at] = other;
      at = above;
    }
    heap[at] = waiting;
  }

  #pop(): WaitingTimer | undefined {
    const heap = this.#heap;
    const [first] = heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      const left = heap[2 * at + 1];
      const right = heap[2 * at + 2];
      const isRight = right !== undefined && left !== undefined && isBefore(right, left);
      const below = isRight ? right : left;
      if (below === undefined || !isBefore(below, last)) break;
      heap[at] = below;
      at = 2 * at + (isRight ? 2 : 1);
    }
    heap[at] = last;
    return first;
  }
}

function isBefore({ timer: one }: WaitingTimer, { timer: other }: WaitingTimer): boolean {
  if (one.atMs !== other.atMs) return one.atMs < other.atMs;
  if (one.sequence !== other.sequence) return one.sequence < other.sequence;
  return one.nth < other.nth;
}
