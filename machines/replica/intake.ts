/**
 * What clients asked of a hot server and what they are owed: the way from a request to its record and, after commit, to
 * its reply (rules 5, 11, 12, 15, 17). The hot path allocates one object for a request and one for its reply.
 *
 * What always holds: a reply leaves in the order of the log and only when all that it depends on is committed; a refusal
 * that another server might not repeat leaves only with a proof that this server was not deposed; both die with the role.
 */
import type { StampRange } from "../../schemas/envelope.ts";
import type { ErrorCode } from "../../schemas/errors.ts";
import { arrivalStamp, recordKinds, requestKey } from "../codec/record.ts";
import { type MemoryLog, maxLogBytes } from "../log/memory-log.ts";
import { OwedReplies, type ReplySink } from "./owed-replies.ts";
import type { Peers } from "./peers.ts";
import { appendRecord, attemptBytes } from "./request-records.ts";
import type { RunningRequest } from "./requests.ts";
import type { Rules } from "./rules.ts";
import { type StampRefusal, Stamps, type StampView } from "./stamps.ts";
import type { ToldDeaths } from "./told-deaths.ts";

/** A parsed request at the door. `body` was checked by the application's schema. */
export interface Arrival {
  readonly client: string;
  readonly id: string;
  readonly key: string;
  readonly bodyHash: number;
  readonly issuedAtMs: number | undefined;
  readonly after: string | undefined;
  readonly resend: boolean;
  readonly body: unknown;
  /** Empty: nobody waits for the reply. */
  readonly replyTo: string;
}

/** What a handler has come to: effects, and the value that its transaction gave, as JSON. */
export interface TransactionPart {
  readonly name: string;
  readonly effects: Uint8Array;
  readonly value: string;
}

/** The same of the last one; `outcome` is the reply's JSON from `"ok"` to before `,"sequence"`. */
export interface ResultPart {
  readonly name: string;
  readonly effects: Uint8Array;
  readonly outcome: string;
}

/** The replica's fields that the intake reads. */
export interface IntakeView extends StampView {
  readonly log: MemoryLog;
  readonly epoch: number;
  readonly committed: number;
  /** End of what this server inherited when it went hot. */
  readonly inherited: number;
  readonly serving: { readonly hotSinceMs: number };
  readonly alone: boolean;
  readonly commitment: { readonly openBytes: number };
  readonly peers: Peers;
  readonly deaths: ToldDeaths;
}

const noBytes = new Uint8Array(0);

/** JSON of a refusal. `executed: false` speaks of the copy that was refused (rule 5). */
export function refusal(client: string, id: string, code: ErrorCode, message: string, stamps?: StampRange): Uint8Array {
  return Buffer.from(JSON.stringify({ client, id, ok: false, error: { code, message, executed: false, stamps } }));
}

/** A record with the body fits what a record may have (rule 15). */
function fitsAttempt(request: RunningRequest, { rules, limits }: IntakeView): boolean {
  return attemptBytes(request) <= rules.recordRoom(limits.maxRecordBytes, Number.POSITIVE_INFINITY);
}

export class Intake {
  #replies = new OwedReplies();
  #stamps = new Stamps();
  /** By an operator, for as long as this server is the primary. */
  isPaused = false;
  #queue: RunningRequest[] = [];
  /**
   * The one request with an attempt on record before this server's that has its turn: a server died of it, or of another
   * that ran beside it. The others wait until it is done, so that only the one that kills is given up (rule 17).
   */
  #dangerous: RunningRequest | null = null;
  #waiting: { readonly request: RunningRequest; readonly attempts: number }[] = [];
  /** Begun and not done: joined by duplicates. */
  #running = new Map<string, RunningRequest>();
  /** Copies that wait for the answer of one that runs. */
  #joined = 0;

