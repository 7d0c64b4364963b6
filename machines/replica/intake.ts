/**
 * What clients asked of a hot server and what they are owed: the way from a request to its record and, after commit, to
 * its reply (rules 5, 11, 12, 15, 17). The hot path allocates one object for a request and one for its reply.
 *
 * What always holds: a reply leaves in the order of the log and only when all that it depends on is committed; a refusal
 * that another server might not repeat leaves only with a proof that this server was not deposed; both die with the role.
 */
import type { ErrorCode } from "../../schemas/errors.ts";
import type { Limits } from "../../schemas/settings.ts";
import { recordKinds, requestKey } from "../codec/record.ts";
import type { MemoryLog } from "../log/memory-log.ts";
import type { CompletedTransaction, RequestTable, RunningRequest } from "./requests.ts";
import type { Rules } from "./rules.ts";

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

/** Called for each reply that may leave now. The bytes are not changed later. */
export type ReplySink = (to: string, bytes: Uint8Array, duplicate: boolean) => void;

interface Owed {
  readonly to: string;
  readonly needs: number;
  /** 0: no proof is needed. */
  readonly probe: number;
  readonly source: Uint8Array;
  readonly start: number;
  readonly end: number;
  readonly duplicate: boolean;
}

/** The replica's fields that the intake reads. */
export interface IntakeView {
  readonly log: MemoryLog;
  readonly requests: RequestTable;
  readonly rules: Rules;
  readonly limits: Limits;
  readonly epoch: number;
  readonly committed: number;
  /** End of what this server inherited when it went hot. */
  readonly inherited: number;
  readonly alone: boolean;
  /** Requests are held: paused by an operator, or too much is unconfirmed. */
  readonly busy: string;
  readonly cautious: boolean;
  nextProbe(): number;
}

const noBytes = new Uint8Array(0);

/** JSON of a refusal. `executed: false` speaks of the copy that was refused (rule 5). */
export function refusal(client: string, id: string, code: ErrorCode, message: string): Uint8Array {
  return Buffer.from(JSON.stringify({ client, id, ok: false, error: { code, message, executed: false } }));
}

export class Intake {
  #owed: Owed[] = [];
  #owedHead = 0;
  #now: Owed[] = [];
  #proofs: Owed[] = [];
  #queue: RunningRequest[] = [];
  /** Begun and not done: joined by duplicates. */
  #running = new Map<string, RunningRequest>();

  get inFlight(): number {
    return this.#owed.length - this.#owedHead + this.#running.size;
  }
  get waitingForProof(): number {
    return this.#proofs.length;
  }

  /** The request to run now, or null: it is answered, joined, refused, queued behind an attempt record, or dropped. */
  onRequest(arrival: Arrival, nowWallMs: number, view: IntakeView): RunningRequest | null {
    const { rules, requests } = view;
    const key = requestKey(arrival.client, arrival.id);
    const doneAt = requests.done.sequenceOf(key);
    if (rules.isDuplicate(doneAt)) {
      this.#answerAgain(key, arrival, view);
      return null;
    }
    const running = this.#running.get(key);
    if (running !== undefined) {
      if (rules.isReused(arrival.bodyHash, running.bodyHash))
        this.refuse(arrival, "ID_REUSED", "this id was used with another body", view);
      else if (arrival.replyTo !== "") running.replyTo.push(arrival.replyTo);
      return null;
    }
    if (arrival.issuedAtMs !== undefined && arrival.issuedAtMs > nowWallMs + view.limits.maxFutureMs) {
      this.#now.push(
        owed(
          arrival.replyTo,
          refusal(
            arrival.client,
            arrival.id,
            "INVALID_REQUEST",
            "issuedAt lies too far in the future: check the client's clock",
          ),
        ),
      );
      return null;
    }
    if (rules.isExpired(arrival.issuedAtMs, requests.done.floorMs)) {
      this.refuse(
        arrival,
        "EXPIRED",
        "issued before the oldest request that is remembered: whether it was executed is not known",
        view,
      );
      return null;
    }
    const begun = requests.begun.get(key);
    if (begun !== undefined && rules.isReused(arrival.bodyHash, begun.bodyHash)) {
      this.refuse(arrival, "ID_REUSED", "this id was used with another body", view);
      return null;
    }
    if (
      arrival.after !== undefined &&
      !rules.mayRunAfter(this.#isKnown(requestKey(arrival.client, arrival.after), view))
    ) {
      this.refuse(arrival, "OUT_OF_ORDER", `request ${arrival.after} is not known here; send it again first`, view);
      return null;
    }
    if (view.busy !== "" || this.inFlight >= view.limits.maxInFlight) {
      this.refuse(arrival, "BUSY", view.busy || "too many requests are in flight", view);
      return null;
    }
    const request: RunningRequest = {
      client: arrival.client,
      id: arrival.id,
      key: arrival.key,
      requestKey: key,
      bodyHash: arrival.bodyHash,
      stampMs: begun?.stampMs ?? arrival.issuedAtMs ?? nowWallMs,
      body: arrival.body,
      replyTo: arrival.replyTo === "" ? [] : [arrival.replyTo],
      completed: begun === undefined ? [] : rules.completed(begun.completed),
      resumed: begun !== undefined && begun.completed.length > 0,
      startsAfter: 0,
      started: false,
      done: false,
      ordinal: begun?.completed.length ?? 0,
    };
    return this.begin(request, begun?.attempts ?? 0, arrival.resend || view.cautious || begun !== undefined, view);
  }

