/**
 * How a request can end without a result. Three types, because a caller does three different things:
 * refused, nothing happened and nothing will; failed, it was run and its failure is on record; unknown, it may have been
 * run, now or later, and only sending it again under the same id tells (rule 12). Every error names the request's id.
 */
import type { ErrorCode } from "../../schemas/errors.ts";

/** NOT_SENT: no server got any copy of the request: not connected, nobody listens, given up before it was sent. */
export type RefusalCode = ErrorCode | "NOT_SENT";

/** Options that make a second call of `request` with the same body the same request. */
export interface Retry {
  readonly id: string;
  readonly issuedAt: number;
  readonly resend: true;
}

/** Certainly not executed: every copy that was sent was refused. */
export class RefusedError extends Error {
  override readonly name = "RefusedError";
  readonly executed = false;
  readonly code: RefusalCode;
  readonly id: string;
  constructor(id: string, code: RefusalCode, message: string, options?: ErrorOptions) {
    super(`${code}: ${message} (request ${id})`, options);
    this.code = code;
    this.id = id;
  }
}

/** Executed, and it failed: APPLICATION_ERROR or POISONED. A record: the same id gets the same answer again. */
export class FailedError extends Error {
  override readonly name = "FailedError";
  readonly executed = true;
  readonly code: ErrorCode;
  readonly id: string;
  readonly sequence: number | undefined;
  readonly epoch: number | undefined;
  /** The reply as it came, byte-equal for every duplicate. */
  readonly bytes: Uint8Array;
  constructor(
    id: string,
    code: ErrorCode,
    message: string,
    reply: { sequence?: number | undefined; epoch?: number | undefined; bytes: Uint8Array },
  ) {
    super(`${code}: ${message} (request ${id})`);
    this.code = code;
    this.id = id;
    this.sequence = reply.sequence;
    this.epoch = reply.epoch;
    this.bytes = reply.bytes;
  }
}

/** Given up (deadline, abort, close) while it may have been executed. `request(body, error.retry)` is safe. */
export class UnknownOutcomeError extends Error {
  override readonly name = "UnknownOutcomeError";
  readonly code = "UNKNOWN_OUTCOME";
  readonly id: string;
  readonly retry: Retry;
  constructor(id: string, issuedAt: number, message: string, options?: ErrorOptions) {
    super(
      `${message}; it may have been executed, and sending it again with the same id is safe (request ${id})`,
      options,
    );
    this.id = id;
    this.retry = { id, issuedAt, resend: true };
  }
}

/** A query that got no answer. Nothing can have changed. */
export class UnansweredError extends Error {
  override readonly name = "UnansweredError";
  readonly code = "UNANSWERED";
  readonly id: string;
  constructor(id: string, message: string, options?: ErrorOptions) {
    super(`${message} (query ${id})`, options);
    this.id = id;
  }
}
