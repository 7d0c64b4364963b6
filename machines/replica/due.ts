/**
 * What is due: from the facts that hold now to the lifecycle event that they call for (rules 2, 8, 9, 10; claims 15-19).
 * Pure. What always holds: at most one event is due at a time; while a compare-and-set is open, or the registry went
 * backwards, nothing is due but the exit of a server that nothing names, and the end of a switch that takes too long.
 */
import type { Member, RegistryRecord } from "../../schemas/registry.ts";
import { isMirrorComplete, isMirrorStalled } from "../mirror.ts";
import type { Following } from "./following.ts";
import { heirOf, heirsOf } from "./handover.ts";
import { type Leaving, type LeavingView, mustStopAlone } from "./leaving.ts";
import { holdsEverything, type MirrorView } from "./mirroring.ts";
import type { Pausing } from "./pausing.ts";
import { canTakeOver, type Peer } from "./peers.ts";
import type { Due, HeirNeeds, Plans } from "./plans.ts";

export interface DueView extends LeavingView, MirrorView {
  readonly leaving: Leaving;
  readonly lifecycle: { readonly isFinal: boolean; readonly isFollowing: boolean };
  readonly follower: { readonly following: Following | null };
  readonly bus: { readonly connected: boolean; readonly lostMs: number };
  readonly plans: Plans;
  readonly pausing: Pausing;
  readonly wallMs: number;
  readonly serving: { readonly hotSinceMs: number };
}

export function whatIsDue(view: DueView): Due | null {
  if (view.lifecycle.isFinal) return null;
  if (view.leaving.mayExit(view))
    return {
      event: "exit.allowed",
      why: "stops: nothing names this server, or it is alone and everything is on its disk",
    };
  if (view.state === "receiving") return unsettledHandover(view);
  const { record, open, frozen } = view.membership;
  if (record === null || open !== null || frozen !== "") return null;
  return (
    leavesAlone(record, view) ??
    changeOfOthers(record, view) ??
    newMember(view) ??
    newPause(view) ??
    newBase(record, view)
  );
}

function changeOfOthers(record: RegistryRecord, view: DueView): Due | null {
  if (view.follower.following !== null && view.lifecycle.isFollowing) return lostPrimary(record, view);
  switch (view.state) {
    case "candidate.syncing":
      if (view.peers.isLost(record.primary)) return null;
      return { event: "primary.returned", why: `${record.primary.server} is back` };
    case "hot.normal":
      return lostBackup(record, view) ?? wantedSwitch(record, view);
    case "hot.switching":
      return lostBackup(record, view) ?? failedSwitch(record, view);
    case "hot.fencing.syncing":
      if (lostBackups(record, view).length > 0) return null;
      return { event: "backup.returned", why: "the backup is back" };
    default:
      return null;
  }
}

function leavesAlone(record: RegistryRecord, view: DueView): Due | null {
  if (!view.leaving.mayLetItselfGo(record, view)) return null;
  return { event: "leave.unanswered", why: `stops, and ${record.primary.server} does not let it go` };
}

function lostPrimary(record: RegistryRecord, view: DueView): Due | null {
  const { peers } = view;
  const { primary } = record;
  if (!peers.isLost(primary)) return null;
  const others = record.inSync.filter(
    (member) => member.incarnation !== view.self && !view.rules.isSameMember(member, primary),
  );
  const lost = others.filter((member) => peers.isLost(member));
  return {
    event: others.length === lost.length ? "primary.lost.alone" : "primary.lost.others",
    why: `${primary.server} is lost: ${reasonOf(primary, view)}`,
    leavingOut: [primary, ...lost].filter(({ incarnation }) => incarnation !== view.self),
  };
}

function lostBackup(record: RegistryRecord, view: DueView): Due | null {
  const lost = lostBackups(record, view);
  const [first] = lost;
  if (first === undefined) return null;
  const names = lost.map(({ server }) => server).join(", ");
  return {
    event: record.inSync.length - lost.length === 1 ? "backup.lost.alone" : "backup.lost.others",
    why: `without ${names}: ${reasonOf(first, view)}`,
    leavingOut: lost,
  };
}