  /** Starts a request at once, or behind an attempt record where it may be dangerous (rule 17). */
  begin(request: RunningRequest, attempts: number, isSuspect: boolean, view: IntakeView): RunningRequest | null {
    if (view.rules.isPoisoned(attempts)) {
      const error = {
        code: "POISONED",
        message: "this request was started twice and a server died each time",
        executed: false,
      };
      this.finish(
        request,
        { name: "", effects: noBytes, outcome: `"ok":false,"error":${JSON.stringify(error)}` },
        view,
      );
      return null;
    }
    if (isSuspect) {
      request.startsAfter = this.#append(
        request,
        recordKinds.attempt,
        attempts,
        "",
        noBytes,
        "",
        JSON.stringify(request.body),
        view,
      );
    } else if (this.#queue.length === 0) {
      request.started = true;
      return request;
    }
    this.#running.set(request.requestKey, request);
    this.#queue.push(request);
    return null;
  }

  /** The next queued request whose attempt record is committed; null if the first must still wait. */
  nextToStart(committed: number): RunningRequest | null {
    const first = this.#queue[0];
    if (first === undefined || first.startsAfter > committed) return null;
    this.#queue.shift();
    first.started = true;
    return first;
  }

  hasStartable(committed: number): boolean {
    const first = this.#queue[0];
    return first !== undefined && first.startsAfter <= committed;
  }

  /** The handler goes on after its first turn: duplicates may join it. */
  keepRunning(request: RunningRequest): void {
    if (!request.done) this.#running.set(request.requestKey, request);
  }

  #isKnown(key: string, view: IntakeView): boolean {
    if (view.requests.done.sequenceOf(key) > 0 || this.#running.has(key)) return true;
    const begun = view.requests.begun.get(key);
    return begun !== undefined && begun.completed.length > 0;
  }

  #answerAgain(key: string, arrival: Arrival, view: IntakeView): void {
    const done = view.requests.done.find(key);
    if (done === null) return;
    if (view.rules.isReused(arrival.bodyHash, done.bodyHash)) {
      this.refuse(arrival, "ID_REUSED", "this id was used with another body", view);
      return;
    }
    if (arrival.replyTo === "") return;
    const reply: Owed = {
      to: arrival.replyTo,
      needs: done.sequence,
      probe: 0,
      source: done.reply,
      start: 0,
      end: done.reply.length,
      duplicate: true,
    };
    if (view.rules.mayAnswer(done.sequence, view.committed)) this.#now.push(reply);
    else this.#owed.push({ ...reply, needs: view.log.last });
  }

  /** A refusal that another server might not repeat: it waits for a proof; too many waiting, and it is dropped. */
  refuse(
    arrival: Pick<Arrival, "client" | "id" | "replyTo">,
    code: ErrorCode,
    message: string,
    view: IntakeView,
  ): void {
    this.answerProven(arrival.replyTo, refusal(arrival.client, arrival.id, code, message), view.inherited, view);
  }

  /** An answer that is true only while this server is the primary: a refusal, or what a query saw at `needs`. */
  answerProven(to: string, bytes: Uint8Array, needs: number, view: IntakeView): void {
    if (to === "" || this.#proofs.length >= view.limits.maxWaitingRefusals) return;
    const probe = view.alone ? 0 : view.nextProbe();
    this.#proofs.push({
      to,
      needs: Math.max(needs, view.inherited),
      probe,
      source: bytes,
      start: 0,
      end: bytes.length,
      duplicate: false,
    });
  }

  #append(
    request: RunningRequest,
    kind: (typeof recordKinds)[keyof typeof recordKinds],
    ordinal: number,
    name: string,
    effects: Uint8Array,
    reply: string,
    body: string,
    view: IntakeView,
  ): number {
    const sequence = view.log.last + 1;
    const { requests, log } = view;
    const isFinal = kind === recordKinds.final;
    const start = log.append({
      kind,
      ordinal,
      epoch: view.epoch,
      sequence,
      resultNumber: isFinal ? requests.resultNumber + 1 : 0,
      stampMs: request.stampMs,
      forgottenThrough: requests.forgetThrough,
      bodyHash: request.bodyHash,
      client: request.client,
      id: request.id,
      key: request.key,
      name,
      effects,
      reply,
      body,
    });
    requests.observeOwn(log.arena, start, isFinal ? request.requestKey : "");
    return sequence;
  }

  /** A transaction that is not the request's last one (claim 25). */
  transaction(
    request: RunningRequest,
    part: { name: string; effects: Uint8Array; value: string },
    view: IntakeView,
  ): number {
    const body = request.ordinal === 0 ? JSON.stringify(request.body) : "";
    const sequence = this.#append(
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

  /** The record of the result; `outcome` is the reply's JSON from `"ok"` to before `,"sequence"`. */
  finish(
    request: RunningRequest,
    part: { name: string; effects: Uint8Array; outcome: string },
    view: IntakeView,
  ): number {
    const head = `{"client":${JSON.stringify(request.client)},"id":${JSON.stringify(request.id)},`;
    const reply = `${head}${part.outcome},"sequence":${view.log.last + 1},"epoch":${view.epoch}}`;
    const sequence = this.#append(
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
    const at = view.requests.done.newest;
    for (let index = 0; index < request.replyTo.length; index += 1) {
      const to = request.replyTo[index] as string;
      this.#owed.push({
        to,
        needs: sequence,
        probe: 0,
        source: at.source,
        start: at.start,
        end: at.end,
        duplicate: index > 0,
      });
    }
    return sequence;
  }

  /** Hands out what may leave now (rule 5). */
  release(committed: number, echoed: number, rules: Rules, sink: ReplySink): void {
    for (const reply of this.#now) sink(reply.to, reply.source.subarray(reply.start, reply.end), reply.duplicate);
    this.#now.length = 0;
    const owed = this.#owed;
    let head = this.#owedHead;
    while (head < owed.length) {
      const reply = owed[head] as Owed;
      if (!rules.mayAnswer(reply.needs, committed)) break;
      sink(reply.to, reply.source.subarray(reply.start, reply.end), reply.duplicate);
      head += 1;
    }
    if (head === owed.length) {
      owed.length = 0;
      head = 0;
    } else if (head > 4096 && head * 2 > owed.length) {
      owed.splice(0, head);
      head = 0;
    }
    this.#owedHead = head;
    let proven = 0;
    for (const reply of this.#proofs) {
      if (!rules.mayAnswer(reply.needs, committed) || !rules.isProven(reply.probe, echoed)) break;
      sink(reply.to, reply.source.subarray(reply.start, reply.end), reply.duplicate);
      proven += 1;
    }
    if (proven > 0) this.#proofs.splice(0, proven);
  }

  /** A request that an earlier server began (rule 16). */
  resumable(
    begun: { client: string; id: string; key: string; bodyHash: number; stampMs: number; body: string },
    completed: readonly CompletedTransaction[],
  ): RunningRequest {
    return {
      client: begun.client,
      id: begun.id,
      key: begun.key,
      requestKey: requestKey(begun.client, begun.id),
      bodyHash: begun.bodyHash,
      stampMs: begun.stampMs,
      body: JSON.parse(begun.body),
      replyTo: [],
      completed,
      resumed: true,
      startsAfter: 0,
      started: false,
      done: false,
      ordinal: completed.length,
    };
  }

  /** The role is gone: nothing in flight is spoken of (rule 7). */
  clear(): void {
    this.#owed = [];
    this.#owedHead = 0;
    this.#now = [];
    this.#proofs = [];
    this.#queue = [];
    this.#running.clear();
  }

  clone(): Intake {
    const copy = new Intake();
    copy.#owed = this.#owed.slice(this.#owedHead);
    copy.#now = [...this.#now];
    copy.#proofs = [...this.#proofs];
    const requests = new Map(
      [...this.#running].map(([key, request]) => [key, { ...request, replyTo: [...request.replyTo] }]),
    );
    copy.#running = requests;
    copy.#queue = this.#queue.map((request) => requests.get(request.requestKey) ?? request);
    return copy;
  }
}

function owed(to: string, bytes: Uint8Array): Owed {
  return { to, needs: 0, probe: 0, source: bytes, start: 0, end: bytes.length, duplicate: false };
}
