/**
 * The end of the log, as the disk was told of it: what the tables do not hold yet, or no segment has. What always holds:
 * dense, from `start + 1` to `end`; a cut takes what is above it away at once; whoever was given batches before reads on
 * undisturbed, for batches never change.
 */
import { type LogBatch, sliceFrom, sliceThrough } from "../log/batch.ts";

export class LogTail {
  #start: number;
  #batches: LogBatch[] = [];

  /** Empty: nothing is needed of the log through here. */
  constructor(start: number) {
    this.#start = start;
  }

  get end(): number {
    return this.#batches.at(-1)?.last ?? this.#start;
  }

  append(batch: LogBatch): void {
    if (batch.first !== this.end + 1) throw new RangeError(`record ${batch.first} was given after record ${this.end}`);
    this.#batches.push(batch);
  }

  truncate(after: number): void {
    if (after < this.#start)
      throw new RangeError(`truncation to record ${after}; the tail begins after ${this.#start}`);
    const at = this.#find(after + 1);
    const cut = this.#batches[at];
    this.#batches.length = Math.min(at, this.#batches.length);
    if (cut !== undefined && cut.first <= after) this.#batches.push(sliceThrough(cut, after));
  }

  /** Whole batches that end at or below `sequence` are not needed any more. */
  dropThrough(sequence: number): void {
    const dropped = this.#batches.splice(0, this.#find(sequence + 1));
    this.#start = dropped.at(-1)?.last ?? this.#start;
  }

  batches(from: number, through: number): LogBatch[] {
    if (from <= this.#start) throw new RangeError(`records from ${from}; the tail begins after ${this.#start}`);
    const found: LogBatch[] = [];
    for (let at = this.#find(from); at < this.#batches.length; at += 1) {
      let batch = this.#batches[at] as LogBatch;
      if (batch.first > through) break;
      if (batch.last > through) batch = sliceThrough(batch, through);
      if (batch.first < from) batch = sliceFrom(batch, from);
      found.push(batch);
    }
    return found;
  }

  /** Index of the first batch whose last record is `sequence` or above. */
  #find(sequence: number): number {
    let low = 0;
    let high = this.#batches.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#batches[middle] as LogBatch).last < sequence) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
