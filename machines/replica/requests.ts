/**
 * Requests as the log tells them: which are done, begun or attempted (rules 11, 12, 16, 17; claims 22, 25, 32).
 * Fed with records in log order, on the primary as it makes them and on a warm server once they are committed, so that
 * every server that has applied the same log has the same table. The intake's own list of what runs now is `running`.
 */
import { type RecordReader, recordKinds, requestKey } from "../codec/record.ts";
import { DuplicateTable } from "../log/duplicates.ts";

export interface CompletedTransaction {
  readonly name: string;
  /** JSON. */
  readonly value: string;
}

/** A request that has records but no result yet. */
export interface BegunRequest {
  readonly client: string;
  readonly id: string;
  readonly key: string;
  readonly bodyHash: number;
  readonly stampMs: number;
  /** JSON. */
  readonly body: string;
  readonly completed: readonly CompletedTransaction[];
  readonly attempts: number;
  readonly firstSequence: number;
}

/** What this server was asked and has not finished: from arrival to the record of its result. */
export interface RunningRequest {
  readonly client: string;
  readonly id: string;
  readonly key: string;
  readonly requestKey: string;
  readonly bodyHash: number;
  readonly stampMs: number;
  /** The body as the application's schema gave it. */
  readonly body: unknown;
  /** Reply subjects: the first one's and those of duplicates that joined. */
  readonly replyTo: string[];
  completed: readonly CompletedTransaction[];
  resumed: boolean;
  /** The log must be committed through here before the handler starts (rule 17); 0: at once. */
  startsAfter: number;
  started: boolean;
  /** True when its result is a record. */
  done: boolean;
  /** Transactions of this request in the log so far. */
  ordinal: number;
}

export class RequestTable {
  readonly done: DuplicateTable;
  #begun: Map<string, BegunRequest>;
  #resultNumber: number;
  #through: number;

  constructor(start: { through: number; resultNumber: number; floorMs: number }) {
    this.done = new DuplicateTable(start.floorMs);
    this.#begun = new Map();
    this.#resultNumber = start.resultNumber;
    this.#through = start.through;
  }

  /** The newest result's number in this history. */
  get resultNumber(): number {
    return this.#resultNumber;
  }
  /** The last record that this table knows of. */
  get through(): number {
    return this.#through;
  }
  get begun(): ReadonlyMap<string, BegunRequest> {
    return this.#begun;
  }

  /** One record that is in this server's log for good, or that this server makes. `bytes` are what `reader` reads. */
  observe(reader: RecordReader, bytes: Uint8Array): void {
    this.#through = reader.sequence;
    const kind = reader.kind;
    if (kind === recordKinds.history) {
      this.#resultNumber = 0;
      return;
    }
    const key = requestKey(reader.client, reader.id);
    if (kind === recordKinds.final) {
      this.finish(key, reader.bodyHash, reader.stampMs, reader.sequence, reader.resultNumber, bytes, reader.replyAt, reader.replyLength);
      return;
    }
    const before = this.#begun.get(key);
    const isAttempt = kind === recordKinds.attempt;
    const value = isAttempt ? [] : [{ name: reader.name, value: Buffer.from(reader.reply).toString("utf8") }];
    this.#begun.set(key, {
      client: reader.client,
      id: reader.id,
      key: reader.key,
      bodyHash: reader.bodyHash,
      stampMs: reader.stampMs,
      body: before?.body || Buffer.from(reader.body).toString("utf8"),
      completed: [...(before?.completed ?? []), ...value],
      attempts: (before?.attempts ?? 0) + (isAttempt ? 1 : 0),
      firstSequence: before?.firstSequence ?? reader.sequence,
    });
  }

  /** The result of a request: the hot path's way in, without a reader. */
  finish(key: string, bodyHash: number, stampMs: number, sequence: number, resultNumber: number, bytes: Uint8Array, replyAt: number, replyLength: number): void {
    this.#through = sequence;
    this.#resultNumber = resultNumber;
    this.done.remember(key, bodyHash, stampMs, sequence, bytes, replyAt, replyLength);
    if (this.#begun.size > 0) this.#begun.delete(key);
  }

  /** The oldest record that is still needed to rebuild this table; `through + 1` if none is. */
  get oldestNeeded(): number {
    let oldest = Math.min(this.done.oldest?.sequence ?? Number.POSITIVE_INFINITY, this.#through + 1);
    for (const request of this.#begun.values()) oldest = Math.min(oldest, request.firstSequence);
    return oldest;
  }

  clone(): RequestTable {
    const copy = new RequestTable({ through: this.#through, resultNumber: this.#resultNumber, floorMs: this.done.floorMs });
    Object.assign(copy, { done: this.done.clone() });
    copy.#begun = new Map(this.#begun);
    return copy;
  }
}
