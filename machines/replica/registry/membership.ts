/**
 * This room has what the registry says and what is asked of it; it outlives the roles, but for a candidacy (candidacy.ts).
 *
 * The registry as this server knows it, and its own open compare-and-set (PROTOCOL.md, the registry record; rule 3).
 *
 * What always holds: `known` is a settled record and its epoch never falls; at most one compare-and-set is open, and
 * it stays open until a revision beyond the expected one was seen: seeing the old value proves nothing. The epoch seen
 * never falls, and a registry that went backwards freezes mode changes (`frozen` says why).
 */

import type { Heartbeat } from "../../../schemas/peer-message.ts";
import { maxEpoch } from "../../../schemas/ranges.ts";
import type { Member, RegistryRead, RegistryRecord, RegistryWrite } from "../../../schemas/registry.ts";
import { sameMember } from "../../../schemas/registry.ts";
import type { Configuration } from "../../log/commit.ts";
import { InvariantError } from "../invariant-error.ts";
import type { Outbox, SavedEpochs } from "../outbox.ts";
import type { Rules } from "../rules.ts";

export interface KnownRecord {
  readonly record: RegistryRecord;
  readonly revision: number;
}

/** What a server's disk tells of the registry, and whether this life confirms only what is synced. */
interface Remembered {
  readonly epochSeen: number;
  readonly memberEpoch: number;
  readonly syncedEpoch: number;
  readonly record: RegistryRecord | null;
  readonly isSynced: boolean;
}

/** Lost is known for certain, but not yet to whom: nothing is acknowledged until that was read. */
type OpenStatus = "asking" | "unknown" | "lost";

interface OpenCas {
  /** What is asked for. */
  readonly record: RegistryRecord;
  readonly expectedRevision: number;
  readonly writeIds: readonly string[];
  /** Those tries that write again what there is: they settle it as well. */
  readonly again: readonly RegistryRecord[];
  readonly status: OpenStatus;
}

/** `rewritten`: the same configuration under another writeId. What the primary had open is void, and nothing else changed. */
export type Settlement = "won" | "superseded" | "rewritten" | null;

export class Membership {
  private readonly self: Member;
  private readonly rules: Rules;
  private readonly outbox: Outbox[];
  private settled: KnownRecord | null = null;
  private asked: OpenCas | null = null;
  private highestEpoch: number;
  /** The highest epoch whose record named this server: what was acknowledged before it is on its disk, or was in its memory. */
  private countedEpoch: number;
  /** The newest record of an earlier life: told to whoever restores the registry, and nothing is decided by it. */
  private readonly remembered: RegistryRecord | null;
  /**
   * The highest epoch whose record named this server while it confirmed what was synced and no more: its disk has all that was
   * acknowledged through that epoch. Never vouched for: a disk that was lost, or is old, does not come to it by asking.
   */
  private fullEpoch: number;
  private readonly isSynced: boolean;
  private saved: SavedEpochs;
  private writes = 0;
  /** At most one reading of the registry is under way. */
  private isReading = false;
  private readMs = Number.NEGATIVE_INFINITY;
  private seenWhenAsked = 0;
  private wasLostWhenAsked = false;
  /** Something was settled since: an answer from before it proves nothing. */
  private isOutrun = false;
  /** The registry had no record when it was read last. */
  isMissing = false;
  frozen = "";
  /** Why the last try of what is open came to nothing; "" where nothing is open, or no try did. */
  writeFault = "";
  /** The last reading was answered, be it by "missing". */
  isAnswered = false;
  /** When the first of the readings failed that have failed one after another since; null: the last one was answered. */
  silentSinceMs: number | null = null;
  /** Since when all readings were answered; null: the last one was not, or there was none. */
  answeredSinceMs: number | null = null;
  /** The registry's last error, for operators; "" while it answers. */
  silentWhy = "";

