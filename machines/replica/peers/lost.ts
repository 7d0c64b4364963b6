/** Whom this server may go on without, in words for operators; and which backup could not take over (rules 9, 10). */
import type { Member } from "../../../schemas/registry.ts";
import type { Core } from "../core.ts";
import type { Peer } from "./peers.ts";

/**
 * It holds everything and could not take over: without it this server has what it acknowledges on its disk, and can go on
 * alone when it comes back. Its records go on being mirrored, as a joiner's. `hotSinceMs`: of this server's role.
 */
export function isUnfit({ lacksMs }: Peer, hotSinceMs: number, { membership, rules, limits, nowMs }: Core): boolean {
  const { answeredSinceMs } = membership;
  if (lacksMs === null || answeredSinceMs === null) return false;
  const sinceMs = Math.max(lacksMs, answeredSinceMs, hotSinceMs);
  return rules.mustLeaveOut(nowMs - sinceMs, limits.registryLostMs);
}

export function whyWithout(member: Member, hotSinceMs: number, core: Core): string {
  const { peers } = core;
  const peer = peers.get(member.server);
  if (peer === undefined) return "not configured";
  if (peer.heartbeat !== null && peer.heartbeat.incarnation !== member.incarnation) return "it restarted";
  if (peers.isGone(peer)) return "its connection closed and NATS knows nobody there";
  if (peer.leaving === member.incarnation) return "it stops";
  if (isUnfit(peer, hotSinceMs, core))
    return "it does not reach NATS, or the registry does not answer it: it could not take over";
  if (core.stopping) return "nobody took the role over, and this server stops";
  return peers.isSilent(peer) ? "silent on both links" : "it does not confirm";
}
