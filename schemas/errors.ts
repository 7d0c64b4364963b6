/**
 * Every code that a client can be told, in one list. `retry` says whether sending the same request again, with the
 * same id, can help; `logged` says whether the answer is a record, so that a duplicate gets the same bytes.
 */
import * as z from "zod";

export const errorCodes = {
  INVALID_REQUEST: { retry: false, logged: false, meaning: "the message is not a request of this service" },
  ID_REUSED: { retry: false, logged: false, meaning: "this client used this id before, with another body" },
  OUT_OF_ORDER: {
    retry: true,
    logged: false,
    meaning: "the request named in `after` is not known here; send that one again first",
  },
  EXPIRED: { retry: false, logged: false, meaning: "issued before the oldest request that is still remembered" },
  BUSY: { retry: true, logged: false, meaning: "a limit is reached or intake is paused; send it again later" },
  REPLY_OMITTED: {
    retry: true,
    logged: false,
    meaning: "the request is done, and the broker does not take a reply of that size: it follows in pieces",
  },
  TOO_LARGE: { retry: false, logged: false, meaning: "the request is larger than the service takes" },
  NOT_HOT: { retry: true, logged: false, meaning: "this server does not process requests now" },
  APPLICATION_ERROR: {
    retry: false,
    logged: true,
    meaning: "the handler failed; nothing of its last transaction was done",
  },
  POISONED: { retry: false, logged: true, meaning: "the request was started twice and a server died each time" },
} as const satisfies Record<string, { retry: boolean; logged: boolean; meaning: string }>;

export type ErrorCode = keyof typeof errorCodes;

export const ErrorCodeSchema = z.enum(Object.keys(errorCodes) as [ErrorCode, ...ErrorCode[]]);
