/**
 * The planned switch (PROTOCOL.md, rule 9 and planned switch): the primary, having stopped its intake and committed
 * everything, offers its role; the backup takes it over by a compare-and-set. What always holds: an offer names the log's
 * end, all of it committed; it is taken only in its epoch by a member in sync whose log ends there with the same hash.
 */
import type { RegistryRecord } from "../../schemas/registry.ts";
import type { Handover } from "../codec/message.ts";
import type { Following } from "./following.ts";
import type { Peer } from "./peers.ts";
import type { HeirNeeds, Plans } from "./plans.ts";
import type { ReplicaView } from "./view.ts";

/** All who may take the role over now: in session, not stopping, and with what is asked for. */
export function heirsOf(record: RegistryRecord, needs: HeirNeeds, view: ReplicaView): Peer[] {
  const heirs: Peer[] = [];
  for (const member of record.inSync) {
    const peer = view.peers.get(member.server);
    if (peer?.session?.incarnation !== member.incarnation || peer.heartbeat?.stopping) continue;
    if (has(peer, needs, view)) heirs.push(peer);
  }
  return heirs;
}

function has({ heartbeat }: Peer, needs: HeirNeeds, { rules }: ReplicaView): boolean {
  if (needs !== "session" && !rules.reachesNats(heartbeat?.bus === true)) return false;
  return needs !== "registry" || heartbeat?.registry === true;
}

export interface HeirView extends ReplicaView {
  readonly plans: { readonly refused: readonly string[] };
}

/** To whom the role is offered: rather to one that can take it at once, and of those to the one that failed longest ago. */
export function heirOf(record: RegistryRecord, needs: HeirNeeds, view: HeirView): Peer | null {
  const { refused } = view.plans;
  const lacks = (peer: Peer) => Number(!has(peer, "registry", view));
  const [heir] = heirsOf(record, needs, view).sort(
    (one, other) => lacks(one) - lacks(other) || refused.indexOf(one.name) - refused.indexOf(other.name),
  );
  return heir ?? null;
}

export interface OfferView extends HeirView {
  readonly intake: { readonly running: number };
  readonly plans: Plans;
}

/** Handlers that have begun may come to their end first: the other side would count them as tried (rule 17). */
function isDraining({ intake, plans, limits, nowMs }: OfferView): boolean {
  return intake.running > 0 && nowMs - plans.switchSinceMs < Math.min(limits.drainMs, 2 * limits.suspicionMs);
}

/** Offers the role, once everything is committed; again and again, until it is taken or the switch has failed. */
export function offerRole(view: OfferView): void {
  const { own } = view;
  if (isDraining(view)) return;
  const { record, open, frozen, epoch } = view.membership;
  if (record === null || open !== null || frozen !== "" || !view.rules.mayOffer(own.committed, own.log.last)) return;
  const heir = heirOf(record, view.plans.switchNeeds, view);
  if (heir === null || heir.session === null) return;
  view.plans.heir = heir.name;
  view.out.push({
    type: "send",
    to: heir.name,
    link: view.peers.linkTo(heir),
    message: { type: "handover", from: view.self, to: heir.session.incarnation, epoch, ...own.position },
    payload: [],
  });
}

export interface HandoverView extends ReplicaView {
  readonly bus: { readonly connected: boolean };
  readonly applied: { readonly isLoaded: boolean };
}

/** Whether an offer may be taken. */
export function mayTake(offer: Handover, following: Following | null, view: HandoverView): boolean {
  const { membership } = view;
  const { log } = view.own;
  if (view.state !== "following.warm" || view.stopping || !view.applied.isLoaded) return false;
  // A compare-and-set that cannot be settled would leave this server confirming nothing.
  if (!view.rules.reachesNats(view.bus.connected && membership.isAnswered)) return false;
  if (membership.frozen !== "" || !membership.isEpochSaved || offer.epoch !== membership.epoch) return false;
  if (!following?.accepted || following.primary.incarnation !== offer.from || offer.to !== view.self) return false;
  return view.rules.holdsOffer(offer, log.last, log.hashAt(offer.sequence));
}
