/**
 * Requests as the log tells them: which are done, begun or attempted (rules 11, 12, 16, 17; claims 22, 25, 32), and what the
 * state is made of meanwhile (rule 19).
 * Fed with records in log order, on the primary as it makes them and on a warm server once they are committed, so that
 * every server that has applied the same log has the same table. What runs now, with a record or without, the
 * intake keeps by itself (`RunningRequest`).
 */
import { RecordReader, recordKinds, requestKey } from "../../codec/record.ts";
import { DuplicateTable } from "../../log/duplicates.ts";
import { ClientFloors, type FloorRules, type SavedFloors } from "../../log/floors.ts";
import type { KeyHasher } from "../../log/key-index.ts";
import type { Holding } from "../primary/shares.ts";

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
  /** As its first record says; 0: it does not. */
  readonly takenMs: number;
  /** "": none. */
  readonly traceparent: string;
  /** JSON. */
  readonly body: string;
  readonly completed: readonly CompletedTransaction[];
  readonly attempts: number;
  readonly firstSequence: number;
  readonly lastSequence: number;
}

/** Who asked for what. */
interface Asked {
  readonly client: string;
  readonly id: string;
  readonly key: string;
  readonly bodyHash: number;
  readonly traceparent?: string;
  readonly sinceMs?: number;
  readonly ending?: Uint8Array;
}

const noEffects = new Uint8Array(0);

/** What this server was asked and has not finished: from arrival to the record of its result. */
export class RunningRequest {
  readonly client: string;
  readonly id: string;
  readonly key: string;
  readonly requestKey: string;
  /** Key of the request that comes before it (rule 11); "": none. */
  readonly after: string;
  readonly bodyHash: number;
  readonly stampMs: number;
  /** When it was taken, by the log's time (rule 20): handlers know it as `nowMs`. */
  readonly takenMs: number;
  /** Its trace context; "": none. */
  readonly traceparent: string;
  /** The body as the schema of the application gave it that runs it; before a resumed one runs, as it is on record. */
  body: unknown;
  /** Reply subjects: the first one's and those of duplicates that joined. */
  readonly replyTo: string[];
  /** How many of these joined. */
  joined = 0;
  /** What its client holds: it is counted there from its beginning to its end. */
  holding: Holding | null = null;
  readonly completed: readonly CompletedTransaction[];
  resumed = false;
  /** The log must be committed through here before the handler starts (rule 17); 0: at once. */
  startsAfter = 0;
  started = false;
  /** True when its result is a record. */
  done = false;
  /** Transactions of this request in the log so far. */
  ordinal = 0;
  /** What is done with a result to which no transaction came: a timer is taken away (rule 20). */
  readonly ending: Uint8Array;
  /** When it came to this server; 0: not known, or to another one. */
  readonly sinceMs: number;

  constructor(
    { client, id, key, bodyHash, traceparent = "", sinceMs = 0, ending = noEffects }: Asked,
    requestKey: string,
    after: string,
    stampMs: number,
    takenMs: number,
    body: unknown,
    replyTo: string[],
    completed: readonly CompletedTransaction[],
  ) {
    this.client = client;
    this.id = id;
    this.key = key;
    this.requestKey = requestKey;
    this.after = after;
    this.bodyHash = bodyHash;
    this.stampMs = stampMs;
    this.takenMs = takenMs;
    this.traceparent = traceparent;
    this.body = body;
    this.replyTo = replyTo;
    this.completed = completed;
    this.sinceMs = sinceMs;
    this.ending = ending;
  }
}

export class RequestTable {
  readonly done: DuplicateTable;
  #begun: Map<string, BegunRequest>;
  #resultNumber: number;
  #historyStart = 0;
  #takenMs: number;
  #catalog: string;
  #through: number;
  #forgetThrough = 0;
  #forgotten = 0;
  #expected: { readonly sequence: number; readonly through: number }[] = [];
  readonly #reader = new RecordReader(new Uint8Array(0));

  /** `hasher`: its secret is one that clients cannot guess. `rememberClients`: how many clients have a floor of their own, the same from a disk's first record on. `maxRememberedBytes`: of replies in memory. `takenMs`: 0 where none is known. */
  constructor(
    start: { through: number; resultNumber: number; takenMs?: number; catalog?: string } & (
      | { done: DuplicateTable }
      | { floors?: SavedFloors; rememberClients: number; maxRememberedBytes: number; hasher: KeyHasher }
    ),
  ) {
    this.done =
      "done" in start
        ? start.done
        : new DuplicateTable(
            start.hasher,
            new ClientFloors(start.floors, start.rememberClients),
            start.maxRememberedBytes,
          );
    this.#begun = new Map();
    this.#resultNumber = start.resultNumber;
    this.#takenMs = start.takenMs ?? 0;
    this.#catalog = start.catalog ?? "";
    this.#through = start.through;
  }

