/**
 * Whether a follower may be taken in as far as everything but its log is concerned (rules 1, 8, 9, 19). Pure.
 */
import type { Core } from "../core.ts";
import { canTakeOver, readsState } from "../peers/peers.ts";
import type { Progress } from "./progress.ts";

/** Nothing is open, the registry did not go back, and this one is no member, has not left, and could take over. */
export function mayJoin({ session, peer }: Progress, core: Core): boolean {
  const { membership, peers, rules, nowMs } = core;
  const { record, open, frozen } = membership;
  if (session === null || (core.state !== "hot.alone" && core.state !== "hot.normal")) return false;
  if (record === null || open !== null || frozen !== "" || core.stopping) return false;
  const { incarnation } = session;
  if (peer.leaving === incarnation || membership.isInSync(incarnation)) return false;
  if (!rules.mayTakeIn(record, incarnation)) return false;
  const { heartbeat } = peer;
  if (heartbeat?.incarnation !== incarnation || !rules.mayBackUp(canTakeOver(heartbeat))) return false;
  if (!rules.readsState(readsState(heartbeat))) return false;
  return peers.mayRejoin(peer, nowMs) && !peers.isLost({ server: peer.name, incarnation });
}
