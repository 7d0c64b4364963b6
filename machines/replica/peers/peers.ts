/**
 * This room has what is heard of others, and what is told them of this one; it outlives the roles.
 *
 * What a server knows of the others: when each was heard on which link, its newest heartbeat, and how often it and this one
 * lost each other (rules 8, 9). Silence is judged by the monotonic clock, and never by a server that was
 * itself just paused. What always holds: of two incarnations of a server the one with the higher life is believed; and
 * nothing heard here is ever a reason to acknowledge, only confirms in a session are.
 */
import type { LinkName } from "../../../schemas/link.ts";
import type { Heartbeat } from "../../../schemas/peer-message.ts";
import type { Member } from "../../../schemas/registry.ts";
import {
  isLinkLost,
  isLinkUp,
  isMainClosed,
  type LinkEvent,
  type LinkSnapshot,
  linkConclusion,
  linkForRecords,
  linkStep,
  newLink,
} from "../../link.ts";
import type { Rules } from "../rules.ts";
import { hearRemovals, noteRemoval, type Removals, rejoinBackoffMs } from "./rejoin-backoff.ts";
import { hearVoice, isDoubled, type Voice } from "./voices.ts";

/** Something of each link. */
class OfLinks {
  main: number;
  failsafe: number;

  constructor(value: number) {
    this.main = value;
    this.failsafe = value;
  }
}

/** What a takeover needs. */
class Reach {
  bus: number;
  registry: number;

  constructor(value: number) {
    this.bus = value;
    this.registry = value;
  }
}

export class Peer implements Removals {
  readonly name: string;
  heartbeat: Heartbeat | null = null;
  /** When the incarnation of that heartbeat was heard last. */
  heartbeatMs: number;
  /** Since when it says that it has NATS, and that the registry answers it. */
  readonly reachMs: Reach;
  /** Since when it says that it lacks one of them; null: it has both. */
  lacksMs: number | null = null;
  readonly heardMs: OfLinks;
  /** What is known of both links, and what follows from it (machines/link.ts). */
  links: LinkSnapshot = newLink;
  /** Largest frame that each link takes to it, as its adapter says: it may change whenever the link is made anew. */
  readonly maxFrameBytes = new OfLinks(Number.POSITIVE_INFINITY);
  /** When the main link closed. */
  closedMs = Number.NEGATIVE_INFINITY;
  /** The newest beat of this peer that came over the main link. */
  mainBeat = 0;
  /** What the peer says it heard of ours over the main link, and when that last grew: a link can be dead one way. */
  echoedBeat = 0;
  echoedMs: number;
  /** The newest question to follow, to whatever role of this server: whose, and which of its sessions. */
  asked: { readonly incarnation: string; readonly number: number } = { incarnation: "", number: 0 };
  /** The incarnation that said it leaves: never added again. */
  leaving = "";
  /** Who speaks under its name. */
  voices: readonly Voice[] = [];
  removedMs = Number.NEGATIVE_INFINITY;
  removals = 0;

  constructor(name: string, nowMs: number) {
    this.name = name;
    this.heartbeatMs = nowMs;
    this.reachMs = new Reach(nowMs);
    this.heardMs = new OfLinks(nowMs);
    this.echoedMs = nowMs;
  }
}

/** What a heartbeat says: nothing new, or that this incarnation lives, or that it is another one than before. */
export type Heard = "late" | "same" | "another";

/** What a heartbeat is judged by besides itself. */
interface Told {
  /** Our newest beat that it heard over the main link, and over either. */
  readonly mainBeat: number;
  readonly echoed: number;
  /** Our newest beat. */
  readonly beat: number;
  /** Whom the registry counts on. */
  isNamed(incarnation: string): boolean;
}

export class Peers {
  private readonly byName: Map<string, Peer>;
  private readonly suspicionMs: number;
  private readonly rules: Rules;
  private tickMs: number;

  constructor(names: readonly string[], suspicionMs: number, nowMs: number, rules: Rules) {
    this.rules = rules;
    this.suspicionMs = suspicionMs;
    this.tickMs = nowMs;
    this.byName = new Map(names.map((name) => [name, new Peer(name, nowMs)]));
  }

  /** When this server looked at the time last. */
  get lastTickMs(): number {
    return this.tickMs;
  }

  get(name: string): Peer | undefined {
    return this.byName.get(name);
  }
  [Symbol.iterator](): IterableIterator<Peer> {
    return this.byName.values();
  }
  byIncarnation(incarnation: string): Peer | undefined {
    for (const peer of this.byName.values()) if (peer.heartbeat?.incarnation === incarnation) return peer;
    return undefined;
  }
  onHeard(name: string, link: LinkName, nowMs: number): void {
    const peer = this.byName.get(name);
    if (peer === undefined) return;
    peer.heardMs[link] = nowMs;
    if (isLinkUp(peer.links, link)) return;
    // A main link that takes nothing out is not used until it does, or until it is a new one.
    const isMute = nowMs - peer.echoedMs > this.suspicionMs && !isMainClosed(peer.links);
    if (link === "failsafe") step(peer, { type: "failsafe.heard" });
    else if (!isMute) step(peer, { type: "main.heard" });
  }

