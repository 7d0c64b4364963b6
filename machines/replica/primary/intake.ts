/**
 * What clients asked of a hot server and what they are owed: the way from a request to its record and, after commit, to
 * its reply (rules 5, 11, 12, 15, 17). The hot path allocates one object for a request and one for its reply.
 *
 * What always holds: a reply leaves in the order of the log and only when all that it depends on is committed; a refusal
 * that another server might not repeat leaves only with a proof that this server was not deposed; both die with the role. What
 * is limited for all clients together is refused, once a limit is reached, to those beyond their share (`isBeyondShare`): a client
 * alone has all of a limit, all together have an eighth more, and who holds nothing is taken as long as anything of that is left.
 */
import type { StampRange } from "../../../schemas/envelope.ts";
import type { ErrorCode } from "../../../schemas/errors.ts";
import { hashOfAny } from "../../codec/body-hash.ts";
import { arrivalStamp, recordKinds, requestKey } from "../../codec/record.ts";
import { maxLogBytes } from "../../log/memory-log.ts";
import type { Core } from "../core.ts";
import { RunningRequest } from "../log/requests.ts";
import type { Commitment } from "./commitment.ts";
import type { Followers } from "./followers.ts";
import { OwedReplies, type ReplySink } from "./owed-replies.ts";
import { Recalls } from "./recalls.ts";
import { appendRecord, attemptBytes } from "./request-records.ts";
import { Holding, type Shares } from "./shares.ts";
import { type StampRefusal, Stamps } from "./stamps.ts";

/** A parsed request at the door. `body` was checked by the application's schema. */
export interface Arrival {
  readonly client: string;
  readonly id: string;
  readonly key: string;
  readonly bodyHash: number;
  /** The body as it was sent: a program of another version may have filled in other defaults (rule 12). */
  readonly sent?: unknown;
  readonly issuedAtMs: number | undefined;
  readonly after: string | undefined;
  readonly resend: boolean;
  readonly body: unknown;
  /** Empty: nobody waits for the reply. */
  readonly replyTo: string;
  /** As `readTraceparent` gives it. */
  readonly traceparent?: string;
  /** When it came, for those who measure: nothing is decided by it. */
  readonly sinceMs?: number;
  /** Of a timer: the effects that take it away, where it comes to its end without being run (rule 20). */
  readonly ending?: Uint8Array;
}

/** A transaction that did not wait for the result: its effects, and the value that it gave, as JSON. */
export interface TransactionPart {
  readonly name: string;
  readonly effects: Uint8Array;
  readonly value: string;
}

/** The result, with the transaction that waited for it, if one did; `outcome` is the reply's JSON from `"ok"` to before `,"sequence"`. */
export interface ResultPart {
  readonly name: string;
  readonly effects: Uint8Array;
  readonly outcome: string;
}

/** A request whose turn comes after the one that is dangerous, and how often it was tried. */
class Waiting {
  readonly request: RunningRequest;
  readonly attempts: number;

  constructor(request: RunningRequest, attempts: number) {
    this.request = request;
    this.attempts = attempts;
  }
}

const noBytes = new Uint8Array(0);
const tooManyInFlight = "too many requests are in flight";
/** Of the refusals that may wait, those that a client is told whose requests are turned away unread. */
const toldShare = 8;
/** Of a client that is not known. */
const nothing = new Holding("");

/** JSON of a refusal. `executed: false` speaks of the copy that was refused (rule 5). */
export function refusal(client: string, id: string, code: ErrorCode, message: string, stamps?: StampRange): Uint8Array {
  return Buffer.from(JSON.stringify({ client, id, ok: false, error: { code, message, executed: false, stamps } }));
}

