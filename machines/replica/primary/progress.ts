/**
 * How far one follower is, as the primary sees it (claims 20, 27): which records go to it over which link, and what its
 * confirms say. What always holds: a follower is sent records only in its session and in order; changing links sends
 * again from the last confirmed record (rule 4); what is sent and not confirmed is bounded (rules 10, 15); no message is larger
 * than its link takes now: batches are cut to it, and a record that does not fit is not sent by it.
 */
import type { LinkName } from "../../../schemas/link.ts";
import type { Confirm, Decline, Follow } from "../../../schemas/peer-message.ts";
import { RecordReader } from "../../codec/record.ts";
import { fitting, type LogBatch, sliceThrough } from "../../log/batch.ts";
import type { EpochEnd } from "../../log/memory-log.ts";
import {
  isMirrorComplete,
  isMirrorStalled,
  type MirrorAction,
  type MirrorEvent,
  type MirrorSnapshot,
  mirrorStep,
  noMirror,
} from "../../mirror.ts";
import type { Core } from "../core.ts";
import type { Peer } from "../peers/peers.ts";
import { Session } from "./session.ts";

/** A session of one that is no member, and without progress for this many times the stall limit, begins anew. */
const patience = 4;
/** As much as so many of the largest messages is on its way at once: more would only wait in a slow link, and be sent again there. */
const maxFullMirrors = 4;
/** So many sessions without progress at the same record, and everything is sent anew. */
const maxFruitless = 2;

/** Where sessions of an incarnation ended that were sent records, or could not be, and confirmed nothing of them. */
interface Fruitless {
  readonly incarnation: string;
  readonly confirmed: number;
  readonly times: number;
  /** The record that did not fit, 0 where it was something else. */
  readonly bytes: number;
}

/** The last record that both logs share; null where that cannot be told, and only a snapshot helps (rule 7). */
export function agreedSequence(
  mine: readonly EpochEnd[],
  theirs: readonly EpochEnd[],
  myLast: number,
  theirLast: number,
): number | null {
  if (theirLast === 0 || myLast === 0) return 0;
  for (const end of [...theirs].reverse()) {
    const own = mine.find(({ epoch }) => epoch === end.epoch);
    if (own !== undefined) return Math.min(own.last, end.last);
  }
  return null;
}

/** Bytes of records that one message may carry to this peer. */
export function roomTo(peer: Peer, link: LinkName, { limits, rules }: Core): number {
  return rules.mirrorRoom(limits.maxBatchBytes, peer.maxFrameBytes[link]);
}

export class Progress {
  readonly peer: Peer;
  private readonly core: Core;
  /** End of what the primary inherited. */
  private readonly inherited: number;
  /** How far the following is (machines/mirror.ts); there is a session while that is open. */
  private mirror: MirrorSnapshot = noMirror;
  private current: Session | null = null;
  private fruitless: Fruitless | null = null;

  constructor(peer: Peer, core: Core, inherited: number) {
    this.peer = peer;
    this.core = core;
    this.inherited = inherited;
  }

  get name(): string {
    return this.peer.name;
  }
  get session(): Session | null {
    return this.current;
  }
  get confirmed(): number {
    return this.current?.confirmed ?? 0;
  }
  get state(): MirrorSnapshot["value"] {
    return this.mirror.value;
  }
  /** It confirms nothing of what it was sent. */
  get isStalled(): boolean {
    return isMirrorStalled(this.mirror);
  }
  /** No member yet, and it holds everything that one must hold (rule 8). */
  get isComplete(): boolean {
    return isMirrorComplete(this.mirror) && this.current !== null && this.holdsEverything(this.current);
  }
  /** All that it lacks is on its way to it, or leaves with the next message, and what it confirms was sent so long ago at most. */
  isNear(withinMs: number): boolean {
    const { current: session, core, peer } = this;
    if (session === null || session.tooLarge !== null || session.roundTripMs > withinMs) return false;
    const { log, committed } = core.own;
    if (session.confirmed < session.start || committed < this.inherited || session.sent < log.base.sequence)
      return false;
    return log.bytesAbove(session.sent) <= roomTo(peer, core.peers.linkTo(peer), core);
  }
  /** Bytes of the record that it cannot be sent, in this session or the one before; 0: there is none. */
  get tooLargeBytes(): number {
    if (this.current === null) return this.fruitless?.bytes ?? 0;
    return this.current.tooLarge?.bytes ?? 0;
  }