  constructor(self: Member, rules: Rules, out: Outbox[], remembered: Remembered) {
    const { epochSeen, memberEpoch, syncedEpoch, record, isSynced } = remembered;
    this.self = self;
    this.rules = rules;
    this.outbox = out;
    this.highestEpoch = epochSeen;
    this.countedEpoch = memberEpoch;
    this.remembered = record;
    this.fullEpoch = syncedEpoch;
    this.isSynced = isSynced;
    this.saved = { epoch: epochSeen, memberEpoch, syncedEpoch };
  }

  /** For the explorer: what tells two states of this apart, beyond its getters. */
  get facts() {
    const reading = this.isReading && [this.seenWhenAsked, this.wasLostWhenAsked, this.isOutrun];
    return { saved: this.saved, memberEpoch: this.countedEpoch, reading, writes: this.writes, readMs: this.readMs };
  }

  get known(): KnownRecord | null {
    return this.settled;
  }
  get record(): RegistryRecord | null {
    return this.settled?.record ?? null;
  }
  /** The newest record that this server knows of, from this life or an earlier one. */
  get newest(): RegistryRecord | null {
    const { record } = this;
    const remembered = this.remembered;
    if (record === null || (remembered !== null && remembered.epoch > record.epoch)) return remembered;
    return record;
  }
  get open(): OpenCas | null {
    return this.asked;
  }
  get epoch(): number {
    return this.settled?.record.epoch ?? 0;
  }
  get epochSeen(): number {
    return this.highestEpoch;
  }
  /** The accepted epoch is on the disk: only then does anything leave in its name (invariant 8). */
  get isEpochSaved(): boolean {
    return this.saved.epoch >= this.epoch;
  }
  get memberEpoch(): number {
    return this.countedEpoch;
  }
  get syncedEpoch(): number {
    return this.fullEpoch;
  }
  /** A compare-and-set that leaves this server alone may be sent: its disk shows then that the one before it counted here. */
  get isMemberEpochSaved(): boolean {
    return this.isEpochSaved && this.saved.memberEpoch >= this.countedEpoch;
  }
  get isNamed(): boolean {
    return this.settled !== null && this.rules.isNamed(this.settled.record, this.self);
  }
  /** The newest record names this incarnation, whoever it is. */
  isInSync(incarnation: string): boolean {
    return this.settled?.record.inSync.some((member) => member.incarnation === incarnation) ?? false;
  }
  /** The newest record says that this incarnation let itself go: nothing can name it any more. */
  get hasLeft(): boolean {
    return this.settled?.record.left?.includes(this.self.incarnation) ?? false;
  }
  /** A compare-and-set is open that would leave a member out: what is confirmed meanwhile might count for nothing (rule 2). */
  get leavesOut(): boolean {
    const kept = this.asked?.record.inSync;
    if (kept === undefined) return false;
    return !this.settled?.record.inSync.every((member) => kept.some((other) => sameMember(member, other)));
  }
  /** It has seen the last epoch that there is: nothing can be asked for any more. */
  get isSpent(): boolean {
    return this.highestEpoch >= maxEpoch;
  }
  get isPrimary(): boolean {
    return this.settled !== null && this.rules.isSameMember(this.settled.record.primary, this.self);
  }
  get wasLost(): boolean {
    return this.asked?.status === "lost";
  }
  /**
   * Reading goes on from here at once: what is lost is lost to somebody. What stays unknown is tried again with the ticks: a
   * registry that refuses each try answers as quickly as it is asked.
   */
  get mustReadAtOnce(): boolean {
    return this.wasLost || (this.mustRead && this.asked?.writeIds.length === 1);
  }
  /** Only reading the registry goes on from here. */
  get mustRead(): boolean {
    return this.asked !== null && this.asked.status !== "asking";
  }

  /** What an acknowledgement must satisfy now (rule 3). */
  configurations(): Configuration[] {
    if (this.settled === null) return [];
    return this.rules.configurations(this.settled.record, this.asked?.record ?? null);
  }

