/**
 * How long requests took over the last few seconds, from what a primary counts in buckets. What always holds: counts of another
 * process are never set against each other; nothing older than the window is kept; of no request nothing is said.
 */
import { answerBounds } from "../../schemas/status.ts";

/** As long as is looked back. */
const windowMs = 3_000;

/** ms. */
export interface Latency {
  readonly median: number;
  readonly p99: number;
}

export class LatencyWatch {
  #process = "";
  #samples: { readonly counts: readonly number[]; readonly atMs: number }[] = [];

  note(process: string, counts: readonly number[], nowMs: number): void {
    // A program that counts otherwise says nothing that is known here.
    if (counts.length !== answerBounds.length + 1) return;
    const before = this.#samples.at(-1)?.counts ?? counts;
    if (process !== this.#process || counts.some((count, at) => count < (before[at] ?? 0))) this.#samples = [];
    this.#process = process;
    this.#samples.push({ counts, atMs: nowMs });
    this.#forget(nowMs);
  }

  /** null: not known, or nothing was asked. */
  now(nowMs: number): Latency | null {
    this.#forget(nowMs);
    const [first] = this.#samples;
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined) return null;
    const counts = last.counts.map((count, at) => count - (first.counts[at] ?? 0));
    const total = counts.reduce((sum, count) => sum + count, 0);
    if (total === 0) return null;
    return { median: quantile(counts, total / 2), p99: quantile(counts, 0.99 * total) };
  }

  #forget(nowMs: number): void {
    this.#samples = this.#samples.filter(({ atMs }) => nowMs - atMs <= windowMs);
  }
}

/** To the microsecond. */
const inMs = (seconds: number): number => Math.round(seconds * 1e6) / 1e3;

/** ms. Within a bucket they are taken to be spread evenly; beyond the last bound it is that bound. */
function quantile(counts: readonly number[], rank: number): number {
  let before = 0;
  for (const [at, count] of counts.entries()) {
    const until = answerBounds[at];
    const from = at === 0 ? 0 : (answerBounds[at - 1] ?? 0);
    if (until === undefined) break;
    if (before + count >= rank) return inMs(from + ((until - from) * (rank - before)) / count);
    before += count;
  }
  return inMs(answerBounds.at(-1) ?? 0);
}
