/**
 * What comes out of a reader of results, and where to go on behind it. What always holds: `results(position)` gives each event behind the
 * position once, and none before it, so that whoever stores a position together with what an event changed has dealt with each event once.
 */
import type { Reply } from "../../schemas/envelope.ts";

export interface ResultEvent {
  readonly type: "result";
  readonly history: string;
  /** The result number. */
  readonly result: number;
  readonly epoch: number;
  /** The log sequence of the record. */
  readonly sequence: number;
  readonly subject: string;
  readonly key: string;
  readonly client: string;
  /** Trace context of its request (W3C `traceparent`); undefined: it had none. */
  readonly traceparent: string | undefined;
  readonly reply: Reply;
  /** The reply as it was published. */
  readonly bytes: Uint8Array;
}

/** From here on results are of this history, beginning with number `next`. */
export interface HistoryEvent {
  readonly type: "history";
  readonly history: string;
  readonly next: number;
  /**
   * Another one than before: acknowledged results after `previous.last` may be missing. The new history's log goes on behind result
   * `kept` of the one before: what came after that is undone in it. Not there where the service does not know.
   */
  readonly previous: { readonly history: string; readonly last: number; readonly kept?: number } | undefined;
}

/** Results from `from` up to `oldest` are no longer remembered by the service. */
export class ForgottenError extends Error {
  override readonly name = "ForgottenError";
  readonly code = "FORGOTTEN";
  readonly history: string;
  readonly from: number;
  readonly oldest: number;
  constructor(history: string, from: number, oldest: number) {
    super(`FORGOTTEN: results ${from} to ${oldest - 1} of history ${history} are no longer remembered`);
    this.history = history;
    this.from = from;
    this.oldest = oldest;
  }
}

/** No server that serves has answered for so long: only a reader that is to end (`follow: false`) gives up. */
export class NobodyAnswersError extends Error {
  override readonly name = "NobodyAnswersError";
  readonly code = "UNANSWERED";
  constructor(service: string, forMs: number) {
    super(`UNANSWERED: no server of ${service} has answered for ${Math.round(forMs)} ms`);
  }
}

/** As `results` takes it: `from` is the number of the next result of the history. */
export interface Position {
  readonly history: string;
  readonly from: number;
}

/** Behind the event: to be stored in one transaction with what the event changed. */
export function positionAfter(event: ResultEvent | HistoryEvent): Position {
  const { history } = event;
  return { history, from: event.type === "history" ? event.next : event.result + 1 };
}

/** Such that the event comes again. */
export function positionBefore(event: ResultEvent | HistoryEvent): Position {
  if (event.type === "result") return { history: event.history, from: event.result };
  const { previous } = event;
  return previous === undefined ? positionAfter(event) : { history: previous.history, from: previous.last + 1 };
}