function lostBackups(record: RegistryRecord, view: DueView): Member[] {
  const others = record.inSync.filter(({ incarnation }) => incarnation !== view.self);
  return mustStopAlone(record, view) ? others : others.filter((member) => isLostBackup(member, view));
}

/** Lost, leaving, or stalled for too long (rule 10). */
function isLostBackup(member: Member, view: DueView): boolean {
  const { peers, nowMs } = view;
  if (peers.isLost(member)) return true;
  const peer = peers.get(member.server);
  if (peer === undefined || peer.leaving === member.incarnation) return true;
  if (isUnfit(peer, view)) return true;
  if (peer.session?.incarnation === member.incarnation) return isMirrorStalled(peer.mirror);
  const { stalledBackupMs, suspicionMs } = view.limits;
  return nowMs - view.plans.epochSinceMs > stalledBackupMs + suspicionMs;
}

/**
 * It holds everything and could not take over: without it this server has what it acknowledges on its disk, and can go on
 * alone when it comes back. Its records go on being mirrored, as a joiner's.
 */
function isUnfit({ lacksMs }: Peer, { membership, serving, rules, limits, nowMs }: DueView): boolean {
  const { answeredSinceMs } = membership;
  if (lacksMs === null || answeredSinceMs === null) return false;
  const sinceMs = Math.max(lacksMs, answeredSinceMs, serving.hotSinceMs);
  return rules.mustLeaveOut(nowMs - sinceMs, limits.registryLostMs);
}

/** For operators. */
function reasonOf(member: Member, view: DueView): string {
  const { peers, stopping: isStopping } = view;
  const peer = peers.get(member.server);
  if (peer === undefined) return "not configured";
  if (peer.heartbeat !== null && peer.heartbeat.incarnation !== member.incarnation) return "it restarted";
  if (peers.isGone(peer)) return "its connection closed and NATS knows nobody there";
  if (peer.leaving === member.incarnation) return "it stops";
  if (isUnfit(peer, view)) return "it does not reach NATS, or the registry does not answer it: it could not take over";
  if (isStopping) return "nobody took the role over, and this server stops";
  return peers.isSilent(peer) ? "silent on both links" : "it does not confirm";
}

/**
 * An heir has what this server lacks, and has had it for as long: where both had lost it and it comes back to one of them
 * first, the other one is about to have it too, and the same primary goes on (rule 9).
 */
function wantedSwitch(record: RegistryRecord, view: DueView): Due | null {
  const { bus, plans, stopping, rules, nowMs } = view;
  const { suspicionMs } = view.limits;
  const busIsLost = !bus.connected && rules.mustHandOver(nowMs - bus.lostMs, suspicionMs);
  const needs = busIsLost || stopping ? "bus" : "session";
  if (plans.switchWhy !== "") return switchTo(needs, plans.switchWhy, record, view) ?? switchToRegistry(record, view);
  if (stopping) return switchTo(needs, "this server stops", record, view);
  const reachesNats = ({ reachMs }: Peer) => rules.mustHandOver(nowMs - reachMs.bus, suspicionMs);
  if (busIsLost && heirsOf(record, "bus", view).some(reachesNats))
    return switchTo("bus", "this server lost NATS, the backup has not", record, view);
  return switchToRegistry(record, view);
}

function switchToRegistry(record: RegistryRecord, view: DueView): Due | null {
  if (!heirsOf(record, "registry", view).some((heir) => registryIsLost(heir, view))) return null;
  return switchTo("registry", "the registry does not answer this server, it answers the backup", record, view);
}

function switchTo(needs: HeirNeeds, why: string, record: RegistryRecord, view: DueView): Due | null {
  const heir = heirOf(record, needs, view);
  return heir === null ? null : { event: "switch.requested", why, heir: heir.name, needs };
}

