/**
 * The role of a follower, which owns this room, from question to confirm (claims 20, 33; rules 4, 6, 7, 8): it is made when
 * this server begins to follow, and dropped with all that is here when it does not any more. What always holds: it follows
 * one primary, in one session at a time (followed-session.ts); what it confirms is in its log, as durable as the confirm
 * level asks, and its accepted epoch is on the disk.
 */

import {
  type Accept,
  type Decline,
  type Mirror,
  maxEpochEnds,
  type PeerMessage,
} from "../../../schemas/peer-message.ts";
import type { Member, RegistryRecord } from "../../../schemas/registry.ts";
import { payloadFieldsBytes } from "../../codec/message.ts";
import { verifyBatch } from "../../log/batch.ts";
import { maxLogBytes } from "../../log/memory-log.ts";
import type { Core } from "../core.ts";
import type { Due } from "../due.ts";
import { toldProgram } from "../peers/heartbeat.ts";
import { whyWithout } from "../peers/lost.ts";
import type { Shutdown } from "../shutdown.ts";
import { FollowedSession } from "./followed-session.ts";

/** One epoch's end in a question to follow, as JSON, at most. */
const epochEndBytes = 64;

/** `why`: this log is none of the primary's, or these bytes are no records, for operators. */
export interface MirrorFault {
  readonly fault: "differs" | "damaged";
  readonly why: string;
}

export class Follower {
  readonly primary: Member;
  private readonly core: Core;
  private readonly shutdown: Shutdown;
  private current: FollowedSession;
  private heldBack = false;

  constructor(primary: Member, core: Core, shutdown: Shutdown) {
    this.primary = primary;
    this.core = core;
    this.shutdown = shutdown;
    core.lastWord.onFollow(primary);
    this.current = this.begin();
    this.ask();
  }

  get session(): FollowedSession {
    return this.current;
  }

  /** A confirm waits until more is applied, and is due in a turn that follows at once. */
  get isHeldBack(): boolean {
    return this.heldBack;
  }

  private begin(): FollowedSession {
    const { session, number } = this.core.newSession();
    return new FollowedSession(this.primary.incarnation, session, number, this.core.nowMs);
  }
  private beginAnew(): void {
    this.current = this.begin();
    this.ask();
  }

  onPaused(nowMs: number): void {
    this.current.heardMs = nowMs;
  }
  owesConfirm(): void {
    this.current.owesConfirm = true;
  }

  /** A primary that is not heard in the session is asked again, in a new one. */
  onTick(): void {
    const { current, core } = this;
    if (current.accepted && core.nowMs - current.heardMs > core.limits.suspicionMs) this.beginAnew();
    else this.ask();
  }

  private ask(): void {
    const { current, core } = this;
    if (current.accepted || current.snapshot || core.stopping) return;
    const { own, peers, nowMs, limits } = core;
    const { incarnation, server } = this.primary;
    const heartbeat = peers.get(server)?.heartbeat;
    if (heartbeat?.incarnation !== incarnation || !heartbeat.hot) return;
    if (nowMs - current.askedMs < limits.heartbeatMs) return;
    current.askedMs = nowMs;
    this.shutdown.onAsked();
    this.send({
      type: "follow",
      session: current.id,
      number: current.number,
      from: core.self,
      to: incarnation,
      epoch: core.membership.epoch,
      history: own.told,
      schema: core.options.schema,
      ...toldProgram(core),
      last: own.log.last,
      committed: own.committed,
      // The newest: where an older one would be needed, a snapshot does it.
      epochEnds: own.log.epochEnds.slice(-this.maxEnds),
    });
  }

  /** How many epochs' ends a question to follow can carry by its link. */
  private get maxEnds(): number {
    const { peers } = this.core;
    const { server } = this.primary;
    const room = (peers.get(server)?.maxFrameBytes[peers.linkOf(server)] ?? 0) - payloadFieldsBytes;
    return Math.max(1, Math.min(maxEpochEnds, Math.floor(room / epochEndBytes)));
  }

  private send(message: PeerMessage): void {
    const { outbox, peers } = this.core;
    const to = this.primary.server;
    outbox.push({ type: "send", to, link: peers.linkOf(to), message, payload: [] });
  }

  /** Why this log is none of the primary's, for operators; "" where it is. */
  onAccept(message: Accept): string {
    const { current, core } = this;
    const { own, rules, membership, outbox } = core;
    if (message.to !== core.self) return "";
    const { last } = own.log;
    const outcome = current.onAccept(message, own.log, own.committed, this.mayDrop, rules);
    if (outcome !== "taken") return outcome === "differs" ? this.onDifference() : "";
    current.heardMs = core.nowMs;
    if (own.log.last < last) own.onCut(outbox);
    const history = membership.record?.history ?? own.history;
    own.adopt(history, message.ancestors ?? (history === own.history ? own.ancestors : []), outbox);
    return "";
  }

  /** Whether this log may be cut, or replaced, for the primary's. */
  private get mayDrop(): boolean {
    const { membership, rules, options } = this.core;
    return membership.record === null || rules.mayDropOwn(membership.record, options.self);
  }

