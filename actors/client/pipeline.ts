/**
 * A client's requests in flight: sends them in order, sends them again when that can help, and ends each one once.
 *
 * What always holds:
 *   1. Entries are kept in the order of the calls, and every burst is sent in that order.
 *   2. A request names the nearest unanswered one before it in `after`, so no loss can change their order (rule 11).
 *   3. A request ends as refused only when every copy of it was refused (rule 5); else, given up, it ends as open.
 *   4. At most `maxInFlight` entries have a slot and `maxWaiting` wait for one.
 *   5. While the way is blocked (nobody answers, or a server says BUSY) only one probe at a time is sent, with growing
 *      intervals; everything else follows when the probe is answered or a server says `ready`.
 * One timer for all entries; the hot path makes an entry, its text and nothing else.
 */
import { headers, Reply, type StampRange } from "../../schemas/envelope.ts";
import { type ErrorCode, errorCodes } from "../../schemas/errors.ts";
import { pieceHeaders } from "../../schemas/pieces.ts";
import { utf8Bytes, utf8Text } from "../../schemas/utf8.ts";
import { type Bus, type BusMessage, type Clock, noRespondersStatus, type Timer } from "../world/ports.ts";
import { type End, Entry, type Refusal, type Sending } from "./entry.ts";
import type { RefusalCode } from "./errors.ts";

export interface PipelineLimits {
  readonly maxInFlight: number;
  readonly maxWaiting: number;
  /** Between probes, growing by half to twice at each; the first one has jitter too. */
  readonly backoffMs: { readonly first: number; readonly max: number };
  /** An answer that takes longer than this, and than four usual ones, is no longer waited for. */
  readonly answerMs: number;
}

/** Refused alike by every server, whichever copy it is (rule 5); a stamp is judged by clocks, which differ. */
const refusedByAll: ReadonlySet<RefusalCode> = new Set(["INVALID_REQUEST", "TOO_LARGE"]);
const isByAll = ({ code, stamps }: Refusal) => refusedByAll.has(code) && stamps === undefined;
/** How often the stamp of one request is corrected. */
const maxRestamps = 3;

const nobodyListens: Refusal = {
  code: "NOT_SENT",
  message: "no server of the service listens; is one running and hot?",
};
const notConnected: Refusal = { code: "NOT_SENT", message: "not connected to NATS" };

/** Between two looks at the timer's list. */
const leastWaitMs = 5;

export class Pipeline {
  readonly #bus: Bus;
  readonly #clock: Clock;
  readonly #limits: PipelineLimits;
  readonly #inbox: string;
  /** Whether copies after the first say so in the envelope. */
  readonly #marksResends: boolean;
  readonly #byNumber = new Map<number, Entry>();
  #first: Entry | undefined = undefined;
  #last: Entry | undefined = undefined;
  /** The first entry without a slot. */
  #waiting: Entry | undefined = undefined;
  #nextNumber = 1;
  #inFlight = 0;
  #resends = 0;

  #isClosed = false;
  #blocked = false;
  /** Blocked only because answers are late: any answer at all shows that the way is open. */
  #onlyLate = false;
  #backoffMs: number;
  #probeAtMs = 0;
  #blockedAtMs = 0;
  #roundAsked = false;
  #roundHelped = true;
  #usualAnswerMs = 0;
  #timer: Timer | undefined = undefined;
  #wakeAtMs = Number.POSITIVE_INFINITY;

  /** `inbox`: answers come to `<inbox><number>.<copy>`. */
  constructor(world: { bus: Bus; clock: Clock }, limits: PipelineLimits, inbox: string, marksResends: boolean) {
    this.#bus = world.bus;
    this.#clock = world.clock;
    this.#limits = limits;
    this.#inbox = inbox;
    this.#marksResends = marksResends;
    this.#backoffMs = limits.backoffMs.first;
  }

  get inFlight(): number {
    return this.#inFlight;
  }
  get unanswered(): number {
    return this.#byNumber.size;
  }
  get resends(): number {
    return this.#resends;
  }

