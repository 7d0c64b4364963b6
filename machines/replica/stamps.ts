/**
 * Whether a request is taken by its stamp (rule 12): not one that may have been forgotten, nor one that lies far in the
 * future, nor of too many clients that are ahead of the service's clock at once. What always holds: a client is judged by
 * its own floor and the common one; a refusal names the stamps that would be taken, by the service's time; who is refused for
 * another reason does not count among those that are ahead.
 */
import type { StampRange } from "../../schemas/envelope.ts";
import type { ErrorCode } from "../../schemas/errors.ts";
import type { Limits } from "../../schemas/settings.ts";
import { AheadClients } from "./ahead.ts";
import type { ServiceClock } from "./clocks.ts";
import type { RequestTable } from "./requests.ts";
import type { Rules } from "./rules.ts";
import { StampRefusals, whyExpired, whyFromFuture, whyTooManyAhead } from "./stamp-refusals.ts";

export interface StampView {
  readonly applied: { readonly requests: RequestTable };
  readonly rules: Rules;
  readonly limits: Limits;
  readonly clocks: ServiceClock;
  readonly nowMs: number;
}

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
  #ahead = new AheadClients();
  #refusals = new StampRefusals();

  clone(): Stamps {
    const copy = new Stamps();
    copy.#ahead = this.#ahead.clone();
    copy.#refusals = this.#refusals.clone();
    return copy;
  }
  get facts() {
    return this.#ahead.facts;
  }

  /**
   * Before the request's place among others is looked at (rule 11): what names one that was refused for its stamp is refused for
   * its own, so that a client with a wrong clock hears it of all that it sent at once. Null: it may be taken.
   */
  judge(stamped: Stamped, wallMs: number, view: StampView): StampRefusal | null {
    const { client, issuedAtMs, resend } = stamped;
    if (issuedAtMs === undefined) return null;
    const { rules, limits, applied, clocks, nowMs } = view;
    // The others' clocks are looked at only where this server's own does not say that it is well.
    const untilMs = wallMs + limits.maxFutureMs;
    if (
      rules.isFromFuture(issuedAtMs, untilMs) &&
      rules.isFromFuture(issuedAtMs, latest(wallMs, view) + limits.maxFutureMs)
    ) {
      const now = latest(wallMs, view);
      const range = {
        now,
        after: applied.requests.done.floors.floorFor(client, rules),
        until: now + limits.maxFutureMs,
      };
      // By the clocks that this server knows: another one may judge otherwise, so it needs a proof as any such refusal does.
      return this.#refuse(stamped, "INVALID_REQUEST", whyFromFuture, range, view);
    }
    const floorMs = applied.requests.done.floors.floorFor(client, rules);
    if (rules.isExpired(issuedAtMs, floorMs)) {
      const now = clocks.earliestMs(nowMs, wallMs);
      const range = { now, after: floorMs, until: latest(wallMs, view) + limits.maxFutureMs };
      return this.#refuse(stamped, "EXPIRED", whyExpired, range, view, !resend);
    }
    if (!isAhead(issuedAtMs, wallMs, view)) return null;
    const now = latest(wallMs, view);
    const until = now + limits.skewMs;
    if (this.#ahead.admits(client, until, rules.maxAhead(limits.rememberClients), applied.requests)) return null;
    return this.#refuse(stamped, "INVALID_REQUEST", whyTooManyAhead, { now, after: floorMs, until }, view);
  }

  /** The request is taken: whoever is ahead by more than clocks usually differ is counted. */
  onTaken({ client, issuedAtMs }: Stamped, wallMs: number, view: StampView): void {
    if (issuedAtMs !== undefined && isAhead(issuedAtMs, wallMs, view)) this.#ahead.count(client, issuedAtMs);
  }

  /** For operators; null: clients' stamps are taken. */
  trouble(nowMs: number): string | null {
    return this.#refusals.trouble(nowMs);
  }

  /** The role is gone. */
  clear(): void {
    this.#ahead.clear();
  }

  #refuse(
    { client, issuedAtMs = 0 }: Stamped,
    code: ErrorCode,
    words: typeof whyExpired,
    range: StampRange,
    { limits, nowMs }: StampView,
    isTold = true,
  ): StampRefusal {
    const judged = { issuedAtMs, range, skewMs: limits.skewMs };
    // A late copy of an old request is nobody's clock.
    if (isTold) this.#refusals.note(client, issuedAtMs - range.now, nowMs);
    return { code, message: words(judged), range };
  }
}

/** The others' clocks are looked at only where this server's own does not say that it is well. */
function isAhead(issuedAtMs: number, wallMs: number, view: StampView): boolean {
  const { skewMs } = view.limits;
  return issuedAtMs > wallMs + skewMs && issuedAtMs > latest(wallMs, view) + skewMs;
}

function latest(wallMs: number, { clocks, nowMs, rules }: StampView): number {
  return rules.futureAfter(clocks.latestMs(nowMs, wallMs), wallMs);
}
