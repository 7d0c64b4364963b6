/**
 * One request or query on its way: what was sent, which copies were refused, and what its caller waits for.
 * What always holds: a copy counts as open (it may have been executed) from the moment it was handed to the bus until
 * that very copy was refused; a refusal that comes twice counts once.
 */
import type { Reply, StampRange } from "../../schemas/envelope.ts";
import type { BusHeaders } from "../world/ports.ts";
import type { RefusalCode } from "./errors.ts";
import { PieceCollector } from "./pieces.ts";

/** An answer with a result. `bytes` is the reply as it came, byte-equal for every duplicate. */
export interface Answer<Result> {
  readonly id: string;
  readonly result: Result;
  readonly sequence: number;
  readonly epoch: number;
  /** The server had executed this id before (by another copy, or for an earlier call). */
  readonly duplicate: boolean;
  readonly bytes: Uint8Array;
}

export interface Refusal {
  readonly code: RefusalCode;
  readonly message: string;
  /** The refusal is for the request's stamp: these would be taken. */
  readonly stamps?: StampRange | undefined;
}

export type FailedReply = Extract<Reply, { ok: false }>;

/** What `Pipeline.add` takes. */
export interface Sending {
  readonly id: string;
  readonly subject: string;
  /** The envelope's JSON without `issuedAt`, `after`, `resend` and the closing brace. */
  readonly text: string;
  /** Of each copy. */
  readonly headers: BusHeaders | undefined;
  readonly issuedAt: number | undefined;
  /** Another stamp for it, none of whose copies was or will be executed; undefined: there is none. */
  readonly restamp: ((range: StampRange) => number | undefined) | undefined;
  /** Names its predecessor among those still unanswered. */
  readonly ordered: boolean;
  /** `after` as the caller gave it: sent as it is, always. */
  readonly after: string | undefined;
  /** An earlier call sent this id: it can never be said to be certainly not executed. */
  readonly resend: boolean;
  readonly deadlineAtMs: number;
  readonly onAnswer: (answer: Answer<unknown>) => void;
  readonly onEnd: (end: End) => void;
}

/** An end without a result. open: a copy may have been executed. */
export type End =
  | { readonly type: "failed"; readonly reply: FailedReply; readonly bytes: Uint8Array }
  | { readonly type: "refused"; readonly refusal: Refusal; readonly cause?: unknown }
  | { readonly type: "open"; readonly why: string; readonly refusal: Refusal | undefined; readonly cause?: unknown };

export class Entry {
  readonly number: number;
  readonly sending: Sending;
  /** To be sent: never sent yet, or sent in vain. Otherwise an answer to its last copy is awaited. */
  due = true;
  /** Counts against the limit in flight. Entries with a slot stand before those without. */
  slot = false;
  /** Refused for good; answers to other copies are waited for, so that the error can say what is true. */
  isFinal = false;
  copies = 0;
  /** What its next copy is stamped with. */
  issuedAt: number | undefined;
  restamps = 0;
  firstSentAtMs = 0;
  /** Of the last copy. */
  sentAtMs = 0;
  /** The last refusal; undefined when no copy was refused. */
  refusal: Refusal | undefined = undefined;
  /** Called when the entry has left the pipeline, whatever its end. */
  onRemoved: (() => void) | undefined = undefined;
  previous: Entry | undefined = undefined;
  next: Entry | undefined = undefined;
  #refused: Set<number> | undefined = undefined;
  /** Of copies whose answer comes in pieces. */
  #pieces: Map<number, PieceCollector> | undefined = undefined;

  constructor(number: number, sending: Sending) {
    this.number = number;
    this.sending = sending;
    this.issuedAt = sending.issuedAt;
  }

  noteRefused(copy: number, refusal: Refusal): void {
    this.#refused ??= new Set();
    this.#refused.add(copy);
    this.refusal = refusal;
  }

  /** The whole answer to that copy, once this was its last piece. */
  takePiece(copy: number, name: string, data: Uint8Array): Uint8Array | null {
    this.#pieces ??= new Map();
    const collector = this.#pieces.get(copy) ?? new PieceCollector();
    this.#pieces.set(copy, collector);
    return collector.take("", name, data);
  }

  /** Whether a copy may have been executed, or may still be. */
  isOpen(): boolean {
    return this.sending.resend || this.copies > (this.#refused?.size ?? 0);
  }
}