  /** A server asks to follow. A repeated question of a session that stands gets the same answer again. */
  onFollow(message: Follow): void {
    const { core, peer } = this;
    const { own, rules } = core;
    if (this.isLateQuestion(message)) return;
    peer.asked = { incarnation: message.from, number: message.number ?? 0 };
    const isNew = this.current?.id !== message.session;
    if (isNew) this.step({ type: "follow.asked" });
    if (this.isOtherProgram(message)) this.decline(message, "schema");
    else if (peer.leaving === message.from) this.decline(message, "leaving");
    else if (isNew) {
      // What the two logs began with is part of what they say (rule 19).
      const beganAlike = message.schema === core.options.schema;
      const agreed =
        beganAlike && rules.mayGoOnInPlace(message.history, own.history, message.last)
          ? agreedSequence(own.log.epochEnds, message.epochEnds, own.log.closed.sequence, message.last)
          : null;
      const mustSnapshot = agreed === null || agreed < message.committed || agreed + 1 < own.oldestOnDisk;
      if (mustSnapshot || this.isFruitless(message.from, agreed)) this.offerSnapshot(message);
      else this.open(message, agreed);
    } else this.accept(message);
  }

  /**
   * Of another application, or of a version that is behind the state's: it could make nothing of what it would be sent (claim 12). A
   * member goes on all the same: the registry counts on it, and it keeps what it is sent until its own upgrade (rule 19).
   */
  private isOtherProgram({ from, program, schema }: Follow): boolean {
    const { options, stateVersion, membership } = this.core;
    const own = options.program;
    if (program === undefined || own === undefined) return schema !== options.schema;
    if (program.application !== own.application) return true;
    return program.version < stateVersion && !membership.isInSync(from);
  }

  /**
   * A question that comes late: of an earlier session than one that was asked for since, or, while a session stands, of
   * another incarnation than the one that is believed. It ends nothing.
   */
  private isLateQuestion({ from, number }: Follow): boolean {
    const { current: session } = this;
    const { asked, heartbeat } = this.peer;
    if (session !== null && session.incarnation === heartbeat?.incarnation && from !== session.incarnation) return true;
    return from === asked.incarnation && (number ?? asked.number) < asked.number;
  }

  /** Sessions that began here came to nothing, and another one would not come further: a member is left out instead. */
  private isFruitless(incarnation: string, agreed: number): boolean {
    const { fruitless, core, peer } = this;
    if (fruitless?.incarnation !== incarnation || fruitless.confirmed !== agreed) return false;
    if (core.membership.isInSync(incarnation)) return false;
    if (fruitless.bytes > 0) return fruitless.bytes > roomTo(peer, core.peers.linkTo(peer), core);
    return fruitless.times >= maxFruitless;
  }

  private open(message: Follow, agreed: number): void {
    const { core } = this;
    const isMember = core.membership.isInSync(message.from);
    this.step({ type: isMember ? "follow.accepted.member" : "follow.accepted.joiner" });
    this.current = new Session(message.session, message.from, agreed, core.nowMs);
    this.accept(message);
  }

  private accept({ session, from }: Follow): void {
    const { own, membership, self, outbox, peers } = this.core;
    const sequence = this.current?.start ?? 0;
    const lineage = own.ancestors.length === 0 ? {} : { ancestors: own.ancestors };
    const answer = { session, from: self, to: from, epoch: membership.epoch };
    const agreed = { sequence, hash: own.log.hashAt(sequence) ?? null };
    outbox.push({
      type: "send",
      to: this.name,
      link: peers.linkTo(this.peer),
      message: { type: "accept", ...answer, ...agreed, ...lineage },
      payload: [],
    });
  }

  private decline({ session, from: to }: Pick<Follow, "session" | "from">, reason: Decline["reason"]): void {
    this.step({ type: "follow.declined" });
    const { self, outbox, peers } = this.core;
    const link = peers.linkTo(this.peer);
    const message = { type: "decline", session, from: self, to, reason } as const;
    outbox.push({ type: "send", to: this.name, link, message, payload: [] });
  }

