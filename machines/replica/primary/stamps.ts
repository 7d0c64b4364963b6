/**
 * Whether a request is taken by its stamp (rule 12): not one that may have been forgotten, nor one that lies far in the
 * future, nor of too many clients that are ahead of the service's clock at once. What always holds: a client is judged by
 * its own floor and the common one; a refusal names the stamps that would be taken, by the service's time; who is refused for
 * another reason does not count among those that are ahead.
 */
import type { StampRange } from "../../../schemas/envelope.ts";
import type { ErrorCode } from "../../../schemas/errors.ts";
import type { Core } from "../core.ts";
import { whyExpired, whyFromFuture, whyTooManyAhead } from "../stamp-refusals.ts";
import { AheadClients } from "./ahead.ts";

interface Stamped {
  readonly client: string;
  readonly issuedAtMs: number | undefined;
  readonly resend: boolean;
}

export interface StampRefusal {
  readonly code: ErrorCode;
  readonly message: string;
  readonly range: StampRange;
}

export class Stamps {
  private readonly core: Core;
  private readonly ahead = new AheadClients();

  constructor(core: Core) {
    this.core = core;
  }

  get facts() {
    return this.ahead.facts;
  }

  /**
   * Before the request's place among others is looked at (rule 11): what names one that was refused for its stamp is refused for
   * its own, so that a client with a wrong clock hears it of all that it sent at once. Null: it may be taken.
   */
  judge(stamped: Stamped, wallMs: number): StampRefusal | null {
    const { client, issuedAtMs, resend } = stamped;
    if (issuedAtMs === undefined) return null;
    const { rules, limits, applied, clocks, nowMs } = this.core;
    // The others' clocks are looked at only where this server's own does not say that it is well.
    const untilMs = wallMs + limits.maxFutureMs;
    if (
      rules.isFromFuture(issuedAtMs, untilMs) &&
      rules.isFromFuture(issuedAtMs, this.latest(wallMs) + limits.maxFutureMs)
    ) {
      const now = this.latest(wallMs);
      const range = {
        now,
        after: applied.requests.done.floors.floorFor(client, rules),
        until: now + limits.maxFutureMs,
      };
      // By the clocks that this server knows: another one may judge otherwise, so it needs a proof as any such refusal does.
      return this.refuse(stamped, "INVALID_REQUEST", whyFromFuture, range);
    }
    const floorMs = applied.requests.done.floors.floorFor(client, rules);
    if (rules.isExpired(issuedAtMs, floorMs)) {
      const now = clocks.earliestMs(nowMs, wallMs);
      const range = { now, after: floorMs, until: this.latest(wallMs) + limits.maxFutureMs };
      return this.refuse(stamped, "EXPIRED", whyExpired, range, !resend);
    }
    if (!this.isAhead(issuedAtMs, wallMs)) return null;
    const now = this.latest(wallMs);
    const until = now + limits.skewMs;
    if (this.ahead.admits(client, until, rules.maxAhead(limits.rememberClients), applied.requests)) return null;
    return this.refuse(stamped, "INVALID_REQUEST", whyTooManyAhead, { now, after: floorMs, until });
  }

  /** The request is taken: whoever is ahead by more than clocks usually differ is counted. */
  onTaken({ client, issuedAtMs }: Stamped, wallMs: number): void {
    if (issuedAtMs !== undefined && this.isAhead(issuedAtMs, wallMs)) this.ahead.count(client, issuedAtMs);
  }

  private refuse(
    { client, issuedAtMs = 0 }: Stamped,
    code: ErrorCode,
    words: typeof whyExpired,
    range: StampRange,
    isTold = true,
  ): StampRefusal {
    const { limits, nowMs } = this.core;
    const judged = { issuedAtMs, range, skewMs: limits.skewMs };
    // A late copy of an old request is nobody's clock.
    if (isTold) this.core.stampRefusals.note(client, issuedAtMs - range.now, nowMs);
    return { code, message: words(judged), range };
  }

  /** The others' clocks are looked at only where this server's own does not say that it is well. */
  private isAhead(issuedAtMs: number, wallMs: number): boolean {
    const { skewMs } = this.core.limits;
    return issuedAtMs > wallMs + skewMs && issuedAtMs > this.latest(wallMs) + skewMs;
  }

  private latest(wallMs: number): number {
    const { clocks, nowMs, rules } = this.core;
    return rules.futureAfter(clocks.latestMs(nowMs, wallMs), wallMs);
  }
}
