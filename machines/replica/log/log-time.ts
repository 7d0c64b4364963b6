/**
 * The log's time: when a request was taken, by its primary's clock, as records carry it and handlers know it as `nowMs` (rule 20).
 *
 * What always holds: it never falls, from one primary to the next either, for it goes on from what the log says; in one life of a
 * primary it rises by no more than its monotonic clock and `maxClockStepMs` together, unless another server's clock says as much,
 * or an operator. Where the wall clock is further ahead than that, time goes on by the monotonic clock; where it is behind,
 * at half speed, until the wall clock has caught up: it stands still for no clock that is wrong.
 *
 * A server that follows takes the log's word, and measures by its own monotonic clock what has passed since. How long all were
 * down no clock but the wall clocks can say.
 */
import type { ServiceClock } from "../peers/clocks.ts";
import type { Rules } from "../rules.ts";

interface TimeLimits {
  readonly maxClockStepMs: number;
  readonly skewMs: number;
}

/** Behind the log's time a wall clock catches up at this rate. */
const slowRate = 0.5;

export class LogTime {
  private readonly rules: Rules;
  private readonly limits: TimeLimits;
  private readonly clocks: ServiceClock;
  /** ms since 1970, with a fraction; 0: nothing was taken yet, and the wall clock is believed. */
  private ms = 0;
  /** The latest in the log, as far as this server knows it. */
  private loggedMs = 0;
  /** Monotonic: when `ms` was looked at last. */
  private atMs: number;
  /** From where steps are counted. */
  private base: { readonly ms: number; readonly atMs: number };
  /** The wall clock less the log's time, when it was looked at last. */
  private apart = 0;
  private isHeld = false;

  constructor(rules: Rules, limits: TimeLimits, clocks: ServiceClock, nowMs: number) {
    this.rules = rules;
    this.limits = limits;
    this.clocks = clocks;
    this.atMs = nowMs;
    this.base = { ms: 0, atMs: nowMs };
  }

  /** The latest time in the log, as records say. */
  onLog(takenMs: number, nowMs: number): void {
    if (takenMs <= this.loggedMs) return;
    this.loggedMs = takenMs;
    this.goOnFrom(this.rules.timeFrom(takenMs), nowMs);
  }

  /** A whole number of ms since 1970. `nowMs`: monotonic. */
  now(nowMs: number, wallMs: number): number {
    if (this.ms === 0) this.goOnFrom(wallMs, nowMs);
    const elapsedMs = Math.max(0, nowMs - this.atMs);
    this.atMs = nowMs;
    const goneOnMs = this.ms + elapsedMs;
    const isAhead = wallMs > goneOnMs;
    this.isHeld = isAhead && !this.mayFollow(wallMs, nowMs);
    if (this.isHeld) this.ms = goneOnMs;
    else this.ms = isAhead ? wallMs : Math.max(wallMs, this.ms + elapsedMs * slowRate);
    this.apart = wallMs - this.ms;
    const takenMs = Math.floor(this.ms);
    // Its own requests' records are the log's, too.
    if (takenMs > this.loggedMs) this.loggedMs = takenMs;
    return takenMs;
  }

  private mayFollow(wallMs: number, nowMs: number): boolean {
    const stepMs = wallMs - this.base.ms - (nowMs - this.base.atMs);
    if (this.rules.isStepTaken(stepMs, this.limits.maxClockStepMs)) return true;
    if (!this.clocks.isAnyAt(wallMs - this.limits.skewMs, nowMs)) return false;
    this.base = { ms: wallMs, atMs: nowMs };
    return true;
  }

  private goOnFrom(ms: number, nowMs: number): void {
    this.ms = ms;
    this.atMs = nowMs;
    this.base = { ms, atMs: nowMs };
  }

  /** An operator takes the wall clock for right. */
  accept(nowMs: number, wallMs: number): void {
    this.base = { ms: this.rules.acceptedTime(wallMs, this.ms), atMs: nowMs };
    this.now(nowMs, wallMs);
  }

  /** As it was looked at last: how far the wall clock is ahead of it (behind it: below 0), and whether that is more than is taken without an operator. */
  get standing(): { readonly nowMs: number; readonly apartMs: number; readonly isHeld: boolean } {
    return { nowMs: Math.floor(this.ms), apartMs: Math.round(this.apart), isHeld: this.isHeld };
  }
}
