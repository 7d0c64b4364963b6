/**
 * The primary's commit point as it advances, and what is made and not committed (rules 3, 5, 15; invariant 2). What always
 * holds: it advances only on a server that is hot, not fenced, whose accepted epoch is on the disk and that has not lost a
 * compare-and-set; what records say to forget is forgotten when the first of them is committed, as on every other server.
 */
import type { LogBatch } from "../../log/batch.ts";
import type { Core } from "../core.ts";
import type { AwaitedJoiner } from "./awaited-joiner.ts";
import type { Followers } from "./followers.ts";
import type { Shares } from "./shares.ts";

/** A turn's records, not all of which are committed: a follower may confirm them piece by piece. */
interface OpenBatch {
  readonly first: number;
  readonly last: number;
  readonly bytes: number;
  /** What each of them says. */
  readonly forget: number;
  readonly results: number;
}

export class Commitment {
  private readonly core: Core;
  private readonly followers: Followers;
  private readonly shares: Shares;
  private readonly awaited: AwaitedJoiner;
  private open: OpenBatch[] = [];
  private bytes = 0;
  /** End of the newest batch that was counted; of what was inherited, while there is none. */
  private counted: number;

  constructor(core: Core, followers: Followers, shares: Shares, awaited: AwaitedJoiner, inherited: number) {
    this.core = core;
    this.followers = followers;
    this.shares = shares;
    this.awaited = awaited;
    this.counted = inherited;
  }

  /** For the explorer: what tells two states of this apart, beyond its getters. */
  get facts() {
    return { open: this.open };
  }
  /** Bytes of records made here that are not committed. */
  get openBytes(): number {
    return this.bytes;
  }

  /**
   * The end of a turn's records, which are more than one batch where the log began a new arena among them. What may be
   * forgotten is chosen anew: the next records say it.
   */
  onBatch({ last }: LogBatch): void {
    const { own, applied, limits, nowMs } = this.core;
    const { requests } = applied;
    const before = this.counted;
    const bytes = own.log.bytesAbove(before);
    this.open.push({ first: before + 1, last, bytes, forget: requests.forgetThrough, results: requests.resultNumber });
    this.bytes += bytes;
    this.shares.closeTurn();
    this.counted = last;
    const maxAtOnce = 2 * (last - before) + 16;
    requests.chooseForgotten(limits.rememberReplies, limits.rememberMs, nowMs, maxAtOnce);
  }

  advance(): void {
    const { own, membership, rules, applied } = this.core;
    const limit = this.awaited.limit();
    if (!rules.mayCommit(this.core.fenced) || membership.wasLost || !membership.isEpochSaved) return;
    const point = Math.min(this.point(), limit);
    if (point <= own.committed) return;
    own.commitTo(point);
    let forget = 0;
    while (this.open.length > 0 && (this.open[0]?.last ?? 0) <= point) {
      const batch = this.open.shift();
      this.bytes -= batch?.bytes ?? 0;
      this.shares.onTurnCommitted();
      forget = batch?.forget ?? 0;
      own.countResults(batch?.results ?? 0);
    }
    const [begun] = this.open;
    if (begun !== undefined && begun.first <= point) forget = begun.forget;
    const { requests } = applied;
    requests.onCommitted(point, rules);
    if (forget > 0) requests.forget(forget, rules);
  }

  private point(): number {
    const { own, options, rules, membership, self } = this.core;
    const point = rules.commitPoint(membership.configurations(), {
      self,
      last: own.log.closed.sequence,
      synced: own.synced,
      confirmed: (incarnation) => this.followers.confirmed(incarnation),
    });
    if (options.confirm === "synced") return Math.min(point, own.synced);
    if (options.confirm === "written") return Math.min(point, own.written);
    return point;
  }

  /** What the disk must do before more can be committed. */
  askDisk(): void {
    const { own, options, membership, outbox } = this.core;
    const { last } = own.log;
    if (own.synced >= last) return;
    const mustSync =
      options.confirm === "synced" || membership.configurations().some(({ durability }) => durability === "disk");
    if (mustSync) own.sync(last, outbox);
    else if (options.confirm === "written" && own.written < last) own.write(last, outbox);
  }
}