  /** What runs is copied too: the handlers of the original finish the original's requests alone. */
  clone(): Intake {
    const copies = new Map<RunningRequest, RunningRequest>();
    const copyOf = (request: RunningRequest): RunningRequest => {
      const known = copies.get(request) ?? { ...request, replyTo: [...request.replyTo] };
      copies.set(request, known);
      return known;
    };
    const copy = new Intake();
    copy.#replies = this.#replies.clone();
    copy.#stamps = this.#stamps.clone();
    copy.isPaused = this.isPaused;
    copy.#joined = this.#joined;
    copy.#queue = this.#queue.map(copyOf);
    copy.#dangerous = this.#dangerous === null ? null : copyOf(this.#dangerous);
    copy.#waiting = this.#waiting.map(({ request, attempts }) => ({ request: copyOf(request), attempts }));
    for (const [key, request] of this.#running) copy.#running.set(key, copyOf(request));
    return copy;
  }
  /** What decides how this goes on and is not told otherwise, as values. */
  get facts() {
    const dangerous = this.#dangerous?.requestKey;
    const running = [...this.#running.values()];
    const ahead = this.#stamps.facts;
    return { replies: this.#replies.facts, queue: this.#queue, dangerous, waiting: this.#waiting, running, ahead };
  }

  /** Begun, or about to, and without a result. */
  get running(): number {
    return this.#running.size;
  }
  get inFlight(): number {
    return this.#replies.waiting + this.#running.size + this.#joined;
  }

  /** The request to run now, or null: it is answered, joined, refused, queued behind an attempt record, or dropped. */
  onRequest(arrival: Arrival, nowWallMs: number, view: IntakeView): RunningRequest | null {
    const { rules } = view;
    const { requests } = view.applied;
    const key = requestKey(arrival.client, arrival.id);
    const doneAt = requests.done.sequenceOf(key);
    if (rules.isDuplicate(doneAt)) {
      this.#answerAgain(key, arrival, view);
      return null;
    }
    const running = this.#running.get(key);
    if (running !== undefined && rules.isInProgress(running.done)) {
      if (rules.isReused(arrival.bodyHash, running.bodyHash)) this.#refuseReused(arrival, view);
      else if (this.#isFull(view)) this.refuse(arrival, "BUSY", "too many requests are in flight", view);
      else if (arrival.replyTo !== "") this.#join(running, arrival.replyTo);
      return null;
    }
    const untimely = this.#stamps.judge(arrival, nowWallMs, view);
    if (untimely !== null) {
      this.#refuseStamp(arrival, untimely, view);
      return null;
    }
    const begun = requests.begun.get(key);
    if (begun !== undefined && rules.isReused(arrival.bodyHash, begun.bodyHash)) {
      this.#refuseReused(arrival, view);
      return null;
    }
    const after = arrival.after === undefined ? "" : requestKey(arrival.client, arrival.after);
    if (after !== "" && !rules.mayRunAfter(this.#isKnown(after, view))) {
      this.refuse(arrival, "OUT_OF_ORDER", `request ${arrival.after} is not known here; send it again first`, view);
      return null;
    }
    const busy = this.#busy(view);
    if (busy !== "") {
      this.refuse(arrival, "BUSY", busy, view);
      return null;
    }
    const request: RunningRequest = {
      client: arrival.client,
      id: arrival.id,
      key: arrival.key,
      requestKey: key,
      after,
      bodyHash: arrival.bodyHash,
      stampMs: begun?.stampMs ?? arrival.issuedAtMs ?? arrivalStamp(nowWallMs),
      body: arrival.body,
      replyTo: arrival.replyTo === "" ? [] : [arrival.replyTo],
      joined: 0,
      completed: begun === undefined ? [] : rules.completed(begun.completed),
      resumed: begun !== undefined && begun.completed.length > 0,
      startsAfter: 0,
      started: false,
      done: false,
      ordinal: begun?.completed.length ?? 0,
    };
    const isEarly = view.nowMs - view.serving.hotSinceMs < view.limits.cautionMs;
    const isSuspect = rules.needsAttempt(arrival.resend || isEarly || begun !== undefined);
    // What was on record once is so again; a body may take more in a record than it took on the wire.
    if (isSuspect && begun === undefined && !fitsAttempt(request, view)) {
      this.refuse(arrival, "TOO_LARGE", "its body, written out, does not fit in a record", view);
      return null;
    }
    this.#stamps.onTaken(arrival, nowWallMs, view);
    return this.begin(request, begun?.attempts ?? 0, isSuspect, view);
  }

  #busy({ rules, limits, log, commitment }: IntakeView): string {
    if (this.isPaused) return "intake is paused by an operator";
    // What this turn made counts too: all of it may come at once.
    if (rules.isFull(commitment.openBytes + log.turnBytes, limits.maxUnconfirmedBytes))
      return "the backup or the disk does not keep up";
    if (rules.isFull(log.retainedBytes, maxLogBytes(limits)))
      return "the disk, or NATS with the results, does not keep up";
    return this.#isFull({ rules, limits }) ? "too many requests are in flight" : "";
  }

  #isFull({ rules, limits }: Pick<IntakeView, "rules" | "limits">): boolean {
    return rules.isFull(this.inFlight, limits.maxInFlight);
  }

  #join(running: RunningRequest, replyTo: string): void {
    running.replyTo.push(replyTo);
    running.joined += 1;
    this.#joined += 1;
  }

  /** Starts a request at once, or behind an attempt record where it may be dangerous (rule 17). */
  begin(request: RunningRequest, attempts: number, isSuspect: boolean, view: IntakeView): RunningRequest | null {
    const told = view.rules.toldAttempts(view.deaths.takeUnrecorded(request.requestKey));
    for (let nth = 0; nth < told; nth += 1) this.#attempt(request, attempts + nth, view);
    return this.#begin(request, attempts + told, isSuspect || told > 0, view);
  }

  #begin(request: RunningRequest, attempts: number, isSuspect: boolean, view: IntakeView): RunningRequest | null {
    if (view.rules.isPoisoned(attempts)) {
      const error = {
        code: "POISONED",
        message: "this request was started twice and a server died each time",
        executed: request.ordinal > 0,
      };
      this.finish(
        request,
        { name: "", effects: noBytes, outcome: `"ok":false,"error":${JSON.stringify(error)}` },
        view,
      );
      return null;
    }
    if (isSuspect && attempts > 0 && this.#dangerous !== null) {
      request.startsAfter = Number.POSITIVE_INFINITY;
      this.#waiting.push({ request, attempts });
    } else if (isSuspect) {
      if (attempts > 0) this.#dangerous = request;
      request.startsAfter = this.#attempt(request, attempts, view);
    } else if (this.#queue.length === 0 && !this.#isHeld(request)) {
      request.started = true;
      return request;
    }
    this.#running.set(request.requestKey, request);
    this.#queue.push(request);
    return null;
  }

  #attempt(request: RunningRequest, attempts: number, view: IntakeView): number {
    const body = JSON.stringify(request.body);
    return appendRecord(request, recordKinds.attempt, attempts, "", noBytes, "", body, view);
  }