  /** False: too many wait already; nothing was kept. */
  add(sending: Sending): Entry | undefined {
    if (this.#byNumber.size - this.#inFlight >= this.#limits.maxWaiting) return undefined;
    const entry = new Entry(this.#nextNumber, sending);
    this.#nextNumber += 1;
    this.#byNumber.set(entry.number, entry);
    entry.previous = this.#last;
    if (this.#last === undefined) this.#first = entry;
    else this.#last.next = entry;
    this.#last = entry;
    this.#waiting ??= entry;
    this.#fill();
    this.#wakeBy(sending.deadlineAtMs);
    return entry;
  }

  /** A message to the inbox. What is no answer to something in flight is dropped. */
  onMessage(message: BusMessage): void {
    const { subject } = message;
    const dot = subject.indexOf(".", this.#inbox.length);
    const entry = this.#byNumber.get(Number(subject.slice(this.#inbox.length, dot)));
    if (entry === undefined) return;
    const copy = Number(subject.slice(dot + 1));
    if (message.status === noRespondersStatus) {
      this.#onBlockedCopy(entry, copy, nobodyListens);
      return;
    }
    const given = message.headers;
    const piece = given?.[pieceHeaders.piece];
    const bytes = piece === undefined ? message.data : entry.takePiece(copy, piece, message.data);
    const reply = bytes === null ? undefined : readReply(bytes);
    if (bytes === null || reply === undefined || reply.id !== entry.sending.id) return;
    if (!reply.ok && reply.error.code === "REPLY_OMITTED") {
      // It was executed, and pieces follow; if they get lost, it is asked again in time.
      entry.refusal = reply.error;
      return;
    }
    if (reply.ok) {
      this.#remove(entry);
      this.#noteAnswered(entry, copy);
      const { id, result, sequence, epoch } = reply;
      const duplicate = given?.[headers.duplicate] !== undefined;
      entry.sending.onAnswer({ id, result, sequence, epoch, duplicate, bytes });
      this.#fill();
    } else if (errorCodes[reply.error.code].logged) {
      this.#remove(entry);
      this.#noteAnswered(entry, copy);
      entry.sending.onEnd({ type: "failed", reply, bytes });
      this.#fill();
    } else this.#onRefused(entry, copy, reply.error);
  }

  /** A server has gone hot, or the bus is connected again: whatever was sent may be lost. */
  onWayOpen(): void {
    this.#askRound();
  }

  /** Gives one entry up; `why` and `cause` are for its caller. */
  giveUp(entry: Entry, why: string, cause?: unknown): void {
    if (this.#byNumber.get(entry.number) !== entry) return;
    this.#remove(entry);
    entry.sending.onEnd(givenUp(entry, why, cause));
    // Later, so that one signal that aborts many does not send those that it is about to abort.
    this.#clock.soon(() => this.#fill());
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#blocked = true;
    this.#isClosed = true;
    while (this.#first !== undefined) {
      const entry = this.#first;
      this.#remove(entry);
      entry.sending.onEnd(givenUp(entry, "the client was closed"));
    }
  }

  #onRefused(entry: Entry, copy: number, error: Refusal & { readonly code: ErrorCode }): void {
    const refusal = { code: error.code, message: error.message, stamps: error.stamps };
    if (errorCodes[error.code].retry) {
      if (error.code === "OUT_OF_ORDER") this.#onOutOfOrder(entry, copy, refusal);
      else this.#onBlockedCopy(entry, copy, refusal);
      return;
    }
    entry.noteRefused(copy, refusal);
    if (error.stamps !== undefined && this.#restamp(entry, copy, error.stamps)) return;
    if (isByAll(refusal) || !entry.isOpen() || entry.sending.resend) this.#endRefused(entry);
    else {
      // No copy is sent any more, but an answer to an earlier one may be on its way.
      entry.isFinal = true;
      entry.due = false;
    }
    this.#noteAnswered(entry, copy);
  }

  /** The clock is wrong, and no copy was or will be executed: sent again with a stamp that the service takes. */
  #restamp(entry: Entry, copy: number, range: StampRange): boolean {
    if (copy !== entry.copies || entry.isOpen() || entry.isFinal || entry.restamps >= maxRestamps) return false;
    const issuedAt = entry.sending.restamp?.(range);
    if (issuedAt === undefined) return false;
    entry.issuedAt = issuedAt;
    entry.restamps += 1;
    entry.due = true;
    this.#noteAnswered(entry, copy);
    if (entry.due && !this.#blocked) this.#send(entry);
    return true;
  }

  #onOutOfOrder(entry: Entry, copy: number, refusal: Refusal): void {
    entry.noteRefused(copy, refusal);
    if (copy !== entry.copies) return;
    const { after } = entry.sending;
    if (after !== undefined && !this.#isUnanswered(after)) {
      this.#endRefused(entry);
      return;
    }
    entry.due = true;
    if (this.#blocked) return;
    if (this.#roundHelped) {
      this.#askRound();
      return;
    }
    this.#makeAllDue();
    this.#block();
  }

  /** The copy met nobody, or a server that takes nothing now. */
  #onBlockedCopy(entry: Entry, copy: number, refusal: Refusal): void {
    entry.noteRefused(copy, refusal);
    if (copy !== entry.copies) return;
    entry.due = true;
    this.#block();
  }

  /** A refusal was the last word; whether it is the whole truth depends on the other copies. */
  #endRefused(entry: Entry): void {
    const { refusal } = entry;
    this.#remove(entry);
    if (refusal !== undefined && (!entry.isOpen() || isByAll(refusal)))
      entry.sending.onEnd({ type: "refused", refusal });
    else entry.sending.onEnd({ type: "open", why: "it was refused, but not every copy of it", refusal });
    this.#fill();
  }

  #noteAnswered(entry: Entry, copy: number): void {
    this.#roundHelped = true;
    if (copy === 1) {
      const tookMs = this.#clock.nowMs() - entry.firstSentAtMs;
      if (this.#usualAnswerMs === 0) this.#usualAnswerMs = tookMs;
      else this.#usualAnswerMs += (tookMs - this.#usualAnswerMs) / 16;
    }
    if (!this.#blocked) return;
    const isToProbe = copy === entry.copies && entry.sentAtMs >= this.#blockedAtMs;
    if (isToProbe || this.#onlyLate) this.#open();
  }

  #isUnanswered(id: string): boolean {
    for (let entry = this.#first; entry !== undefined; entry = entry.next) if (entry.sending.id === id) return true;
    return false;
  }

  #makeAllDue(): void {
    for (let entry = this.#first; entry?.slot === true; entry = entry.next) entry.due = !entry.isFinal;
  }

  #block(onlyLate = false): void {
    this.#onlyLate &&= onlyLate;
    if (this.#blocked) return;
    this.#blocked = true;
    this.#onlyLate = onlyLate;
    this.#blockedAtMs = this.#clock.nowMs();
    this.#planProbe();
  }

  #planProbe(): void {
    this.#probeAtMs = this.#clock.nowMs() + this.#backoffMs * (0.5 + 0.5 * this.#clock.random());
    this.#backoffMs = Math.min(2 * this.#backoffMs, this.#limits.backoffMs.max);
    this.#wakeBy(this.#probeAtMs);
  }

  /** The way is open: all that is due goes out, in order, and then what waits for a slot. */
  #open(): void {
    this.#blocked = false;
    this.#backoffMs = this.#limits.backoffMs.first;
    this.#sendDue();
  }

  #sendDue(): void {
    for (let entry = this.#first; entry?.slot === true && !this.#blocked; entry = entry.next)
      if (entry.due) this.#send(entry);
    this.#fill();
  }

  /** Everything is sent again, in order; many reasons in one turn make one round. */
  #askRound(): void {
    if (this.#roundAsked) return;
    this.#roundAsked = true;
    this.#clock.soon(() => {
      this.#roundAsked = false;
      this.#roundHelped = this.#first?.slot !== true;
      this.#makeAllDue();
      this.#open();
    });
  }

  /** Gives slots to those who wait, while there are any. */
  #fill(): void {
    while (this.#waiting !== undefined && !this.#blocked && this.#inFlight < this.#limits.maxInFlight) {
      const entry = this.#waiting;
      this.#giveSlot(entry);
      this.#send(entry);
    }
  }