  private offerSnapshot(message: Follow): void {
    const actions = this.step({ type: "snapshot.needed" });
    this.decline(message, "snapshot");
    const { session } = message;
    if (actions.includes("sendSnapshot")) this.core.outbox.push({ type: "sendSnapshot", peer: this.name, session });
  }

  /** True when the confirm counted. */
  onConfirm(message: Confirm): boolean {
    const { current: session, core } = this;
    if (session === null) return false;
    const { log } = core.own;
    // Below memory there is nothing to compare with: those records are committed and on both disks' way.
    const hash = message.sequence < log.base.sequence ? message.hash : log.hashAt(message.sequence);
    const facts = {
      session: session.id,
      epoch: core.membership.epoch,
      self: core.self,
      follower: session.incarnation,
      hash,
    };
    if (!core.rules.confirmFits(message, facts)) return false;
    session.onConfirm(message, core.nowMs);
    if (message.gap) session.sendAgain(core.nowMs, core.rules);
    return true;
  }

  private send(session: Session, link: LinkName, batches: readonly LogBatch[]): void {
    const { own, membership, self, outbox, probe } = this.core;
    const at = { sequence: session.sent, hash: own.log.hashAt(session.sent) ?? 0 };
    const last = batches.at(-1);
    const bytes = batches.reduce((sum, batch) => sum + batch.bytes.length, 0);
    outbox.push({
      type: "send",
      to: this.name,
      link,
      message: {
        type: "mirror",
        session: session.id,
        epoch: membership.epoch,
        from: self,
        to: session.incarnation,
        first: session.sent + 1,
        last: last?.last ?? at.sequence,
        previousHash: batches[0]?.previousHash ?? at.hash,
        lastHash: last?.lastHash ?? at.hash,
        committed: own.committed,
        published: own.published,
        probe,
      },
      payload: batches.map((batch) => batch.bytes),
    });
    session.onSent(probe, last?.last ?? 0, bytes, this.core.nowMs);
  }

  /**
   * Sends what the follower lacks, as far as the window allows; nothing to one that is not heard at all (claim 31).
   * `mustSpeak`: an empty one if there is nothing.
   */
  pump(mustSpeak: boolean): void {
    const { current: session, core, peer } = this;
    if (session === null || session.isReading || core.peers.isAway(peer)) return;
    const { limits, nowMs, outbox } = core;
    const { log } = core.own;
    const link = core.peers.linkTo(peer);
    session.use(link, nowMs, core.rules);
    session.onRoom(roomTo(peer, link, core));
    session.noteLevel(nowMs);
    const windowBytes = Math.min(limits.maxUnconfirmedBytes, maxFullMirrors * limits.maxBatchBytes);
    while (session.sent < log.closed.sequence && session.hasWindow(windowBytes, log.bytesAbove(session.sent))) {
      if (session.sent < log.base.sequence) {
        session.onReading();
        outbox.push({ type: "readLog", peer: this.name, session: session.id, from: session.sent + 1 });
        return;
      }
      this.sendFitting(session, link, log.batches(session.sent + 1, log.closed.sequence));
    }
    if (session.probed < core.probe || (mustSpeak && session.quiet)) this.send(session, link, []);
  }

  /** One message of what comes next; a record that is too large for the link is noted instead. */
  private sendFitting(session: Session, link: LinkName, next: Iterable<LogBatch>): void {
    const room = roomTo(this.peer, link, this.core);
    const batches = take(next, room);
    const [first] = batches;
    if (first === undefined) return;
    if (first.bytes.length <= room) this.send(session, link, batches);
    else session.onTooLarge({ sequence: first.first, bytes: new RecordReader(first.bytes).end });
  }

  /** At each tick: what is not confirmed for long is sent again, and a silent session says something. */
  keepUp(): void {
    const { current: session, core } = this;
    if (session === null || core.peers.isAway(this.peer)) return;
    if (session.isLate(core.nowMs, 4 * core.limits.heartbeatMs)) session.sendAgain(core.nowMs, core.rules);
    this.pump(true);
    session.onTick();
  }

