/**
 * A configuration that this server asks the registry for, or is about to: where its log ended when it fenced itself, whom
 * the configuration leaves out or takes in, and since when (rules 2, 8, 9). What always holds: there is one exactly while
 * the lifecycle is fenced or asks; nothing here is a reason to acknowledge.
 */
import type { Member, Position } from "../../../schemas/registry.ts";
import type { Core } from "../core.ts";
import type { Due } from "../due.ts";

export class Candidacy {
  private readonly core: Core;
  /** Whom the compare-and-set leaves out, or takes in. */
  readonly leavingOut: readonly Member[];
  readonly takingIn: Member | null;
  /** So much must be on the disk before this server asks to be alone (rule 2); null: it does not ask that. */
  readonly fence: Position | null;
  private readonly sinceMs: number;

  /** `due`: what called for it. */
  constructor({ leavingOut = [], takingIn }: Due, fence: Position | null, core: Core) {
    this.core = core;
    this.leavingOut = leavingOut;
    this.takingIn = takingIn ?? null;
    this.fence = fence;
    this.sinceMs = core.nowMs;
  }

  /** For the explorer: what tells two states of this apart, beyond its getters. */
  get facts() {
    const { leavingOut, takingIn, fence, sinceMs } = this;
    return { leavingOut, takingIn, fence, sinceMs };
  }

  /** All that was appended before the fence is on the disk. */
  get isSynced(): boolean {
    const { rules, own } = this.core;
    return this.fence !== null && rules.isSyncedForCas(own.synced, this.fence.sequence);
  }

  /** On the successor: the primary opens its intake again soon, and needs somebody who confirms. */
  get isLate(): boolean {
    const { rules, nowMs, limits } = this.core;
    return rules.isHandoverLate(nowMs - this.sinceMs, 2 * limits.suspicionMs);
  }

  /**
   * What is asked for is not wanted any more: a joiner is gone, or leaves: a record that counts on it would endanger what one
   * that is alone has on its disk.
   */
  get isJoinerGone(): boolean {
    const { peers, rules } = this.core;
    const joiner = this.takingIn;
    if (joiner === null) return false;
    return rules.isInVain(peers.isLost(joiner) || peers.get(joiner.server)?.leaving === joiner.incarnation);
  }
}