  /** Both logs name a record alike and hold another one: this one is asked for nothing more (rule 7). */
  private onDifference(): string {
    const { outbox, own, state } = this.core;
    const why = `this log differs from ${this.primary.server}'s, which names the same records: takes a snapshot, and what only this one has is set aside`;
    outbox.push({ type: "event", event: "log.differs", from: state, to: state, why });
    own.noteDifference();
    this.beginAnew();
    return why;
  }

  /** What operators are told meanwhile, "" if nothing. */
  onDecline(from: string, message: Decline): string {
    const { current, core } = this;
    if (current.id !== message.session || current.accepted) return "";
    current.declined = message.reason;
    if (message.reason === "snapshot" && !current.snapshot && this.mayDrop) {
      current.snapshot = true;
      core.outbox.push({ type: "receiveSnapshot", peer: from, session: current.id });
    }
    return message.reason === "schema"
      ? `${from} runs another application, or its data is of a later version than this program knows: start the same program on all servers`
      : "";
  }

  /** The snapshot did not come through: ask again. */
  onSnapshotEnded(session: string): void {
    if (this.current.id === session) this.beginAnew();
  }

  /** What is wrong with it, if anything. Damaged: its payload is not the records that it names, and they are asked for again. */
  onMirror(message: Mirror, payload: Uint8Array): MirrorFault | null {
    const { current, core } = this;
    const { own, options, rules, outbox, limits } = core;
    if (!current.accepted) return null;
    const facts = {
      session: current.id,
      epoch: core.membership.epoch,
      self: core.self,
      primary: this.primary.incarnation,
    };
    if (!rules.mirrorFits(message, facts)) return null;
    current.heardMs = core.nowMs;
    core.lastWord.onHeard(core.nowMs);
    own.onPublished(Math.min(message.published, own.committed));
    own.letGo(core);
    // A log that is full takes nothing more: what is not confirmed slows the primary, and then this one is left out (rule 10).
    const isFull = rules.isFull(own.log.retainedBytes, maxLogBytes(limits));
    const outcome = current.onMirror(message, payload, own.log, isFull, rules);
    if (outcome === "differs") return { fault: "differs", why: this.onDifference() };
    if (outcome === "damaged") return { fault: "damaged", why: whatIsDamaged(message, payload) };
    if (outcome === "appended" && options.confirm === "synced") own.sync(own.log.last, outbox);
    if (outcome === "appended" && options.confirm === "written") own.write(own.log.last, outbox);
    const committed = Math.min(message.committed, own.log.last);
    if (current.verified && committed > own.committed) own.commitTo(committed);
    return null;
  }

  /**
   * Says how far this server holds the log, if something came since it said so last. What is committed is applied afterwards; where
   * that is too much it comes first, for whoever takes the role over has to do it before anything else.
   */
  confirm(): void {
    const { current, core } = this;
    const { own, membership, rules, limits } = core;
    this.heldBack = current.verified && current.owesConfirm && rules.isFarBehind(core.unapplied, limits);
    if (!current.verified || !current.owesConfirm || this.heldBack) return;
    if (!rules.mayConfirm(core.fenced, membership.leavesOut) || !membership.isEpochSaved) return;
    if (core.stopping && !membership.isNamed) return;
    this.shutdown.onConfirmed(membership.epoch);
    const sequence = this.confirmable;
    const hash = own.log.hashAt(sequence);
    if (hash === undefined) return;
    this.send({
      type: "confirm",
      session: current.id,
      epoch: membership.epoch,
      from: core.self,
      to: this.primary.incarnation,
      sequence,
      hash,
      probe: current.probe,
      gap: current.gap,
    });
    current.owesConfirm = false;
    current.gap = false;
  }

  private get confirmable(): number {
    const { own, options } = this.core;
    if (options.confirm === "synced") return own.synced;
    return options.confirm === "written" ? own.written : own.log.last;
  }

  /** The primary is lost: what follows from it. */
  due(record: RegistryRecord): Due | null {
    const { core } = this;
    const { peers, rules, self, state } = core;
    const { primary } = record;
    if (!peers.isLost(primary)) return null;
    // One that joins goes back to the start table all the same; one that stops leaves everything on its disk.
    if (state === "following.warm" && !core.stopping && !rules.mayFailOver(core.isFailoverPaused)) return null;
    const others = record.inSync.filter(
      (member) => member.incarnation !== self && !rules.isSameMember(member, primary),
    );
    const lost = others.filter((member) => peers.isLost(member));
    const living = others.filter((member) => !lost.includes(member));
    const able = living.filter(({ server }) => peers.readsState(server));
    // The next tick knows.
    if (!core.isStateJudged) return null;
    if (!rules.takesRole(core.unreadable === "", living.length, able.length)) return null;
    return {
      event: others.length === lost.length ? "primary.lost.alone" : "primary.lost.others",
      why: `${primary.server} is lost: ${whyWithout(primary, 0, core)}`,
      leavingOut: [primary, ...lost].filter(({ incarnation }) => incarnation !== self),
    };
  }
}

/** In words: looked for only where something was found. */
function whatIsDamaged({ first, last, previousHash, lastHash }: Mirror, bytes: Uint8Array): string {
  return verifyBatch({ first, last, previousHash, lastHash, bytes }) ?? "its records do not follow those before";
}
