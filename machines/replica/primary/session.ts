/**
 * One session of a follower, as the primary counts it (rules 4, 5, 10, 15): from the accept to the end of the follower, of the
 * primary or of the role. What always holds: it changes by what is named here and in no other way; what is confirmed only
 * rises, and what is sent is never below it; what is sent and not confirmed is counted.
 */
import type { LinkName } from "../../../schemas/link.ts";
import type { Confirm } from "../../../schemas/peer-message.ts";
import type { Rules } from "../rules.ts";

/**
 * Mirrors on their way to one follower, which are bounded in bytes too: enough for the turns of a burst within the round trip of a
 * network of one's own. Past it records gather into the next one: where the follower is slow, or far, batches grow by themselves, and
 * a record waits at most a part of the round trip that its confirm takes anyway.
 */
const maxMirrorsInFlight = 16;
/** Past this many a mirror leaves only if it has so many bytes: a small one costs both sides as much as a large one. */
const freeMirrors = 2;
const worthBytes = 8 * 1024;

/** A message on its way: its last record, its bytes, and when it was sent. */
interface InFlight {
  readonly last: number;
  readonly bytes: number;
  readonly sentMs: number;
}

/** A record that does not fit the link that there is. */
export interface TooLarge {
  readonly sequence: number;
  readonly bytes: number;
}

export class Session {
  readonly id: string;
  readonly incarnation: string;
  /** Where both logs agreed when it began. */
  readonly start: number;
  private confirmedTo = 0;
  private epoch = 0;
  private sentTo: number;
  private flight: InFlight[] = [];
  private flightBytes = 0;
  private echo = 0;
  private probe = 0;
  /** When confirmed last moved, or was level with sent. */
  private progressMs: number;
  /** When unconfirmed records were sent again last: that is no progress. */
  private resentMs = Number.NEGATIVE_INFINITY;
  private isQuiet = true;
  private link: LinkName | null = null;
  private isRead = false;
  private oversize: TooLarge | null = null;
  private roundTrip = Number.POSITIVE_INFINITY;

  constructor(id: string, incarnation: string, start: number, nowMs: number) {
    this.id = id;
    this.incarnation = incarnation;
    this.start = start;
    this.sentTo = start;
    this.progressMs = nowMs;
  }

  /** For the explorer: what tells two states of this apart, beyond its getters; when messages were sent decides nothing there. */
  get facts() {
    const { id, incarnation, start, confirmedTo, epoch, sentTo, flightBytes, echo, probe, link } = this;
    const flight = this.flight.map(({ last, bytes }) => ({ last, bytes }));
    const { progressMs, resentMs, isRead, oversize } = this;
    const counted = { id, incarnation, start, confirmedTo, epoch, sentTo, flight, flightBytes, echo, probe, link };
    return { ...counted, isRead, oversize, progressMs, resentMs };
  }

  /** Cumulative, both sequences. */
  get confirmed(): number {
    return this.confirmedTo;
  }
  get sent(): number {
    return this.sentTo;
  }
  /** The epoch of its newest confirm: only one of the present epoch makes it a member. */
  get confirmedEpoch(): number {
    return this.epoch;
  }
  /** The highest probe that came back, and the highest that was sent. */
  get echoed(): number {
    return this.echo;
  }
  get probed(): number {
    return this.probe;
  }
  /** Records for it are being read from disk. */
  get isReading(): boolean {
    return this.isRead;
  }
  /** Nothing was sent since the last tick. */
  get quiet(): boolean {
    return this.isQuiet;
  }
  /** The next record does not fit its link: it gets nothing until it has another link, or that one takes more. */
  get tooLarge(): TooLarge | null {
    return this.oversize;
  }
  get isOwed(): boolean {
    return this.sentTo > this.confirmedTo || this.oversize !== null;
  }
  /** From sending the newest message that was confirmed to its confirm. */
  get roundTripMs(): number {
    return this.roundTrip;
  }
  stalledMs(nowMs: number): number {
    return nowMs - this.progressMs;
  }
  /** Records were sent, and neither a confirm nor another sending came for so long. */
  isLate(nowMs: number, limitMs: number): boolean {
    return this.sentTo > this.confirmedTo && nowMs - Math.max(this.progressMs, this.resentMs) > limitMs;
  }
  /** Whether a mirror of so many bytes, or of the first of them, may leave. */
  hasWindow(maxBytes: number, nextBytes: number): boolean {
    const { length } = this.flight;
    if (this.flightBytes >= maxBytes || this.oversize !== null) return false;
    return length < freeMirrors || (length < maxMirrorsInFlight && nextBytes >= worthBytes);
  }

  onConfirm({ epoch, sequence, probe }: Confirm, nowMs: number): void {
    this.epoch = epoch;
    this.echo = Math.max(this.echo, probe);
    if (sequence > this.confirmedTo) {
      this.confirmedTo = sequence;
      this.progressMs = nowMs;
    }
    // What was sent again may have been confirmed before: it is not on its way, and not sent a third time.
    this.sentTo = Math.max(this.sentTo, this.confirmedTo);
    for (let [oldest] = this.flight; oldest !== undefined && oldest.last <= this.confirmedTo; [oldest] = this.flight) {
      this.flight.shift();
      this.flightBytes -= oldest.bytes;
      this.roundTrip = nowMs - oldest.sentMs;
    }
  }

  /** From the last confirmed record: after a gap, a change of links, or when no confirm comes. */
  sendAgain(nowMs: number, rules: Rules): void {
    if (this.sentTo > this.confirmedTo) this.resentMs = nowMs;
    this.sentTo = rules.resendsFrom(this.confirmedTo, this.start, this.sentTo);
    this.flight = [];
    this.flightBytes = 0;
  }

  /** Everything goes by this link from now on; what was on its way by another one goes again. */
  use(link: LinkName, nowMs: number, rules: Rules): void {
    if (this.link === link) return;
    if (this.link !== null) this.sendAgain(nowMs, rules);
    this.link = link;
  }

  /** Its link takes so much: the record that did not fit may now, or is not the next any more. */
  onRoom(room: number): void {
    const { oversize } = this;
    if (oversize !== null && (oversize.bytes <= room || oversize.sequence !== this.sentTo + 1)) this.oversize = null;
  }
  onTooLarge(record: TooLarge): void {
    this.oversize = record;
  }

  /** Caught up: the stall timer starts anew, unless something is about to be sent again, or does not fit. */
  noteLevel(nowMs: number): void {
    const isLevel = this.sentTo <= this.confirmedTo && this.resentMs <= this.progressMs;
    if (isLevel && this.oversize === null) this.progressMs = nowMs;
  }

  /** A message left with this probe; with records through `last`, 0: with none. */
  onSent(probe: number, last: number, bytes: number, nowMs: number): void {
    this.probe = probe;
    this.isQuiet = false;
    if (last === 0) return;
    this.sentTo = last;
    this.flight.push({ last, bytes, sentMs: nowMs });
    this.flightBytes += bytes;
  }

  onReading(): void {
    this.isRead = true;
  }
  onRead(): void {
    this.isRead = false;
  }
  onTick(): void {
    this.isQuiet = true;
  }
  /** This server was paused: what it did not hear says nothing (rule 9). */
  onPaused(nowMs: number): void {
    this.progressMs = nowMs;
  }
}
