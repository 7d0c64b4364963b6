/**
 * What is due to a primary: from the facts that hold now to the lifecycle event that they call for (rules 8, 9, 10; claims
 * 15-19). Pure.
 */
import type { Member, RegistryRecord } from "../../../schemas/registry.ts";
import type { Core } from "../core.ts";
import type { Due, SuccessorNeeds } from "../due.ts";
import { isUnfit, whyWithout } from "../peers/lost.ts";
import type { Peer } from "../peers/peers.ts";
import type { Shutdown } from "../shutdown.ts";
import { mayJoin } from "./may-join.ts";
import type { Primary } from "./primary.ts";
import type { Progress } from "./progress.ts";

/** What a primary looks at. */
export interface PrimaryFacts {
  readonly core: Core;
  readonly primary: Primary;
  readonly shutdown: Shutdown;
}

/** Nothing is open, and the registry did not go back. */
export function primaryDue(record: RegistryRecord, facts: PrimaryFacts): Due | null {
  return changeOfOthers(record, facts) ?? newMember(facts) ?? newPause(facts) ?? newBase(record, facts);
}

function changeOfOthers(record: RegistryRecord, facts: PrimaryFacts): Due | null {
  switch (facts.core.state) {
    case "hot.normal":
      return lostBackup(record, facts) ?? wantedSwitch(record, facts);
    case "hot.switching":
      return lostBackup(record, facts) ?? failedSwitch(record, facts);
    case "hot.fencing.syncing":
      if (lostBackups(record, facts).length > 0) return null;
      return { event: "backup.returned", why: "the backup is back" };
    default:
      return null;
  }
}

function lostBackup(record: RegistryRecord, facts: PrimaryFacts): Due | null {
  const lost = lostBackups(record, facts);
  const [first] = lost;
  if (first === undefined) return null;
  const names = lost.map(({ server }) => server).join(", ");
  return {
    event: record.inSync.length - lost.length === 1 ? "backup.lost.alone" : "backup.lost.others",
    why: `without ${names}: ${whyWithout(first, facts.primary.sinceMs, facts.core)}`,
    leavingOut: lost,
  };
}

function lostBackups(record: RegistryRecord, facts: PrimaryFacts): Member[] {
  const { core, primary, shutdown } = facts;
  const others = record.inSync.filter(({ incarnation }) => incarnation !== core.self);
  if (shutdown.mustStopAlone(record, primary.handover)) return others;
  return others.filter((member) => isLostBackup(member, facts));
}

/** Lost, leaving, or stalled for too long (rule 10). */
function isLostBackup(member: Member, { core, primary }: PrimaryFacts): boolean {
  const { peers, nowMs, limits } = core;
  if (peers.isLost(member)) return true;
  const progress = primary.followers.get(member.server);
  if (progress === undefined || progress.peer.leaving === member.incarnation) return true;
  if (isUnfit(progress.peer, primary.sinceMs, core)) return true;
  if (progress.session?.incarnation === member.incarnation) return progress.isStalled;
  return nowMs - primary.settledMs > limits.stalledBackupMs + limits.suspicionMs;
}

/**
 * A successor has what this server lacks, and has had it for as long: where both had lost it and it comes back to one of them
 * first, the other one is about to have it too, and the same primary goes on (rule 9).
 */
function wantedSwitch(record: RegistryRecord, facts: PrimaryFacts): Due | null {
  const { bus, stopping, rules, nowMs, limits, unreadable } = facts.core;
  const { handover } = facts.primary;
  const { suspicionMs } = limits;
  const busIsLost = !bus.connected && rules.mustHandOver(nowMs - bus.lostMs, suspicionMs);
  const needs = busIsLost || stopping ? "bus" : "session";
  if (handover.why !== "") return switchTo(needs, handover.why, record, facts) ?? switchToRegistry(record, facts);
  if (stopping) return switchTo(needs, "this server stops", record, facts);
  if (unreadable !== "") return switchTo(needs, "this server's program cannot serve the state", record, facts);
  if (!rules.mayFailOver(facts.primary.failoverPausing.current !== null)) return null;
  const reachesNats = ({ peer }: Progress) => rules.mustHandOver(nowMs - peer.reachMs.bus, suspicionMs);
  if (busIsLost && handover.successorsOf(record, "bus").some(reachesNats))
    return switchTo("bus", "this server lost NATS, the backup has not", record, facts);
  return switchToRegistry(record, facts);
}

function switchToRegistry(record: RegistryRecord, facts: PrimaryFacts): Due | null {
  const successors = facts.primary.handover.successorsOf(record, "registry");
  if (!successors.some(({ peer }) => registryIsLost(peer, facts))) return null;
  return switchTo("registry", "the registry does not answer this server, it answers the backup", record, facts);
}

function switchTo(needs: SuccessorNeeds, why: string, record: RegistryRecord, { primary }: PrimaryFacts): Due | null {
  const successor = primary.handover.successorOf(record, needs);
  return successor === null ? null : { event: "switch.requested", why, successor: successor.name, needs };
}

/**
 * Core NATS without the registry: this server is on the wrong side of a split cluster (rule 9, situations 30 and 38). Where the
 * registry is away for all, there is no successor, and nobody moves. A switch that failed is not tried again at once: clients on
 * this side are served meanwhile.
 */
function registryIsLost({ reachMs }: Peer, { core, primary }: PrimaryFacts): boolean {
  const { membership, limits, nowMs, rules } = core;
  if (membership.silentSinceMs === null) return false;
  const sinceMs = Math.max(membership.silentSinceMs, primary.handover.lastFailedMs, reachMs.registry);
  return rules.mustHandOver(nowMs - sinceMs, limits.registryLostMs);
}

function failedSwitch(record: RegistryRecord, { primary }: PrimaryFacts): Due | null {
  if (!primary.handover.hasFailed(record)) return null;
  return { event: "switch.failed", why: "nobody took the role over in time" };
}

function newMember(facts: PrimaryFacts): Due | null {
  for (const progress of facts.primary.followers) {
    const due = joinerDue(progress, facts.core);
    if (due !== null) return due;
  }
  return null;
}

/** Rule 8: takes a follower in once it holds everything. */
export function joinerDue(progress: Progress, core: Core): Due | null {
  const { session, peer } = progress;
  if (session === null || !mayJoin(progress, core) || !progress.isComplete) return null;
  const joiner = { server: peer.name, incarnation: session.incarnation };
  return { event: "joiner.ready", why: `${peer.name} holds everything`, takingIn: joiner };
}

function newPause({ core, primary }: PrimaryFacts): Due | null {
  if (core.stopping || (core.state !== "hot.alone" && core.state !== "hot.normal")) return null;
  if (core.state === "hot.alone" && !mayAskAlone(core)) return null;
  const why = primary.pausing.why ?? primary.failoverPausing.why;
  return why === null ? null : { event: "pause.due", why };
}

function newBase(record: RegistryRecord, { core, primary }: PrimaryFacts): Due | null {
  const { own, rules, nowMs, limits } = core;
  if (core.state !== "hot.alone" || !rules.mustRebase(nowMs - primary.rebasedMs, limits.baseMs)) return null;
  if (!mayAskAlone(core)) return null;
  if (own.synced <= record.base.sequence || own.log.hashAt(own.synced) === undefined) return null;
  return { event: "base.due", why: "moves the base forward" };
}

const mayAskAlone = ({ rules, membership }: Core): boolean => rules.mayAskAlone(membership.isMemberEpochSaved);
