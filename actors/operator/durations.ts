/**
 * How long things take, for operators: a histogram, and what is under way. What always holds: to note a beginning and an end
 * allocates nothing; what is noted changes nothing; all of it is bounded.
 */

/** A histogram. */
export class Durations {
  /** Upper bounds of the buckets, seconds, rising. */
  readonly bounds: readonly number[];
  /** One more than bounds: the last is beyond all of them. Not summed up. */
  readonly counts: Float64Array;
  readonly #boundsMs: Float64Array;
  #sumMs = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.#boundsMs = Float64Array.from(bounds, (seconds) => seconds * 1_000);
    this.counts = new Float64Array(bounds.length + 1);
  }

  /** Seconds. */
  get sum(): number {
    return this.#sumMs / 1_000;
  }

  observe(ms: number): void {
    const bounds = this.#boundsMs;
    let at = 0;
    while (at < bounds.length && ms > (bounds[at] as number)) at += 1;
    this.counts[at] = (this.counts[at] ?? 0) + 1;
    this.#sumMs += ms;
  }
}

const firstRoom = 64;
/** More than may be in flight in most settings; beyond it what begins is not measured. */
const maxRoom = 131_072;

/** What began and has not ended, by the record at which it will: ends come in the order of the log. */
export class UnderWay {
  /** A ring. */
  #through = new Float64Array(firstRoom);
  #sinceMs = new Float64Array(firstRoom);
  #head = 0;
  #count = 0;

  /** It ends when the log has come through this record. Not before those that began earlier. */
  begin(through: number, sinceMs: number): void {
    const room = this.#through.length;
    if (this.#count === room && !this.#grow()) return;
    const at = (this.#head + this.#count) & (this.#through.length - 1);
    this.#through[at] = through;
    this.#sinceMs[at] = sinceMs;
    this.#count += 1;
  }

  /** The last record at which something will end; 0: nothing is under way. */
  get last(): number {
    if (this.#count === 0) return 0;
    return this.#through[(this.#head + this.#count - 1) & (this.#through.length - 1)] ?? 0;
  }

  end(through: number, nowMs: number, into: Durations): void {
    const mask = this.#through.length - 1;
    while (this.#count > 0 && (this.#through[this.#head] as number) <= through) {
      into.observe(nowMs - (this.#sinceMs[this.#head] as number));
      this.#head = (this.#head + 1) & mask;
      this.#count -= 1;
    }
  }

  /** Nobody will see the end of it. */
  clear(): void {
    this.#count = 0;
  }

  #grow(): boolean {
    const room = this.#through.length;
    if (room >= maxRoom) return false;
    for (const name of ["through", "sinceMs"] as const) {
      const old = name === "through" ? this.#through : this.#sinceMs;
      const next = new Float64Array(2 * room);
      next.set(old.subarray(this.#head));
      next.set(old.subarray(0, this.#head), room - this.#head);
      if (name === "through") this.#through = next;
      else this.#sinceMs = next;
    }
    this.#head = 0;
    return true;
  }
}
