/**
 * Which messages of the small world can have no effect any more, on anybody, whatever happens: they are let go, so that
 * states that differ in them alone are one. What always holds: that follows from what the receiver has taken already
 * (mirrors and confirms are cumulative) or from a session, an incarnation or an epoch that never comes back. Where the very
 * rules that drop such messages are broken, none is let go.
 */

import type { FollowedSession } from "../../../machines/replica/follower/followed-session.ts";
import type { Replica } from "../../../machines/replica/replica.ts";
import type { Rules } from "../../../machines/replica/rules.ts";
import type { PeerMessage } from "../../../schemas/peer-message.ts";
import { inside } from "../../helpers/inside.ts";

/** The rules that keep late messages out. */
const keepers: readonly (keyof Rules)[] = ["mirrorFits", "confirmFits", "isSameMember"];

export function letsGo(broken: Partial<Rules> = {}): boolean {
  return keepers.every((name) => broken[name] === undefined);
}

/** `replica`: the receiver's, null while it is down; `from`: the sender's name. */
export function isStale(message: PeerMessage, from: string, replica: Replica | null): boolean {
  switch (message.type) {
    case "heartbeat":
    case "leave":
      return false;
    case "follow":
    case "left":
      return replica?.self !== message.to;
    case "handover":
      return replica?.self !== message.to || message.epoch < replica.epoch;
    case "accept":
    case "decline":
      return isAnswerStale(message, replica);
    case "mirror":
      return isMirrorStale(message, replica);
    case "confirm":
      return isConfirmStale(message, from, replica);
    default:
      return true;
  }
}

function followedBy(replica: Replica | null): FollowedSession | null {
  return (replica && inside(replica).follower?.session) ?? null;
}

/** The follower names its sessions: one that it has left never comes back, and one answer is enough. */
function isAnswerStale(
  message: Extract<PeerMessage, { type: "accept" | "decline" }>,
  replica: Replica | null,
): boolean {
  const following = followedBy(replica);
  if (following === null || following.id !== message.session || following.accepted) return true;
  return message.type === "decline" && following.declined === message.reason && following.snapshot;
}

/** It has all that this one tells, in this session, and its confirm is sent or owed. */
function isMirrorStale(message: Extract<PeerMessage, { type: "mirror" }>, replica: Replica | null): boolean {
  const following = followedBy(replica);
  if (replica === null || following === null || following.id !== message.session) return true;
  if (message.epoch < replica.epoch) return true;
  if (!following.verified || message.epoch > replica.epoch) return false;
  const isTaken = message.last <= replica.log.last && message.committed <= replica.committed;
  return isTaken && message.probe <= following.probe && message.published <= replica.published;
}

/** The primary knows as much already, or its session is over. */
function isConfirmStale(
  message: Extract<PeerMessage, { type: "confirm" }>,
  from: string,
  replica: Replica | null,
): boolean {
  const session = (replica && inside(replica).primary?.followers.get(from)?.session) ?? null;
  if (replica === null || session === null || session.id !== message.session) return true;
  if (message.epoch < replica.epoch) return true;
  if (message.epoch > replica.epoch || message.gap) return false;
  return (
    message.sequence <= session.confirmed && message.probe <= session.echoed && message.epoch <= session.confirmedEpoch
  );
}
