/**
 * The rules of PROTOCOL.md that are a single decision, by name. The replica asks them and nothing else decides, so that
 * each has one place, and a simulation can break one at a time by passing another function. These are what ships. A decision
 * stands here also where it is an identity, if a mutation must break it; an argument that begins with `_` is for mutations.
 */
import { type Ancestor, maxAncestors } from "../../schemas/checkpoint.ts";
import type { Confirm, Mirror } from "../../schemas/peer-message.ts";
import type { InSyncMember, Member, Position, RegistryRecord } from "../../schemas/registry.ts";
import { sameMember } from "../../schemas/registry.ts";
import type { Limits, Settings } from "../../schemas/settings.ts";
import { type TimerName, timerRequestId } from "../../schemas/timers.ts";
import { isHeldBy } from "../checkpoint/held.ts";
import { payloadFieldsBytes } from "../codec/message.ts";
import type { LogBatch } from "../log/batch.ts";
import { type Configuration, commitPoint, isAlone, otherMembers } from "../log/commit.ts";

export interface ConfirmFacts {
  session: string;
  epoch: number;
  self: string;
  follower: string;
  /** This log's own hash at the confirmed sequence; undefined if it has no such record. */
  hash: number | undefined;
}

export interface MirrorFacts {
  session: string;
  epoch: number;
  self: string;
  primary: string;
}

/** Where a log ends: the epoch of its last record, and its sequence. */
export interface LogEnd {
  server: string;
  lastEpoch: number;
  last: number;
}

/** Committed, and not applied to this server's state. */
export interface Unapplied {
  readonly records: number;
  /** About: a batch counts until all of it is applied. */
  readonly bytes: number;
}
type UnappliedLimits = Pick<Limits, "maxUnappliedRecords" | "maxUnappliedBytes">;