  clone(): RequestTable {
    const [through, resultNumber, catalog] = [this.#through, this.#resultNumber, this.#catalog];
    const copy = new RequestTable({
      through,
      resultNumber,
      takenMs: this.#takenMs,
      catalog,
      done: this.done.clone(),
    });
    copy.#begun = new Map(this.#begun);
    copy.#historyStart = this.#historyStart;
    copy.#forgetThrough = this.#forgetThrough;
    copy.#forgotten = this.#forgotten;
    copy.#expected = [...this.#expected];
    return copy;
  }

  /** The newest result's number in this history. */
  get resultNumber(): number {
    return this.#resultNumber;
  }
  /** The latest time at which a request with a record was taken; 0: none tells. */
  get takenMs(): number {
    return this.#takenMs;
  }
  /** The record with which the present history began; 0 where no record that is kept is older. */
  get historyStart(): number {
    return this.#historyStart;
  }
  /** Name of the catalog that holds after these records (rule 19). */
  get catalog(): string {
    return this.#catalog;
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
      this.#historyStart = reader.sequence;
      return;
    }
    if (kind === recordKinds.catalog) {
      this.#catalog = reader.name;
      return;
    }
    const key = requestKey(reader.client, reader.id);
    if (kind === recordKinds.final) {
      this.#finish(key, reader.client, reader, bytes);
      return;
    }
    const isAttempt = kind === recordKinds.attempt;
    const found = this.#begun.get(key);
    // Whoever made it knew of no earlier one, which was forgotten. By the record, for this server may observe it before it has forgotten.
    const isAnew = isAttempt && reader.ordinal === 0 && found?.completed.length === 0;
    const before = isAnew ? undefined : found;
    const takenMs = before?.takenMs || reader.takenMs;
    this.#takenMs = Math.max(this.#takenMs, takenMs);
    const value = isAttempt ? [] : [{ name: reader.name, value: Buffer.from(reader.reply).toString("utf8") }];
    this.#begun.set(key, {
      client: reader.client,
      id: reader.id,
      key: reader.key,
      bodyHash: reader.bodyHash,
      stampMs: reader.stampMs,
      takenMs,
      traceparent: before?.traceparent || reader.traceparent,
      body: before?.body || Buffer.from(reader.body).toString("utf8"),
      completed: [...(before?.completed ?? []), ...value],
      attempts: isAttempt ? reader.ordinal + 1 : (before?.attempts ?? 0),
      firstSequence: before?.firstSequence ?? reader.sequence,
      lastSequence: reader.sequence,
    });
  }

  /**
   * A record that this server has just made, at `start` in `arena`. `done`: the request that it finishes, if it is a
   * final one: the hot path's short way in, which reads only numbers.
   */
  observeOwn(arena: Buffer, start: number, done: Pick<RunningRequest, "client" | "requestKey"> | null): void {
    this.#reader.over(arena, start);
    if (done === null) this.observe(this.#reader, arena);
    else this.#finish(done.requestKey, done.client, this.#reader, arena);
  }

  #finish(key: string, client: string, reader: RecordReader, bytes: Uint8Array): void {
    this.#through = reader.sequence;
    this.#resultNumber = reader.resultNumber;
    this.#takenMs = Math.max(this.#takenMs, reader.takenMs);
    this.done.remember(
      key,
      client,
      reader.bodyHash,
      reader.stampMs,
      reader.sequence,
      bytes,
      reader.replyAt,
      reader.replyLength,
    );
    if (this.#begun.size > 0) this.#begun.delete(key);
  }

  /** Chosen by this server's roles so far, or said by records; what was only chosen binds nobody until a record carries it. */
  get forgetThrough(): number {
    return this.#forgetThrough;
  }
  /** What committed records say to forget: this, and nothing that was only chosen, outlives this server. */
  get forgotten(): number {
    return this.#forgotten;
  }
  /** Looks for replies that are too many, or that this server has known for too long. */
  chooseForgotten(keep: number, rememberMs: number, nowMs: number, maxAtOnce: number): void {
    const through = this.done.forgettable(keep, rememberMs, nowMs, maxAtOnce);
    this.#forgetThrough = Math.max(this.#forgetThrough, through);
  }
  /** A record that is not committed says so: the next own record says it too, and it is done once that one is committed. */
  expectForget(sequence: number, through: number): void {
    // What this server chose when it was the primary before, and no record carried, was forgotten by nobody.
    if (through <= (this.#expected.at(-1)?.through ?? this.#forgotten)) return;
    this.#forgetThrough = Math.max(this.#forgetThrough, through);
    this.#expected.push({ sequence, through });
  }
  /** Inherited records are committed through here. */
  onCommitted(sequence: number, rules: FloorRules): void {
    while (this.#expected.length > 0 && (this.#expected[0]?.sequence ?? 0) <= sequence)
      this.forget(this.#expected.shift()?.through ?? 0, rules);
  }
  /** A record that says so is committed. */
  forget(through: number, rules: FloorRules): void {
    if (through <= this.#forgotten) return;
    this.#forgotten = through;
    this.#forgetThrough = Math.max(this.#forgetThrough, through);
    this.done.forget(through, rules);
    // Tried and never finished, and nobody has asked since: it must not hold the log on the disk for ever. One that is asked for
    // again and again keeps its attempts, or it would be tried without end (rule 17).
    for (const [key, request] of this.#begun)
      if (request.completed.length === 0 && request.lastSequence <= through) this.#begun.delete(key);
  }

  /** The oldest record that is still needed to rebuild this table; `through + 1` if none is. */
  get oldestNeeded(): number {
    let oldest = Math.min(this.done.oldest?.sequence ?? Number.POSITIVE_INFINITY, this.#through + 1);
    for (const request of this.#begun.values()) oldest = Math.min(oldest, request.firstSequence);
    return oldest;
  }
}