  onEpochSaved({ epoch, memberEpoch, syncedEpoch }: SavedEpochs): void {
    this.saved = {
      epoch: Math.max(this.saved.epoch, epoch),
      memberEpoch: Math.max(this.saved.memberEpoch, memberEpoch),
      syncedEpoch: Math.max(this.saved.syncedEpoch, syncedEpoch),
    };
  }

  /**
   * This server holds all that was acknowledged up to now, or an operator accepted what it does not hold, and it is about to ask
   * to be alone: its disk says so first. Where the question is lost that does no harm: no record names it alone in the next epoch.
   */
  vouch(): void {
    if (this.countedEpoch >= this.highestEpoch) return;
    this.countedEpoch = this.highestEpoch;
    this.save();
  }
  private save(): void {
    const { newest } = this;
    const epochs = { epoch: this.highestEpoch, memberEpoch: this.countedEpoch, syncedEpoch: this.fullEpoch };
    this.outbox.push({ type: "saveEpoch", ...epochs, ...(newest === null ? {} : { record: newest }) });
  }

  /** Asks what the registry says, unless that is asked already. */
  read(nowMs: number): void {
    if (this.isReading) return;
    this.isReading = true;
    this.readMs = nowMs;
    this.seenWhenAsked = this.highestEpoch;
    this.wasLostWhenAsked = this.wasLost;
    this.isOutrun = false;
    this.outbox.push({ type: "readRegistry" });
  }
  onPaused(nowMs: number): void {
    if (this.silentSinceMs !== null) this.silentSinceMs = nowMs;
    if (this.answeredSinceMs !== null) this.answeredSinceMs = nowMs;
  }
  onTick(nowMs: number, pollMs: number): void {
    if (nowMs - this.readMs >= pollMs || this.mustRead) this.read(nowMs);
  }

  /** Asks for the next configuration. The record is the known one with these changes. */
  propose(change: Partial<RegistryRecord>): void {
    const { record, revision } = this.base();
    // Who let itself go did so in the old epoch: in a new one only a new confirm makes a member (rule 8).
    const { left: _, restoredFrom: __, ...kept } = record;
    const epoch = Math.max(record.epoch, this.highestEpoch) + 1;
    if (this.isSpent) throw new InvariantError(`epoch ${epoch} was asked for, and no record can have it`);
    this.ask({ ...kept, ...change, epoch, previousWriteId: record.writeId }, revision);
  }

  /**
   * Writes the known record again, in its epoch, and says in it that this incarnation has left. Once that is settled, nothing
   * that was asked for on the revision before can land, whoever asked and be he dead; and whoever asks later has read it.
   */
  leave(): void {
    const { record, revision } = this.base();
    const left = [...(record.left ?? []), this.self.incarnation];
    this.ask({ ...record, left, previousWriteId: record.writeId }, revision);
  }

  private base(): KnownRecord {
    if (this.settled === null || this.asked !== null)
      throw new Error("a compare-and-set is open, or no record is known");
    return this.settled;
  }

  private ask(record: RegistryRecord, expectedRevision: number): void {
    this.try({ record, expectedRevision, writeIds: [], again: [], status: "asking" }, record);
  }

  /** One more try: of what is asked for, or of what there is. */
  private try(open: OpenCas, record: RegistryRecord): void {
    this.writes += 1;
    const writeId = `${this.self.incarnation}.${this.writes}`;
    const signed = { ...record, writeId };
    const writeIds = [...open.writeIds, writeId];
    const tried = record === open.record ? { record: signed } : { again: [...open.again, signed] };
    this.asked = { ...open, ...tried, writeIds, status: "asking" };
    this.outbox.push({ type: "compareAndSet", record: signed, expectedRevision: open.expectedRevision });
  }

