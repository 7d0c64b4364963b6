/**
 * The client library: requests with one result each, queries, and honest errors.
 *
 * What always holds: one inbox for all answers, on a subject that cannot be guessed; every copy of a request carries the
 * same client, id and body, and, once one of them may have been executed, the same `issuedAt`; a promise is settled exactly once, with an `Answer`, or with `RefusedError`
 * (certainly not executed), `FailedError` (executed, it failed) or `UnknownOutcomeError` (send it again with the same id).
 */
import { ReadySignal, type StampRange } from "../../schemas/envelope.ts";
import { subjects, whyNoSubject } from "../../schemas/subjects.ts";
import { readTraceparent, traceparentHeader } from "../../schemas/traceparent.ts";
import { utf8Length, utf8Text } from "../../schemas/utf8.ts";
import type { ApplicationDefinition, BodyOf, ResultOf } from "../application/contract.ts";
import type { Bus, BusHeaders, BusMessage, Clock } from "../world/ports.ts";
import type { Answer, End, Entry } from "./entry.ts";
import { FailedError, RefusedError, UnansweredError, UnknownOutcomeError } from "./errors.ts";
import { Pipeline } from "./pipeline.ts";
import { ReadyPace } from "./ready-pace.ts";
import { Stamper } from "./stamper.ts";

export interface ClientOptions<A extends ApplicationDefinition = ApplicationDefinition> {
  readonly service: string;
  /** This client's name. Two clients of one name share their ids: leave ids to the library, or keep them apart. */
  readonly client: string;
  /** Gives the types, the partition key and a check of bodies before they are sent. */
  readonly application?: A;
  readonly clock: Clock;
  readonly bus: Bus;
  /** For each request, from the call on; a request may name its own. */
  readonly deadlineMs?: number;
  readonly backoffMs?: { readonly first: number; readonly max: number };
  /** How long an answer is waited for, at least, before the request is sent again. */
  readonly answerMs?: number;
  /** Sent and unanswered at once; more wait for their turn. */
  readonly maxInFlight?: number;
  /** Waiting for their turn; more are refused with NOT_SENT. */
  readonly maxWaiting?: number;
  /** Keep the order of the calls (default): each request names the unanswered one before it in `after`. */
  readonly ordered?: boolean;
  /** Asked at each call for the trace context that the request is part of, where it names none: `activeTraceparent` of `twinlog/opentelemetry`. */
  readonly traceparent?: () => string | undefined;
}

export interface RequestOptions {
  /** Default: unique, made by the library. The same id with the same body is the same request. */
  readonly id?: string;
  /** Partition key, where no application is given or its own shall not be used. */
  readonly key?: string;
  readonly signal?: AbortSignal;
  readonly deadlineMs?: number;
  /** Run this one after the request of that id; null: in no order. Default: after the unanswered one before it. */
  readonly after?: string | null;
  /** Of the first call with this id, for retries (`UnknownOutcomeError.retry`). */
  readonly issuedAt?: number;
  /** Some earlier call may have sent this id: then the error is never "refused". */
  readonly resend?: boolean;
  /** Trace context (W3C `traceparent`) that the handler is told and the result carries; what is none is left out. */
  readonly traceparent?: string;
}

export type QueryOptions = Pick<RequestOptions, "key" | "signal" | "deadlineMs">;

export interface Client<Body, Result> {
  /** Rejects with RefusedError, FailedError or UnknownOutcomeError. */
  request(body: Body, options?: RequestOptions): Promise<Answer<Result>>;
  /** A read of committed state; `{"query": "<name>", …}`. Rejects with RefusedError, FailedError or UnansweredError. */
  query<Result = unknown>(body: unknown, options?: QueryOptions): Promise<Answer<Result>>;
  /** To be told when the bus is connected again: what was in flight is sent again at once. */
  onBusState(connected: boolean): void;
  counts(): { readonly inFlight: number; readonly unanswered: number; readonly resends: number };
  /** Ends everything unanswered, each with the error that is true of it. */
  close(): void;
}

const defaults = {
  deadlineMs: 30_000,
  backoffMs: { first: 20, max: 1_000 },
  answerMs: 250,
  maxInFlight: 4_096,
  maxWaiting: 65_536,
} as const;

/** What a resend adds to the envelope: `after` with the longest id, escaped, and `resend`. */
const envelopeRoom = 1_024;