  /** This incarnation of it said that it leaves. */
  onLeaving(name: string, incarnation: string): void {
    const peer = this.byName.get(name);
    if (peer !== undefined) peer.leaving = incarnation;
  }

  onLinkClosed(name: string, link: LinkName, nowMs: number): void {
    const peer = this.byName.get(name);
    if (peer === undefined) return;
    // That one of two is dead says nothing of the other.
    if (link === "failsafe" && this.isDoubled(peer)) return;
    step(peer, { type: link === "main" ? "main.closed" : "failsafe.noResponders" });
    if (link === "main") peer.closedMs = nowMs;
  }

  /**
   * A tick that is late says that this server was paused: what it did not hear says nothing about the others (rule 9). It
   * is looked for with each input, since others may come before that tick. How long it was, 0 if there was none; after one
   * the measure starts again.
   */
  notePause(nowMs: number, heartbeatMs: number): number {
    const limitMs = Math.max(2 * heartbeatMs, this.suspicionMs / 2);
    const pauseMs = nowMs - this.tickMs;
    if (!this.rules.wasPaused(pauseMs, limitMs)) return 0;
    this.tickMs = nowMs;
    this.restartMeasure(nowMs);
    return pauseMs;
  }

  /** Silence is measured here; a link that is open and brings nothing in, or takes nothing out, is not used. */
  onTick(nowMs: number): void {
    this.tickMs = nowMs;
    for (const peer of this.byName.values()) {
      if (nowMs - peer.heardMs.main > this.suspicionMs) step(peer, { type: "main.silent" });
      else if (nowMs - peer.echoedMs > this.suspicionMs) step(peer, { type: "main.mute" });
      if (nowMs - peer.heardMs.failsafe > this.suspicionMs) step(peer, { type: "failsafe.silent" });
    }
  }

  /** Evidence of closing is dropped too. */
  private restartMeasure(nowMs: number): void {
    for (const peer of this.byName.values()) {
      peer.heardMs.main = nowMs;
      peer.heardMs.failsafe = nowMs;
      peer.echoedMs = nowMs;
      peer.heartbeatMs = nowMs;
      if (peer.lacksMs !== null) peer.lacksMs = nowMs;
      step(peer, { type: "self.paused" });
    }
  }

  /** A heartbeat of an older life than one already heard is a late message. */
  onHeartbeat(name: string, link: LinkName, heartbeat: Heartbeat, told: Told, nowMs: number): Heard {
    const peer = this.byName.get(name);
    if (peer === undefined) return "late";
    peer.voices = hearVoice(peer.voices, heartbeat, told.echoed, told.beat, nowMs);
    const before = peer.heartbeat;
    const isOther = before !== null && before.incarnation !== heartbeat.incarnation;
    // A server that lost its disk counts its starts anew: then the old incarnation's silence tells.
    const isOldSilent = nowMs - peer.heartbeatMs > this.suspicionMs;
    if (isOther && !isOldSilent && !this.isBelieved(heartbeat, before, told)) return "late";
    if (before?.incarnation === heartbeat.incarnation && link === "main")
      peer.mainBeat = Math.max(peer.mainBeat, heartbeat.beat);
    if (told.mainBeat > peer.echoedBeat) {
      peer.echoedBeat = told.mainBeat;
      peer.echoedMs = nowMs;
    }
    if (before !== null && heartbeat.incarnation === before.incarnation && heartbeat.beat <= before.beat) return "late";
    const same = isOther ? null : before;
    if (same?.bus !== true) peer.reachMs.bus = nowMs;
    if (same?.registry !== true) peer.reachMs.registry = nowMs;
    if (canTakeOver(heartbeat)) peer.lacksMs = null;
    else if (same === null || peer.lacksMs === null) peer.lacksMs = nowMs;
    peer.heartbeat = heartbeat;
    peer.heartbeatMs = nowMs;
    if (before?.incarnation === heartbeat.incarnation) return "same";
    peer.mainBeat = 0;
    return "another";
  }

  /** Rather than the other one, which is not silent: it is its successor, or, of two at once, the one that the registry counts on. */
  private isBelieved(heartbeat: Heartbeat, before: Heartbeat, told: Told): boolean {
    const { disk = "", life: startCount } = heartbeat;
    const isSameDisk = disk === "" || (before.disk ?? "") === "" || disk === before.disk;
    // A restart counts one start more on the same disk; on another disk it is another server, until the first is silent. To take it
    // for a restart would cost a takeover, and no data: the registry decides who goes on.
    if (isSameDisk && startCount > before.life) return true;
    return !isSameDisk && told.isNamed(heartbeat.incarnation) && !told.isNamed(before.incarnation);
  }

