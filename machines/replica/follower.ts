/**
 * The follower's side of the mirror, from question to confirm (claims 20, 33; rules 4, 6, 7, 8); following.ts has what a
 * session is and what it takes. What always holds: it follows one primary, in one session at a time; what it confirms is
 * in its log, as durable as the confirm level asks, and its accepted epoch is on the disk.
 */
import type { Member } from "../../schemas/registry.ts";
import { type Accept, type Decline, type Mirror, type PeerMessage, payloadFieldsBytes } from "../codec/message.ts";
import { maxEpochEnds, maxLogBytes } from "../log/memory-log.ts";
import type { Applied } from "./applied.ts";
import { type Following, onAccept, onMirror, startFollowing } from "./following.ts";
import type { Leaving } from "./leaving.ts";
import type { ReplicaView } from "./view.ts";

export interface FollowerView extends ReplicaView {
  readonly applied: Applied;
  readonly leaving: Leaving;
  /** For operators. */
  why: string;
  waitingFor: string;
  newId(kind: string): string;
}

/** One epoch's end in a question to follow, as JSON, at most. */
const epochEndBytes = 64;

/** How many epochs' ends a question to follow can carry by its link. */
function maxEndsTo(server: string, { peers }: FollowerView): number {
  const room = (peers.get(server)?.maxFrameBytes[peers.linkOf(server)] ?? 0) - payloadFieldsBytes;
  return Math.max(1, Math.min(maxEpochEnds, Math.floor(room / epochEndBytes)));
}

export class Follower {
  following: Following | null = null;
  #sessions = 0;

  clone(): Follower {
    const copy = new Follower();
    copy.following = this.following === null ? null : { ...this.following };
    copy.#sessions = this.#sessions;
    return copy;
  }

  /** Keeps the session of a primary that is followed already. */
  follow(view: FollowerView): void {
    const { record } = view.membership;
    if (record === null) return;
    if (this.following === null || !view.rules.isSameMember(this.following.primary, record.primary))
      this.#start(record.primary, view);
  }
  unfollow(): void {
    this.following = null;
  }
  onPaused(nowMs: number): void {
    if (this.following !== null) this.following.heardMs = nowMs;
  }
  owesConfirm(): void {
    if (this.following !== null) this.following.owesConfirm = true;
  }

  #start(primary: Member, view: FollowerView): void {
    this.#sessions += 1;
    this.following = startFollowing(primary, view.newId("s"), this.#sessions, view.nowMs);
    this.#ask(this.following, view);
  }

  /** A primary that is not heard in the session is asked again, in a new one. */
  onTick(view: FollowerView): void {
    const { following } = this;
    if (following === null) return;
    if (following.accepted && view.nowMs - following.heardMs > view.limits.suspicionMs)
      this.#start(following.primary, view);
    else this.#ask(following, view);
  }