  /**
   * The primary tells the record that it won: nobody needs to ask. It is in range (schemas/peer-message.ts), and proven to be a
   * server's (replication-actor.ts: else no record comes as far as here, and the registry is asked).
   */
  onHeartbeat({ record, revision, epochSeen }: Heartbeat, service: string, nowMs: number): Settlement {
    let settlement: Settlement = null;
    if (record !== undefined && revision !== undefined && record.service === service) {
      // A deposed primary that does not know it tells an older record than this server has seen: it is not followed.
      const { epoch } = record;
      const isNews =
        epoch > this.highestEpoch || (this.settled === null && !this.rules.wentBack(epoch, this.highestEpoch));
      if (isNews || this.asked !== null) settlement = this.onFound({ record, revision });
    }
    // A peer's word that there is a newer epoch is not enough: the registry is asked.
    if (epochSeen > this.highestEpoch) this.read(nowMs);
    return settlement;
  }

  onCasAnswer(writeId: string, answer: RegistryWrite): Settlement {
    const open = this.asked;
    if (open === null || !open.writeIds.includes(writeId)) return null;
    if (answer.outcome === "unknown") this.writeFault = answer.reason;
    const isLatest = open.writeIds.at(-1) === writeId;
    if (answer.outcome === "won") {
      const record = open.again.find((again) => again.writeId === writeId) ?? { ...open.record, writeId };
      return this.settle({ record, revision: answer.revision });
    }
    if (isLatest) {
      const isClear = this.rules.isClearlyLost(answer.outcome, open.writeIds.length);
      this.asked = { ...open, status: isClear ? "lost" : "unknown" };
    }
    return null;
  }

  /** A settled record, read from the registry or told by the server that won it. Null: nothing new. */
  onFound(found: KnownRecord): Settlement {
    const { asked: open, settled: known, rules } = this;
    if (open === null) return known === null || isNewer(found, known) ? this.settle(found) : null;
    if (known !== null && rules.settlesNothing(found.record, known.record)) return null;
    const isSettled = rules.isSettled(found.revision, open.expectedRevision);
    return isSettled || rules.isSettledByEpoch(found.record.epoch, open.record.epoch) ? this.settle(found) : null;
  }

  /**
   * The very record that is known, where it cannot be by itself: under another revision, or after a compare-and-set on it
   * was clearly lost. The registry was restored. That is no news, and what is open is asked for again, where it is now.
   */
  private noteRestored({ record, revision }: KnownRecord): void {
    const known = this.settled;
    const open = this.asked;
    if (known === null || record.writeId !== known.record.writeId || open?.status === "asking") return;
    const isBack = this.wasLost && this.wasLostWhenAsked;
    if (!isBack && revision === (open?.expectedRevision ?? known.revision)) return;
    this.settled = { record: known.record, revision };
    if (open !== null) this.asked = { ...open, expectedRevision: revision, status: "unknown" };
  }

  /**
   * The registry still shows the old value while a write of ours may land: a second try of the same forces it, or, where nobody
   * wants that any more, what there is, written again.
   */
  private force(isUnwanted: boolean): void {
    const open = this.asked;
    const known = this.settled;
    if (open === null || known === null || open.status !== "unknown" || this.frozen !== "") return;
    this.try(open, isUnwanted ? { ...known.record, previousWriteId: known.record.writeId } : open.record);
  }

  private settle(found: KnownRecord): Settlement {
    const isMine = this.asked !== null && isOf(this.asked, found.record, this.rules);
    const isRewritten = this.settled !== null && isWrittenAgain(found, this.settled);
    this.asked = null;
    this.writeFault = "";
    this.isOutrun = true;
    this.settled = found;
    const { epoch } = found.record;
    if (this.isNamed) this.countedEpoch = Math.max(this.countedEpoch, epoch);
    if (this.isNamed && this.isSynced) this.fullEpoch = Math.max(this.fullEpoch, epoch);
    this.highestEpoch = Math.max(this.highestEpoch, epoch);
    if (this.isSpent) this.frozen = spent;
    if (!this.isMemberEpochSaved) this.save();
    if (isRewritten && (this.isPrimary || !isMine)) return "rewritten";
    return isMine ? "won" : "superseded";
  }