export class Intake {
  private readonly core: Core;
  private readonly followers: Followers;
  private readonly commitment: Commitment;
  private readonly shares: Shares;
  /** End of what this server inherited when it went hot. */
  private readonly inherited: number;
  /** When clients could know that this server serves; null: not yet. */
  private readyMs: number | null = null;
  private readonly replies: OwedReplies;
  private readonly recalls: Recalls<Arrival>;
  private readonly stamps: Stamps;
  /** By an operator, as the record or his wish says; refreshed by `Replica`. */
  isPaused = false;
  private readonly queue: RunningRequest[] = [];
  /**
   * The one request with an attempt on record before this server's that has its turn: a server died of it, or of another
   * that ran beside it. The others wait until it is done, so that only the one that kills is given up (rule 17).
   */
  private dangerous: RunningRequest | null = null;
  private readonly waiting: Waiting[] = [];
  /** Begun and not done: joined by duplicates. */
  private readonly begun = new Map<string, RunningRequest>();
  /** Copies that wait for the answer of one that runs. */
  private joined = 0;

  constructor(core: Core, followers: Followers, commitment: Commitment, shares: Shares, inherited: number) {
    this.core = core;
    this.followers = followers;
    this.commitment = commitment;
    this.shares = shares;
    this.inherited = inherited;
    this.replies = new OwedReplies(shares);
    this.recalls = new Recalls(shares);
    this.stamps = new Stamps(core);
  }

  /** Requests may be sent again from now on: the time of caution begins, however long the state took until here (rule 17). */
  onReady(): void {
    this.readyMs = this.core.nowMs;
  }

  /** For the explorer: what tells two states of this apart, beyond its getters. */
  get facts() {
    const dangerous = this.dangerous?.requestKey;
    const running = [...this.begun.values()];
    const ahead = this.stamps.facts;
    const recalls = this.recalls.facts;
    return {
      replies: this.replies.facts,
      recalls,
      queue: this.queue,
      dangerous,
      waiting: this.waiting,
      running,
      ahead,
    };
  }

  /** Begun, or about to, and without a result. */
  get running(): number {
    return this.begun.size;
  }
  get inFlight(): number {
    return this.replies.waiting + this.begun.size + this.joined + this.recalls.waiting;
  }

  /** The request to run now, or null: it is answered, joined, refused, queued behind an attempt record, or dropped. */
  onRequest(arrival: Arrival, nowWallMs: number): RunningRequest | null {
    const { rules, limits, nowMs } = this.core;
    const { requests } = this.core.applied;
    const key = requestKey(arrival.client, arrival.id);
    const doneAt = requests.done.sequenceOf(key);
    if (rules.isDuplicate(doneAt)) {
      this.answerAgain(key, arrival);
      return null;
    }
    const running = this.begun.get(key);
    if (running !== undefined && rules.isInProgress(running.done)) {
      if (this.isOther(arrival, running.bodyHash)) this.refuseReused(arrival);
      else if (this.isFullFor(arrival.client)) this.refuse(arrival, "BUSY", tooManyInFlight);
      else if (arrival.replyTo !== "") this.join(running, arrival.replyTo);
      return null;
    }
    const untimely = this.stamps.judge(arrival, nowWallMs);
    if (untimely !== null) {
      this.refuseStamp(arrival, untimely);
      return null;
    }
    const begun = requests.begun.get(key);
    if (begun !== undefined && this.isOther(arrival, begun.bodyHash)) {
      this.refuseReused(arrival);
      return null;
    }
    const after = arrival.after === undefined ? "" : requestKey(arrival.client, arrival.after);
    if (after !== "" && !rules.mayRunAfter(this.isKnown(after))) {
      this.refuse(arrival, "OUT_OF_ORDER", `request ${arrival.after} is not known here; send it again first`);
      return null;
    }
    const busy = this.busy(arrival.client);
    if (busy !== "") {
      this.refuse(arrival, "BUSY", busy);
      return null;
    }
    const replyTo = arrival.replyTo === "" ? [] : [arrival.replyTo];
    const stampMs = begun?.stampMs ?? arrival.issuedAtMs ?? arrivalStamp(nowWallMs);
    // The first record's stays (rule 20): whoever runs it again is told the same time.
    const takenMs = begun?.takenMs || this.core.timeNow(nowWallMs);
    const completed = begun === undefined ? [] : rules.completed(begun.completed);
    const { traceparent = "" } = begun ?? {};
    const asked = traceparent === "" ? arrival : { ...arrival, traceparent };
    const request = new RunningRequest(asked, key, after, stampMs, takenMs, arrival.body, replyTo, completed);
    request.resumed = begun !== undefined && begun.completed.length > 0;
    request.ordinal = begun?.completed.length ?? 0;
    const isEarly = nowMs - (this.readyMs ?? nowMs) < limits.cautionMs;
    const isSuspect = rules.needsAttempt(arrival.resend || isEarly || begun !== undefined);
    // What was on record once is so again; a body may take more in a record than it took on the wire.
    if (isSuspect && begun === undefined && !this.fitsAttempt(request)) {
      if (request.ending.length > 0)
        return this.giveUp(request, "TOO_LARGE", "its body does not fit in a record any more");
      this.refuse(arrival, "TOO_LARGE", "its body, written out, does not fit in a record");
      return null;
    }
    this.stamps.onTaken(arrival, nowWallMs);
    return this.begin(request, begun?.attempts ?? 0, isSuspect);
  }

