/**
 * What troubles a replica now (schemas/troubles.ts): asked each tick and for each status, for operators. What always holds:
 * it is read from how the replica stands, never kept, and every code that the replica answers for is in the answer: null
 * where all is well.
 */
import type { LinkName } from "../../schemas/link.ts";
import type { TroubleCode } from "../../schemas/troubles.ts";
import { linkConclusion } from "../link.ts";
import type { Core } from "./core.ts";
import { canTakeOver } from "./peers/peers.ts";
import type { Primary } from "./primary/primary.ts";
import { roomTo } from "./primary/progress.ts";
import { initialEpoch } from "./registry/initial-record.ts";
import { duration } from "./stamp-refusals.ts";

export type ReplicaTroubles = readonly (readonly [code: TroubleCode, message: string | null])[];

/** `waitingFor`: what this server is told to wait for, "" if nothing. */
export function troublesOf(core: Core, primary: Primary | null, waitingFor: string): ReplicaTroubles {
  return [
    ["server.waiting", whyWaiting(core, waitingFor)],
    ["disk.empty", whyDiskIsEmpty(core)],
    ["backup.lost", whyNoBackup(core)],
    ["backup.missing", whyBackupMissing(core)],
    ["backup.unfit", whyBackupUnfit(core, primary)],
    ["program.old", core.hot ? null : whyProgramIsOld(core)],
    ["program.newer", whyProgramIsNewer(core)],
    ["state.other", whyStateIsOther(core)],
    ["link.record", whyRecordDoesNotFit(core, primary)],
    ["link.narrow", whyLinkIsNarrow(core)],
    ["server.doubled", whyDoubled(core)],
    ["peer.silent", whoIsSilent(core)],
    ["link.main", whatGoesOverNats(core)],
    ["registry.silent", whyNoRegistry(core)],
    ["registry.refuses", whyRegistryRefuses(core)],
    ["registry.frozen", core.membership.frozen || null],
    ["intake.paused", whyPaused(primary, core)],
    ["failover.paused", whyFailoverIsPaused(primary, core)],
    ["clock.apart", whyClockIsApart(core)],
    ["time.apart", whyTimeIsApart(core)],
    ["settings.differ", whySettingsDiffer(core)],
    ["stamps.refused", core.hot ? core.stampRefusals.trouble(core.nowMs) : null],
  ];
}

/** Which of two is right nobody here can tell. */
function whyClockIsApart({ peers, clocks, limits, nowMs, wallMs }: Core): string | null {
  for (const peer of peers) {
    const { name } = peer;
    if (peers.isAway(peer)) continue;
    const aheadMs = clocks.aheadOf(name, nowMs, wallMs) ?? 0;
    if (Math.abs(aheadMs) <= limits.skewMs) continue;
    const side = aheadMs < 0 ? "behind" : "ahead of";
    return `this server's clock is ${duration(Math.abs(aheadMs))} ${side} ${name}'s: requests' stamps are judged by it; set the clocks`;
  }
  return null;
}

/** On the primary: its wall clock is not followed, or is behind what the log says (rule 20). */
function whyTimeIsApart({ hot, time, limits }: Core): string | null {
  const { apartMs, isHeld } = time.standing;
  if (!hot) return null;
  if (isHeld)
    return `this server's clock is ${duration(apartMs)} ahead of the time of the last requests and what has passed since, more than maxClockStepMs, and no other server's says the same: requests and timers go by the earlier time. Is it right? \`twinlog accept-time\`; if not, set it`;
  if (-apartMs <= limits.skewMs) return null;
  return `this server's clock is ${duration(-apartMs)} behind the time of requests before: time goes at half speed until it has caught up, and timers come late by as much; if it is wrong, set it`;
}

/** A server with fewer floors drops them sooner: after a takeover others are refused than before (rule 12). */
function whySettingsDiffer({ peers, limits }: Core): string | null {
  for (const peer of peers) {
    const { name, heartbeat } = peer;
    const { rememberClients: its } = heartbeat ?? {};
    if (peers.isAway(peer) || its === undefined || its === limits.rememberClients) continue;
    return `limits.rememberClients is ${limits.rememberClients} here and ${its} on ${name}: after a takeover other requests would be refused as EXPIRED than before; set the same on all servers`;
  }
  return null;
}