export function createClient<A extends ApplicationDefinition = ApplicationDefinition>(
  options: ClientOptions<A>,
): Client<BodyOf<A>, ResultOf<A>> {
  const { service, client, application, clock, bus } = options;
  const deadlineMs = options.deadlineMs ?? defaults.deadlineMs;
  const isOrdered = options.ordered ?? true;
  const limits = {
    maxInFlight: options.maxInFlight ?? defaults.maxInFlight,
    maxWaiting: options.maxWaiting ?? defaults.maxWaiting,
    backoffMs: options.backoffMs ?? defaults.backoffMs,
    answerMs: options.answerMs ?? defaults.answerMs,
  };
  const inbox = bus.inbox();
  const requestInbox = `${inbox}.r`;
  const queryInbox = `${inbox}.q`;
  const longestInbox = `${requestInbox}${Number.MAX_SAFE_INTEGER}.${Number.MAX_SAFE_INTEGER}`;
  const requests = new Pipeline({ bus, clock }, limits, requestInbox, true);
  const queries = new Pipeline({ bus, clock }, limits, queryInbox, false);
  const stamper = new Stamper(clock);
  const idPrefix = clock.randomId().slice(0, 16);
  const opening = `{"client":${JSON.stringify(client)},"id":`;
  let nextId = 1;
  let lastSubject = { key: "", subject: subjects.request(service, "", client) };
  const readyPace = new ReadyPace();
  let lastReady = "";
  let isClosed = false;

  const subscriptions = [
    bus.subscribe(`${inbox}.*.*`, (message) => {
      if (message.subject.startsWith(requestInbox)) requests.onMessage(message);
      else if (message.subject.startsWith(queryInbox)) queries.onMessage(message);
    }),
    bus.subscribe(subjects.signal(service), onSignal),
  ];

  function onSignal(message: BusMessage): void {
    const signal = readSignal(message.data);
    const ready = signal === undefined ? "" : `${signal.epoch} ${signal.incarnation}`;
    if (ready === "" || ready === lastReady || !readyPace.passes(clock.nowMs())) return;
    lastReady = ready;
    requests.onWayOpen();
    queries.onWayOpen();
  }

  function requestSubject(key: string): string {
    if (lastSubject.key !== key) lastSubject = { key, subject: subjects.request(service, key, client) };
    return lastSubject.subject;
  }

  function makeId(): string {
    const id = `${idPrefix}-${nextId}`;
    nextId += 1;
    return id;
  }

  /** Why the text may not be sent at all; undefined: it may. */
  function obstacle(
    text: string,
    key: string,
    subject: string,
    signal: AbortSignal | undefined,
    headers?: BusHeaders,
  ): { code: "NOT_SENT" | "TOO_LARGE" | "INVALID_REQUEST"; message: string } | undefined {
    if (isClosed) return { code: "NOT_SENT", message: "the client is closed" };
    if (signal?.aborted === true) return { code: "NOT_SENT", message: "it was aborted before it was sent" };
    const tooLong = whyNoSubject(key, client);
    if (tooLong !== "") return { code: "INVALID_REQUEST", message: tooLong };
    const room = bus.room(subject, headers, longestInbox);
    if (room < 0) return { code: "TOO_LARGE", message: "the broker takes no subject of that length" };
    const maxBytes = room - envelopeRoom;
    if (3 * text.length > maxBytes && utf8Length(text) > maxBytes)
      return { code: "TOO_LARGE", message: `the broker takes messages of ${room} bytes at most` };
    return undefined;
  }

  function request(body: BodyOf<A>, given: RequestOptions = {}): Promise<Answer<ResultOf<A>>> {
    const id = given.id ?? makeId();
    const checked = application?.request.safeParse(body);
    if (checked?.success === false)
      return Promise.reject(new RefusedError(id, "INVALID_REQUEST", firstIssue(checked.error)));
    const bodyText = JSON.stringify(body) as string | undefined;
    if (bodyText === undefined) return Promise.reject(new RefusedError(id, "INVALID_REQUEST", "a body is required"));
    const text = `${opening}${JSON.stringify(id)},"body":${bodyText}`;
    const key = given.key ?? (application === undefined ? "" : application.key(checked?.data));
    const subject = requestSubject(key);
    const traceparent = readTraceparent(given.traceparent ?? options.traceparent?.());
    const headers = traceparent === "" ? undefined : { [traceparentHeader]: traceparent };
    const refusal = obstacle(text, key, subject, given.signal, headers);
    if (refusal !== undefined) return Promise.reject(new RefusedError(id, refusal.code, refusal.message));
    return new Promise((resolve, reject) => {
      let issuedAt = given.issuedAt ?? stamper.stamp();
      const fail = (end: End) => reject(requestError(id, issuedAt, end));
      const restamp = (range: StampRange) => {
        const corrected = stamper.correct(range);
        issuedAt = corrected ?? issuedAt;
        return corrected;
      };
      const entry = requests.add({
        id,
        subject,
        text,
        headers,
        issuedAt,
        // What the caller stamped is the caller's.
        restamp: given.issuedAt === undefined ? restamp : undefined,
        ordered: given.after === undefined ? isOrdered : given.after !== null,
        after: given.after ?? undefined,
        resend: given.resend ?? false,
        deadlineAtMs: clock.nowMs() + (given.deadlineMs ?? deadlineMs),
        onAnswer: resolve as (answer: Answer<unknown>) => void,
        onEnd: fail,
      });
      if (entry === undefined) fail(tooManyWait);
      else if (given.signal !== undefined) abortWith(requests, entry, given.signal);
    });
  }

  function query<Result = unknown>(body: unknown, given: QueryOptions = {}): Promise<Answer<Result>> {
    const id = makeId();
    const text = `${opening}${JSON.stringify(id)},"body":${JSON.stringify(body) ?? "null"}`;
    const subject = subjects.query(service, given.key ?? "", client);
    const refusal = obstacle(text, given.key ?? "", subject, given.signal);
    if (refusal !== undefined) return Promise.reject(new RefusedError(id, refusal.code, refusal.message));
    return new Promise((resolve, reject) => {
      const fail = (end: End) => reject(queryError(id, end));
      const entry = queries.add({
        id,
        subject,
        text,
        headers: undefined,
        issuedAt: undefined,
        restamp: undefined,
        ordered: false,
        after: undefined,
        resend: false,
        deadlineAtMs: clock.nowMs() + (given.deadlineMs ?? deadlineMs),
        onAnswer: resolve as (answer: Answer<unknown>) => void,
        onEnd: fail,
      });
      if (entry === undefined) fail(tooManyWait);
      else if (given.signal !== undefined) abortWith(queries, entry, given.signal);
    });
  }

  return {
    request,
    query,
    onBusState(connected) {
      if (!connected) return;
      requests.onWayOpen();
      queries.onWayOpen();
    },
    counts: () => ({
      inFlight: requests.inFlight + queries.inFlight,
      unanswered: requests.unanswered + queries.unanswered,
      resends: requests.resends + queries.resends,
    }),
    close() {
      isClosed = true;
      for (const subscription of subscriptions) subscription.stop();
      requests.close();
      queries.close();
    },
  };
}