  /** A timer may come now: else it waits, and nobody is refused. */
  takesTimer(client: string): boolean {
    return this.busy(client) === "";
  }

  /** It is not run, and there is nobody who could ask again: that is its result. */
  private giveUp(request: RunningRequest, code: ErrorCode, message: string): null {
    this.core.tally.refused(code);
    this.holdingOf(request).inFlight += 1;
    this.finishUnrun(request, code, message, false);
    return null;
  }

  private finishUnrun(request: RunningRequest, code: ErrorCode, message: string, executed: boolean): void {
    const outcome = `"ok":false,"error":${JSON.stringify({ code, message, executed })}`;
    this.finish(request, { name: "", effects: request.ordinal === 0 ? request.ending : noBytes, outcome });
  }

  /** A record with the body fits what a record may have (rule 15). */
  private fitsAttempt(request: RunningRequest): boolean {
    const { rules, limits } = this.core;
    return attemptBytes(request) <= rules.recordRoom(limits.maxRecordBytes, Number.POSITIVE_INFINITY);
  }

  private busy(client: string): string {
    const { rules, limits, own } = this.core;
    const { log } = own;
    if (this.isPaused) return "intake is paused by an operator";
    // What this turn made counts too: all of it may come at once.
    const openBytes = this.commitment.openBytes + log.turnBytes;
    const maxBytes = limits.maxUnconfirmedBytes;
    if (rules.isFull(openBytes, maxBytes) && rules.isBeyondShare(this.held(client).openBytes, openBytes, maxBytes))
      return "the backup or the disk does not keep up";
    if (rules.isFull(log.retainedBytes, maxLogBytes(limits)))
      return "the disk, or NATS with the results, does not keep up";
    return this.isFullFor(client) ? tooManyInFlight : "";
  }

  /** Another body than the one on record, as it is read now and as it was sent. */
  private isOther(arrival: Arrival, recorded: number): boolean {
    const { rules } = this.core;
    if (!rules.isReused(arrival.bodyHash, recorded)) return false;
    return arrival.sent === undefined || rules.isReused(hashOfAny(arrival.sent), recorded);
  }

  private isFullFor(client: string): boolean {
    const { maxInFlight } = this.core.limits;
    const { rules } = this.core;
    const all = this.inFlight;
    return rules.isFull(all, maxInFlight) && rules.isBeyondShare(this.held(client).inFlight, all, maxInFlight);
  }

  private held(client: string): Holding {
    return this.shares.find(client) ?? nothing;
  }