  #ask(following: Following, view: FollowerView): void {
    if (following.accepted || following.snapshot || view.stopping) return;
    const { own, peers, nowMs } = view;
    const { incarnation, server } = following.primary;
    const heartbeat = peers.get(server)?.heartbeat;
    if (heartbeat?.incarnation !== incarnation || !heartbeat.hot) return;
    if (nowMs - following.askedMs < view.limits.heartbeatMs) return;
    following.askedMs = nowMs;
    view.leaving.onAsked();
    const maxEnds = maxEndsTo(server, view);
    this.#send(following, view, {
      type: "follow",
      session: following.session,
      number: following.number,
      from: view.self,
      to: incarnation,
      epoch: view.membership.epoch,
      history: own.told,
      schema: view.options.schema,
      last: own.log.last,
      committed: own.committed,
      // The newest: where an older one would be needed, a snapshot does it.
      epochEnds: own.log.epochEnds.slice(-maxEnds),
    });
  }

  #send(following: Following, { out, peers }: FollowerView, message: PeerMessage): void {
    const to = following.primary.server;
    out.push({ type: "send", to, link: peers.linkOf(to), message, payload: [] });
  }

  onAccept(message: Accept, view: FollowerView): void {
    const { following } = this;
    const { own, out } = view;
    if (following === null || message.to !== view.self) return;
    const { last } = own.log;
    const outcome = onAccept(following, message, own.log, own.committed, view.rules);
    if (outcome === "differs") this.#onDifference(following, view);
    if (outcome !== "taken") return;
    following.heardMs = view.nowMs;
    if (own.log.last < last) own.onCut(out);
    const history = view.membership.record?.history ?? own.history;
    own.adopt(history, message.ancestors ?? (history === own.history ? own.ancestors : []), out);
  }

  /** Both logs name a record alike and hold another one: this one is asked for nothing more (rule 7). */
  #onDifference(following: Following, view: FollowerView): void {
    view.why = `this log differs from ${following.primary.server}'s, which names the same records: takes a snapshot, and what only this one has is set aside`;
    view.out.push({ type: "event", event: "log.differs", from: view.state, to: view.state, why: view.why });
    view.own.differs = true;
    this.#start(following.primary, view);
  }

  onDecline(from: string, message: Decline, view: FollowerView): void {
    const { following } = this;
    if (following?.session !== message.session || following.accepted) return;
    following.declined = message.reason;
    if (message.reason === "snapshot" && !following.snapshot) {
      following.snapshot = true;
      view.out.push({ type: "receiveSnapshot", peer: from, session: following.session });
    }
    if (message.reason === "schema")
      view.waitingFor = `${from} runs another application or schema: start the same program on all servers`;
  }

  /** The snapshot did not come through: ask again. */
  onSnapshotEnded(session: string, view: FollowerView): void {
    if (this.following?.session === session) this.#start(this.following.primary, view);
  }

  onMirror(message: Mirror, payload: Uint8Array, view: FollowerView): void {
    const { following } = this;
    const { own, options } = view;
    if (following === null || !following.accepted) return;
    const { session, primary } = following;
    const facts = { session, epoch: view.membership.epoch, self: view.self, primary: primary.incarnation };
    if (!view.rules.mirrorFits(message, facts)) return;
    following.heardMs = view.nowMs;
    own.onPublished(Math.min(message.published, own.committed));
    own.letGo(view);
    // A log that is full takes nothing more: what is not confirmed slows the primary, and then this one is left out (rule 10).
    const isFull = view.rules.isFull(own.log.retainedBytes, maxLogBytes(view.limits));
    const outcome = onMirror(following, message, payload, own.log, isFull, view.rules);
    if (outcome === "differs") {
      this.#onDifference(following, view);
      return;
    }
    if (outcome === "appended" && options.confirm === "synced") own.sync(own.log.last, view.out);
    if (outcome === "appended" && options.confirm === "written") own.write(own.log.last, view.out);
    if (following.verified) this.#onCommitted(Math.min(message.committed, own.log.last), view);
  }

  #onCommitted(committed: number, { own, applied, rules, out }: FollowerView): void {
    if (committed <= own.committed) return;
    own.committed = committed;
    applied.follow(own, rules, out);
  }

  /** Says how far this server holds the log, if something came since it said so last. */
  confirm(view: FollowerView): void {
    const { following } = this;
    const { own, membership } = view;
    if (following === null || !following.verified || !following.owesConfirm) return;
    if (!view.rules.mayConfirm(view.fenced, membership.leavesOut) || !membership.isEpochSaved) return;
    if (view.stopping && !membership.isNamed) return;
    view.leaving.onConfirmed(membership.epoch);
    const sequence = this.#confirmable(view);
    const hash = own.log.hashAt(sequence);
    if (hash === undefined) return;
    this.#send(following, view, {
      type: "confirm",
      session: following.session,
      epoch: membership.epoch,
      from: view.self,
      to: following.primary.incarnation,
      sequence,
      hash,
      probe: following.probe,
      gap: following.gap,
    });
    following.owesConfirm = false;
    following.gap = false;
  }

  #confirmable({ own, options }: FollowerView): number {
    if (options.confirm === "synced") return own.synced;
    return options.confirm === "written" ? own.written : own.log.last;
  }
}
