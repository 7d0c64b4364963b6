/**
 * Segments: the log on disk, in pieces. What always holds: the index lists every segment on disk, they are dense (each
 * begins where the one before ends), and `end` is the last record in the last one.
 */
import type { LogBatch } from "../log/batch.ts";
import { sliceFrom, sliceThrough } from "../log/batch.ts";
import { segmentKey, segmentValue, type Write } from "./layout.ts";

/** Batches are packed into segments of about this size; a larger batch is a segment by itself. */
export const segmentBytes = 256 * 1024;

/** Which records are on disk, without reading them. */
export class SegmentIndex {
  #firsts: number[] = [];
  #from = 0;
  #end: number;

  /** `end`: the record before the first segment's. */
  constructor(end: number) {
    this.#end = end;
  }

  get end(): number {
    return this.#end;
  }

  /** First record on disk; `end + 1` when there is none. */
  get first(): number {
    return this.#firsts[this.#from] ?? this.#end + 1;
  }

  get count(): number {
    return this.#firsts.length - this.#from;
  }

  add(first: number, last: number): void {
    if (first !== this.#end + 1) throw new RangeError(`segment ${first} does not follow record ${this.#end}`);
    this.#firsts.push(first);
    this.#end = last;
  }

  /** Takes the segments whose records are all below `sequence` out of the index; the firsts of those. */
  takeBelow(sequence: number): number[] {
    const taken: number[] = [];
    while (this.count > 0 && (this.#firsts[this.#from + 1] ?? this.#end + 1) <= sequence) {
      taken.push(this.#firsts[this.#from] as number);
      this.#from += 1;
    }
    if (this.#from > 1024 && this.#from * 2 > this.#firsts.length) {
      this.#firsts = this.#firsts.slice(this.#from);
      this.#from = 0;
    }
    return taken;
  }

  /** Takes the segments that hold records above `sequence` out of the index; the first of them may begin below. */
  takeAbove(sequence: number): number[] {
    const taken: number[] = [];
    while (this.count > 0 && this.#end > sequence) {
      const first = this.#firsts.pop() as number;
      taken.unshift(first);
      this.#end = first - 1;
    }
    return taken;
  }
}

/** Puts of the segments that hold `batches`, which chain; only records `from` to `through` are taken. */
export function packSegments(
  batches: Iterable<LogBatch>,
  from: number,
  through: number,
  onSegment: (first: number, last: number, write: Write) => void,
): void {
  let waiting: LogBatch[] = [];
  let bytes = 0;
  let next = from;
  const emit = () => {
    const first = waiting[0]?.first;
    if (first === undefined) return;
    onSegment(first, next - 1, { type: "put", key: segmentKey(first), value: segmentValue(waiting, bytes) });
    waiting = [];
    bytes = 0;
  };
  for (const whole of batches) {
    const batch = exactly(whole, from, through);
    if (batch.first !== next) throw new RangeError(`the log gave record ${batch.first} where ${next} was asked for`);
    if (bytes > 0 && bytes + batch.bytes.length > segmentBytes) emit();
    waiting.push(batch);
    bytes += batch.bytes.length;
    next = batch.last + 1;
  }
  emit();
  if (next !== through + 1) throw new RangeError(`the log gave records up to ${next - 1}; ${through} was asked for`);
}

function exactly(batch: LogBatch, from: number, through: number): LogBatch {
  const tail = batch.first < from ? sliceFrom(batch, from) : batch;
  return tail.last > through ? sliceThrough(tail, through) : tail;
}
