/**
 * The results reader: every result of a service, in order, none missing and none twice, across failovers (rule 13).
 *
 * What always holds: result numbers come out dense within a history; a number that was missed is asked for again through
 * `replay` before anything behind it comes out; a new history is announced before its first result, and only a server's
 * answer to `replay` makes one the current (a stray message of a deposed server does not). What can no longer be had is an
 * error, never a silent gap. A consumer that is slower than the service is waited for: memory is bounded.
 */
import { headers, ReadySignal, type ReplayRequest, Reply } from "../../schemas/envelope.ts";
import { pieceHeaders } from "../../schemas/pieces.ts";
import { ReplayEnd, replayHeaders } from "../../schemas/replay.ts";
import { parseClientSubject, subjects } from "../../schemas/subjects.ts";
import { readTraceparent, traceparentHeader } from "../../schemas/traceparent.ts";
import { utf8Bytes, utf8Text } from "../../schemas/utf8.ts";
import { type Bus, type BusMessage, type Clock, noRespondersStatus, type Timer } from "../world/ports.ts";
import { EventQueue } from "./event-queue.ts";
import { PieceCollector } from "./pieces.ts";
import { ReadyPace } from "./ready-pace.ts";
import {
  ForgottenError,
  type HistoryEvent,
  NobodyAnswersError,
  type Position,
  positionBefore,
  type ResultEvent,
} from "./result-events.ts";

export interface ResultsOptions {
  readonly service: string;
  readonly clock: Clock;
  readonly bus: Bus;
  /** First result number wanted; default 1. "next": the one after those that are committed now, of the current history. */
  readonly from?: number | "next";
  /** The history that `from` counts in; default: the current one. If it is over, the next one is announced and read from 1. */
  readonly history?: string;
  /** false: ends with the last result that was committed when it got there. */
  readonly follow?: boolean;
  /** Only results of this partition key or client come out; density is still checked over all of them. */
  readonly filter?: { readonly key?: string; readonly client?: string };
  readonly limits?: Partial<ResultsLimits>;
}

export interface ResultsLimits {
  /** Results that wait for the consumer. */
  readonly maxBuffered: number;
  /** Results that came before their turn. */
  readonly maxAhead: number;
  readonly pageResults: number;
  /** How long a missing number may still be on its way. */
  readonly gapMs: number;
  /** How long an answer to `replay` may say nothing, the first time; longer each time that it did not suffice. */
  readonly answerMs: number;
  /** How long nobody may answer a reader that is to end. A takeover takes less. */
  readonly unansweredMs: number;
  /** How often the service is asked whether there is more than what came by itself. */
  readonly pollMs: number;
}

const defaults: ResultsLimits = {
  maxBuffered: 65_536,
  maxAhead: 65_536,
  pageResults: 5_000,
  gapMs: 20,
  answerMs: 500,
  unansweredMs: 15_000,
  pollMs: 1_000,
};

/** Asks for no result, and is told which one would be the next. */
const beyondAll = Number.MAX_SAFE_INTEGER;

/** A long log takes its time to be read; asking again and again only makes it slower. */
const maxDoublings = 5;

export interface ResultsReader extends AsyncIterable<ResultEvent | HistoryEvent> {
  /** Nothing comes any more: closed, failed, or read to its end. */
  readonly isClosed: boolean;
  /** For how long no server that serves has answered; a moment, where all is well. */
  readonly unansweredMs: number;
  /**
   * Where to go on another time: everything before it has been dealt with, which is an event when the loop asks for the next one. With a
   * filter it moves on also while nothing comes out. undefined: the history is not known yet.
   */
  readonly position: Position | undefined;
  /** To be told what `Bus.start` tells: what was asked over a connection that is gone is asked again over the new one. */
  onBusState(connected: boolean): void;
  close(): void;
}