export const shippedRules = {
  /** Rule 1: everything names incarnations; a restarted server is another one. */
  isSameMember: (one: Member, other: Member): boolean => sameMember(one, other),

  /**
   * Rule 2: a server that is about to ask for a configuration without its peer confirms and acknowledges nothing: a
   * candidate follows nobody, and a fenced primary mirrors no more.
   */
  mayConfirm: (fenced: boolean, casIsOpen: boolean): boolean => !fenced && !casIsOpen,
  mayCommit: (fenced: boolean): boolean => !fenced,

  /**
   * Rule 2: everything appended up to the fence is on disk before the compare-and-set that would leave one member. What
   * is appended behind the fence is confirmed and acknowledged by nobody, and under load it would never end.
   */
  isSyncedForCas: (synced: number, fencedAt: number): boolean => synced >= fencedAt,

  /** Rule 3: from sending a compare-and-set until it is settled, both configurations must be satisfied. */
  configurations: (settled: Configuration, open: Configuration | null): Configuration[] =>
    open === null ? [settled] : [settled, open],
  commitPoint,
  isAlone,
  otherMembers,

  /** Rule 3: an answer that is not a clear one is unknown; it is settled only by a revision beyond the expected one. */
  isSettled: (revision: number, expectedRevision: number): boolean => revision > expectedRevision,
  /**
   * The registry's section: one that was put back counts revisions anew, and the epoch says what they cannot, of the record that was
   * put back and of every later one. Should the question land there still, its own epoch is below: the registry went back.
   */
  isSettledByEpoch: (epoch: number, asked: number): boolean => epoch > asked,
  /**
   * The registry's section: what was known before a question was asked says nothing of it, under whatever revision it is told: a
   * primary that has not seen that the registry was lost and put back tells a record of the old counting.
   */
  settlesNothing: (found: RegistryRecord, known: RegistryRecord): boolean =>
    found.epoch < known.epoch || found.writeId === known.writeId,

  /** The registry's section: lost is only a clear "wrong last sequence" on the first and only try. */
  isClearlyLost: (outcome: "lost" | "unknown", tries: number): boolean => outcome === "lost" && tries === 1,

  /** Rule 4: records are appended only in the current epoch, from the primary that this server follows, in its session. */
  mirrorFits: (message: Mirror, facts: MirrorFacts): boolean =>
    message.epoch === facts.epoch &&
    message.session === facts.session &&
    message.from === facts.primary &&
    message.to === facts.self,

  /** Rule 4: after a gap, a change of links, or too long without a confirm, records go again from the last confirmed one. */
  resendsFrom: (confirmed: number, start: number, _sent: number): number => Math.max(confirmed, start),

  /** Rule 4: a batch is appended as it was made: the log, which ends with this hash, judges what it follows. */
  asMade: (batch: LogBatch, _hash: number): LogBatch => batch,

  /** Rule 4: a confirm counts only from this session, this epoch, both incarnations, for a record with the same hash. */
  confirmFits: (message: Confirm, facts: ConfirmFacts): boolean =>
    message.session === facts.session &&
    message.epoch === facts.epoch &&
    message.to === facts.self &&
    message.from === facts.follower &&
    message.hash === facts.hash,

  /** Rule 5: a reply leaves only when its record, and all before it, are committed. */
  mayAnswer: (needs: number, committed: number): boolean => needs <= committed,

  /** Rule 5: what a read saw, or a refusal speaks of, is committed before it leaves, and so is all that was inherited. */
  answerNeeds: (needs: number, inherited: number): number => Math.max(needs, inherited),

  /** Rule 5: what was already in flight proves nothing. */
  isFreshProbe: (probe: number, sent: number): boolean => probe > sent,

  /** Rule 5: a read or a refusal waits for an echo, from every other in-sync member, of a probe sent after it arrived. */
  isProven: (needs: number, echoed: number): boolean => echoed >= needs,

  /** Rule 5: `ready` is a word like any other: it leaves when all that was inherited is committed. */
  mayAnnounce: (committed: number, inherited: number): boolean => committed >= inherited,

  /** Rule 6: what may be applied to tables of a warm server and on disk. */
  mayApply: (_last: number, committed: number): number => committed,

  /**
   * Rule 6: a follower applies what is committed after it has confirmed what it holds, and past these limits before: a takeover waits
   * for no more than that.
   */
  isFarBehind: ({ records, bytes }: Unapplied, limits: UnappliedLimits): boolean =>
    records > limits.maxUnappliedRecords || bytes > limits.maxUnappliedBytes,

  /** Rule 7: where a follower's log parts from the primary's: nothing above it is kept. */
  truncatesTo: (agreed: number, _last: number): number => agreed,

  /** Rule 7: only the log of this history is cut where the two part; in another one's what is above may be acknowledged. */
  mayGoOnInPlace: (theirs: string, mine: string, last: number): boolean => theirs === mine || last === 0,

  /**
   * Rule 7: while the newest record counts on an earlier life of this server, what that life asked for may still land, and be counted
   * on by where its log ended: nothing of it is dropped before the record has gone on.
   */
  mayDropOwn: (record: RegistryRecord, self: Member): boolean =>
    !record.inSync.some(({ server, incarnation }) => server === self.server && incarnation !== self.incarnation),

  /** Rule 7: a snapshot takes the store's place only in the session that asked for it, while nobody counts on the store. */
  isSnapshotWanted: (session: string, wantedIn: string | null): boolean => session === wantedIn,
  /** Rule 7: nor where more of the log, or this server as a member, came to be counted on while it was proved. */
  isOvertaken: (hasMoved: boolean): boolean => hasMoved,

  /** Rules 7 and 18: a store that is not held whole by what takes its place is set aside. */
  isHeldBy,

  /** Rule 7: a deposed server keeps its memory only where the newest record names its incarnation. */
  isNamed: (record: RegistryRecord, self: Member): boolean => record.inSync.some((member) => sameMember(member, self)),

  /** Rule 8: the joiner holds everything acknowledged so far and the whole inherited log when the adding CAS is sent. */
  mayBeAdded: (confirmed: number, committed: number, inherited: number): boolean =>
    confirmed >= committed && confirmed >= inherited,

  /** Rule 8: commits wait for the last confirm of one that joins, and no longer than this. */
  mayAwait: (waitedMs: number, limitMs: number): boolean => waitedMs < limitMs,
  /** Rules 3 and 8: an unknown answer is forced by what there is, written again, where the joiner that it would take in is gone. */
  isInVain: (isGone: boolean): boolean => isGone,
  /** Rule 8: a joiner is taken in where it could take over: it reaches NATS, and the registry answers it. */
  mayBackUp: (canTakeOver: boolean): boolean => canTakeOver,

  /** Rule 19: requests are run by a program on tables that are made as it has them. */
  isMadeFor: (made: string, wanted: string): boolean => made === wanted,
  /** Rule 19: the role goes only to one whose program can make something of the state, where it is given by a choice. */
  readsState: (reads: boolean): boolean => reads,
  /** Rule 19: whoever can make nothing of the state takes the role where none of the other members that live can either. */
  takesRole: (reads: boolean, _living: number, able: number): boolean => reads || able === 0,
  /** Rule 9: a backup that could not take over for so long, while the registry answers its primary, is left out. */
  mustLeaveOut: (lacksForMs: number, limitMs: number): boolean => lacksForMs > limitMs,

  /**
   * Rule 8 and the clean stop: a confirm of an earlier epoch makes nobody a member, so that a server that has seen a
   * record without it, and has not confirmed since, knows that nothing under way can name it.
   */
  isOfThisEpoch: (confirmedEpoch: number, epoch: number): boolean => confirmedEpoch === epoch,

  /** Rule 9: a tick that comes late says that this server was paused, and what it did not hear says nothing. */
  wasPaused: (sinceTickMs: number, limitMs: number): boolean => sinceTickMs > limitMs,
  /** Rule 9: records go by the main link while it is up, and by NATS where that is all there is. */
  linkFor: (found: "main" | "failsafe"): "main" | "failsafe" => found,
  /** Rule 9: where both have lost NATS nobody moves: the role goes to one that has it, and is taken only with it. */
  reachesNats: (isConnected: boolean): boolean => isConnected,
  /** Rule 9: one that keeps being removed waits longer each time. */
  mayRejoin: (sinceRemovalMs: number, rejoinBackoffMs: number): boolean => sinceRemovalMs >= rejoinBackoffMs,
  /** Rule 9: a primary that lost NATS, or its registry, for this long hands its role over while the main link lives. */
  mustHandOver: (lostForMs: number, limitMs: number): boolean => lostForMs > limitMs,

  /** Rule 21: while an operator's word stands, nobody takes the role because its holder is lost, and it is given to nobody for that. */
  mayFailOver: (isPaused: boolean): boolean => !isPaused,

  /** Rule 10: a backup that is heard and makes no progress for this long is removed. */
  isStalled: (sinceProgressMs: number, limitMs: number): boolean => sinceProgressMs > limitMs,
  /** Rule 15: a session of one that is no member, and that comes no further for this long, begins anew. */
  mayBeginAnew: (sinceProgressMs: number, limitMs: number): boolean => sinceProgressMs > limitMs,

  /** The start table: only the sole member itself goes on from its disk; the others wait for it. */
  isOwnDisk: (sole: string, self: string): boolean => sole === self,

  /** The start table: while an in-sync incarnation lives, it takes over, and one that restarted joins. */
  mayTakeOver: (isLiving: boolean): boolean => isLiving,

  /** The registry's section: the base of one that is alone is moved forward from time to time. */
  mustRebase: (sinceMs: number, limitMs: number): boolean => sinceMs >= limitMs,

  /**
   * The start table: a sole member's disk must hold the base. And it must be the disk with which this server asked to be
   * alone, which says that the epoch before counted on it: the base may be old, and 0 where little was ever written. A record
   * that was put back speaks of the epoch that it had before.
   */
  holdsBase: (record: RegistryRecord, last: number, hashAtBase: number | undefined, memberEpoch: number): boolean =>
    last >= record.base.sequence &&
    hashAtBase === record.base.hash &&
    memberEpoch >= (record.restoredFrom ?? record.epoch) - 1,

  /**
   * The registry's section: whoever asks to be alone, or alone asks for anything more, has on its disk that the epoch before
   * counted on it. Else it is not the right disk, should its server die now (`holdsBase`).
   */
  mayAskAlone: (isMemberEpochSaved: boolean): boolean => isMemberEpochSaved,

  /**
   * The registry's section: a record put back from `restoredFrom` as `epoch` holds no more than that; what was won in between was
   * won after it, or lost to it.
   */
  isWonBeside: (won: number, restoredFrom: number, epoch: number): boolean => won > restoredFrom && won < epoch,

  /**
   * Rule 3 and the registry's section: won is what was asked for; what there is, written again to force an answer, is not that, when it
   * is put back from a later epoch either.
   */
  isWhatWasAskedFor: (writeId: string, tries: readonly string[], ofWhatThereIs: readonly string[]): boolean =>
    tries.includes(writeId) && !ofWhatThereIs.includes(writeId),

  /** The start table: after a total loss, only when every configured server is present can the longest log be chosen. */
  mayChooseLongest: (present: number, configured: number): boolean => present === configured,

  /**
   * The start table: a server that was in sync is known to have restarted only by its disk, which is of the record's history. An
   * empty one in its name may be another process, beside the one that the registry counts on and that is cut off.
   */
  provesRestart: (told: string, history: string): boolean => told === history,

  /**
   * The start table: what the registry counts on is on that member's disk, and on no other one in its name, however much of the
   * history that has: it may be of a process that was in sync once. Records of older programs name no disk; a copy of a disk,
   * byte for byte, is that disk.
   */
  isMembersDisk: (member: InSyncMember, disk: string): boolean => member.disk === undefined || member.disk === disk,

  /** The start table, after a total loss: the highest (epoch of its last record, sequence) goes on. */
  isBetter: (other: LogEnd, own: LogEnd): boolean =>
    other.lastEpoch > own.lastEpoch ||
    (other.lastEpoch === own.lastEpoch && other.last > own.last) ||
    (other.lastEpoch === own.lastEpoch && other.last === own.last && other.server < own.server),
  /** The start table, after a total loss: with `wait` an operator decides. */
  mayGoOn: (afterTotalLoss: Settings["afterTotalLoss"]): boolean => afterTotalLoss === "longest",
  /** Rule 1: a server that nobody counts on neither goes on nor speaks while another process has its name. */
  mayGoOnBeside: (isNamed: boolean, isNamesakeHeard: boolean): boolean => isNamed || !isNamesakeHeard,
  /** Rule 1: a name that is heard from two processes at once counts as present in no decision. */
  countsAsPresent: (isDoubled: boolean): boolean => !isDoubled,
  /** Rule 1: a command is obeyed by the incarnation that its asker saw, and by no other that has its name. */
  isMeant: (meant: string, self: string): boolean => meant === self,
  /** Rule 18: force does not go on from an older copy of the log while a newer one is at hand. */
  isNewerCopy: (other: LogEnd, own: LogEnd): boolean =>
    other.lastEpoch > own.lastEpoch || (other.lastEpoch === own.lastEpoch && other.last > own.last),
  /** Rule 18: while the registry's primary serves there is nothing to recover. */
  isServing: (isHeard: boolean, isHot: boolean): boolean => isHeard && isHot,
  /**
   * The start table and rule 18: a new history, unless the disk with the longest log proves that nothing acknowledged is missing:
   * it is of this history, and counted in this epoch with all that it had confirmed. The confirm level of now proves nothing of then.
   */
  keepsHistory: (record: RegistryRecord, disk: { history: string; syncedEpoch: number }, isForced: boolean): boolean =>
    !isForced && disk.history === record.history && disk.syncedEpoch >= (record.restoredFrom ?? record.epoch),

  /** The registry's section: a server remembers the highest epoch that it has seen, across restarts. */
  epochAtStart: (saved: number): number => saved,

  /** The registry's section: one that went backwards freezes mode changes. */
  wentBack: (epoch: number, epochSeen: number): boolean => epoch < epochSeen,

  /** The registry's section: an operator restores it only when every configured server was asked, or accepts what the silent have. */
  mayRestore: (silent: number, acceptsLoss: boolean): boolean => silent === 0 || acceptsLoss,
  /** The registry's section: it is restored above every epoch that was seen, and above one that may have landed unseen. */
  restoredEpoch: (seen: number): number => seen + 2,

  /** Rule 11. */
  mayRunAfter: (predecessorIsKnown: boolean): boolean => predecessorIsKnown,

  /** Rule 12. */
  isDuplicate: (sequence: number): boolean => sequence > 0,
  isReused: (bodyHash: number, remembered: number): boolean => bodyHash !== remembered,
  /** Rule 12: one that is in progress is joined. */
  isInProgress: (isDone: boolean): boolean => !isDone,
  /** Rules 5 and 12: a duplicate gets the stored reply, with the epoch of its record. */
  storedReply: (reply: Uint8Array, _epoch: number): Uint8Array => reply,
  /** Rule 12: of a reply that memory has let go of, this record is read. */
  recalls: (sequence: number): number => sequence,
  /** Rule 12: a client's floor is the highest stamp of its own requests that was ever forgotten. */
  floorAfter: (floorMs: number, forgottenMs: number): number => Math.max(floorMs, forgottenMs),
  /** Rule 12: no floor is dropped without lifting the common one. */
  commonAfter: (commonMs: number, droppedMs: number): number => Math.max(commonMs, droppedMs),
  /** Rule 12: a client is held to its own stamps and to the common floor, never to the highest stamp of another's. */
  floorFor: (ownMs: number, commonMs: number, _highestMs: number): number => Math.max(ownMs, commonMs),
  /** Rule 12: what may be forgotten is decided by the primary, and carried in records. */
  forgetsThrough: (carried: number, _sequence: number): number => carried,
  /** Rule 12: fewer clients' stamps run ahead of the clock than floors are kept when the others are dropped. */
  maxAhead: (rememberClients: number): number => Math.floor(rememberClients / 2),
  /** Rule 12: the future begins after the latest clock that the primary has heard of, not after its own. */
  futureAfter: (latestMs: number, _ownMs: number): number => latestMs,
  isFromFuture: (issuedAtMs: number | undefined, latestMs: number): boolean =>
    issuedAtMs !== undefined && issuedAtMs > latestMs,
  isExpired: (issuedAtMs: number | undefined, floorMs: number): boolean =>
    issuedAtMs !== undefined && issuedAtMs <= floorMs,

  /** Rule 13: the result from which a new primary publishes again. */
  publishFrom: (published: number): number => published + 1,

  /** Rule 13: a new history remembers those whose log it goes on with. */
  remembersHistories: (before: readonly Ancestor[], ended: Ancestor): readonly Ancestor[] =>
    [...before, ended].slice(-maxAncestors),

  /** Rule 13: results are published after commit. */
  mayPublish: (_last: number, committed: number): number => committed,

  /** Rule 13: what NATS forbade is not published: it is held back until it is allowed, and the watermark with it. */
  isHeldBack: (isForbidden: boolean): boolean => isForbidden,

  /** Rule 14: on opening, what a disk holds is what was flushed. */
  isAsFlushed: (found: string, flushed: string): boolean => found === flushed,

  /** Rule 15: past the limit a request is refused, never kept waiting. */
  isFull: (count: number, limit: number): boolean => count >= limit,
  /**
   * Rule 15: once a limit for all clients together is reached, there is an eighth more, and each client may hold eight times what
   * is left of it. So one that is alone has the limit, n that want more than there is come to 9/(8n + 1) of it each, and those
   * that hold little are taken meanwhile.
   */
  isBeyondShare: (held: number, all: number, limit: number): boolean => held >= 9 * limit - 8 * all,
  /** Rule 15: a mirror is no larger than a batch may be, nor than its link takes to that peer now. */
  mirrorRoom: (maxBatchBytes: number, maxFrameBytes: number): number =>
    Math.min(maxBatchBytes, maxFrameBytes - payloadFieldsBytes),
  /** Rule 15: how large a record may be is known when its transaction is built. */
  recordRoom: (maxRecordBytes: number, takenBytes: number): number => Math.min(maxRecordBytes, takenBytes),

  /** Rule 16: what a resumed request has done already. */
  completed: <T>(transactions: readonly T[]): readonly T[] => transactions,

  /** Rule 17: what may have killed a server has an attempt on record before it is run again. */
  needsAttempt: (isSuspect: boolean): boolean => isSuspect,
  /** Rule 17: a timer that is there and was due when this server took its role may have killed the one before it. */
  mayHaveBeenTried: (setAt: number, inherited: number, atMs: number, hotMs: number): boolean =>
    setAt <= inherited && atMs <= hotMs,
  isPoisoned: (attempts: number): boolean => attempts >= 2,
  /** Rule 17: a run that ended its server, as its watchdog told, counts also where it had no attempt on record. */
  toldAttempts: (told: number): number => told,

  /** Rule 20: time goes on from the latest that the log says. */
  timeFrom: (loggedMs: number): number => loggedMs,
  /** Rule 20: a wall clock that has gained more than this on the monotonic one is not followed before an operator says so, or another clock. */
  isStepTaken: (stepMs: number, maxStepMs: number): boolean => stepMs <= maxStepMs,
  /** Rule 20: where an operator takes a server's wall clock for right, time goes on from there. */
  acceptedTime: (wallMs: number, _ms: number): number => wallMs,
  /** Rule 20: a timer comes when its time is there by the log's time, and not before. */
  isTimerDue: (atMs: number, nowMs: number): boolean => atMs <= nowMs,
  /** Rule 20: one id for one setting of a timer, on whichever server. */
  timerRequest: (name: TimerName, _epoch: number): string => timerRequestId(name),
  /** Rule 20: the first record of its request that does anything takes the timer away. */
  takesTimer: (ordinal: number): boolean => ordinal === 0,

  /** Planned switch: no new request is taken. */
  isIntakeStopped: (isHeld: boolean): boolean => isHeld,
  /** Planned switch: the roles change, and who is in sync stays as it is. */
  rolesSwitched: (successor: Member, _end: Position): Partial<RegistryRecord> => ({
    primary: successor,
    mode: "normal",
    durability: "memory",
  }),
  /** Planned switch: a role that is not settled in time is not waited for: the primary that offered it goes on. */
  isHandoverLate: (sinceMs: number, limitMs: number): boolean => sinceMs > limitMs,
  /** Planned switch: everything is committed when the role is offered, and who takes it holds all of it. */
  mayOffer: (committed: number, last: number): boolean => committed >= last,
  holdsOffer: (offer: Position, last: number, hash: number | undefined): boolean =>
    offer.sequence === last && offer.hash === hash,

  /**
   * Clean stop: one that stops and is named by nothing that it knows lets itself go, where nobody else can: its primary is
   * gone, or does not answer in time.
   */
  mayLetItselfGo: (isPrimaryLost: boolean, sinceStopMs: number, limitMs: number): boolean =>
    isPrimaryLost || sinceStopMs > limitMs,
  /** Rule 8 and the clean stop: one that let itself go is not taken in on the record that says so. */
  mayTakeIn: (record: RegistryRecord, incarnation: string): boolean => record.left?.includes(incarnation) !== true,

  /** Clean stop: no record, no open CAS and no unseen one may name a server that exits. */
  mayExit: (isNamed: boolean, isReleased: boolean): boolean => !isNamed && isReleased,
};

export type Rules = typeof shippedRules;
