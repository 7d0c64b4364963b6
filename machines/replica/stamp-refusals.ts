/**
 * Refusals of a request for its stamp (rule 12): in words that say whose clock it is and by how much, with the stamps that
 * would be taken, so that a client can correct itself; and how many there were lately, for operators. What always holds:
 * what is said here is true of this server's floors and clocks now; it leaves with a proof, as any such refusal.
 */
import type { StampRange } from "../../schemas/envelope.ts";

/** Refusals are counted over the last one or two of these. */
const periodMs = 60_000;
/** So many in that time are no accident. */
const manyRefusals = 3;

/** A stamp as it was judged: `range.after` is the client's floor, `range.now` the service's time. */
export interface JudgedStamp {
  readonly issuedAtMs: number;
  readonly range: StampRange;
  /** How far clocks usually differ. */
  readonly skewMs: number;
}

export function whyExpired({ issuedAtMs, range, skewMs }: JudgedStamp): string {
  const why =
    "issued before the oldest request that is remembered of this client: whether it was executed is not known";
  const behindMs = range.now - issuedAtMs;
  const aheadMs = range.after - range.now;
  if (aheadMs > skewMs)
    return `${why}; requests that it stamped ${duration(aheadMs)} ahead of the service's clock are forgotten already: its clock was fast then`;
  if (behindMs > skewMs)
    return `${why}; if this is a new one, the client's clock is slow: ${duration(behindMs)} behind the service's`;
  return why;
}

export function whyFromFuture({ issuedAtMs, range }: JudgedStamp): string {
  const aheadMs = issuedAtMs - range.now;
  return `issuedAt lies too far in the future, ${duration(aheadMs)} ahead of the service's clock: check the client's clock, and the primary's`;
}

export function whyTooManyAhead({ issuedAtMs, range }: JudgedStamp): string {
  const aheadMs = issuedAtMs - range.now;
  return `issuedAt lies in the future, ${duration(aheadMs)} ahead of the service's clock, and so do too many clients': check the client's clock`;
}

/** `9 min`, `23 h`: as exact as a person needs it. */
export function duration(ms: number): string {
  const units: [name: string, ms: number][] = [
    ["d", 86_400_000],
    ["h", 3_600_000],
    ["min", 60_000],
    ["s", 1_000],
  ];
  for (const [name, unitMs] of units) if (ms >= 2 * unitMs) return `${Math.round(ms / unitMs)} ${name}`;
  return `${Math.round(ms)} ms`;
}

export class StampRefusals {
  private periodMs = Number.NEGATIVE_INFINITY;
  private times = 0;
  private timesBefore = 0;
  private last = { client: "", aheadMs: 0 };

  note(client: string, aheadMs: number, nowMs: number): void {
    this.turn(nowMs);
    this.times += 1;
    this.last = { client, aheadMs };
  }

  /** For operators; null: there were none to speak of. */
  trouble(nowMs: number): string | null {
    this.turn(nowMs);
    const times = this.times + this.timesBefore;
    if (times < manyRefusals) return null;
    const { client, aheadMs } = this.last;
    const side = aheadMs < 0 ? "behind" : "ahead of";
    return `${times} requests of the last minutes were refused for their stamps, the newest of client ${JSON.stringify(client)}: ${duration(Math.abs(aheadMs))} ${side} the service's clock; set the clocks`;
  }

  private turn(nowMs: number): void {
    if (nowMs - this.periodMs < periodMs) return;
    this.timesBefore = nowMs - this.periodMs < 2 * periodMs ? this.times : 0;
    this.times = 0;
    this.periodMs = nowMs;
  }
}
