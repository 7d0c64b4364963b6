/**
 * A simulated client that speaks plain envelopes: sends at random times, sends again under the same id until it is
 * answered, repeats what is pending, asks again long after the answer, reuses ids with other bodies, and may go away.
 *
 * What always holds: with `ordered`, every request names the one before it in `after`, and what is unanswered is sent
 * again in order; ids are never reused by mistake, only on purpose and after the first use was answered.
 */
import { PieceCollector } from "../../../actors/client/pieces.ts";
import type { Rng } from "../../../actors/testing/world/rng.ts";
import type { Bus, BusMessage, Clock } from "../../../actors/world/ports.ts";
import { noRespondersStatus } from "../../../actors/world/ports.ts";
import type { Envelope } from "../../../schemas/envelope.ts";
import { errorCodes } from "../../../schemas/errors.ts";
import { pieceHeaders } from "../../../schemas/pieces.ts";
import { subjects } from "../../../schemas/subjects.ts";
import { traceparentHeader } from "../../../schemas/traceparent.ts";
import { traceOf } from "../judge/traces.ts";
import type { Workload } from "./workloads.ts";

export interface ClientStyle {
  readonly ordered: boolean;
  /** With `issuedAt`, the service can tell a late copy from a new request (rule 12). */
  readonly stamps: boolean;
  readonly meanGapMs: number;
  readonly maxInFlight: number;
  readonly resendMs: number;
  readonly twiceChance: number;
  readonly lateChance: number;
  readonly reuseChance: number;
  readonly queryChance: number;
  /** Now and then a request of more than this. */
  readonly largeBytes: number;
  readonly largeChance: number;
  /** Sends so many requests at most. */
  readonly requests: number;
}

interface Request {
  readonly id: string;
  readonly body: unknown;
  /** The one that must run first; not named any more once it has its last answer, as the library does. */
  readonly after: Request | undefined;
  /** Without, it is promised only for as long as it is remembered. */
  readonly issuedAt: number | undefined;
  copies: number;
  sentAtMs: number;
  isAnswered: boolean;
}

export interface RawClientOptions {
  readonly service: string;
  readonly name: string;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly workload: Workload;
  readonly style: ClientStyle;
}

const lateByMs = 15_000;
/** Of the request that waits longest: from then on all that wait are sent again more seldom, unless answers come. */
const manyCopies = 30;
const patience = 4;

export class RawClient {
  readonly #options: RawClientOptions;
  readonly #unanswered: Request[] = [];
  readonly #byReply = new Map<string, Request>();
  readonly #pieces = new PieceCollector();
  #made = 0;
  #queries = 0;
  #replies = 0;
  #previous: Request | undefined;
  #isStopping = false;
  /** Answers since all that waited was last sent again, and in the round before. */
  #answers = 0;
  #answersBefore = 0;

