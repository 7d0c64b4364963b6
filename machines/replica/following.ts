/**
 * The follower's side of the mirror (claims 20, 33): asking for the log, dropping what the primary does not have, taking
 * records in order, and saying how far. What always holds: nothing is appended that does not fit (rule 4); nothing is
 * confirmed that this server does not hold; what is above the agreed point was never committed, or there is no agreement.
 */
import type { Member } from "../../schemas/registry.ts";
import type { Accept, Mirror } from "../codec/message.ts";
import { sliceFrom } from "../log/batch.ts";
import type { MemoryLog } from "../log/memory-log.ts";
import type { Rules } from "./rules.ts";

export interface Following {
  readonly primary: Member;
  readonly session: string;
  /** Of this incarnation's sessions, with whomever. */
  readonly number: number;
  accepted: boolean;
  /** The logs were compared at the agreed point, or a batch has fitted: only then do confirms and commits mean anything. */
  verified: boolean;
  /** Why the primary declined, "" while it has not. */
  declined: string;
  /** A snapshot is being received. */
  snapshot: boolean;
  askedMs: number;
  /** When something of this session was heard last. */
  heardMs: number;
  /** The highest probe of the primary, to be echoed. */
  probe: number;
  /** Something came since the last confirm; and whether it did not fit. */
  owesConfirm: boolean;
  gap: boolean;
}

export function startFollowing(primary: Member, session: string, number: number, nowMs: number): Following {
  return {
    primary,
    session,
    number,
    accepted: false,
    verified: false,
    declined: "",
    snapshot: false,
    askedMs: Number.NEGATIVE_INFINITY,
    heardMs: nowMs,
    probe: 0,
    owesConfirm: false,
    gap: false,
  };
}

/** Cuts the log to what the primary agreed to. "differs": both name a record alike and hold another one. */
export function onAccept(
  following: Following,
  message: Accept,
  log: MemoryLog,
  committed: number,
  rules: Rules,
): "taken" | "differs" | "ignored" {
  if (following.accepted || message.session !== following.session || message.from !== following.primary.incarnation)
    return "ignored";
  const after = rules.truncatesTo(message.sequence, log.last);
  if (after < committed) return "differs";
  if (message.hash !== null && log.hashAt(message.sequence) !== message.hash) return "differs";
  log.truncate(after);
  following.accepted = true;
  following.verified = message.hash !== null;
  following.owesConfirm = true;
  return "taken";
}

/**
 * Takes a mirror's records. "differs": the logs part before this batch, against what was agreed. A full log takes none;
 * what it holds is compared all the same, for until that has fitted nothing in it counts as committed, and it stays full.
 */
export function onMirror(
  following: Following,
  message: Mirror,
  payload: Uint8Array,
  log: MemoryLog,
  isFull: boolean,
  rules: Rules,
): "appended" | "nothing" | "differs" {
  following.probe = Math.max(following.probe, message.probe);
  following.owesConfirm = true;
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
    if (!isFull) following.gap = true;
    return "nothing";
  }
  const part = message.first === log.last + 1 ? batch : sliceFrom(batch, log.last + 1);
  const next = rules.asMade(part, log.closed.hash);
  if (isFull) {
    if (next.previousHash !== log.closed.hash) return "differs";
    following.verified = true;
    return "nothing";
  }
  const fault = log.appendBatch(next);
  if (fault === "hash") return "differs";
  if (fault === null) following.verified = true;
  else following.gap = true;
  return fault === null ? "appended" : "nothing";
}