  /** The next of those that were in flight at a death gets its turn, alone. */
  #onDangerOver(view: IntakeView): void {
    const next = this.#waiting.shift();
    this.#dangerous = next?.request ?? null;
    if (next !== undefined) next.request.startsAfter = this.#attempt(next.request, next.attempts, view);
  }

  /** The next queued request whose attempt record is committed, and the one before it on record; null if there is none. */
  nextToStart(committed: number): RunningRequest | null {
    const at = this.#startable(committed);
    const [next] = at < 0 ? [] : this.#queue.splice(at, 1);
    if (next === undefined) return null;
    next.started = true;
    return next;
  }

  hasStartable(committed: number): boolean {
    return this.#startable(committed) >= 0;
  }

  #startable(committed: number): number {
    for (let at = 0; at < this.#queue.length; at += 1) {
      const request = this.#queue[at] as RunningRequest;
      if (request.startsAfter > committed) return -1;
      if (!this.#isHeld(request)) return at;
    }
    return -1;
  }

  /** The one before it runs and has no record yet: both commit in the client's order (invariant 9). */
  #isHeld({ after }: RunningRequest): boolean {
    return after !== "" && this.#running.get(after)?.ordinal === 0;
  }

  /** The handler goes on after its first turn: duplicates may join it. */
  keepRunning(request: RunningRequest): void {
    if (!request.done) this.#running.set(request.requestKey, request);
  }

  #isKnown(key: string, view: IntakeView): boolean {
    if (view.applied.requests.done.sequenceOf(key) > 0 || this.#running.has(key)) return true;
    const begun = view.applied.requests.begun.get(key);
    return begun !== undefined && begun.completed.length > 0;
  }

  #answerAgain(key: string, arrival: Arrival, view: IntakeView): void {
    const done = view.applied.requests.done.find(key);
    if (done === null) return;
    if (view.rules.isReused(arrival.bodyHash, done.bodyHash)) {
      this.#refuseReused(arrival, view);
      return;
    }
    if (arrival.replyTo === "") return;
    const reply = view.rules.storedReply(done.reply, view.epoch);
    if (view.rules.mayAnswer(done.sequence, view.committed)) this.#replies.oweAtOnce(arrival.replyTo, reply, true);
    else if (this.#isFull(view)) this.refuse(arrival, "BUSY", "too many requests are in flight", view);
    else this.#replies.owe(arrival.replyTo, view.log.last, reply, 0, reply.length, true);
  }

  /** A refusal that another server might not repeat: it waits for a proof; too many waiting, and it is dropped. */
  #refuseReused(arrival: Arrival, view: IntakeView): void {
    const bytes = refusal(arrival.client, arrival.id, "ID_REUSED", "this id was used with another body");
    // It speaks of a record: it leaves when that is committed.
    this.answerProven(arrival.replyTo, bytes, view.log.last, view);
  }

  refuse(
    arrival: Pick<Arrival, "client" | "id" | "replyTo">,
    code: ErrorCode,
    message: string,
    view: IntakeView,
  ): void {
    this.answerProven(arrival.replyTo, refusal(arrival.client, arrival.id, code, message), view.inherited, view);
  }

  #refuseStamp({ client, id, replyTo }: Arrival, { code, message, range }: StampRefusal, view: IntakeView): void {
    this.answerProven(replyTo, refusal(client, id, code, message, range), view.inherited, view);
  }

  /** For operators: clients' stamps that are refused lately; null: none. */
  stampTrouble(nowMs: number): string | null {
    return this.#stamps.trouble(nowMs);
  }

  /** An answer that is true only while this server is the primary: a refusal, or what a query saw at `needs`. */
  answerProven(to: string, bytes: Uint8Array, needs: number, view: IntakeView): void {
    if (to === "" || this.#replies.waitingForProof >= view.limits.maxWaitingRefusals) return;
    const probe = view.alone ? 0 : view.peers.nextProbe();
    this.#replies.oweProven(to, view.rules.answerNeeds(needs, view.inherited), probe, bytes);
  }

  /** A transaction that is not the request's last one (claim 25). */
  transaction(request: RunningRequest, part: TransactionPart, view: IntakeView): number {
    const body = request.ordinal === 0 ? JSON.stringify(request.body) : "";
    const sequence = appendRecord(
      request,
      recordKinds.transaction,
      request.ordinal,
      part.name,
      part.effects,
      part.value,
      body,
      view,
    );
    request.ordinal += 1;
    this.#running.set(request.requestKey, request);
    return sequence;
  }

  /** The record of the result. */
  finish(request: RunningRequest, part: ResultPart, view: IntakeView): number {
    const head = `{"client":${JSON.stringify(request.client)},"id":${JSON.stringify(request.id)},`;
    const reply = `${head}${part.outcome},"sequence":${view.log.last + 1},"epoch":${view.epoch}}`;
    const sequence = appendRecord(
      request,
      recordKinds.final,
      request.ordinal,
      part.name,
      part.effects,
      reply,
      "",
      view,
    );
    request.done = true;
    if (this.#running.size > 0) this.#running.delete(request.requestKey);
    const at = view.applied.requests.done.newest;
    for (let index = 0; index < request.replyTo.length; index += 1) {
      const to = request.replyTo[index] as string;
      this.#replies.owe(to, sequence, at.source, at.start, at.end, index > 0);
    }
    this.#joined -= request.joined;
    if (request === this.#dangerous) this.#onDangerOver(view);
    return sequence;
  }

  /** Hands out what may leave now (rule 5). */
  release(committed: number, echoed: number, rules: Rules, sink: ReplySink): void {
    this.#replies.release(committed, echoed, rules, sink);
  }

  /** The role is gone: nothing in flight is spoken of (rule 7). */
  clear(): void {
    this.isPaused = false;
    this.#stamps.clear();
    this.#replies.clear();
    this.#queue = [];
    this.#running.clear();
    this.#joined = 0;
    this.#dangerous = null;
    this.#waiting = [];
  }
}
