/**
 * What a server knows of the others: when each was heard on which link, its newest heartbeat, and, on the primary, the
 * session in which it follows (rules 4, 8, 9). Silence is judged by the monotonic clock, and never by a server that was
 * itself just paused. What always holds: of two incarnations of a server the one with the higher life is believed; and
 * nothing heard here is ever a reason to acknowledge, only confirms in a session are.
 */
import type { Member } from "../../schemas/registry.ts";
import type { Heartbeat } from "../codec/message.ts";
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
} from "../link.ts";
import { type MirrorAction, type MirrorEvent, type MirrorSnapshot, mirrorStep, noMirror } from "../mirror.ts";
import { hearRemovals, holdOffMs, noteRemoval, type Removals } from "./hold-off.ts";
import type { Rules } from "./rules.ts";
import { hearVoice, isDoubled, type Voice } from "./voices.ts";

export type LinkName = "main" | "failsafe";

/** The primary's side of one mirror: from the accept to the end of the follower, the primary or the role. */
export interface Session {
  readonly id: string;
  readonly incarnation: string;
  /** Where both logs agreed when it began. */
  readonly start: number;
  /** The epoch of its newest confirm: only one of the present epoch makes it a member. */
  confirmedEpoch: number;
  /** Cumulative, both sequences. */
  confirmed: number;
  sent: number;
  /** Sent and not confirmed: last sequence and bytes of each message. */
  flight: { last: number; bytes: number }[];
  flightBytes: number;
  /** The highest probe that came back, and the highest that was sent. */
  echoed: number;
  probed: number;
  /** When confirmed last moved, or was level with sent. */
  progressMs: number;
  /** When unconfirmed records were sent again last: that is no progress. */
  resentMs: number;
  /** Nothing was sent since the last tick. */
  quiet: boolean;
  link: LinkName | null;
  /** Records for it are being read from disk. */
  isReading: boolean;
  /** The next record does not fit its link: it gets nothing until it has another link, or that one takes more. */
  tooLarge: { readonly sequence: number; readonly bytes: number } | null;
}

/** Where sessions of an incarnation ended that were sent records, or could not be, and confirmed nothing of them. */
export interface Fruitless {
  readonly incarnation: string;
  readonly confirmed: number;
  readonly times: number;
  /** The record that did not fit, 0 where it was something else. */
  readonly bytes: number;
}