  /** Two processes say that they are this server. */
  isDoubled(peer: Peer): boolean {
    return !this.rules.countsAsPresent(isDoubled(peer.voices, this.suspicionMs, this.tickMs));
  }

  /** Both the kernel (main link closed) and NATS (no responders) say that nobody is there: no need to wait (rule 9). */
  isGone(peer: Peer): boolean {
    return linkConclusion(peer.links) === "gone";
  }

  isSilent(peer: Peer): boolean {
    return linkConclusion(peer.links) === "none";
  }

  /** Neither heard nor known to be away: this server has just begun, or was paused. */
  isUnproven(peer: Peer): boolean {
    return linkConclusion(peer.links) === "unproven";
  }

  /** Gone, or silent on both links. */
  isAway(peer: Peer): boolean {
    return isLinkLost(peer.links);
  }

  /** Heard of lately, in any incarnation. */
  isPresent(name: string): boolean {
    const peer = this.byName.get(name);
    if (peer === undefined || peer.heartbeat === null) return false;
    return !this.isAway(peer);
  }

  /** For how long nothing has come from it on either link; null: nothing in this life. */
  silentMs(name: string, nowMs: number): number | null {
    const peer = this.byName.get(name);
    if (peer === undefined || peer.heartbeat === null) return null;
    return Math.round(nowMs - Math.max(peer.heardMs.main, peer.heardMs.failsafe));
  }

  /** This incarnation is not to be reckoned with: dead, restarted, or silent on both links. */
  isLost(member: Member): boolean {
    const peer = this.byName.get(member.server);
    if (peer === undefined) return true;
    if (peer.heartbeat !== null && peer.heartbeat.incarnation !== member.incarnation) return true;
    return this.isAway(peer);
  }

  /** Its program can make something of the state, as far as it has told (rule 19). */
  readsState(server: string): boolean {
    return readsState(this.byName.get(server)?.heartbeat);
  }

  /** Main closed and not heard since: worth asking again and again whether NATS still knows it. */
  anyInDoubt(nowMs: number): boolean {
    for (const peer of this.byName.values()) {
      const isRecent = nowMs - peer.closedMs < this.suspicionMs && peer.heardMs.failsafe <= peer.closedMs;
      if (isMainClosed(peer.links) && linkConclusion(peer.links) !== "gone" && isRecent) return true;
    }
    return false;
  }

  isAnyUp(link: LinkName): boolean {
    for (const peer of this.byName.values()) if (isLinkUp(peer.links, link)) return true;
    return false;
  }

  linkOf(name: string): LinkName {
    const peer = this.byName.get(name);
    return peer === undefined ? "failsafe" : this.linkTo(peer);
  }

  /** What a link takes to this peer from now on, in one frame. */
  onFrameLimit(name: string, link: LinkName, maxFrameBytes: number): void {
    const peer = this.byName.get(name);
    if (peer !== undefined) peer.maxFrameBytes[link] = maxFrameBytes;
  }

  /** The link for records: main while it is up, else NATS. */
  linkTo(peer: Peer): LinkName {
    return this.rules.linkFor(linkForRecords(peer.links));
  }

  /** Members that this server asks to leave out. One that stops, or a primary that died, does not flap: it counts nothing. */
  noteRemovals(members: readonly Member[], isTakeover: boolean, nowMs: number): void {
    for (const { server, incarnation } of members) {
      const peer = this.byName.get(server);
      if (peer === undefined || peer.leaving === incarnation) continue;
      if (!isTakeover || this.isSilent(peer)) noteRemoval(peer, nowMs);
    }
  }

  /** A peer that keeps being removed waits longer each time before it is added again. */
  mayRejoin(peer: Peer, nowMs: number): boolean {
    if (this.isDoubled(peer)) return false;
    const waitsMs = rejoinBackoffMs(peer, this.suspicionMs);
    return waitsMs === 0 || this.rules.mayRejoin(nowMs - peer.removedMs, waitsMs);
  }

  /** The primary tells how often it, and servers that were primary before it, lost others: this one goes on from there. */
  onRemovals(from: string, self: string, removals: NonNullable<Heartbeat["removals"]>, nowMs: number): void {
    for (const [name, told] of Object.entries(removals)) {
      const peer = this.byName.get(name === self ? from : name);
      if (peer !== undefined) hearRemovals(peer, told, nowMs);
    }
  }
}

/** What its heartbeat tells of its program; one that told nothing takes any state for its own (rule 19). */
export const readsState = (heartbeat: Heartbeat | null | undefined): boolean => heartbeat?.program?.reads !== false;

/** It says that it has what a takeover needs: NATS, and the registry's answers. */
export function canTakeOver({ bus, registry }: Heartbeat): boolean {
  return bus && registry;
}

function step(peer: Peer, event: LinkEvent): void {
  peer.links = linkStep(peer.links, event);
}
