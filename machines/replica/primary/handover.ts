/**
 * The planned switch (PROTOCOL.md, rule 9 and planned switch): the primary, having stopped its intake and committed
 * everything, offers its role; the backup takes it over by a compare-and-set. What always holds: an offer names the log's
 * end, all of it committed; it is taken only in its epoch by a member in sync whose log ends there with the same hash.
 */
import type { RegistryRecord } from "../../../schemas/registry.ts";
import type { Core } from "../core.ts";
import type { Due, SuccessorNeeds } from "../due.ts";
import { type Peer, readsState } from "../peers/peers.ts";
import type { Followers } from "./followers.ts";
import type { Progress } from "./progress.ts";

/** All who may take the role over now: in session, not stopping, and with what is asked for. */
export function successorsOf(
  record: RegistryRecord,
  needs: SuccessorNeeds,
  core: Core,
  followers: Followers,
): Progress[] {
  const successors: Progress[] = [];
  for (const member of record.inSync) {
    const progress = followers.get(member.server);
    if (progress?.session?.incarnation !== member.incarnation || progress.peer.heartbeat?.stopping) continue;
    if (has(progress.peer, needs, core)) successors.push(progress);
  }
  return successors;
}

function has({ heartbeat }: Peer, needs: SuccessorNeeds, { rules }: Core): boolean {
  if (!rules.readsState(readsState(heartbeat))) return false;
  if (needs !== "session" && !rules.reachesNats(heartbeat?.bus === true)) return false;
  return needs !== "registry" || heartbeat?.registry === true;
}

/** The primary's switches: the one that is wanted or under way, and what became of earlier ones. */
export class Handover {
  private readonly core: Core;
  private readonly followers: Followers;
  /** Why a switch was asked for, "" if none was. */
  private wanted = "";
  /** When the role was first offered. */
  private sinceMs = 0;
  /** What whoever takes it over must have: without that, the switch would end nothing. */
  private needs: SuccessorNeeds = "session";
  /** To whom it was offered last. */
  private successor = "";
  /** Servers that did not take it in time, the latest last: others are asked before them. */
  private refused: readonly string[] = [];
  private failedMs = 0;

  constructor(core: Core, followers: Followers) {
    this.core = core;
    this.followers = followers;
  }

  /** For the explorer: what tells two states of this apart, beyond its getters. */
  get facts() {
    const { wanted, sinceMs, needs, successor, refused } = this;
    return { wanted, sinceMs, needs, successor, refused };
  }

  /** Why a switch was asked for, "" if none was. */
  get why(): string {
    return this.wanted;
  }
  get lastFailedMs(): number {
    return this.failedMs;
  }
  /** The role was offered to it in vain. */
  hasRefused(name: string): boolean {
    return this.refused.includes(name);
  }

  want(why: string): void {
    this.wanted = why;
  }

  onDue({ event, successor, needs }: Due): void {
    if (successor !== undefined) this.successor = successor;
    if (needs !== undefined) this.needs = needs;
    if (event !== "switch.failed") return;
    this.wanted = "";
    this.failedMs = this.core.nowMs;
    this.refused = [...this.refused.filter((name) => name !== this.successor), this.successor];
  }
  onBegun(): void {
    this.sinceMs = this.core.nowMs;
  }

  successorsOf(record: RegistryRecord, needs: SuccessorNeeds): Progress[] {
    return successorsOf(record, needs, this.core, this.followers);
  }
  /** To whom the role is offered: rather to one that can take it at once, and of those to the one that failed longest ago. */
  successorOf(record: RegistryRecord, needs: SuccessorNeeds): Progress | null {
    const { refused, core } = this;
    const lacks = ({ peer }: Progress) => Number(!has(peer, "registry", core));
    const [successor] = this.successorsOf(record, needs).sort(
      (one, other) => lacks(one) - lacks(other) || refused.indexOf(one.name) - refused.indexOf(other.name),
    );
    return successor ?? null;
  }

  /** Nobody takes the role over in time, or there is nobody. */
  hasFailed(record: RegistryRecord): boolean {
    const isLate = this.core.nowMs - this.sinceMs > 4 * this.core.limits.suspicionMs;
    return this.successorOf(record, this.needs) === null || isLate;
  }

  /** Handlers that have begun may come to their end first: the other side would count them as tried (rule 17). */
  private isDraining(running: number): boolean {
    const { nowMs, limits } = this.core;
    return running > 0 && nowMs - this.sinceMs < Math.min(limits.drainMs, 2 * limits.suspicionMs);
  }

  /** Offers the role, once everything is committed; again and again, until it is taken or the switch has failed. */
  offer(running: number): void {
    const { own, membership, rules, self, peers, outbox } = this.core;
    if (this.isDraining(running)) return;
    const { record, open, frozen, epoch } = membership;
    if (record === null || open !== null || frozen !== "" || !rules.mayOffer(own.committed, own.log.last)) return;
    const successor = this.successorOf(record, this.needs);
    if (successor === null || successor.session === null) return;
    this.successor = successor.name;
    outbox.push({
      type: "send",
      to: successor.name,
      link: peers.linkTo(successor.peer),
      message: { type: "handover", from: self, to: successor.session.incarnation, epoch, ...own.position },
      payload: [],
    });
  }
}