  /** `isUnwanted`: what is asked for is not wanted any more. */
  onRead(answer: RegistryRead, nowMs: number, isUnwanted: boolean): Settlement {
    this.isReading = false;
    this.isAnswered = answer.outcome !== "unavailable";
    this.silentSinceMs = this.isAnswered ? null : (this.silentSinceMs ?? nowMs);
    this.answeredSinceMs = this.isAnswered ? (this.answeredSinceMs ?? nowMs) : null;
    this.silentWhy = answer.outcome === "unavailable" ? answer.reason : "";
    if (answer.outcome === "unavailable") return null;
    this.isMissing = answer.outcome === "missing";
    this.judge(answer.outcome === "missing" ? null : answer);
    if (answer.outcome === "missing") return null;
    const { record, revision } = answer;
    if (this.frozen === "") this.noteRestored(answer);
    const settlement = this.frozen === "" || this.settled === null ? this.onFound({ record, revision }) : null;
    this.force(isUnwanted);
    // To whom it was lost shows in a moment; not in a registry that went back, which is asked with the ticks.
    if (this.wasLost && this.frozen === "") this.read(nowMs);
    return settlement;
  }

  /**
   * What the registry says about itself: older than what was seen here when it was asked freezes mode changes until it is
   * not. What was seen since proves nothing: an answer may come after a compare-and-set that it knows nothing of.
   */
  private judge(found: KnownRecord | null): void {
    const epoch = found?.record.epoch ?? 0;
    if (found === null) this.frozen = this.highestEpoch > 0 ? `the registry's record is gone; ${restoreIt}` : "";
    else if (this.rules.wentBack(epoch, this.seenWhenAsked))
      this.frozen = `the registry went back to epoch ${epoch}, this server has seen ${this.seenWhenAsked}; ${restoreIt}`;
    else if (this.settled !== null && !this.isOutrun && isOtherOfEpoch(found, this.settled))
      this.frozen = `the registry has another record of epoch ${epoch} than this server: it went back, and ${found.record.primary.server} went on from there; ${restoreIt}`;
    else this.frozen = this.isSpent ? spent : "";
  }
}

const spent = `epoch ${maxEpoch} was seen, the last that a record can have: no change of mode is possible any more; begin the service anew under another name`;
const restoreIt = "restore it with `twinlog init --restore`";

/** Two records of one epoch: the registry went back and was written again, as far as here. What is newer than both ends it. */
function isOtherOfEpoch({ record, revision }: KnownRecord, known: KnownRecord): boolean {
  return record.epoch === known.record.epoch && record.writeId !== known.record.writeId && revision <= known.revision;
}

/** What was asked for, by one of its tries; or that, put back by an operator after the registry had lost it. */
function isOf({ record, writeIds, again }: OpenCas, found: RegistryRecord, rules: Rules): boolean {
  const ofWhatThereIs = again.map(({ writeId }) => writeId);
  const isTry = (writeId: string) => rules.isWhatWasAskedFor(writeId, writeIds, ofWhatThereIs);
  if (found.restoredFrom === undefined || isTry(found.writeId)) return isTry(found.writeId);
  // An operator who accepts a loss names the newest question as well, and answers it with a new history.
  return isTry(found.previousWriteId) && found.history === record.history;
}

/** The configuration that is known, under another writeId: somebody let itself go (see `leave`). */
function isWrittenAgain({ record, revision }: KnownRecord, known: KnownRecord): boolean {
  const { history, epoch, primary, inSync, durability, base } = known.record;
  if (revision <= known.revision || record.epoch !== epoch || record.history !== history) return false;
  if (record.durability !== durability || record.base.sequence !== base.sequence) return false;
  const isSame = (one: Member, other: Member | undefined) => other !== undefined && sameMember(one, other);
  if (!isSame(record.primary, primary) || record.inSync.length !== inSync.length) return false;
  return record.inSync.every((member, at) => isSame(member, inSync[at]));
}

/** A settled record that replaces the known one. Epochs only rise; a registry that was restored counts revisions anew. */
function isNewer(found: KnownRecord, known: KnownRecord): boolean {
  if (found.record.writeId === known.record.writeId) return false;
  return found.revision > known.revision || found.record.epoch > known.record.epoch;
}
