/**
 * A recorded history: what clients, integrators and servers saw, as plain data, one event a line when written as NDJSON.
 * Simulations, real-process tests and `twinlog drill` record the same events; the checker reads nothing else.
 *
 * What always holds: events are in the order in which they were recorded and `atMs` never falls; a request without an
 * answer is unknown, never failed (PROTOCOL.md, checker). Servers' own events are optional: what is not recorded is not
 * checked.
 */

/** One record of a committed log, as a server told it. */
export interface CommittedRecord {
  readonly sequence: number;
  readonly epoch: number;
  /** The log's hash up to and including it. */
  readonly hash: number;
  readonly kind: "transaction" | "final" | "attempt" | "history" | "catalog";
  readonly client: string;
  readonly id: string;
  /** The transaction's name; the history's id on a history record, the catalog's name on a catalog record. */
  readonly name: string;
  /** When its request was taken, ms since 1970 (rule 20); 0 or absent: not told. */
  readonly takenMs?: number;
  /** 0 unless final. */
  readonly resultNumber: number;
  /** JSON: the reply (final) or the transaction's value. */
  readonly reply: string;
}

interface At {
  readonly atMs: number;
}

interface OfServer extends At {
  readonly server: string;
  readonly incarnation: string;
}

/** One copy of a request is sent. `copy` is unique for the client and id. */
export interface InvokeEvent extends At {
  readonly type: "invoke";
  readonly client: string;
  readonly id: string;
  readonly copy: number;
  readonly body: unknown;
  readonly after?: string;
  readonly issuedAt?: number;
}

/** An answer to one copy: the reply's bytes as they came. */
export interface ReplyEvent extends At {
  readonly type: "reply";
  readonly client: string;
  readonly id: string;
  readonly copy: number;
  readonly bytes: string;
  readonly duplicate: boolean;
}

export interface QueryEvent extends At {
  readonly type: "query";
  readonly client: string;
  readonly id: string;
  readonly body: unknown;
}

export interface AnswerEvent extends At {
  readonly type: "answer";
  readonly client: string;
  readonly id: string;
  readonly bytes: string;
}

/** A result as an integrator got it, live or by replay. */
export interface ResultEvent extends At {
  readonly type: "result";
  readonly integrator: string;
  readonly history: string;
  readonly number: number;
  readonly sequence: number;
  readonly epoch: number;
  readonly bytes: string;
}

/** An integrator has read a history to what it was told is its end, and goes on with another one. */
export interface MovedOnEvent extends At {
  readonly type: "movedOn";
  readonly integrator: string;
  readonly from: string;
  /** The last result that it has of it. */
  readonly last: number;
  readonly to: string;
}

/** Records that became committed on a server, in order. */
export interface CommitEvent extends OfServer {
  readonly type: "commit";
  readonly history: string;
  /** The log's hash before the first of them, where it is known. */
  readonly previousHash?: number;
  readonly records: readonly CommittedRecord[];
}

/** A new history was announced: it begins with the log that ends here, and what others had above may be missing (rule 18). */
export interface ForkEvent extends OfServer {
  readonly type: "fork";
  readonly history: string;
  readonly epoch: number;
  readonly sequence: number;
  readonly hash: number;
}

/** A server made records of this epoch. */
export interface MadeEvent extends OfServer {
  readonly type: "made";
  readonly epoch: number;
  readonly sequence: number;
}

/** A server accepted an epoch. */
export interface EpochEvent extends OfServer {
  readonly type: "epoch";
  readonly epoch: number;
}

/** Another disk, or an older copy of it, was put in a server's place: what it had accepted went with it. */
export interface DiskEvent extends At {
  readonly type: "disk";
  readonly server: string;
  /** What was there is kept beside it. */
  readonly wasKept: boolean;
}

/** Digest of the tables and queues at an applied sequence, in memory or on disk. */
export interface DigestEvent extends OfServer {
  readonly type: "digest";
  readonly history: string;
  readonly sequence: number;
  readonly digest: string;
}

/** The faults are over and enough servers are back: from here on the system must serve again. */
export interface HealedEvent extends At {
  readonly type: "healed";
}

/** Something for the reader of a story: a fault, a crash, a role. Not checked. */
export interface NoteEvent extends At {
  readonly type: "note";
  readonly who: string;
  readonly text: string;
}

export type HistoryEvent =
  | InvokeEvent
  | ReplyEvent
  | QueryEvent
  | AnswerEvent
  | ResultEvent
  | MovedOnEvent
  | CommitEvent
  | ForkEvent
  | MadeEvent
  | EpochEvent
  | DiskEvent
  | DigestEvent
  | HealedEvent
  | NoteEvent;

/** A rule or invariant of PROTOCOL.md that did not hold, and what shows it. */
export interface Violation {
  /** `invariant 3`, `rule 12`, `checker`: where PROTOCOL.md says so. */
  readonly of: string;
  readonly text: string;
  readonly atMs: number;
}

/**
 * The application again, plain and sequential, written apart from the one that runs. Fed with the committed log in
 * sequence, one call a record.
 */
export interface SequentialModel {
  /** What the result of a final record must be, as JSON values. `undefined`: the model does not say. */
  run(record: CommittedRecord, body: unknown): unknown;
  /** A final record that is an error: it had no effects, but that the timer is done whose request it was. */
  fail?(record: CommittedRecord): void;
  /** Timers that were due before this time of the log, ms since 1970, and have not come. */
  overdue?(beforeMs: number): readonly string[];
  /** What a query must answer now. `undefined`: the model does not say. */
  query(body: unknown): unknown;
}
