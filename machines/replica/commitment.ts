/**
 * The primary's commit point as it advances, and what is made and not committed (rules 3, 5, 15; invariant 2). What always
 * holds: it advances only on a server that is hot, not fenced, whose accepted epoch is on the disk and that has not lost a
 * compare-and-set; what records say to forget is forgotten when the first of them is committed, as on every other server.
 */
import type { LogBatch } from "../log/batch.ts";
import type { RequestTable } from "./requests.ts";
import type { ReplicaView } from "./view.ts";

/** A turn's records, not all of which are committed: a follower may confirm them piece by piece. */
interface OpenBatch {
  readonly first: number;
  readonly last: number;
  readonly bytes: number;
  /** What each of them says. */
  readonly forget: number;
  readonly results: number;
}

export interface CommitView extends ReplicaView {
  readonly applied: { readonly requests: RequestTable };
  /** End of what this server inherited when it went hot. */
  readonly inherited: number;
}

export class Commitment {
  /** Number of the newest committed result, on a hot server that has committed what it inherited. */
  results = 0;
  #open: OpenBatch[] = [];
  #openBytes = 0;
  /** End of the newest batch that was counted. */
  #counted = 0;

  /** Bytes of records made here that are not committed. */
  get openBytes(): number {
    return this.#openBytes;
  }

  clone(): Commitment {
    const copy = new Commitment();
    copy.results = this.results;
    copy.#open = [...this.#open];
    copy.#openBytes = this.#openBytes;
    copy.#counted = this.#counted;
    return copy;
  }
  /** What decides how this goes on and is not told otherwise, as values. */
  get facts() {
    return { open: this.#open };
  }

  /**
   * The end of a turn's records, which are more than one batch where the log began a new arena among them. What may be
   * forgotten is chosen anew: the next records say it.
   */
  onBatch({ last }: LogBatch, { own, inherited, applied, limits, nowMs }: CommitView): void {
    const { requests } = applied;
    const before = Math.max(this.#counted, inherited);
    const bytes = own.log.bytesAbove(before);
    this.#open.push({ first: before + 1, last, bytes, forget: requests.forgetThrough, results: requests.resultNumber });
    this.#openBytes += bytes;
    this.#counted = last;
    const maxAtOnce = 2 * (last - before) + 16;
    requests.chooseForgotten(limits.rememberReplies, limits.rememberMs, nowMs, maxAtOnce);
  }

  advance(view: CommitView): void {
    const { own, membership } = view;
    if (!view.hot || !view.rules.mayCommit(view.fenced) || membership.wasLost || !membership.isEpochSaved) return;
    const point = this.#point(view);
    if (point <= own.committed) return;
    own.committed = point;
    let forget = 0;
    while (this.#open.length > 0 && (this.#open[0]?.last ?? 0) <= point) {
      const batch = this.#open.shift();
      this.#openBytes -= batch?.bytes ?? 0;
      forget = batch?.forget ?? 0;
      this.results = batch?.results ?? 0;
    }
    const [begun] = this.#open;
    if (begun !== undefined && begun.first <= point) forget = begun.forget;
    const { requests } = view.applied;
    requests.onCommitted(point, view.rules);
    if (forget > 0) requests.forget(forget, view.rules);
  }

  #point(view: CommitView): number {
    const { own, options } = view;
    const point = view.rules.commitPoint(view.membership.configurations(), {
      self: view.self,
      last: own.log.closed.sequence,
      synced: own.synced,
      confirmed: (incarnation) => view.peers.confirmed(incarnation),
    });
    if (options.confirm === "synced") return Math.min(point, own.synced);
    if (options.confirm === "written") return Math.min(point, own.written);
    return point;
  }

  /** What the disk must do before more can be committed. */
  askDisk({ own, options, membership, out }: CommitView): void {
    const { last } = own.log;
    if (own.synced >= last) return;
    const mustSync =
      options.confirm === "synced" || membership.configurations().some(({ durability }) => durability === "disk");
    if (mustSync) own.sync(last, out);
    else if (options.confirm === "written" && own.written < last) own.write(last, out);
  }

  /** The role is gone. */
  clear(): void {
    this.#open = [];
    this.#openBytes = 0;
    this.#counted = 0;
  }
}
