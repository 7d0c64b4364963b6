/**
 * Why what an operator asks cannot be done now, for a person to read; null where it can. What always holds: they look, and
 * change nothing.
 */
import { copyName, newestOfOthers, ownCopy } from "./copies.ts";
import { heirsOf } from "./handover.ts";
import { type NamedView, whyNotBeside } from "./namesakes.ts";
import type { ReplicaView } from "./view.ts";

/** A command for another life of this server, or for another process of its name. `mustName`: one that names none is nobody's. */
export function whyNotMeant(
  meant: string | undefined,
  mustName: boolean,
  { self, options, rules }: ReplicaView,
): string | null {
  const { server } = options.self;
  if (meant === undefined) return mustName ? `which ${server} is meant? Name its incarnation: this is ${self}` : null;
  if (rules.isMeant(meant, self)) return null;
  return `this is the incarnation ${self} of ${server}, and ${meant} was meant: see \`twinlog status\` and say it again`;
}

export function whyNotPrimary({ hot }: ReplicaView): string | null {
  return hot ? null : "this server is not the primary: ask the primary";
}

export function whyNoSwitch(view: ReplicaView): string | null {
  const { record } = view.membership;
  if (!view.hot) return whyNotPrimary(view);
  if (view.state !== "hot.normal" || record === null)
    return `no switch in state ${view.state}: a backup must be in sync`;
  return heirsOf(record, "session", view).length === 0 ? "no backup is ready to take the role" : null;
}

export function whyNoRecovery(view: NamedView, despite: readonly string[]): string | null {
  const { state, membership } = view;
  if (state !== "waiting" && state !== "refusing")
    return `this server is not waiting or refusing, its state is ${state}`;
  if (membership.known === null) {
    const isLost = membership.epochSeen > 0;
    return isLost
      ? "the registry's record is gone: put it back with `twinlog init --restore`; that may be all that is needed"
      : "there is no registry record: create it with `twinlog init`, then recover";
  }
  return whyNoForce(view, despite);
}

/**
 * Rule 18, asked when an operator commands and again when it is begun: the loss that he accepted is of what nobody has at hand.
 * `despite`: newer copies, by name, that he knows to be of no use.
 */
export function whyNoForce(view: NamedView, despite: readonly string[]): string | null {
  const { peers, membership, rules } = view;
  const { record } = membership;
  const beside = whyNotBeside(view);
  if (beside !== null) return beside;
  const primary = record === null ? undefined : peers.byIncarnation(record.primary.incarnation);
  if (primary !== undefined && rules.isServing(peers.isPresent(primary.name), primary.heartbeat?.hot === true))
    return `${primary.name} is the primary and serves: there is nothing to recover`;
  const unknown = [...peers].filter((peer) => peers.isUnproven(peer)).map(({ name }) => name);
  if (unknown.length > 0) return `it is not known yet whether ${unknown.join(", ")} is there: ask again in a moment`;
  const doubled = [...peers].find((peer) => peers.isDoubled(peer));
  if (doubled !== undefined)
    return `two servers named ${doubled.name} speak: stop one of both, so that it is known which of them has what`;
  const newer = newestOfOthers(view, true, despite);
  if (newer === null) return null;
  return `${newer.server} is at hand with a newer copy, ${copyName(newer)}, than this server's ${copyName(ownCopy(view))}: recover there, or, where that copy is of no use, add --despite ${copyName(newer)}`;
}
