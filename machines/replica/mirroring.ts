/**
 * The primary's side of the mirror (claims 20, 27): which records go to which follower over which link, and what its
 * confirms say. What always holds: a follower is sent records only in its session and in order; changing links sends
 * again from the last confirmed record (rule 4); what is sent and not confirmed is bounded (rules 10, 15); no message is larger
 * than its link takes now: batches are cut to it, and a record that does not fit is not sent by it.
 */
import type { Confirm, Follow } from "../codec/message.ts";
import { RecordReader } from "../codec/record.ts";
import { fitting, type LogBatch, sliceThrough } from "../log/batch.ts";
import type { EpochEnd } from "../log/memory-log.ts";
import { type LinkName, type Peer, type Session, stepMirror } from "./peers.ts";
import type { ReplicaView } from "./view.ts";

/**
 * Mirrors on their way to one follower. Past it records gather into the next one: under load batches grow by themselves,
 * and a record waits at most a part of the round trip that its confirm takes anyway.
 */
const maxMirrorsInFlight = 2;

/** A session of one that is no member, and without progress for this many times the stall limit, begins anew. */
const patience = 4;
/** So many sessions without progress at the same record, and everything is sent anew. */
const maxFruitless = 2;

export interface MirrorView extends ReplicaView {
  /** End of what this server inherited when it went hot. */
  readonly inherited: number;
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

/**
 * A question that comes late: of an earlier session than one that was asked for since, or, while a session stands, of
 * another incarnation than the one that is believed. It ends nothing.
 */
function isLateQuestion({ asked, session, heartbeat }: Peer, { from, number = asked.number }: Follow): boolean {
  if (session !== null && session.incarnation === heartbeat?.incarnation && from !== session.incarnation) return true;
  return from === asked.incarnation && number < asked.number;
}

/** A server asks to follow. A repeated question of a session that stands gets the same answer again. */
export function onFollow(peer: Peer, message: Follow, nowMs: number, view: MirrorView): void {
  const { own } = view;
  if (isLateQuestion(peer, message)) return;
  peer.asked = { incarnation: message.from, number: message.number ?? 0 };
  const answer = { session: message.session, from: view.self, to: message.from };
  if (peer.session?.id !== message.session) stepMirror(peer, { type: "follow.asked" });
  const decline = (reason: "snapshot" | "schema" | "leaving") => {
    stepMirror(peer, { type: "follow.declined" });
    view.out.push({
      type: "send",
      to: peer.name,
      link: view.peers.linkTo(peer),
      message: { type: "decline", ...answer, reason },
      payload: [],
    });
  };
  if (message.schema !== view.options.schema) {
    decline("schema");
    return;
  }
  if (peer.leaving === message.from) {
    decline("leaving");
    return;
  }
  if (peer.session?.id !== message.session) {
    const agreed = view.rules.mayGoOnInPlace(message.history, own.history, message.last)
      ? agreedSequence(own.log.epochEnds, message.epochEnds, own.log.closed.sequence, message.last)
      : null;
    const mustSnapshot = agreed === null || agreed < message.committed || agreed + 1 < own.oldestOnDisk;
    if (mustSnapshot || isInVain(peer, message.from, agreed, view)) {
      const actions = stepMirror(peer, { type: "snapshot.needed" });
      decline("snapshot");
      if (actions.includes("sendSnapshot"))
        view.out.push({ type: "sendSnapshot", peer: peer.name, session: message.session });
      return;
    }
    stepMirror(peer, {
      type: view.membership.isInSync(message.from) ? "follow.accepted.member" : "follow.accepted.joiner",
    });
    peer.session = {
      id: message.session,
      incarnation: message.from,
      start: agreed,
      confirmedEpoch: 0,
      confirmed: 0,
      sent: agreed,
      flight: [],
      flightBytes: 0,
      echoed: 0,
      probed: 0,
      progressMs: nowMs,
      resentMs: Number.NEGATIVE_INFINITY,
      quiet: true,
      link: null,
      isReading: false,
      tooLarge: null,
    };
  }
  const start = peer.session.start;
  const hash = own.log.hashAt(start) ?? null;
  const lineage = own.ancestors.length === 0 ? {} : { ancestors: own.ancestors };
  view.out.push({
    type: "send",
    to: peer.name,
    link: view.peers.linkTo(peer),
    message: { type: "accept", ...answer, epoch: view.membership.epoch, sequence: start, hash, ...lineage },
    payload: [],
  });
}

/** Bytes of records that one message may carry to this peer. */
export function roomTo(peer: Peer, link: LinkName, { limits, rules }: ReplicaView): number {
  return rules.mirrorRoom(limits.maxBatchBytes, peer.maxFrameBytes[link]);
}

/** Sessions that began here came to nothing, and another one would not come further: a member is left out instead. */
function isInVain(peer: Peer, incarnation: string, agreed: number, view: MirrorView): boolean {
  const { fruitless } = peer;
  if (fruitless?.incarnation !== incarnation || fruitless.confirmed !== agreed) return false;
  if (view.membership.isInSync(incarnation)) return false;
  if (fruitless.bytes > 0) return fruitless.bytes > roomTo(peer, view.peers.linkTo(peer), view);
  return fruitless.times >= maxFruitless;
}

/** True when the confirm counted. */
export function onConfirm(session: Session, message: Confirm, nowMs: number, view: MirrorView): boolean {
  const { log } = view.own;
  // Below memory there is nothing to compare with: those records are committed and on both disks' way.
  const hash = message.sequence < log.base.sequence ? message.hash : log.hashAt(message.sequence);
  const facts = {
    session: session.id,
    epoch: view.membership.epoch,
    self: view.self,
    follower: session.incarnation,
    hash,
  };
  if (!view.rules.confirmFits(message, facts)) return false;
  session.confirmedEpoch = message.epoch;
  session.echoed = Math.max(session.echoed, message.probe);
  if (message.sequence > session.confirmed) {
    session.confirmed = message.sequence;
    session.progressMs = nowMs;
  }
  // What was sent again may have been confirmed before: it is not on its way, and not sent a third time.
  session.sent = Math.max(session.sent, session.confirmed);
  while (session.flight.length > 0 && (session.flight[0]?.last ?? 0) <= session.confirmed)
    session.flightBytes -= session.flight.shift()?.bytes ?? 0;
  if (message.gap) sendAgain(session, nowMs, view);
  return true;
}

/** From the last confirmed record: after a gap, a change of links, or when no confirm comes. */
function sendAgain(session: Session, nowMs: number, { rules }: MirrorView): void {
  if (session.sent > session.confirmed) session.resentMs = nowMs;
  session.sent = rules.resendsFrom(session.confirmed, session.start, session.sent);
  session.flight = [];
  session.flightBytes = 0;
}

function send(peer: Peer, session: Session, link: LinkName, batches: readonly LogBatch[], view: MirrorView): void {
  const { own, peers } = view;
  const at = { sequence: session.sent, hash: own.log.hashAt(session.sent) ?? 0 };
  const last = batches.at(-1);
  const bytes = batches.reduce((sum, batch) => sum + batch.bytes.length, 0);
  view.out.push({
    type: "send",
    to: peer.name,
    link,
    message: {
      type: "mirror",
      session: session.id,
      epoch: view.membership.epoch,
      from: view.self,
      to: session.incarnation,
      first: session.sent + 1,
      last: last?.last ?? at.sequence,
      previousHash: batches[0]?.previousHash ?? at.hash,
      lastHash: last?.lastHash ?? at.hash,
      committed: own.committed,
      published: own.published,
      probe: peers.probe,
    },
    payload: batches.map((batch) => batch.bytes),
  });
  session.probed = peers.probe;
  session.quiet = false;
  if (last !== undefined) {
    session.sent = last.last;
    session.flight.push({ last: last.last, bytes });
    session.flightBytes += bytes;
  }
}

/**
 * Sends what the follower lacks, as far as the window allows; nothing to one that is not heard at all (claim 31).
 * `mustSpeak`: an empty one if there is nothing.
 */
export function pump(peer: Peer, nowMs: number, mustSpeak: boolean, view: MirrorView): void {
  const { session } = peer;
  if (session === null || session.isReading || view.peers.isAway(peer)) return;
  const { limits } = view;
  const { log } = view.own;
  const link = view.peers.linkTo(peer);
  if (session.link !== link) {
    if (session.link !== null) sendAgain(session, nowMs, view);
    session.link = link;
  }
  const room = roomTo(peer, link, view);
  if (session.tooLarge !== null && fitsNow(session, room)) session.tooLarge = null;
  // Level: nothing is owed. What is only about to be sent again, or does not fit, still is.
  const isLevel = session.sent <= session.confirmed && session.resentMs <= session.progressMs;
  if (isLevel && session.tooLarge === null) session.progressMs = nowMs;
  while (session.sent < log.closed.sequence && session.flightBytes < limits.maxUnconfirmedBytes) {
    if (session.flight.length >= maxMirrorsInFlight || session.tooLarge !== null) break;
    if (session.sent < log.base.sequence) {
      session.isReading = true;
      view.out.push({ type: "readLog", peer: peer.name, session: session.id, from: session.sent + 1 });
      return;
    }
    sendFitting(peer, session, link, log.batches(session.sent + 1, log.closed.sequence), view);
  }
  if (session.probed < view.peers.probe || (mustSpeak && session.quiet)) send(peer, session, link, [], view);
}

/** The record that did not fit does now, or is not the next any more. */
function fitsNow({ tooLarge, sent }: Session, room: number): boolean {
  return tooLarge === null || tooLarge.bytes <= room || tooLarge.sequence !== sent + 1;
}

/** One message of what comes next; a record that is too large for the link is noted instead. */
function sendFitting(peer: Peer, session: Session, link: LinkName, next: Iterable<LogBatch>, view: MirrorView): void {
  const room = roomTo(peer, link, view);
  const batches = take(next, room);
  const [first] = batches;
  if (first === undefined) return;
  if (first.bytes.length <= room) send(peer, session, link, batches, view);
  else session.tooLarge = { sequence: first.first, bytes: new RecordReader(first.bytes).end };
}

/** At each tick: what is not confirmed for long is sent again, and a silent session says something. */
export function keepUp(peer: Peer, nowMs: number, view: MirrorView): void {
  const { session } = peer;
  if (session === null || view.peers.isAway(peer)) return;
  const isLate = nowMs - Math.max(session.progressMs, session.resentMs) > 4 * view.limits.heartbeatMs;
  if (session.sent > session.confirmed && isLate) sendAgain(session, nowMs, view);
  pump(peer, nowMs, true, view);
  session.quiet = true;
}

/** It confirmed, in this epoch, all that was acknowledged and all that was inherited (rule 8). */
export function holdsEverything(session: Session, { rules, own, inherited, membership }: MirrorView): boolean {
  const { confirmed, confirmedEpoch, start } = session;
  if (!rules.mayBeAdded(confirmed, own.committed, inherited) || confirmed < start) return false;
  return rules.isOfThisEpoch(confirmedEpoch, membership.epoch);
}

/** What confirms, and their absence, say of a session: it holds everything, it stalls, it goes on (rules 8, 10). */
export function judgeSession(peer: Peer, nowMs: number, view: MirrorView): void {
  const { session } = peer;
  if (session === null) return;
  if (holdsEverything(session, view)) stepMirror(peer, { type: "tail.reached" });
  const { stalledBackupMs } = view.limits;
  const isOwed = session.sent > session.confirmed || session.tooLarge !== null;
  const isStalled = isOwed && view.rules.isStalled(nowMs - session.progressMs, stalledBackupMs);
  stepMirror(peer, { type: isStalled ? "progress.stopped" : "progress.made" });
  if (isStalled && view.rules.mayBeginAnew(nowMs - session.progressMs, patience * stalledBackupMs))
    beginAnew(peer, session, view);
}

/** One that is to be added and does not come further is let go; it asks again, and may be sent everything then. */
function beginAnew(peer: Peer, { incarnation, confirmed, tooLarge }: Session, { membership }: MirrorView): void {
  if (membership.isInSync(incarnation)) return;
  const before = peer.fruitless;
  const isSame = before?.incarnation === incarnation && before.confirmed === confirmed;
  peer.fruitless = { incarnation, confirmed, times: isSame ? before.times + 1 : 1, bytes: tooLarge?.bytes ?? 0 };
  stepMirror(peer, { type: "session.ended" });
}

/** The registry names it, or does not any more. */
export function noteMembership(peer: Peer, { membership }: MirrorView): void {
  if (peer.session !== null)
    stepMirror(peer, { type: membership.isInSync(peer.session.incarnation) ? "member.added" : "member.removed" });
}

/** Records for a joiner, read from this server's disk. */
export function onLogRead(peer: Peer, sessionId: string, batches: readonly LogBatch[], view: MirrorView): void {
  const { session } = peer;
  if (session === null || session.id !== sessionId) return;
  session.isReading = false;
  // Above what memory begins with, memory is the truth: a cut of the disk may still be under way.
  const { sequence } = view.own.log.base;
  const settled = batches.filter((batch) => batch.first <= sequence);
  const lacking = settled.map((batch) => (batch.last > sequence ? sliceThrough(batch, sequence) : batch));
  while ((lacking[0]?.last ?? session.sent + 1) <= session.sent) lacking.shift();
  if (lacking[0]?.first === session.sent + 1) sendFitting(peer, session, view.peers.linkTo(peer), lacking, view);
  // The disk let go of it meanwhile: only everything anew helps, and for that it must ask again.
  else if (session.sent + 1 < view.own.oldestOnDisk) stepMirror(peer, { type: "session.ended" });
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
