/**
 * Whether the stream over a service's results stores what is published. What always holds: only results count that were executed before the
 * look before this one, so that what is on its way, or was published twice, is never said to be missing.
 */
import type { StreamSeen } from "../../schemas/surroundings.ts";

export class ResultsWatch {
  #first: { readonly stored: number; readonly results: number } | null = null;
  /** When it was looked at last. */
  #results = 0;

  /** `results`: executed by now, in this history. How many of those since the first look are not stored. */
  onLook(seen: StreamSeen | null, results: number): number {
    const before = this.#results;
    this.#results = results;
    const isAnother = this.#first === null || results < before || seen === null || seen.stored < this.#first.stored;
    if (isAnother || this.#first === null) {
      this.#first = seen === null ? null : { stored: seen.stored, results };
      return 0;
    }
    return Math.max(0, before - this.#first.results - (seen.stored - this.#first.stored));
  }
}