function whyWaiting({ role }: Core, waitingFor: string): string | null {
  return role === "none" && waitingFor !== "" ? waitingFor : null;
}

/**
 * Nothing was found on it, and yet the registry counts on what an earlier life had: is it the right directory, is its volume there? Of
 * this life it was given everything, whatever role it has or asks for.
 */
function whyDiskIsEmpty({ role, startCount, options, membership, restored }: Core): string | null {
  const { record } = membership;
  if (restored !== null) return null;
  if (role !== "none" || startCount > 1 || record === null || record.epoch === initialEpoch) return null;
  if (membership.isNamed) return null;
  const { server } = options.self;
  if (!record.inSync.some((member) => member.server === server)) return null;
  return `the data directory was empty at the start, but the registry counts on what ${server} had in it: is it the right one?`;
}

function whyDoubled(core: Core): string | null {
  const { namesake } = core;
  const { server } = core.options.self;
  if (namesake !== null)
    return `another server named ${server} speaks, the incarnation ${namesake.incarnation} (this is ${core.self}): stop the wrong one`;
  const names = [...core.peers].filter((peer) => core.peers.isDoubled(peer)).map(({ name }) => name);
  return names.length === 0 ? null : `two servers speak under one name: ${names.join(", ")}; stop the wrong one`;
}

function whyNoBackup(core: Core): string | null {
  const absent = outOfSync(core);
  if (absent.length === 0 || isAnyInSync(core)) return null;
  return `no backup is in sync (${absent.join(", ")}): a failover would not work`;
}

function whyBackupMissing(core: Core): string | null {
  const absent = outOfSync(core);
  return absent.length > 0 && isAnyInSync(core) ? `not in sync: ${absent.join(", ")}` : null;
}

/** On the primary: configured servers that the newest record does not count on. */
function outOfSync({ hot, options, membership }: Core): string[] {
  if (!hot) return [];
  const inSync = membership.record?.inSync ?? [];
  return options.servers.filter((name) => !inSync.some(({ server }) => server === name));
}

/** On a primary that the registry answers: who follows, in sync or not, and could not take over. */
function whyBackupUnfit({ membership }: Core, primary: Primary | null): string | null {
  if (primary === null || !membership.isAnswered) return null;
  const unfit: string[] = [];
  for (const { name, session, peer } of primary.followers) {
    const { heartbeat } = peer;
    if (session === null || heartbeat?.incarnation !== session.incarnation || canTakeOver(heartbeat)) continue;
    unfit.push(`${name} (${heartbeat.bus ? "the registry does not answer it" : "it does not reach NATS"})`);
  }
  if (unfit.length === 0) return null;
  return `${unfit.join(", ")} could not take over: look at its nats settings and at its log`;
}

function whyProgramIsOld({ unreadable }: Core): string | null {
  return unreadable === "" ? null : `${unreadable}; what is acknowledged is kept here, but this server could not serve`;
}

/** The point of no return, before it is reached (rule 19). */
function whyProgramIsNewer({ hot, options, stateVersion }: Core): string | null {
  const { program, self } = options;
  if (hot || program === undefined || stateVersion === 0 || program.version <= stateVersion) return null;
  return `this program is of version ${program.version}, the state of version ${stateVersion}: once ${self.server} is the primary the state is of version ${program.version}, and programs of version ${stateVersion} cannot go on with it`;
}

/** On a primary: it makes the state its program's, or cannot. */
function whyStateIsOther({ hot, isCurrent, unreadable, options, stateVersion }: Core): string | null {
  if (!hot || isCurrent) return null;
  if (unreadable !== "") return `${unreadable}; it hands its role over as soon as another server can take it`;
  return `the state is of version ${stateVersion}, and is being migrated to version ${options.program?.version}: requests wait until it is done`;
}

