/**
 * The clean stop: a server exits only when no registry record, and no compare-and-set under way or unseen, can name its
 * incarnation, or when it is alone and everything is on its disk (PROTOCOL.md, clean stop). What always holds: a server
 * that never asked to follow was never offered to anybody; one that confirmed nothing in an epoch is not named after it; one
 * that wrote the newest record again is not named by anything older, and by nobody who has read that.
 */
import type { RegistryRecord } from "../../schemas/registry.ts";
import { heirOf } from "./handover.ts";
import { type Peer, stepMirror } from "./peers.ts";
import type { Plans } from "./plans.ts";
import { whatKeepsOther, whatKeepsPrimary } from "./stop-waits.ts";
import type { ReplicaView } from "./view.ts";

/** Where a server is no member. */
const mayLeaveFrom: ReadonlySet<string> = new Set(["consulting", "waiting", "refusing", "following.joining"]);

export interface LeavingView extends ReplicaView {
  readonly intake: { readonly inFlight: number };
}

export class Leaving {
  /** This incarnation asked to be sent the log: a compare-and-set may name it. */
  #mayBeNamed = false;
  /** The newest epoch in which this incarnation confirmed anything: a compare-and-set on a later record cannot name it. */
  #confirmedEpoch = 0;
  /** The primary said that nothing names it. */
  #isReleased = false;

  clone(): Leaving {
    const copy = new Leaving();
    copy.#mayBeNamed = this.#mayBeNamed;
    copy.#confirmedEpoch = this.#confirmedEpoch;
    copy.#isReleased = this.#isReleased;
    return copy;
  }
  /** What decides how this goes on and is not told otherwise, as values. */
  get facts() {
    return { mayBeNamed: this.#mayBeNamed, confirmedEpoch: this.#confirmedEpoch, isReleased: this.#isReleased };
  }

  onAsked(): void {
    this.#mayBeNamed = true;
    this.#isReleased = false;
  }
  onConfirmed(epoch: number): void {
    this.#confirmedEpoch = epoch;
  }
  onReleased(): void {
    this.#isReleased = true;
  }

  /** The primary, where it must let this server go. */
  #primary(view: LeavingView): Peer | undefined {
    // One that handed its role over never asked to follow, and is named all the same.
    const mayBeNamed = this.#mayBeNamed || view.membership.isNamed;
    if (!view.stopping || view.hot || !mayBeNamed || this.#isReleased || view.membership.hasLeft) return undefined;
    return view.peers.get(view.membership.record?.primary.server ?? "");
  }

  /** Asks the primary to let this server go, if it must be asked. */
  ask(view: LeavingView): void {
    const primary = this.#primary(view);
    if (primary === undefined) return;
    view.out.push({
      type: "send",
      to: primary.name,
      link: view.peers.linkTo(primary),
      message: { type: "leave", from: view.self },
      payload: [],
    });
  }

  /** For operators: what a stopping server waits for, "" where it is its own work. */
  waitsFor(view: LeavingView & StopView): string {
    if (!view.stopping) return "";
    if (view.hot) return whatKeepsPrimary(view);
    return whatKeepsOther(view, this.#primary(view)?.name ?? "");
  }

  mayExit(view: LeavingView): boolean {
    const { own, membership } = view;
    if (!view.stopping || membership.open !== null) return false;
    if (view.state === "hot.alone") {
      const { last } = own.log;
      return own.committed >= last && own.synced >= last && view.intake.inFlight === 0 && membership.isEpochSaved;
    }
    if (view.hot || view.fenced) return false;
    return view.rules.mayExit(membership.isNamed, this.#isFree(view));
  }

  /** No compare-and-set that can still land names this incarnation. */
  #isFree({ membership }: LeavingView): boolean {
    return this.#isReleased || !this.#mayBeNamed || this.#confirmedEpoch < membership.epoch || membership.hasLeft;
  }

  /** A question may be under way that names this server, and whoever sent it can not say that it is settled. */
  mayLetItselfGo(record: RegistryRecord, view: LeavingView & StopView): boolean {
    const { membership, peers, nowMs, limits } = view;
    if (!view.stopping || !mayLeaveFrom.has(view.state) || membership.isNamed || this.#isFree(view)) return false;
    if (!view.rules.mayLetItselfGo(peers.isLost(record.primary), nowMs - view.plans.stopSinceMs, limits.stopMs))
      return false;
    // A primary of an older program would take the record that is written again for another one's.
    const heartbeat = peers.get(record.primary.server)?.heartbeat;
    return heartbeat?.incarnation !== record.primary.incarnation || heartbeat.rereads === true;
  }
}

export interface StopView extends ReplicaView {
  readonly plans: Pick<Plans, "stopSinceMs" | "switchFailedMs" | "refused">;
}

/**
 * A primary that stops and finds nobody who takes its role over goes on alone after its time, which puts everything on its
 * disk, and may exit then.
 */
export function mustStopAlone(record: RegistryRecord, view: StopView): boolean {
  const { plans, limits, nowMs } = view;
  if (!view.stopping || view.state === "hot.switching" || nowMs - plans.stopSinceMs <= limits.stopMs) return false;
  const heir = heirOf(record, "bus", view);
  return heir === null || (plans.switchFailedMs >= plans.stopSinceMs && plans.refused.includes(heir.name));
}

/** The primary's answer: a server that leaves may go when neither the record nor an open compare-and-set names it. */
export function answerLeave(peer: Peer, view: ReplicaView): void {
  const { record, open, epoch } = view.membership;
  if (!view.hot || record === null || open !== null) return;
  if (view.membership.isInSync(peer.leaving)) return;
  if (peer.session?.incarnation === peer.leaving) stepMirror(peer, { type: "session.ended" });
  view.out.push({
    type: "send",
    to: peer.name,
    link: view.peers.linkTo(peer),
    message: { type: "left", from: view.self, to: peer.leaving, epoch },
    payload: [],
  });
}

/** The last one out, alone and with nothing open, lets go of all that stop with it: nobody else will. */
export function letOthersGo(view: ReplicaView): void {
  const { membership, peers, self } = view;
  if (!membership.isPrimary || membership.record?.inSync.length !== 1) return;
  for (const peer of peers) {
    const { heartbeat, leaving } = peer;
    if (heartbeat === null || (!heartbeat.stopping && leaving !== heartbeat.incarnation)) continue;
    view.out.push({
      type: "send",
      to: peer.name,
      link: peers.linkTo(peer),
      message: { type: "left", from: self, to: heartbeat.incarnation, epoch: membership.epoch },
      payload: [],
    });
  }
}
