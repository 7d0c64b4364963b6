/**
 * The clean stop: a server exits only when no registry record, and no compare-and-set under way or unseen, can name its
 * incarnation, or when it is alone and everything is on its disk (PROTOCOL.md, clean stop). What always holds: a server
 * that never asked to follow was never offered to anybody; one that confirmed nothing in an epoch is not named after it; one
 * that wrote the newest record again is not named by anything older, and by nobody who has read that. It outlives the
 * roles: what this incarnation asked for and confirmed in one may name it in the next.
 */
import { maxLeft, type RegistryRecord } from "../../schemas/registry.ts";
import type { LifecycleState } from "../lifecycle.ts";
import type { Core } from "./core.ts";
import type { Peer } from "./peers/peers.ts";
import type { Handover } from "./primary/handover.ts";
import { whatKeepsOther, whatKeepsPrimary } from "./stop-waits.ts";

/** Where a server is no member. */
const mayLeaveFrom: ReadonlySet<LifecycleState> = new Set([
  "consulting",
  "waiting",
  "refusing",
  "following.joining",
] as const);

export class Shutdown {
  private readonly core: Core;
  /** When this server was told to stop. */
  private sinceMs = 0;
  /** This incarnation asked to be sent the log: a compare-and-set may name it. */
  private mayBeNamed = false;
  /** The newest epoch in which this incarnation confirmed anything: a compare-and-set on a later record cannot name it. */
  private confirmedEpoch = 0;
  /** The primary said that nothing names it. */
  private isReleased = false;

  constructor(core: Core) {
    this.core = core;
  }

  /** For the explorer: what tells two states of this apart, beyond its getters. */
  get facts() {
    return { mayBeNamed: this.mayBeNamed, confirmedEpoch: this.confirmedEpoch, isReleased: this.isReleased };
  }

  /** Told again, it goes on from the first time: else whoever says it again and again would put its end off. */
  onStop(): void {
    if (this.core.stopping) return;
    this.core.stopping = true;
    this.sinceMs = this.core.nowMs;
  }
  /** What others did not do while this server stood still says nothing of them (rule 9). */
  onPaused(pauseMs: number, nowMs: number): void {
    this.sinceMs = Math.min(this.sinceMs + pauseMs, nowMs);
  }
  onAsked(): void {
    this.mayBeNamed = true;
    this.isReleased = false;
  }
  onConfirmed(epoch: number): void {
    this.confirmedEpoch = epoch;
  }
  onReleased(): void {
    this.isReleased = true;
  }

  /** The primary, where it must let this server go. */
  private get primary(): Peer | undefined {
    const { stopping, hot, membership, peers } = this.core;
    // One that handed its role over never asked to follow, and is named all the same.
    const mayBeNamed = this.mayBeNamed || membership.isNamed;
    if (!stopping || hot || !mayBeNamed || this.isReleased || membership.hasLeft) return undefined;
    return peers.get(membership.record?.primary.server ?? "");
  }

  /** Asks the primary to let this server go, if it must be asked. */
  ask(): void {
    const { primary } = this;
    const { outbox, peers, self } = this.core;
    if (primary === undefined) return;
    outbox.push({
      type: "send",
      to: primary.name,
      link: peers.linkTo(primary),
      message: { type: "leave", from: self },
      payload: [],
    });
  }

  /** For operators: what a stopping server waits for, "" where it is its own work. `handover`: of its primary role. */
  waitsFor(handover: Handover | null): string {
    if (!this.core.stopping) return "";
    if (handover !== null) return whatKeepsPrimary(this.core, handover);
    return whatKeepsOther(this.core, this.primary?.name ?? "");
  }

  /** `inFlight`: requests that its primary role has. */
  mayExit(inFlight: number): boolean {
    const { own, membership, stopping, state, hot, fenced, rules } = this.core;
    if (!stopping || membership.open !== null) return false;
    if (state === "hot.alone") {
      const { last } = own.log;
      return own.committed >= last && own.synced >= last && inFlight === 0 && membership.isEpochSaved;
    }
    if (hot || fenced) return false;
    return rules.mayExit(membership.isNamed, this.isFree);
  }

  /** No compare-and-set that can still land names this incarnation. */
  private get isFree(): boolean {
    const { membership } = this.core;
    return this.isReleased || !this.mayBeNamed || this.confirmedEpoch < membership.epoch || membership.hasLeft;
  }

  /** A question may be under way that names this server, and whoever sent it can not say that it is settled. */
  mayLetItselfGo(record: RegistryRecord): boolean {
    const { membership, peers, nowMs, limits, stopping, state, rules } = this.core;
    if (!stopping || !mayLeaveFrom.has(state) || membership.isNamed || this.isFree) return false;
    if (!rules.mayLetItselfGo(peers.isLost(record.primary), nowMs - this.sinceMs, limits.stopMs)) return false;
    if ((record.left?.length ?? 0) >= maxLeft) return false;
    // A primary of an older program would take the record that is written again for another one's.
    const heartbeat = peers.get(record.primary.server)?.heartbeat;
    return heartbeat?.incarnation !== record.primary.incarnation || heartbeat.rereads === true;
  }

  /**
   * A primary that stops and finds nobody who takes its role over goes on alone after its time, which puts everything on its
   * disk, and may exit then.
   */
  mustStopAlone(record: RegistryRecord, handover: Handover): boolean {
    const { stopping, state, nowMs, limits } = this.core;
    if (!stopping || state === "hot.switching" || nowMs - this.sinceMs <= limits.stopMs) return false;
    const successor = handover.successorOf(record, "bus");
    return successor === null || (handover.lastFailedMs >= this.sinceMs && handover.hasRefused(successor.name));
  }

  /** The last one out, alone and with nothing open, lets go of all that stop with it: nobody else will. */
  letOthersGo(): void {
    const { membership, peers, self, outbox } = this.core;
    if (!membership.isPrimary || membership.record?.inSync.length !== 1) return;
    for (const peer of peers) {
      const { heartbeat, leaving } = peer;
      if (heartbeat === null || (!heartbeat.stopping && leaving !== heartbeat.incarnation)) continue;
      outbox.push({
        type: "send",
        to: peer.name,
        link: peers.linkTo(peer),
        message: { type: "left", from: self, to: heartbeat.incarnation, epoch: membership.epoch },
        payload: [],
      });
    }
  }
}
