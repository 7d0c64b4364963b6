/**
 * What an application can do wrong, as typed errors. A handler may catch them; one that it lets through becomes the
 * request's APPLICATION_ERROR. What always holds: whoever is thrown at, nothing of the transaction was done.
 */
export type TransactionErrorCode =
  /** `transaction()` inside a transaction. */
  | "nested"
  /** The change returned a promise: a transaction is synchronous. */
  | "asynchronous"
  /** The transaction, or the request, is over (finished, out of time, or the server is not hot any more). */
  | "over"
  /** A name that is no name, or was used before in this request. */
  | "name"
  /** On resume: the next completed transaction has another name. */
  | "resume"
  /** No table or queue of this name. */
  | "part"
  /** A row's key that cannot be stored. */
  | "key"
  /** The value is not what the part's schema says. */
  | "schema"
  /** The value would not come back from JSON as it went in. */
  | "json"
  /** The queue is full and refuses (`whenFull: "refuse"`). */
  | "full"
  /** The timer whose request this is was cancelled, or set anew, before the request's first transaction. */
  | "cancelled"
  /** More than fits in a record (rule 15). */
  | "tooLarge";

export class TransactionError extends Error {
  readonly code: TransactionErrorCode;
  constructor(code: TransactionErrorCode, message: string) {
    super(message);
    this.name = "TransactionError";
    this.code = code;
  }
}

/** Effects or rows that do not fit the state: damaged data or a fault of this program. The server must stop. */
export class StateError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "StateError";
  }
}

const maxMessageLength = 500;

/** A message of bounded length for whatever was thrown; never throws itself. */
export function messageOf(thrown: unknown): string {
  let text: string;
  try {
    text = String(thrown instanceof Error ? thrown.message : thrown);
  } catch {
    text = "something that cannot be shown was thrown";
  }
  return text.length <= maxMessageLength ? text : `${text.slice(0, maxMessageLength - 1)}…`;
}