  private join(running: RunningRequest, replyTo: string): void {
    this.core.tally.joined += 1;
    running.replyTo.push(replyTo);
    running.joined += 1;
    this.joined += 1;
    this.holdingOf(running).inFlight += 1;
  }

  /** Counted for its client from its first record, or its beginning, on. */
  private holdingOf(request: RunningRequest): Holding {
    request.holding ??= this.shares.of(request.client);
    return request.holding;
  }

  /** Starts a request at once, or behind an attempt record where it may be dangerous (rule 17). */
  begin(request: RunningRequest, attempts: number, isSuspect: boolean): RunningRequest | null {
    this.holdingOf(request).inFlight += 1;
    const told = this.core.rules.toldAttempts(this.core.deaths.takeUnrecorded(request.requestKey));
    for (let nth = 0; nth < told; nth += 1) this.attempt(request, attempts + nth);
    return this.admit(request, attempts + told, isSuspect || told > 0);
  }

  private admit(request: RunningRequest, attempts: number, isSuspect: boolean): RunningRequest | null {
    if (this.core.rules.isPoisoned(attempts)) {
      this.core.tally.refused("POISONED");
      const message = "this request was started twice and a server died each time";
      this.finishUnrun(request, "POISONED", message, request.ordinal > 0);
      return null;
    }
    if (isSuspect && attempts > 0 && this.dangerous !== null) {
      request.startsAfter = Number.POSITIVE_INFINITY;
      this.waiting.push(new Waiting(request, attempts));
    } else if (isSuspect) {
      if (attempts > 0) this.dangerous = request;
      request.startsAfter = this.attempt(request, attempts);
    } else if (this.queue.length === 0 && !this.isHeld(request)) {
      request.started = true;
      return request;
    }
    this.begun.set(request.requestKey, request);
    this.queue.push(request);
    return null;
  }

  private attempt(request: RunningRequest, attempts: number): number {
    const body = JSON.stringify(request.body);
    return this.append(request, recordKinds.attempt, attempts, "", noBytes, "", body);
  }

  private append(
    request: RunningRequest,
    kind: (typeof recordKinds)[keyof typeof recordKinds],
    ordinal: number,
    name: string,
    effects: Uint8Array,
    reply: string,
    body: string,
  ): number {
    const { log } = this.core.own;
    const before = log.turnBytes;
    const sequence = appendRecord(request, kind, ordinal, name, effects, reply, body, this.core);
    this.shares.onRecord(this.holdingOf(request), log.turnBytes - before);
    return sequence;
  }

  /** The next of those that were in flight at a death gets its turn, alone. */
  private onDangerOver(): void {
    const next = this.waiting.shift();
    this.dangerous = next?.request ?? null;
    if (next !== undefined) next.request.startsAfter = this.attempt(next.request, next.attempts);
  }

  /** The next queued request whose attempt record is committed, and the one before it on record; null if there is none. */
  nextToStart(): RunningRequest | null {
    const at = this.startable();
    const [next] = at < 0 ? [] : this.queue.splice(at, 1);
    if (next === undefined) return null;
    next.started = true;
    return next;
  }

  get hasStartable(): boolean {
    return this.startable() >= 0;
  }

  private startable(): number {
    const { committed } = this.core.own;
    for (let at = 0; at < this.queue.length; at += 1) {
      const request = this.queue[at] as RunningRequest;
      if (request.startsAfter > committed) return -1;
      if (!this.isHeld(request)) return at;
    }
    return -1;
  }

  /** The one before it runs and has no record yet: both commit in the client's order (invariant 9). */
  private isHeld({ after }: RunningRequest): boolean {
    return after !== "" && this.begun.get(after)?.ordinal === 0;
  }

  /** The handler goes on after its first turn: duplicates may join it. */
  keepRunning(request: RunningRequest): void {
    if (!request.done) this.begun.set(request.requestKey, request);
  }

