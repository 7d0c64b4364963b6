/**
 * All logs that servers told, as one tree: a record's place is its sequence and the log's hash there, and each place knows
 * the one before it. Where a new history begins with another log than the old one had, the tree forks (rule 18).
 *
 * What always holds: a place names one log, from its beginning to there; of what is not told, nothing is made up.
 */
import type { CommitEvent, CommittedRecord } from "./history.ts";

interface Place {
  readonly record: CommittedRecord;
  /** The log's hash before it; undefined where the server that told it did not say. */
  readonly previousHash: number | undefined;
}

export class LogTree {
  readonly #places = new Map<string, Place>();

  add({ records, previousHash }: CommitEvent): void {
    let before: CommittedRecord | null = null;
    for (const record of records) {
      const isNext = before?.sequence === record.sequence - 1;
      const known = this.#places.get(keyOf(record.sequence, record.hash));
      const hash = isNext ? before?.hash : before === null ? previousHash : undefined;
      if (known === undefined || known.previousHash === undefined)
        this.#places.set(keyOf(record.sequence, record.hash), { record, previousHash: hash });
      before = record;
    }
  }

  previousHash({ sequence, hash }: CommittedRecord): number | undefined {
    return this.#places.get(keyOf(sequence, hash))?.previousHash;
  }

  /**
   * The log that ends with this record, from its first record on. `missing`: the end of what was never told; 0 where all
   * was. Null: somebody did not say what came before, so that the tree cannot tell.
   */
  pathTo(last: CommittedRecord): { readonly records: CommittedRecord[]; readonly missing: number } | null {
    const records: CommittedRecord[] = [];
    let { sequence, hash } = last;
    while (sequence > 0) {
      const place = this.#places.get(keyOf(sequence, hash));
      if (place === undefined) break;
      records.push(place.record);
      sequence -= 1;
      if (sequence > 0 && place.previousHash === undefined) return null;
      hash = place.previousHash ?? 0;
    }
    return { records: records.reverse(), missing: sequence };
  }
}

function keyOf(sequence: number, hash: number): string {
  return `${sequence} ${hash}`;
}
