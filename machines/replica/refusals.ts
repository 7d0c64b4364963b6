/**
 * Why what an operator asks cannot be done now, for a person to read; null where it can. What always holds: they look, and
 * change nothing.
 */

import type { Core } from "./core.ts";
import type { Handover } from "./primary/handover.ts";
import { copyName, newestOfOthers, ownCopy } from "./registry/copies.ts";

/** A command for another life of this server, or for another process of its name. `mustName`: one that names none is nobody's. */
export function whyNotMeant(
  meant: string | undefined,
  mustName: boolean,
  { self, options, rules }: Core,
): string | null {
  const { server } = options.self;
  if (meant === undefined) return mustName ? `which ${server} is meant? Name its incarnation: this is ${self}` : null;
  if (rules.isMeant(meant, self)) return null;
  return `this is the incarnation ${self} of ${server}, and ${meant} was meant: see \`twinlog status\` and say it again`;
}

export function whyNotPrimary({ hot }: Core): string | null {
  return hot ? null : "this server is not the primary: ask the primary";
}

/** Null: it can be paused. An older program would take over, and would write the record without it. */
export function whyNoFailoverPause(core: Core): string | null {
  if (!core.hot) return whyNotPrimary(core);
  const old = [...core.peers].filter((peer) => core.peers.isPresent(peer.name) && !peer.heartbeat?.heedsPause);
  if (old.length === 0) return null;
  return `the program of ${old.map(({ name }) => name).join(", ")} is older and would take over all the same: start the newer one there first`;
}

/** Asked of a server that is no primary: whoever is writes it in the record. */
export function whyNoFailoverResume({ membership, peers, rules }: Core): string | null {
  const { record } = membership;
  if (record?.failoverPause === undefined) return null;
  const primary = peers.byIncarnation(record.primary.incarnation);
  if (primary === undefined || !rules.isServing(peers.isPresent(primary.name), primary.heartbeat?.hot === true))
    return null;
  return `${primary.name} is the primary and serves: say it there`;
}

/** `handover`: of this server's primary role. */
export function whyNoSwitch(core: Core, handover: Handover | null): string | null {
  const { record } = core.membership;
  if (handover === null) return whyNotPrimary(core);
  if (core.state !== "hot.normal" || record === null)
    return `no switch in state ${core.state}: a backup must be in sync`;
  if (!core.isCurrent && core.unreadable === "") return "the state is being migrated: say it again when that is done";
  if (handover.successorsOf(record, "session").length > 0) return null;
  const old = [...core.peers].filter(({ heartbeat }) => heartbeat?.program?.reads === false).map(({ name }) => name);
  return old.length === 0
    ? "no backup is ready to take the role"
    : `the program of ${old.join(", ")} is older than the state: start the newer one there first`;
}

export function whyNoRecovery(core: Core, despite: readonly string[]): string | null {
  const { state, membership } = core;
  if (state !== "waiting" && state !== "refusing")
    return `this server is not waiting or refusing, its state is ${state}`;
  if (membership.isSpent && membership.frozen !== "") return membership.frozen;
  if (membership.known === null) {
    const isLost = membership.epochSeen > 0;
    return isLost
      ? "the registry's record is gone: put it back with `twinlog init --restore`; that may be all that is needed"
      : "there is no registry record: create it with `twinlog init`, then recover";
  }
  return whyNoForce(core, despite);
}

/** Null: nobody else has this server's name, or the registry counts on this one. */
export function whyNotBeside({ namesake, rules, membership, options }: Core): string | null {
  if (namesake === null || rules.mayGoOnBeside(membership.isNamed, true)) return null;
  const { server } = options.self;
  return `another server named ${server} speaks, the incarnation ${namesake.incarnation}${namesake.hot ? ", and serves" : ""}: stop the one that is not meant`;
}

/**
 * Rule 18, asked when an operator commands and again when it is begun: the loss that he accepted is of what nobody has at hand.
 * `despite`: newer copies, by name, that he knows to be of no use.
 */
export function whyNoForce(core: Core, despite: readonly string[]): string | null {
  const { peers, membership, rules } = core;
  const { record } = membership;
  const beside = whyNotBeside(core);
  if (beside !== null) return beside;
  const primary = record === null ? undefined : peers.byIncarnation(record.primary.incarnation);
  if (primary !== undefined && rules.isServing(peers.isPresent(primary.name), primary.heartbeat?.hot === true))
    return `${primary.name} is the primary and serves: there is nothing to recover`;
  const unknown = [...peers].filter((peer) => peers.isUnproven(peer)).map(({ name }) => name);
  if (unknown.length > 0) return `it is not known yet whether ${unknown.join(", ")} is there: ask again in a moment`;
  const doubled = [...peers].find((peer) => peers.isDoubled(peer));
  if (doubled !== undefined)
    return `two servers named ${doubled.name} speak: stop one of both, so that it is known which of them has what`;
  const newer = newestOfOthers(core, true, despite);
  if (newer === null) return null;
  return `${newer.server} is at hand with a newer copy, ${copyName(newer)}, than this server's ${copyName(ownCopy(core))}: recover there, or, where that copy is of no use, add --despite ${copyName(newer)}`;
}
