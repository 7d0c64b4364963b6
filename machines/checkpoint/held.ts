/**
 * Whether one store holds all that another one may have acknowledged (rules 7 and 18): before a snapshot takes a store's
 * place, for what it does not hold is set aside and not deleted.
 *
 * What always holds: where nothing proves that all is held, it is not. Proved it is by the log itself, where the same record
 * stands in both; or by the history, within which whoever makes records holds all that was acknowledged before (invariant
 * 4): then only an uncommitted tail can be missing, which was promised to nobody.
 */
import type { Ancestor, LogEnd } from "../../schemas/checkpoint.ts";
import { epochAt, hashAt, type LogBatch } from "../log/batch.ts";
import type { Recovered, RecoveryVisitor } from "./scan.ts";

/** The log of the store whose place is taken. */
export interface OldLog {
  readonly history: string;
  /** Its last record, committed or not. */
  readonly end: LogEnd;
  /** As far as its server knows. */
  readonly committed: number;
  /** The log's hash there; undefined where only the disk knows. */
  readonly committedHash: number | undefined;
}

/** A place in the other log; undefined: it is not in what is kept of it. */
type Place = { readonly epoch: number; readonly hash: number } | undefined;

/** What the other one shows. */
export interface NewLog {
  readonly history: string;
  readonly ancestors: readonly Ancestor[];
  readonly end: LogEnd;
  readonly atOldEnd: Place;
  readonly atOldCommitted: Place;
}

export function isHeldBy(old: OldLog, other: NewLog): boolean {
  const { end, committed, committedHash } = old;
  if (end.sequence === 0) return true;
  const { atOldEnd, atOldCommitted } = other;
  if (atOldEnd !== undefined && atOldEnd.epoch === end.epoch) return atOldEnd.hash === end.hash;
  if (committedHash !== undefined && atOldCommitted !== undefined && atOldCommitted.hash !== committedHash)
    return false;
  if (old.history === "") return false;
  if (old.history === other.history) return committed <= other.end.sequence;
  const ancestor = other.ancestors.find(({ history }) => history === old.history);
  if (ancestor === undefined || committed > ancestor.end.sequence) return false;
  // Of an earlier epoch than the end: whoever made that held what was acknowledged before. Of the same: as far as it goes.
  return end.epoch < ancestor.end.epoch || (end.epoch === ancestor.end.epoch && end.sequence <= ancestor.end.sequence);
}

/** Finds, while the other store is read, what is asked of it. */
export class HeldCheck implements RecoveryVisitor {
  readonly #old: OldLog;
  #atOldEnd: Place;
  #atOldCommitted: Place;

  constructor(old: OldLog) {
    this.#old = old;
  }

  onBatch(batch: LogBatch): void {
    this.#atOldEnd ??= placeIn(batch, this.#old.end.sequence);
    this.#atOldCommitted ??= placeIn(batch, this.#old.committed);
  }

  /** After all was read. */
  found({ meta, end }: Recovered): NewLog {
    const { history, ancestors = [], applied } = meta;
    const at = (sequence: number, found: Place): Place => (sequence === applied.sequence ? applied : found);
    return {
      history,
      ancestors,
      end,
      atOldEnd: at(this.#old.end.sequence, this.#atOldEnd),
      atOldCommitted: at(this.#old.committed, this.#atOldCommitted),
    };
  }
}

function placeIn(batch: LogBatch, sequence: number): Place {
  if (sequence < batch.first || sequence > batch.last) return undefined;
  return { epoch: epochAt(batch, sequence), hash: hashAt(batch, sequence) };
}