/** One consumer. To go on another time: a `Position`. The iterator throws ForgottenError when results can no longer be had. */
export function readResults(options: ResultsOptions): ResultsReader {
  const reader = new Reader(options);
  return {
    get isClosed() {
      return reader.isClosed;
    },
    get unansweredMs() {
      return reader.unansweredMs;
    },
    get position() {
      return reader.position;
    },
    onBusState: (connected) => reader.onBusState(connected),
    close: () => reader.close(),
    [Symbol.asyncIterator]: () => reader.queue.iterator(() => reader.close()),
  };
}

class Reader {
  readonly queue: EventQueue<ResultEvent | HistoryEvent>;
  readonly #options: ResultsOptions;
  readonly #limits: ResultsLimits;
  readonly #inbox: string;
  readonly #subscriptions: { stop(): void }[];
  readonly #past = new Set<string>();
  readonly #ahead = new Map<number, ResultEvent>();
  readonly #pieces = new PieceCollector();
  #history: string | undefined = undefined;
  #next: number;
  #askNumber = 0;
  #isAsking = false;
  isClosed = false;
  /** The next ask: a missing number, a page, silence, or only to be sure. */
  #timer: { readonly atMs: number; readonly timer: Timer } | undefined = undefined;
  /** Asks in a row that brought nothing new. */
  #vain = 0;
  #nextWhenAsked = 0;
  readonly #readyPace = new ReadyPace();
  #answeredMs: number;