const tooManyWait: End = {
  type: "refused",
  refusal: { code: "NOT_SENT", message: "too many requests wait in this client; await some of them first" },
};

/** The entry's own end takes the listener off the signal, so that a long-lived signal does not collect them. */
function abortWith(pipeline: Pipeline, entry: Entry, signal: AbortSignal): void {
  const onAbort = () => pipeline.giveUp(entry, "it was aborted", signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  entry.onRemoved = () => signal.removeEventListener("abort", onAbort);
}

function requestError(id: string, issuedAt: number, end: End): Error {
  if (end.type === "open") return new UnknownOutcomeError(id, issuedAt, describe(end), { cause: end.cause });
  return finalError(id, end);
}

function queryError(id: string, end: End): Error {
  if (end.type === "open") return new UnansweredError(id, describe(end), { cause: end.cause });
  return finalError(id, end);
}

function finalError(id: string, end: Exclude<End, { type: "open" }>): Error {
  if (end.type === "refused") return new RefusedError(id, end.refusal.code, end.refusal.message, { cause: end.cause });
  const { error, sequence, epoch } = end.reply;
  return new FailedError(id, error.code, error.message, { sequence, epoch, bytes: end.bytes });
}

function describe(end: Extract<End, { type: "open" }>): string {
  return end.refusal === undefined
    ? end.why
    : `${end.why}; the last word was ${end.refusal.code}: ${end.refusal.message}`;
}

function firstIssue(error: { issues: readonly { path: PropertyKey[]; message: string }[] }): string {
  const issue = error.issues[0];
  if (issue === undefined) return "the body is not a request of this application";
  return issue.path.length === 0 ? issue.message : `${issue.path.map(String).join(".")}: ${issue.message}`;
}

function readSignal(data: Uint8Array): ReadySignal | undefined {
  try {
    return ReadySignal.safeParse(JSON.parse(utf8Text(data))).data;
  } catch {
    return undefined;
  }
}