/** Heard once, and on neither link any more. */
function whoIsSilent({ peers }: Core): string | null {
  const silent = [...peers].filter((peer) => peer.heartbeat !== null && peers.isAway(peer));
  return silent.length === 0 ? null : `not heard any more: ${silent.map(({ name }) => name).join(", ")}`;
}

function whatGoesOverNats({ peers }: Core): string | null {
  const names = [...peers].filter(({ links }) => linkConclusion(links) === "failsafe").map(({ name }) => name);
  return names.length === 0 ? null : `the main link to ${names.join(", ")} is down: what goes there goes over NATS`;
}

/** One that has no connection to NATS says that instead. */
function whyNoRegistry({ membership, bus, limits, nowMs }: Core): string | null {
  const { silentSinceMs, silentWhy } = membership;
  if (silentSinceMs === null || !bus.connected || nowMs - silentSinceMs <= limits.registryTimeoutMs) return null;
  return `the registry does not answer: ${silentWhy}`;
}

/** On every server that knows it: the primary may be gone. */
function whyFailoverIsPaused(primary: Primary | null, core: Core): string | null {
  const { membership, wallMs, nowMs, peers } = core;
  const { record } = membership;
  const pause = primary === null ? core.failover.standing(record, wallMs, nowMs) : primary.failoverPausing.current;
  if (pause === null) return null;
  const { sinceMs, forMs } = pause;
  const until = forMs === undefined ? "" : ` for ${duration(Math.max(0, sinceMs + forMs - wallMs))} more`;
  const unwritten =
    primary === null || primary.failoverPausing.why === null ? "" : "; the registry does not have that yet";
  const isGone = core.role === "backup" && record !== null && peers.isLost(record.primary);
  const gone = isGone ? `; ${record.primary.server} is lost, and nobody takes its place` : "";
  return `an operator paused failover${until}: \`twinlog resume --failover\`${unwritten}${gone}`;
}

function whyPaused(primary: Primary | null, { wallMs }: Core): string | null {
  const pause = primary?.intake.isPaused === true ? primary.pausing.current : null;
  if (pause === null) return null;
  const { sinceMs, forMs } = pause;
  const until = forMs === undefined ? "" : ` for ${duration(Math.max(0, sinceMs + forMs - wallMs))} more`;
  const unwritten = primary?.pausing.why === null ? "" : "; the registry does not have that yet";
  return `an operator paused the intake${until}: \`twinlog resume\`${unwritten}`;
}

/** What is asked of it is asked again and again; meanwhile the mode stays as it is. */
function whyRegistryRefuses({ membership, state }: Core): string | null {
  const { writeFault, silentWhy, open } = membership;
  if (open === null || writeFault === "" || silentWhy !== "") return null;
  return `the registry takes no change of mode from this server (${state}): ${writeFault}`;
}

const named: Record<LinkName, string> = { main: "the main link", failsafe: "NATS" };

/** On the primary: what a backup cannot be sent by the link that is left. */
function whyRecordDoesNotFit(core: Core, primary: Primary | null): string | null {
  for (const { peer, tooLargeBytes: bytes } of primary?.followers ?? []) {
    const link = core.peers.linkTo(peer);
    const room = roomTo(peer, link, core);
    if (bytes === 0 || bytes <= room) continue;
    const helps = link === "failsafe" ? "bring the main link back, or raise max_payload" : "raise its maxBatchBytes";
    return `${peer.name} cannot be sent a record of ${bytes} bytes: ${named[link]} takes ${Math.max(0, room)} now; ${helps}`;
  }
  return null;
}

/** Before it matters: a link that is not needed now, or by records that are not so large. */
function whyLinkIsNarrow(core: Core): string | null {
  const { maxRecordBytes } = core.limits;
  for (const peer of core.peers) {
    for (const link of ["main", "failsafe"] as const) {
      const room = roomTo(peer, link, core);
      if (room < maxRecordBytes)
        return `${named[link]} takes ${Math.max(0, room)} bytes of records to ${peer.name}, one may have ${maxRecordBytes} (maxRecordBytes)`;
    }
  }
  return null;
}

function isAnyInSync({ self, membership }: Core): boolean {
  return membership.record?.inSync.some(({ incarnation }) => incarnation !== self) ?? false;
}