  onPaused(nowMs: number): void {
    this.current?.onPaused(nowMs);
  }

  /** It confirmed, in this epoch, all that was acknowledged and all that was inherited (rule 8). */
  private holdsEverything({ confirmed, confirmedEpoch, start }: Session): boolean {
    const { rules, own, membership } = this.core;
    if (!rules.mayBeAdded(confirmed, own.committed, this.inherited) || confirmed < start) return false;
    return rules.isOfThisEpoch(confirmedEpoch, membership.epoch);
  }

  /** What confirms, and their absence, say of a session: it holds everything, it stalls, it goes on (rules 8, 10). */
  judge(): void {
    const { current: session, core } = this;
    if (session === null) return;
    if (this.holdsEverything(session)) this.step({ type: "tail.reached" });
    const { rules, limits, nowMs } = core;
    const stalledMs = session.stalledMs(nowMs);
    const isStalled = session.isOwed && rules.isStalled(stalledMs, limits.stalledBackupMs);
    this.step({ type: isStalled ? "progress.stopped" : "progress.made" });
    if (isStalled && rules.mayBeginAnew(stalledMs, patience * limits.stalledBackupMs)) this.beginAnew(session);
  }

  /** One that is to be added and does not come further is let go; it asks again, and may be sent everything then. */
  private beginAnew({ incarnation, confirmed, tooLarge }: Session): void {
    if (this.core.membership.isInSync(incarnation)) return;
    const before = this.fruitless;
    const isSame = before?.incarnation === incarnation && before.confirmed === confirmed;
    const times = isSame ? before.times + 1 : 1;
    this.fruitless = { incarnation, confirmed, times, bytes: tooLarge?.bytes ?? 0 };
    this.end();
  }

  /** The registry names it, or does not any more. */
  noteMembership(): void {
    const { current: session, core } = this;
    if (session === null) return;
    this.step({ type: core.membership.isInSync(session.incarnation) ? "member.added" : "member.removed" });
  }

  /** Records for a joiner, read from this server's disk. */
  onLogRead(sessionId: string, batches: readonly LogBatch[]): void {
    const { current: session, core, peer } = this;
    if (session === null || session.id !== sessionId) return;
    session.onRead();
    // Above what memory begins with, memory is the truth: a cut of the disk may still be under way.
    const { sequence } = core.own.log.base;
    const settled = batches.filter((batch) => batch.first <= sequence);
    const lacking = settled.map((batch) => (batch.last > sequence ? sliceThrough(batch, sequence) : batch));
    while ((lacking[0]?.last ?? session.sent + 1) <= session.sent) lacking.shift();
    if (lacking[0]?.first === session.sent + 1) this.sendFitting(session, core.peers.linkTo(peer), lacking);
    // The disk let go of it meanwhile: only everything anew helps, and for that it must ask again.
    else if (session.sent + 1 < core.own.oldestOnDisk) this.end();
  }

  /** The session is over, if there is one: it restarted, leaves, or must ask again. */
  end(): void {
    this.step({ type: "session.ended" });
  }
  /** Another incarnation of it speaks now. */
  onIncarnation(incarnation: string): void {
    if (this.current !== null && this.current.incarnation !== incarnation) this.end();
  }

  /** A session that ends is gone; what else is to be done comes back. */
  private step(event: MirrorEvent): readonly MirrorAction[] {
    const [next, actions] = mirrorStep(this.mirror, event);
    this.mirror = next;
    if (actions.includes("endSession")) this.current = null;
    return actions;
  }
}

/** Batches of `maxBytes` together at most; of the first one what fits, and all of it where not even its first record does. */
function take(batches: Iterable<LogBatch>, maxBytes: number): LogBatch[] {
  const taken: LogBatch[] = [];
  let bytes = 0;
  for (const batch of batches) {
    if (taken.length > 0 && bytes + batch.bytes.length > maxBytes) break;
    const part = taken.length > 0 ? batch : (fitting(batch, maxBytes) ?? batch);
    taken.push(part);
    bytes += part.bytes.length;
    if (part !== batch) break;
  }
  return taken;
}
