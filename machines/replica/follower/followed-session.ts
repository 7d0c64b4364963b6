/**
 * One session in which this server follows a primary (claims 20, 33): dropping what the primary does not have, taking
 * records in order, and what it owes. What always holds: nothing is appended that does not fit (rule 4); nothing is
 * confirmed that this server does not hold; what is above the agreed point was never committed, or there is no agreement.
 */
import type { Accept, Mirror } from "../../../schemas/peer-message.ts";
import { RecordError } from "../../codec/record.ts";
import { type LogBatch, sliceFrom } from "../../log/batch.ts";
import type { MemoryLog } from "../../log/memory-log.ts";
import type { Rules } from "../rules.ts";

export class FollowedSession {
  /** The primary's. */
  readonly incarnation: string;
  readonly id: string;
  /** Of this incarnation's sessions, with whomever. */
  readonly number: number;
  accepted = false;
  /** The logs were compared at the agreed point, or a batch has fitted: only then do confirms and commits mean anything. */
  verified = false;
  /** Why the primary declined, "" while it has not. */
  declined = "";
  /** A snapshot is being received. */
  snapshot = false;
  askedMs = Number.NEGATIVE_INFINITY;
  /** When something of this session was heard last. */
  heardMs: number;
  /** The highest probe of the primary, to be echoed. */
  probe = 0;
  /** Something came since the last confirm; and whether it did not fit. */
  owesConfirm = false;
  gap = false;

  constructor(incarnation: string, id: string, number: number, nowMs: number) {
    this.incarnation = incarnation;
    this.id = id;
    this.number = number;
    this.heardMs = nowMs;
  }

  /**
   * Cuts the log to what the primary agreed to. "differs": both name a record alike and hold another one. "waits": nothing may be
   * cut yet, and the same is asked again.
   */
  onAccept(
    message: Accept,
    log: MemoryLog,
    committed: number,
    mayDrop: boolean,
    rules: Rules,
  ): "taken" | "differs" | "ignored" | "waits" {
    if (this.accepted || message.session !== this.id || message.from !== this.incarnation) return "ignored";
    const after = rules.truncatesTo(message.sequence, log.last);
    if (after < committed) return "differs";
    if (message.hash !== null && log.hashAt(message.sequence) !== message.hash) return "differs";
    if (after < log.last && !mayDrop) return "waits";
    log.truncate(after);
    this.accepted = true;
    this.verified = message.hash !== null;
    this.owesConfirm = true;
    return "taken";
  }

  /**
   * Takes a mirror's records. "differs": the logs part before this batch, against what was agreed. "damaged": its bytes are not
   * the records that it names; they are asked for again. A full log takes none; what it holds is compared all the same, for
   * until that has fitted nothing in it counts as committed, and it stays full.
   */
  onMirror(
    message: Mirror,
    payload: Uint8Array,
    log: MemoryLog,
    isFull: boolean,
    rules: Rules,
  ): "appended" | "nothing" | "differs" | "damaged" {
    this.probe = Math.max(this.probe, message.probe);
    this.owesConfirm = true;
    if (message.last < message.first || message.last <= log.last) return "nothing";
    const batch = {
      first: message.first,
      last: message.last,
      previousHash: message.previousHash,
      lastHash: message.lastHash,
      bytes: payload,
    };
    if (message.first > log.last + 1) {
      // A full log has room soon, or is left out: asking for the same again at once helps neither.
      if (!isFull) this.gap = true;
      return "nothing";
    }
    const part = lackedFrom(batch, log.last + 1);
    if (part === null) {
      this.gap = true;
      return "damaged";
    }
    const next = rules.asMade(part, log.closed.hash);
    if (isFull) {
      if (next.previousHash !== log.closed.hash) return "differs";
      this.verified = true;
      return "nothing";
    }
    const fault = log.appendBatch(next);
    if (fault === "hash") return "differs";
    if (fault === null) this.verified = true;
    else this.gap = true;
    if (fault === "damaged") return "damaged";
    return fault === null ? "appended" : "nothing";
  }
}

/** What a log that ends before `sequence` lacks of it; null where its bytes do not hold that. */
function lackedFrom(batch: LogBatch, sequence: number): LogBatch | null {
  try {
    return sliceFrom(batch, sequence);
  } catch (error) {
    if (error instanceof RecordError) return null;
    throw error;
  }
}
