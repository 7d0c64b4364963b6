/**
 * How often a second something that is counted happens, over the last few seconds. What always holds: counts of another
 * counter (another history, another process) are never set against each other; nothing older than the window is kept.
 */

/** As long as is looked back. */
const windowMs = 3_000;
/** Over less nothing is said. */
const leastMs = 900;

export class Rate {
  #counter = "";
  #samples: { readonly count: number; readonly atMs: number }[] = [];

  note(counter: string, count: number, nowMs: number): void {
    const last = this.#samples.at(-1);
    if (counter !== this.#counter || (last !== undefined && count < last.count)) this.#samples = [];
    this.#counter = counter;
    this.#samples.push({ count, atMs: nowMs });
    this.#forget(nowMs);
  }

  /** null: not known. */
  perSecond(nowMs: number): number | null {
    this.#forget(nowMs);
    const [first] = this.#samples;
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined || last.atMs - first.atMs < leastMs) return null;
    return ((last.count - first.count) * 1_000) / (last.atMs - first.atMs);
  }

  #forget(nowMs: number): void {
    this.#samples = this.#samples.filter(({ atMs }) => nowMs - atMs <= windowMs);
  }
}