  constructor(options: RawClientOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { bus, service, name } = this.#options;
    bus.subscribe(`_INBOX.${name}.*`, (message) => this.#onReply(message));
    bus.subscribe(subjects.signal(service), () => this.#sendAgain(0));
    await bus.start((connected) => {
      if (connected) this.#sendAgain(0);
    });
    this.#nextLater();
    this.#lookLater();
  }

  get unanswered(): number {
    return this.#unanswered.length;
  }

  get made(): number {
    return this.#made;
  }

  /** No new requests; what is unanswered is still sent again. */
  finish(): void {
    this.#isStopping = true;
  }

  /** One more request, whatever the limits say, that no server has a reason to refuse: to see that the system serves. */
  ask(): void {
    // Its clock may have been fast: what it stamped then is its own floor.
    this.#make(0, false);
  }

  /** Not on top of one that is still unanswered: each of its requests is sent again and again. */
  burst(requests: number): void {
    if (this.#isStopping || this.#unanswered.length >= requests) return;
    for (let made = 0; made < requests; made += 1) this.#make(0);
  }

  #nextLater(): void {
    const { clock, rng, style } = this.#options;
    clock.after(rng.exponential(style.meanGapMs), () => {
      if (this.#isStopping || this.#made >= style.requests) return;
      this.#nextLater();
      if (rng.chance(style.queryChance)) this.#ask();
      else if (this.#unanswered.length < style.maxInFlight) this.#make(style.largeChance);
    });
  }

  #lookLater(): void {
    const { clock, rng, style } = this.#options;
    const isPatient = (this.#unanswered[0]?.copies ?? 0) >= manyCopies && this.#answersBefore === 0;
    const againMs = style.resendMs * (isPatient ? patience : 1);
    clock.after(againMs * rng.between(0.3, 1), () => {
      this.#sendAgain(againMs);
      this.#lookLater();
    });
  }

  #make(largeChance: number, isStamped = true): void {
    const { rng, style, workload, clock, name } = this.#options;
    this.#made += 1;
    const id = `${name}-${this.#made}`;
    const request: Request = {
      id,
      body: rng.chance(largeChance)
        ? workload.largeBody(style.largeBytes)
        : workload.body(rng, name, id, clock.wallMs()),
      after: style.ordered ? this.#previous : undefined,
      issuedAt: isStamped && style.stamps ? clock.wallMs() : undefined,
      copies: 0,
      sentAtMs: 0,
      isAnswered: false,
    };
    this.#previous = request;
    this.#unanswered.push(request);
    this.#send(request, request.body);
    if (rng.chance(style.twiceChance)) clock.after(rng.exponential(3), () => this.#send(request, request.body));
  }

  #send(request: Request, body: unknown): void {
    const { service, name, bus, clock, workload } = this.#options;
    request.copies += 1;
    this.#replies += 1;
    const reply = `_INBOX.${name}.${this.#replies}`;
    this.#byReply.set(reply, request);
    const envelope: Envelope = {
      client: name,
      id: request.id,
      body: body ?? null,
      ...(request.after === undefined || request.after.isAnswered ? {} : { after: request.after.id }),
      ...(request.issuedAt === undefined ? {} : { issuedAt: request.issuedAt }),
      ...(request.copies > 1 ? { resend: true } : {}),
    };
    request.sentAtMs = clock.nowMs();
    const trace = traceOf(name, request.id);
    bus.publish(
      subjects.request(service, workload.key(body), name),
      Buffer.from(JSON.stringify(envelope)),
      trace === "" ? undefined : { [traceparentHeader]: trace },
      reply,
    );
  }

  /** What has waited longer than this is sent again; with `ordered`, all that is unanswered, in order. */
  #sendAgain(olderThanMs: number): void {
    const { clock, style } = this.#options;
    const now = clock.nowMs();
    const isLate = (request: Request) => now - request.sentAtMs >= olderThanMs;
    if (!this.#unanswered.some(isLate)) return;
    this.#answersBefore = this.#answers;
    this.#answers = 0;
    for (const request of this.#unanswered) if (style.ordered || isLate(request)) this.#send(request, request.body);
  }

  #onReply(message: BusMessage): void {
    const request = this.#byReply.get(message.subject);
    if (request === undefined || request.isAnswered || message.status === noRespondersStatus) return;
    const piece = message.headers?.[pieceHeaders.piece];
    const data = piece === undefined ? message.data : this.#pieces.take(message.subject, piece, message.data);
    if (data === null) return;
    const reply = JSON.parse(Buffer.from(data).toString()) as {
      ok: boolean;
      error?: { code: keyof typeof errorCodes };
    };
    if (!reply.ok && reply.error !== undefined && errorCodes[reply.error.code].retry) return;
    request.isAnswered = true;
    this.#answers += 1;
    this.#unanswered.splice(this.#unanswered.indexOf(request), 1);
    this.#afterAnswer(request);
  }

  #afterAnswer(request: Request): void {
    const { clock, rng, style, workload } = this.#options;
    // Without a stamp a copy may come after the reply was forgotten: then it is another request.
    const waitMs = request.issuedAt !== undefined ? rng.between(0, lateByMs) : rng.between(0, 50);
    if (rng.chance(style.lateChance)) clock.after(waitMs, () => this.#send(request, request.body));
    if (rng.chance(style.reuseChance))
      clock.after(rng.between(0, 100), () => this.#send(request, workload.otherBody(request.body)));
  }

  #ask(): void {
    const { service, name, bus, rng, workload } = this.#options;
    this.#queries += 1;
    this.#replies += 1;
    const body = workload.query(rng);
    const id = `q${this.#queries}`;
    const data = Buffer.from(JSON.stringify({ client: name, id, body }));
    bus.publish(subjects.query(service, "", name), data, undefined, `_INBOX.${name}.${this.#replies}`);
  }
}