  constructor(options: ResultsOptions) {
    this.#options = options;
    this.#limits = { ...defaults, ...options.limits };
    const { from = 1, history } = options;
    this.#next = from === "next" ? beyondAll : from;
    this.#answeredMs = options.clock.nowMs();
    this.#inbox = `${options.bus.inbox()}.`;
    this.queue = new EventQueue(this.#limits.maxBuffered, () => this.#askSoon());
    const { bus, service } = options;
    this.#subscriptions = [
      bus.subscribe(`${this.#inbox}*`, (message) => this.#onAnswer(message)),
      bus.subscribe(subjects.signal(service), (message) => {
        const isReady = ReadySignal.safeParse(readJson(message.data)).success;
        if (isReady && this.#readyPace.passes(options.clock.nowMs())) this.#askAnew();
      }),
    ];
    if (options.follow ?? true)
      this.#subscriptions.push(bus.subscribe(subjects.results(service), (message) => this.#onLive(message)));
    if (history !== undefined && from !== "next") this.#begin(history, from);
    this.#ask();
  }

  get unansweredMs(): number {
    return this.#options.clock.nowMs() - this.#answeredMs;
  }

  get position(): Position | undefined {
    const { pending } = this.queue;
    if (pending !== undefined) return positionBefore(pending);
    return this.#history === undefined ? undefined : { history: this.#history, from: this.#next };
  }

  close(): void {
    this.isClosed = true;
    this.#timer?.timer.cancel();
    for (const subscription of this.#subscriptions) subscription.stop();
    this.queue.end();
  }

  onBusState(connected: boolean): void {
    if (connected && !this.isClosed) this.#askAnew();
  }

  #fail(error: Error): void {
    this.close();
    this.queue.fail(error);
  }

  /**
   * Another server answers now, or another connection carries: what was asked before may never be answered, however
   * patient one is.
   */
  #askAnew(): void {
    this.#isAsking = false;
    this.#vain = 0;
    this.#askSoon();
  }

  #onLive(message: BusMessage): void {
    if (this.#history === undefined || this.queue.isFull) return;
    const given = message.headers;
    const history = given?.[headers.history];
    // It stands in for a result that the broker does not take whole: `replay` has it, in pieces.
    if (given?.[headers.omitted] !== undefined) this.#askSoon();
    else if (history === this.#history) this.#onResult(message, message.subject, this.#limits.gapMs);
    else if (history !== undefined && !this.#past.has(history)) this.#askSoon();
  }

  #onAnswer(message: BusMessage): void {
    if (this.isClosed) return;
    const isCurrent = Number(message.subject.slice(this.#inbox.length)) === this.#askNumber;
    if (message.status === noRespondersStatus) {
      if (isCurrent) this.#onVainAnswer();
      return;
    }
    if (message.headers?.[replayHeaders.end] !== undefined) {
      this.#onEnd(message);
      return;
    }
    this.#answeredMs = this.#options.clock.nowMs();
    const history = message.headers?.[headers.history];
    if (this.#history === undefined && history !== undefined) this.#begin(history, this.#next);
    const whole = this.#wholeOf(message);
    if (whole !== null && history === this.#history)
      this.#onResult(whole, message.headers?.[replayHeaders.subject] ?? "", 0);
    if (isCurrent && this.#isAsking) this.#askIn(this.#limits.answerMs, true);
  }

  /** A result of an answer to `replay`, as if it had come whole; null while pieces of it are missing. */
  #wholeOf(message: BusMessage): BusMessage | null {
    const given = message.headers;
    const piece = given?.[pieceHeaders.piece];
    if (piece === undefined) return message;
    const { subject, reply } = message;
    const data = this.#pieces.take(
      `${subject} ${given?.[headers.history]} ${given?.[pieceHeaders.of]}`,
      piece,
      message.data,
    );
    const number = given?.[pieceHeaders.of] ?? "";
    return data === null ? null : { subject, reply, data, headers: { ...given, [headers.result]: number } };
  }

  /** `gapMs`: how long to wait for what is missing before it. */
  #onResult(message: BusMessage, subject: string, gapMs: number): void {
    const number = Number(message.headers?.[headers.result]);
    if (!(number >= this.#next)) return;
    const event = this.#read(message, subject, number);
    if (event === undefined) return;
    if (number > this.#next) {
      if (this.#ahead.size < this.#limits.maxAhead) this.#ahead.set(number, event);
      if (!this.#isAsking) this.#askIn(gapMs);
      return;
    }
    let following: ResultEvent | undefined = event;
    while (following !== undefined && !this.queue.isFull) {
      this.#ahead.delete(this.#next);
      this.#next += 1;
      if (this.#isWanted(following)) this.queue.push(following);
      following = this.#ahead.get(this.#next);
    }
  }

  #isWanted(event: ResultEvent): boolean {
    const { filter } = this.#options;
    return (
      (filter?.key === undefined || filter.key === event.key) &&
      (filter?.client === undefined || filter.client === event.client)
    );
  }

  #read(message: BusMessage, subject: string, result: number): ResultEvent | undefined {
    const reply = Reply.safeParse(readJson(message.data)).data;
    const tokens = parseClientSubject(subject);
    if (reply === undefined || tokens === null || this.#history === undefined) return undefined;
    const epoch = Number(message.headers?.[headers.epoch]);
    const sequence = Number(message.headers?.[headers.sequence]);
    const { key, client } = tokens;
    const { data: bytes } = message;
    const traceparent = readTraceparent(message.headers?.[traceparentHeader]) || undefined;
    const place = { history: this.#history, result, epoch, sequence };
    return { type: "result", ...place, subject, key, client, traceparent, reply, bytes };
  }

  #onEnd(message: BusMessage): void {
    const end = ReplayEnd.safeParse(readJson(message.data)).data;
    if (end !== undefined && end.error?.code !== "NOT_HOT") this.#answeredMs = this.#options.clock.nowMs();
    if (end === undefined || end.error?.code === "NOT_HOT" || end.error?.code === "BUSY") {
      this.#onVainAnswer();
      return;
    }
    const history = this.#history;
    const isUnknown = end.error?.code === "UNKNOWN_HISTORY";
    const isRead = end.history === history && end.next > end.last && this.#next > end.last;
    if (history !== undefined && history !== end.current && (isUnknown || isRead)) {
      this.#past.add(history);
      const last = this.#next - 1;
      this.#begin(end.following ?? end.current, 1, { history, last, ...(isRead ? { kept: end.last } : {}) });
      this.#isAsking = false;
      this.#askIn(0);
      return;
    }
    // The answer to an earlier question, from before the history changed.
    if (isUnknown || (history !== undefined && history !== end.history)) return;
    this.#isAsking = false;
    if (this.#history === undefined) this.#begin(end.history, this.#next === beyondAll ? end.last + 1 : this.#next);
    const isForgotten = end.error?.code === "FORGOTTEN";
    if (isForgotten && this.#next < end.oldest) this.#fail(new ForgottenError(end.history, this.#next, end.oldest));
    else if (end.error !== undefined && !isForgotten) this.#fail(new Error(`${end.error.code}: ${end.error.message}`));
    else if (this.queue.isFull) this.#dropTimer();
    else if (this.#next > end.last) this.#onCaughtUp();
    else if (this.#next > this.#nextWhenAsked) this.#askIn(0);
    else this.#onVainAnswer();
  }

  #onCaughtUp(): void {
    this.#vain = 0;
    if (this.#options.follow ?? true)
      this.#askIn(this.#ahead.size > 0 ? this.#limits.gapMs : this.#limits.pollMs, true);
    else this.close();
  }

  /** Nobody answered, or the answer helped nothing: again, more slowly each time. */
  #onVainAnswer(): void {
    this.#isAsking = false;
    this.#vain += 1;
    if (this.#isGivenUp()) return;
    this.#askIn(Math.min(this.#limits.gapMs * 2 ** Math.min(this.#vain, 16), this.#limits.pollMs), true);
  }

  #begin(history: string, next: number, previous?: HistoryEvent["previous"]): void {
    this.#history = history;
    this.#next = next;
    this.#ahead.clear();
    this.queue.push({ type: "history", history, next, previous });
  }

  #dropTimer(): void {
    this.#timer?.timer.cancel();
    this.#timer = undefined;
  }

  /** Asks then, or earlier if it was to be earlier already; `later` puts it off. */
  #askIn(delayMs: number, later = false): void {
    if (this.isClosed) return;
    const { clock } = this.#options;
    const atMs = clock.nowMs() + delayMs;
    if (this.#timer !== undefined && !later && this.#timer.atMs <= atMs) return;
    this.#dropTimer();
    this.#timer = { atMs, timer: clock.after(delayMs, () => this.#onTimer()) };
  }

  #askSoon(): void {
    if (!this.#isAsking) this.#askIn(0);
  }

  #onTimer(): void {
    this.#timer = undefined;
    if (this.#isAsking) {
      this.#vain += 1;
      if (this.#isGivenUp()) return;
    }
    this.#ask();
  }

  #isGivenUp(): boolean {
    if ((this.#options.follow ?? true) || this.unansweredMs < this.#limits.unansweredMs) return false;
    this.#fail(new NobodyAnswersError(this.#options.service, this.unansweredMs));
    return true;
  }

  #ask(): void {
    const { bus, service, clock } = this.#options;
    if (this.#next > this.#nextWhenAsked) this.#vain = 0;
    this.#nextWhenAsked = this.#next;
    this.#askNumber += 1;
    this.#isAsking = true;
    const history = this.#history;
    const request: ReplayRequest = {
      from: this.#next,
      limit: this.#limits.pageResults,
      ...(history === undefined ? {} : { history }),
    };
    const data = utf8Bytes(JSON.stringify(request));
    const isSent = bus.publish(subjects.replay(service), data, undefined, `${this.#inbox}${this.#askNumber}`);
    const patience = 2 ** Math.min(this.#vain, maxDoublings) * (1 + clock.random() / 4);
    if (isSent) this.#askIn(this.#limits.answerMs * patience, true);
    else this.#onVainAnswer();
  }
}

function readJson(data: Uint8Array): unknown {
  try {
    return JSON.parse(utf8Text(data));
  } catch {
    return undefined;
  }
}