  /** It is done, or runs: sent again, it is answered or joined. */
  isAgain(key: string): boolean {
    const { rules, applied } = this.core;
    if (rules.isDuplicate(applied.requests.done.sequenceOf(key))) return true;
    const running = this.begun.get(key);
    return running !== undefined && rules.isInProgress(running.done);
  }

  private isKnown(key: string): boolean {
    if (this.core.applied.requests.done.sequenceOf(key) > 0 || this.begun.has(key)) return true;
    const begun = this.core.applied.requests.begun.get(key);
    return begun !== undefined && begun.completed.length > 0;
  }

  private answerAgain(key: string, arrival: Arrival): void {
    const done = this.core.applied.requests.done.find(key);
    if (done === null) return;
    if (this.isOther(arrival, done.bodyHash)) {
      this.refuseReused(arrival);
      return;
    }
    this.core.tally.duplicates += 1;
    if (arrival.replyTo === "") return;
    const { rules, own } = this.core;
    const leavesAtOnce = done.reply !== null && rules.mayAnswer(done.sequence, own.committed);
    if (!leavesAtOnce && this.isFullFor(arrival.client)) this.refuse(arrival, "BUSY", tooManyInFlight);
    else if (done.reply === null) this.recalls.want(done.sequence, done.length, arrival);
    else this.oweAgain(arrival, done.sequence, done.reply);
  }

  private oweAgain({ replyTo, client }: Arrival, sequence: number, stored: Uint8Array): void {
    const { rules, membership, own } = this.core;
    const reply = rules.storedReply(stored, membership.epoch);
    if (rules.mayAnswer(sequence, own.committed)) this.replies.oweAtOnce(replyTo, reply, true);
    else this.replies.owe(replyTo, own.log.last, reply, 0, reply.length, true, this.shares.of(client));
  }

  get mayRecall(): boolean {
    return this.recalls.mayRead;
  }

  /** The next replies that memory has let go of are asked for. */
  recall(): void {
    if (!this.recalls.mayRead) return;
    const { rules, limits, outbox } = this.core;
    outbox.push({ type: "recall", sequences: this.recalls.begin(limits.maxBatchBytes).map(rules.recalls) });
  }

  /** What is missing was forgotten while it was read: who sends it again is told so. */
  onRecalled(replies: ReadonlyMap<number, Uint8Array>): void {
    const { rules, tally } = this.core;
    this.recalls.end((arrival, sequence) => {
      const reply = replies.get(rules.recalls(sequence));
      if (reply === undefined) {
        this.refuse(arrival, "BUSY", "the reply was forgotten while it was read from the disk");
        return;
      }
      tally.recalled += 1;
      this.oweAgain(arrival, sequence, reply);
    });
  }

  /** A refusal that another server might not repeat: it waits for a proof; too many waiting, and it is dropped. */
  private refuseReused(arrival: Arrival): void {
    this.core.tally.refused("ID_REUSED");
    const bytes = refusal(arrival.client, arrival.id, "ID_REUSED", "this id was used with another body");
    // It speaks of a record: it leaves when that is committed.
    this.answerProven(arrival, bytes, this.core.own.log.last);
  }

  refuse(arrival: Pick<Arrival, "client" | "id" | "replyTo">, code: ErrorCode, message: string): void {
    this.core.tally.refused(code);
    if (!this.hasRoomFor(arrival.client, 0)) return;
    this.answerProven(arrival, refusal(arrival.client, arrival.id, code, message), this.inherited);
  }

  private refuseStamp(arrival: Arrival, { code, message, range }: StampRefusal): void {
    this.core.tally.refused(code);
    this.answerProven(arrival, refusal(arrival.client, arrival.id, code, message, range), this.inherited);
  }

