/**
 * A joiner that lacks nothing but its last confirm (rule 8). While a primary is written without a pause, what a joiner has confirmed is
 * never level with what is committed: it is as old as the way there and back. So commits wait for it: what is acknowledged is then what
 * it has confirmed, and it is taken in, after which each commit waits for it anyway.
 *
 * What always holds: for a joiner nothing is committed sooner, only later; commits wait for no longer than `joinWaitMs`, and after that not
 * again for ten times as long; a wait ends with the session, and when the joiner may not be taken in any more.
 */
import type { Core } from "../core.ts";
import { mayJoin } from "./may-join.ts";
import type { Progress } from "./progress.ts";
import type { Session } from "./session.ts";

/** From the end of a wait to the next one, in times of `joinWaitMs`. */
const rest = 10;

interface Awaited {
  readonly progress: Progress;
  readonly session: Session;
  readonly sinceMs: number;
}

export class AwaitedJoiner {
  private readonly core: Core;
  private awaited: Awaited | null = null;
  private endedMs = Number.NEGATIVE_INFINITY;

  constructor(core: Core) {
    this.core = core;
  }

  /** For how long commits have waited; 0: they do not. */
  get waitedMs(): number {
    return this.awaited === null ? 0 : this.core.nowMs - this.awaited.sinceMs;
  }

  /** It has confirmed something, and does not hold everything: is it worth a wait? */
  consider(progress: Progress): void {
    const { limits, nowMs, outbox } = this.core;
    const { joinWaitMs } = limits;
    const { session } = progress;
    if (joinWaitMs === 0 || this.awaited !== null || session === null || !mayJoin(progress, this.core)) return;
    if (nowMs - this.endedMs < rest * joinWaitMs || !progress.isNear(joinWaitMs / 2)) return;
    this.awaited = { progress, session, sinceMs: nowMs };
    outbox.push({ type: "wake", afterMs: joinWaitMs });
  }

  /** No more than this is committed now. */
  limit(): number {
    const { awaited, core } = this;
    if (awaited === null) return Number.POSITIVE_INFINITY;
    const { progress, session } = awaited;
    const isAwaited = progress.session === session && core.rules.mayAwait(this.waitedMs, core.limits.joinWaitMs);
    if (isAwaited && mayJoin(progress, core)) return session.confirmed;
    this.awaited = null;
    this.endedMs = core.nowMs;
    return Number.POSITIVE_INFINITY;
  }
}
