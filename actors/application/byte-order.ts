/**
 * Keys in the order of their bytes in UTF-8, which is also the store's. What always holds: it is the same on every server, whatever
 * the order in which a server got the rows; the order of UTF-16 units differs from it only where surrogates occur.
 */
import { type Sliced, sliceRows } from "./slices.ts";

type Compare = (left: string, right: string) => number;

/** Keys that are sorted at a time: well under a millisecond. */
const runKeys = 1024;
const surrogate = /[\ud800-\udfff]/;

const byUnits: Compare = (left, right) => (left < right ? -1 : left > right ? 1 : 0);
const byBytes: Compare = (left, right) => Buffer.compare(Buffer.from(left), Buffer.from(right));

/** All at once. */
export function inByteOrder(keys: Iterable<string>): string[] {
  const all = [...keys];
  return all.sort(all.some((key) => surrogate.test(key)) ? byBytes : byUnits);
}

export function isAfter(key: string, other: string): boolean {
  return byBytes(key, other) > 0;
}

/** Some of the keys, in order, and how many of them were given out. */
interface Run {
  readonly keys: readonly string[];
  at: number;
}

/** Sorted in slices: short runs are sorted as they fill, and merged as they are asked for. */
export class KeysInOrder {
  /** A heap: no run's next key comes before its parent's. */
  readonly #runs: Run[] = [];
  #compare: Compare = byUnits;

  /** Takes these in; only then may `next` be asked. */
  *gather(keys: Iterable<string>): Sliced {
    const runs: string[][] = [];
    let run: string[] = [];
    for (const key of keys) {
      run.push(key);
      if (this.#compare === byUnits && surrogate.test(key)) this.#compare = byBytes;
      if (run.length === runKeys) {
        runs.push(run);
        run = [];
      }
      if (run.length % sliceRows === 0) yield;
    }
    if (run.length > 0) runs.push(run);
    // Only here is it known which order it is.
    for (const one of runs) {
      this.#add({ keys: one.sort(this.#compare), at: 0 });
      yield;
    }
  }

  /** The first of those that are left. */
  next(): string | undefined {
    const first = this.#runs[0];
    if (first === undefined) return undefined;
    const key = first.keys[first.at];
    first.at += 1;
    if (first.at === first.keys.length) {
      const last = this.#runs.pop() as Run;
      if (last !== first) this.#runs[0] = last;
    }
    this.#sink();
    return key;
  }

  #add(run: Run): void {
    const runs = this.#runs;
    let at = runs.push(run) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#isBefore(run, runs[parent] as Run)) return;
      runs[at] = runs[parent] as Run;
      runs[parent] = run;
      at = parent;
    }
  }

  /** The first one has gone on, or is another. */
  #sink(): void {
    const runs = this.#runs;
    const run = runs[0];
    if (run === undefined) return;
    for (let at = 0; ; ) {
      let child = 2 * at + 1;
      const [left, right] = [runs[child], runs[child + 1]];
      if (left === undefined) return;
      if (right !== undefined && this.#isBefore(right, left)) child += 1;
      const first = runs[child] as Run;
      if (!this.#isBefore(first, run)) return;
      runs[at] = first;
      runs[child] = run;
      at = child;
    }
  }

  #isBefore(left: Run, right: Run): boolean {
    return this.#compare(left.keys[left.at] as string, right.keys[right.at] as string) < 0;
  }
}