/**
 * Core NATS without the registry: this server is on the wrong side of a split cluster (rule 9, situations 30 and 38). Where the
 * registry is away for all, there is no heir, and nobody moves. A switch that failed is not tried again at once: clients on
 * this side are served meanwhile.
 */
function registryIsLost({ reachMs }: Peer, view: DueView): boolean {
  const { membership, plans, limits, nowMs, rules } = view;
  if (membership.silentSinceMs === null) return false;
  const sinceMs = Math.max(membership.silentSinceMs, plans.switchFailedMs, reachMs.registry);
  return rules.mustHandOver(nowMs - sinceMs, limits.registryLostMs);
}

function failedSwitch(record: RegistryRecord, view: DueView): Due | null {
  const isLate = view.nowMs - view.plans.switchSinceMs > 4 * view.limits.suspicionMs;
  if (heirOf(record, view.plans.switchNeeds, view) !== null && !isLate) return null;
  return { event: "switch.failed", why: "nobody took the role over in time" };
}

function newMember(view: DueView): Due | null {
  for (const peer of view.peers) {
    const due = joinerDue(peer, view);
    if (due !== null) return due;
  }
  return null;
}

/** Rule 8: takes a follower in once it holds everything. */
export function joinerDue(peer: Peer, view: DueView): Due | null {
  const { membership, peers } = view;
  const { record, open, frozen } = membership;
  const { session } = peer;
  if (session === null || (view.state !== "hot.alone" && view.state !== "hot.normal")) return null;
  if (record === null || open !== null || frozen !== "" || view.stopping) return null;
  const { incarnation } = session;
  if (peer.leaving === incarnation || membership.isInSync(incarnation)) return null;
  if (!view.rules.mayTakeIn(record, incarnation)) return null;
  const { heartbeat } = peer;
  if (heartbeat?.incarnation !== incarnation || !view.rules.mayBackUp(canTakeOver(heartbeat))) return null;
  if (!isMirrorComplete(peer.mirror) || !holdsEverything(session, view)) return null;
  const joiner = { server: peer.name, incarnation };
  if (!peers.mayRejoin(peer, view.nowMs) || peers.isLost(joiner)) return null;
  return { event: "joiner.ready", why: `${peer.name} holds everything`, takingIn: joiner };
}

/** On the heir: the primary opens its intake again soon, and needs somebody who confirms. */
function unsettledHandover({ plans, rules, limits, nowMs, membership }: DueView): Due | null {
  if (!rules.isHandoverLate(nowMs - plans.takenMs, 2 * limits.suspicionMs)) return null;
  const why = membership.writeFault || membership.silentWhy || "no answer";
  return { event: "handover.unsettled", why: `the registry has not settled who is the primary: ${why}` };
}

/**
 * What is asked for is not wanted any more: the role, where that took too long; or a joiner that is gone, or leaves: a record
 * that counts on it would endanger what one that is alone has on its disk.
 */
export function isAskedInVain({ state, plans, peers, rules }: DueView): boolean {
  if (state === "following.unsettled") return true;
  const joiner = plans.takingIn;
  if (state !== "hot.adding" || joiner === null) return false;
  return rules.isInVain(peers.isLost(joiner) || peers.get(joiner.server)?.leaving === joiner.incarnation);
}

function newPause(view: DueView): Due | null {
  if (view.stopping || (view.state !== "hot.alone" && view.state !== "hot.normal")) return null;
  const why = view.pausing.why(view);
  return why === null ? null : { event: "pause.due", why };
}

function newBase(record: RegistryRecord, view: DueView): Due | null {
  const { own } = view;
  if (view.state !== "hot.alone" || !view.rules.mustRebase(view.nowMs - view.plans.baseMs, view.limits.baseMs))
    return null;
  if (!view.membership.isMemberEpochSaved) return null;
  if (own.synced <= record.base.sequence || own.log.hashAt(own.synced) === undefined) return null;
  return { event: "base.due", why: "moves the base forward" };
}