  #giveSlot(entry: Entry): void {
    entry.slot = true;
    this.#inFlight += 1;
    this.#waiting = entry.next;
  }

  #send(entry: Entry): void {
    const { sending } = entry;
    const after = sending.after ?? (sending.ordered ? this.#predecessor(entry) : undefined);
    const copy = entry.copies + 1;
    let text = sending.text;
    if (entry.issuedAt !== undefined) text += `,"issuedAt":${entry.issuedAt}`;
    if (after !== undefined) text += `,"after":${JSON.stringify(after)}`;
    if (this.#marksResends && (copy > 1 || sending.resend)) text += ',"resend":true';
    const inbox = `${this.#inbox}${entry.number}.${copy}`;
    entry.sentAtMs = this.#clock.nowMs();
    if (copy === 1) entry.firstSentAtMs = entry.sentAtMs;
    const data = utf8Bytes(`${text}}`);
    if (!this.#bus.publish(sending.subject, data, sending.headers, inbox)) {
      if (this.#bus.connected() && data.length > this.#bus.room(sending.subject, sending.headers, inbox)) {
        this.#endTooLarge(entry);
        return;
      }
      entry.refusal ??= notConnected;
      entry.due = true;
      this.#block();
      return;
    }
    if (copy > 1) this.#resends += 1;
    entry.copies = copy;
    entry.due = false;
    this.#wakeBy(entry.sentAtMs + this.#patienceMs());
  }

  /** The broker takes less than when the call was made: no further copy can be sent. */
  #endTooLarge(entry: Entry): void {
    const refusal = { code: "TOO_LARGE", message: "the broker takes no message of that size now" } as const;
    const isOpen = entry.isOpen();
    this.#remove(entry);
    entry.sending.onEnd(isOpen ? { type: "open", why: refusal.message, refusal } : { type: "refused", refusal });
  }

  #predecessor(entry: Entry): string | undefined {
    let before = entry.previous;
    while (before !== undefined && !mayPrecede(before, entry)) before = before.previous;
    return before?.sending.id;
  }

  #patienceMs(): number {
    return Math.max(this.#limits.answerMs, 4 * this.#usualAnswerMs);
  }

  #remove(entry: Entry): void {
    this.#byNumber.delete(entry.number);
    if (entry.slot) this.#inFlight -= 1;
    if (this.#waiting === entry) this.#waiting = entry.next;
    if (entry.previous === undefined) this.#first = entry.next;
    else entry.previous.next = entry.next;
    if (entry.next === undefined) this.#last = entry.previous;
    else entry.next.previous = entry.previous;
    entry.onRemoved?.();
    // With nothing to probe with, the next request is the probe.
    if (this.#first === undefined) this.#blocked = this.#isClosed;
  }

  #wakeBy(atMs: number): void {
    if (atMs >= this.#wakeAtMs) return;
    this.#wakeAtMs = atMs;
    this.#timer?.cancel();
    this.#timer = this.#clock.after(Math.max(leastWaitMs, atMs - this.#clock.nowMs()), () => this.#onWake());
  }

  /** Deadlines, answers that do not come, and the next probe. */
  #onWake(): void {
    const nowMs = this.#clock.nowMs();
    this.#timer = undefined;
    this.#wakeAtMs = Number.POSITIVE_INFINITY;
    const patienceMs = this.#patienceMs();
    let wakeAtMs = Number.POSITIVE_INFINITY;
    let isLate = false;
    let entry = this.#first;
    while (entry !== undefined) {
      const next: Entry | undefined = entry.next;
      if (entry.sending.deadlineAtMs <= nowMs) {
        this.#remove(entry);
        entry.sending.onEnd(givenUp(entry, "the deadline has passed"));
      } else {
        wakeAtMs = Math.min(wakeAtMs, entry.sending.deadlineAtMs);
        if (!entry.due && entry.sentAtMs + patienceMs <= nowMs) {
          if (entry.isFinal) this.#endRefused(entry);
          entry.due = true;
          isLate ||= !entry.isFinal;
        }
        if (!entry.due) wakeAtMs = Math.min(wakeAtMs, entry.sentAtMs + patienceMs);
      }
      entry = next;
    }
    this.#wakeBy(wakeAtMs);
    if (isLate && !this.#blocked && !this.#roundAsked) {
      this.#block(true);
      this.#probeAtMs = nowMs;
    }
    if (this.#blocked && this.#probeAtMs <= nowMs) this.#probe();
    else if (this.#blocked) this.#wakeBy(this.#probeAtMs);
    else this.#fill();
  }

  /** One request to find out whether the way is open. */
  #probe(): void {
    let entry = this.#first;
    while (entry !== undefined && !entry.due) entry = entry.next;
    if (entry === undefined) {
      this.#open();
      return;
    }
    if (!entry.slot) {
      if (this.#inFlight >= this.#limits.maxInFlight) {
        this.#planProbe();
        return;
      }
      this.#giveSlot(entry);
    }
    this.#planProbe();
    this.#send(entry);
  }
}

function mayPrecede(before: Entry, entry: Entry): boolean {
  return before.sending.ordered && !before.isFinal && before.sending.id !== entry.sending.id;
}

function readReply(data: Uint8Array): Reply | undefined {
  try {
    return Reply.safeParse(JSON.parse(utf8Text(data))).data;
  } catch {
    return undefined;
  }
}

function givenUp(entry: Entry, why: string, cause?: unknown): End {
  const { refusal } = entry;
  if (entry.isOpen()) return { type: "open", why, refusal, cause };
  return { type: "refused", refusal: refusal ?? { code: "NOT_SENT", message: why }, cause };
}