  /** What a query saw at `needs`; where what waits leaves no room for it, BUSY in its place, which is small. */
  answerQuery(sender: Pick<Arrival, "client" | "id" | "replyTo">, bytes: Uint8Array, needs: number): void {
    if (this.hasRoomFor(sender.client, bytes.length)) this.answerProven(sender, bytes, needs);
    else this.refuse(sender, "BUSY", "too many answers wait until they may leave");
  }

  /** Whether an answer of so many bytes may wait for its proof (rule 15); one larger than the limit, alone. */
  hasRoomFor(client: string, bytes: number): boolean {
    const { rules, limits } = this.core;
    const { waitingForProof, bytesWaitingForProof } = this.replies;
    const { maxWaitingRefusals, maxWaitingAnswerBytes } = limits;
    if (waitingForProof === 0) return true;
    const allBytes = bytesWaitingForProof + bytes;
    const isFull = rules.isFull(waitingForProof, maxWaitingRefusals);
    if (!isFull && !rules.isFull(allBytes, maxWaitingAnswerBytes)) return true;
    const { answers, answerBytes } = this.held(client);
    if (isFull && rules.isBeyondShare(answers, waitingForProof, maxWaitingRefusals)) return false;
    return !rules.isBeyondShare(answerBytes + bytes, allBytes, maxWaitingAnswerBytes);
  }

  /** Not each of very many: telling them would cost the others more than reading them. */
  tellsTurnedAway(client: string): boolean {
    const { maxWaitingRefusals } = this.core.limits;
    return this.held(client).answers < maxWaitingRefusals / toldShare && this.hasRoomFor(client, 0);
  }

  /**
   * An answer that is true only while this server is the primary: a refusal, or what a query saw at `needs`. Without room
   * it is dropped: a BUSY would have to wait for its proof as well.
   */
  answerProven({ client, replyTo }: Pick<Arrival, "client" | "replyTo">, bytes: Uint8Array, needs: number): void {
    if (replyTo === "" || !this.hasRoomFor(client, bytes.length)) return;
    const probe = this.core.alone ? 0 : this.followers.nextProbe();
    const { rules } = this.core;
    this.replies.oweProven(replyTo, rules.answerNeeds(needs, this.inherited), probe, bytes, this.shares.of(client));
  }

  /** A transaction that is not the request's last one (claim 25). */
  transaction(request: RunningRequest, part: TransactionPart): number {
    const body = request.ordinal === 0 ? JSON.stringify(request.body) : "";
    const { name, effects, value } = part;
    const sequence = this.append(request, recordKinds.transaction, request.ordinal, name, effects, value, body);
    request.ordinal += 1;
    this.begun.set(request.requestKey, request);
    return sequence;
  }

  /** The record of the result. */
  finish(request: RunningRequest, part: ResultPart): number {
    const { own, membership, applied } = this.core;
    const head = `{"client":${JSON.stringify(request.client)},"id":${JSON.stringify(request.id)},`;
    const reply = `${head}${part.outcome},"sequence":${own.log.last + 1},"epoch":${membership.epoch}}`;
    const sequence = this.append(request, recordKinds.final, request.ordinal, part.name, part.effects, reply, "");
    const holding = this.holdingOf(request);
    request.done = true;
    if (this.begun.size > 0) this.begun.delete(request.requestKey);
    const at = applied.requests.done.newest;
    for (let index = 0; index < request.replyTo.length; index += 1) {
      const to = request.replyTo[index] as string;
      this.replies.owe(to, sequence, at.source, at.start, at.end, index > 0, holding);
    }
    // The record's bytes are held in any case, until it is committed.
    holding.inFlight -= 1 + request.joined;
    this.joined -= request.joined;
    if (request === this.dangerous) this.onDangerOver();
    return sequence;
  }

  /** Hands out what may leave now (rule 5). */
  release(echoed: number, sink: ReplySink): void {
    this.replies.release(this.core.own.committed, echoed, this.core.rules, sink);
    this.recalls.onReleased();
  }
}