export interface Peer extends Removals {
  readonly name: string;
  heartbeat: Heartbeat | null;
  /** When the incarnation of that heartbeat was heard last. */
  heartbeatMs: number;
  /** Since when it says that it has NATS, and that the registry answers it. */
  reachMs: Record<"bus" | "registry", number>;
  /** Since when it says that it lacks one of them; null: it has both. */
  lacksMs: number | null;
  heardMs: Record<LinkName, number>;
  /** What is known of both links, and what follows from it (machines/link.ts). */
  links: LinkSnapshot;
  /** Largest frame that each link takes to it, as its adapter says: it may change whenever the link is made anew. */
  maxFrameBytes: Record<LinkName, number>;
  /** When the main link closed. */
  closedMs: number;
  /** The newest beat of this peer that came over the main link. */
  mainBeat: number;
  /** What the peer says it heard of ours over the main link, and when that last grew: a link can be dead one way. */
  echoedBeat: number;
  echoedMs: number;
  /** On the primary: how far this peer's following is (machines/mirror.ts); it has a session while that is open. */
  mirror: MirrorSnapshot;
  session: Session | null;
  /** The newest question to follow: whose, and which of its sessions. */
  asked: { readonly incarnation: string; readonly number: number };
  /** The incarnation that said it leaves: never added again. */
  leaving: string;
  fruitless: Fruitless | null;
  /** Who speaks under its name. */
  voices: readonly Voice[];
}

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
  readonly #byName: Map<string, Peer>;
  readonly #suspicionMs: number;
  readonly #rules: Rules;
  #probe = 0;
  #lastTickMs: number;

  constructor(names: readonly string[], suspicionMs: number, nowMs: number, rules: Rules) {
    this.#rules = rules;
    this.#suspicionMs = suspicionMs;
    this.#lastTickMs = nowMs;
    this.#byName = new Map(
      names.map((name) => [
        name,
        {
          name,
          heartbeat: null,
          heartbeatMs: nowMs,
          reachMs: { bus: nowMs, registry: nowMs },
          lacksMs: null,
          heardMs: { main: nowMs, failsafe: nowMs },
          links: newLink,
          maxFrameBytes: { main: Number.POSITIVE_INFINITY, failsafe: Number.POSITIVE_INFINITY },
          closedMs: Number.NEGATIVE_INFINITY,
          mainBeat: 0,
          echoedBeat: 0,
          echoedMs: nowMs,
          mirror: noMirror,
          session: null,
          asked: { incarnation: "", number: 0 },
          leaving: "",
          fruitless: null,
          voices: [],
          removedMs: Number.NEGATIVE_INFINITY,
          removals: 0,
        },
      ]),
    );
  }

  clone(): Peers {
    const copy = new Peers([], this.#suspicionMs, this.#lastTickMs, this.#rules);
    copy.#probe = this.#probe;
    for (const [name, peer] of this.#byName) copy.#byName.set(name, clonePeer(peer));
    return copy;
  }
  /** When this server looked at the time last. */
  get lastTickMs(): number {
    return this.#lastTickMs;
  }

  get(name: string): Peer | undefined {
    return this.#byName.get(name);
  }
  [Symbol.iterator](): IterableIterator<Peer> {
    return this.#byName.values();
  }
  byIncarnation(incarnation: string): Peer | undefined {
    for (const peer of this.#byName.values()) if (peer.heartbeat?.incarnation === incarnation) return peer;
    return undefined;
  }
  /** What the incarnation confirmed in its session; 0 if it has none. */
  confirmed(incarnation: string): number {
    return this.sessionOf(incarnation)?.confirmed ?? 0;
  }
  sessionOf(incarnation: string): Session | null {
    for (const peer of this.#byName.values()) if (peer.session?.incarnation === incarnation) return peer.session;
    return null;
  }

  /** The newest probe that is wanted, and one that was not sent yet: what was in flight proves nothing (rule 5). */
  get probe(): number {
    return this.#probe;
  }
  nextProbe(): number {
    let sent = 0;
    for (const { session } of this.#byName.values()) sent = Math.max(sent, session?.probed ?? 0);
    if (!this.#rules.isFreshProbe(this.#probe, sent)) this.#probe = sent + 1;
    return this.#probe;
  }
  /** The highest probe that came back from all of these incarnations. */
  echoedBy(incarnations: readonly string[]): number {
    let echoed = Number.POSITIVE_INFINITY;
    for (const incarnation of incarnations) echoed = Math.min(echoed, this.sessionOf(incarnation)?.echoed ?? 0);
    return echoed;
  }

  onHeard(name: string, link: LinkName, nowMs: number): void {
    const peer = this.#byName.get(name);
    if (peer === undefined) return;
    peer.heardMs[link] = nowMs;
    if (isLinkUp(peer.links, link)) return;
    // A main link that takes nothing out is not used until it does, or until it is a new one.
    const isMute = nowMs - peer.echoedMs > this.#suspicionMs && !isMainClosed(peer.links);
    if (link === "failsafe") step(peer, { type: "failsafe.heard" });
    else if (!isMute) step(peer, { type: "main.heard" });
  }

  onLinkClosed(name: string, link: LinkName, nowMs: number): void {
    const peer = this.#byName.get(name);
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
    const limitMs = Math.max(2 * heartbeatMs, this.#suspicionMs / 2);
    const pauseMs = nowMs - this.#lastTickMs;
    if (!this.#rules.wasPaused(pauseMs, limitMs)) return 0;
    this.#lastTickMs = nowMs;
    this.#restartMeasure(nowMs);
    return pauseMs;
  }

  /** Silence is measured here; a link that is open and brings nothing in, or takes nothing out, is not used. */
  onTick(nowMs: number): void {
    this.#lastTickMs = nowMs;
    for (const peer of this.#byName.values()) {
      if (nowMs - peer.heardMs.main > this.#suspicionMs) step(peer, { type: "main.silent" });
      else if (nowMs - peer.echoedMs > this.#suspicionMs) step(peer, { type: "main.mute" });
      if (nowMs - peer.heardMs.failsafe > this.#suspicionMs) step(peer, { type: "failsafe.silent" });
    }
  }

  /** Evidence of closing is dropped too. */
  #restartMeasure(nowMs: number): void {
    for (const peer of this.#byName.values()) {
      peer.heardMs = { main: nowMs, failsafe: nowMs };
      peer.echoedMs = nowMs;
      peer.heartbeatMs = nowMs;
      if (peer.lacksMs !== null) peer.lacksMs = nowMs;
      if (peer.session !== null) peer.session.progressMs = nowMs;
      step(peer, { type: "self.paused" });
    }
  }

  /** A heartbeat of an older life than one already heard is a late message. False: nothing new. */
  onHeartbeat(name: string, link: LinkName, heartbeat: Heartbeat, told: Told, nowMs: number): boolean {
    const peer = this.#byName.get(name);
    if (peer === undefined) return false;
    peer.voices = hearVoice(peer.voices, heartbeat, told.echoed, told.beat, nowMs);
    const before = peer.heartbeat;
    const isOther = before !== null && before.incarnation !== heartbeat.incarnation;
    // A server that lost its disk counts its lives anew: then the old incarnation's silence tells.
    const isOldSilent = nowMs - peer.heartbeatMs > this.#suspicionMs;
    if (isOther && !isOldSilent && !this.#isBelieved(heartbeat, before, told)) return false;
    if (before?.incarnation === heartbeat.incarnation && link === "main")
      peer.mainBeat = Math.max(peer.mainBeat, heartbeat.beat);
    if (told.mainBeat > peer.echoedBeat) {
      peer.echoedBeat = told.mainBeat;
      peer.echoedMs = nowMs;
    }
    if (before !== null && heartbeat.incarnation === before.incarnation && heartbeat.beat <= before.beat) return false;
    const same = isOther ? null : before;
    if (same?.bus !== true) peer.reachMs.bus = nowMs;
    if (same?.registry !== true) peer.reachMs.registry = nowMs;
    if (canTakeOver(heartbeat)) peer.lacksMs = null;
    else if (same === null || peer.lacksMs === null) peer.lacksMs = nowMs;
    peer.heartbeat = heartbeat;
    peer.heartbeatMs = nowMs;
    if (before?.incarnation !== heartbeat.incarnation) {
      peer.mainBeat = 0;
      if (peer.session !== null && peer.session.incarnation !== heartbeat.incarnation)
        stepMirror(peer, { type: "session.ended" });
    }
    return true;
  }

  /** Rather than the other one, which is not silent: it is its successor, or, of two at once, the one that the registry counts on. */
  #isBelieved(heartbeat: Heartbeat, before: Heartbeat, told: Told): boolean {
    const { disk = "", life } = heartbeat;
    const isSameDisk = disk === "" || (before.disk ?? "") === "" || disk === before.disk;
    // A restart is a higher life on the same disk; on another disk it is another server, until the first is silent. To take it
    // for a restart would cost a takeover, and no data: the registry decides who goes on.
    if (isSameDisk && life > before.life) return true;
    return !isSameDisk && told.isNamed(heartbeat.incarnation) && !told.isNamed(before.incarnation);
  }

  /** Two processes say that they are this server. */
  isDoubled(peer: Peer): boolean {
    return !this.#rules.countsAsPresent(isDoubled(peer.voices, this.#suspicionMs, this.#lastTickMs));
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
    const peer = this.#byName.get(name);
    if (peer === undefined || peer.heartbeat === null) return false;
    return !this.isAway(peer);
  }

  /** For how long nothing has come from it on either link; null: nothing in this life. */
  silentMs(name: string, nowMs: number): number | null {
    const peer = this.#byName.get(name);
    if (peer === undefined || peer.heartbeat === null) return null;
    return Math.round(nowMs - Math.max(peer.heardMs.main, peer.heardMs.failsafe));
  }

  /** This incarnation is not to be reckoned with: dead, restarted, or silent on both links. */
  isLost(member: Member): boolean {
    const peer = this.#byName.get(member.server);
    if (peer === undefined) return true;
    if (peer.heartbeat !== null && peer.heartbeat.incarnation !== member.incarnation) return true;
    return this.isAway(peer);
  }

  /** Main closed and not heard since: worth asking again and again whether NATS still knows it. */
  anyInDoubt(nowMs: number): boolean {
    for (const peer of this.#byName.values()) {
      const isRecent = nowMs - peer.closedMs < this.#suspicionMs && peer.heardMs.failsafe <= peer.closedMs;
      if (isMainClosed(peer.links) && linkConclusion(peer.links) !== "gone" && isRecent) return true;
    }
    return false;
  }

  isAnyUp(link: LinkName): boolean {
    for (const peer of this.#byName.values()) if (isLinkUp(peer.links, link)) return true;
    return false;
  }

  linkOf(name: string): LinkName {
    const peer = this.#byName.get(name);
    return peer === undefined ? "failsafe" : this.linkTo(peer);
  }

  /** What a link takes to this peer from now on, in one frame. */
  onFrameLimit(name: string, link: LinkName, maxFrameBytes: number): void {
    const peer = this.#byName.get(name);
    if (peer !== undefined) peer.maxFrameBytes[link] = maxFrameBytes;
  }

  /** The link for records: main while it is up, else NATS. */
  linkTo(peer: Peer): LinkName {
    return this.#rules.linkFor(linkForRecords(peer.links));
  }

  /** Members that this server asks to leave out. One that stops, or a primary that died, does not flap: it counts nothing. */
  noteRemovals(members: readonly Member[], isTakeover: boolean, nowMs: number): void {
    for (const { server, incarnation } of members) {
      const peer = this.#byName.get(server);
      if (peer === undefined || peer.leaving === incarnation) continue;
      if (!isTakeover || this.isSilent(peer)) noteRemoval(peer, nowMs);
    }
  }

  /** A peer that keeps being removed waits longer each time before it is added again. */
  mayRejoin(peer: Peer, nowMs: number): boolean {
    if (this.isDoubled(peer)) return false;
    const waitsMs = holdOffMs(peer, this.#suspicionMs);
    return waitsMs === 0 || this.#rules.mayRejoin(nowMs - peer.removedMs, waitsMs);
  }

  /** The primary tells how often it, and servers that were primary before it, lost others: this one goes on from there. */
  onRemovals(from: string, self: string, removals: NonNullable<Heartbeat["removals"]>, nowMs: number): void {
    for (const [name, told] of Object.entries(removals)) {
      const peer = this.#byName.get(name === self ? from : name);
      if (peer !== undefined) hearRemovals(peer, told, nowMs);
    }
  }
}

/** It says that it has what a takeover needs: NATS, and the registry's answers. */
export function canTakeOver({ bus, registry }: Heartbeat): boolean {
  return bus && registry;
}

function clonePeer(peer: Peer): Peer {
  const { session } = peer;
  return {
    ...peer,
    heardMs: { ...peer.heardMs },
    maxFrameBytes: { ...peer.maxFrameBytes },
    reachMs: { ...peer.reachMs },
    session: session === null ? null : { ...session, flight: [...session.flight] },
  };
}

function step(peer: Peer, event: LinkEvent): void {
  peer.links = linkStep(peer.links, event);
}

/** One step of the peer's mirror. A session that ends is gone; what else is to be done comes back. */
export function stepMirror(peer: Peer, event: MirrorEvent): readonly MirrorAction[] {
  const [next, actions] = mirrorStep(peer.mirror, event);
  peer.mirror = next;
  if (actions.includes("endSession")) peer.session = null;
  return actions;
}
