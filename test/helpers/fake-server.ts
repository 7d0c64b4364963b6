/**
 * A service in a few lines, for tests of the client side: executes each request once, in the order that `after` asks for,
 * commits a little later, remembers replies, publishes results and replays them. A takeover keeps a prefix of its log.
 */
import { publishInPieces, publishReply, standInFor } from "../../actors/application/pieces.ts";
import type { Bus, BusHeaders, BusMessage, Clock, Subscription } from "../../actors/world/ports.ts";
import { Envelope, headers, QueryEnvelope, ReplayRequest, type StampRange } from "../../schemas/envelope.ts";
import type { ErrorCode } from "../../schemas/errors.ts";
import { pieceHeaders } from "../../schemas/pieces.ts";
import { replayHeaders } from "../../schemas/replay.ts";
import { subjects } from "../../schemas/subjects.ts";
import { traceparentHeader } from "../../schemas/traceparent.ts";
import { bytesOf } from "./hand-world.ts";

export interface LogEntry {
  readonly client: string;
  readonly id: string;
  readonly body: unknown;
  readonly subject: string;
  readonly sequence: number;
  readonly epoch: number;
  readonly trace: BusHeaders;
  readonly reply: Uint8Array;
  waiting: string[];
}

interface KeptLog {
  readonly history: string;
  readonly log: readonly LogEntry[];
}

function untimelyCode(issuedAt: number, { after, until }: StampRange): ErrorCode | undefined {
  if (issuedAt > until) return "INVALID_REQUEST";
  return issuedAt <= after ? "EXPIRED" : undefined;
}

export class FakeServer {
  readonly service: string;
  epoch = 1;
  history = "history-1";
  log: LogEntry[] = [];
  committed = 0;
  commitMs = 1;
  /** Asked before each new request is executed: a code refuses this copy. */
  refuse: (envelope: Envelope) => ErrorCode | undefined = () => undefined;
  /** What it takes of a client's stamps now; others are refused, as too old or too new. */
  stamps: () => StampRange | undefined = () => undefined;
  /** What the application answers; a throw is an APPLICATION_ERROR. */
  apply: (body: unknown) => unknown = (body) => body;
  /** What a duplicate gets for the stored reply. */
  repeat: (reply: Uint8Array) => Uint8Array = (reply) => reply;
  /** Result numbers whose live message is lost. */
  loseResults = new Set<number>();
  /** The lowest result number that is still remembered. */
  oldest = 1;
  readonly #bus: Bus;
  readonly #clock: Clock;
  readonly #byKey = new Map<string, LogEntry>();
  /** Of earlier histories, the oldest first. */
  readonly #kept: KeptLog[] = [];
  #subscriptions: Subscription[] = [];

  constructor(bus: Bus, clock: Clock, service = "exchange") {
    this.service = service;
    this.#bus = bus;
    this.#clock = clock;
  }

  start(): void {
    this.#subscriptions = [
      this.#bus.subscribe(subjects.requests(this.service), (message) => {
        const envelope = Envelope.parse(JSON.parse(Buffer.from(message.data).toString()));
        this.#onRequest(envelope, message);
      }),
      this.#bus.subscribe(subjects.queries(this.service), (message) => {
        const { client, id, body } = QueryEnvelope.parse(JSON.parse(Buffer.from(message.data).toString()));
        const reply = { client, id, ok: true, result: body, sequence: this.committed, epoch: this.epoch };
        this.#bus.publish(message.reply, bytesOf(reply));
      }),
      this.#bus.subscribe(subjects.replay(this.service), (message) => this.#onReplay(message.data, message.reply)),
    ];
    this.#bus.publish(
      subjects.signal(this.service),
      bytesOf({
        signal: "ready",
        service: this.service,
        server: "alpha",
        incarnation: `incarnation-${this.epoch}`,
        epoch: this.epoch,
        history: this.history,
        sequence: this.committed,
      }),
    );
  }

  stop(): void {
    for (const subscription of this.#subscriptions) subscription.stop();
    this.#subscriptions = [];
  }

  /** Dies; what was never acknowledged survives up to `kept` records beyond the commit point. `start` it again. */
  die(kept = 0): void {
    this.stop();
    this.epoch += 1;
    const length = Math.min(this.log.length, this.committed + kept);
    for (const lost of this.log.splice(length)) this.#byKey.delete(keyOf(lost));
    for (const entry of this.log) entry.waiting = [];
    this.committed = length;
  }

  /** Everything is lost, and a new history says so. */
  loseAll(history: string): void {
    this.die();
    this.log = [];
    this.#byKey.clear();
    this.committed = 0;
    this.history = history;
    this.#kept.length = 0;
  }

  /** A new history goes on with the log, whose results can still be had. */
  beginHistory(history: string): void {
    this.die();
    this.#kept.push({ history: this.history, log: this.log.splice(0) });
    this.committed = 0;
    this.history = history;
  }

  #onRequest(envelope: Envelope, { subject, reply: inbox, headers: given }: BusMessage): void {
    const key = keyOf(envelope);
    const known = this.#byKey.get(key);
    if (known !== undefined) {
      if (known.sequence > this.committed) known.waiting.push(inbox);
      else publishReply(this.#bus, inbox, this.repeat(known.reply), { [headers.duplicate]: "1" });
      return;
    }
    const isOutOfOrder =
      envelope.after !== undefined && !this.#byKey.has(keyOf({ client: envelope.client, id: envelope.after }));
    const { issuedAt = 0 } = envelope;
    const stamps = this.stamps();
    const untimely = stamps === undefined ? undefined : untimelyCode(issuedAt, stamps);
    if (untimely !== undefined) {
      const error = { code: untimely, message: "the clock", executed: false, stamps };
      this.#bus.publish(inbox, replyBytes(envelope, { ok: false, error }));
      return;
    }
    const code = isOutOfOrder ? "OUT_OF_ORDER" : this.refuse(envelope);
    const trace = given?.[traceparentHeader];
    if (code === undefined)
      this.#execute(envelope, subject, inbox, key, trace === undefined ? {} : { [traceparentHeader]: trace });
    else this.#bus.publish(inbox, replyBytes(envelope, { ok: false, error: { code, message: "no", executed: false } }));
  }

  #execute(envelope: Envelope, subject: string, inbox: string, key: string, trace: BusHeaders): void {
    const at = { sequence: this.log.length + 1, epoch: this.epoch };
    let outcome: object;
    try {
      outcome = { ok: true, result: this.apply(envelope.body), ...at };
    } catch (error) {
      outcome = { ok: false, error: { code: "APPLICATION_ERROR", message: String(error), executed: true }, ...at };
    }
    const { client, id, body } = envelope;
    const resultSubject = subject.replace(".request.", ".result.");
    const reply = replyBytes(envelope, outcome);
    const entry: LogEntry = { client, id, body, subject: resultSubject, ...at, reply, trace, waiting: [inbox] };
    this.log.push(entry);
    this.#byKey.set(key, entry);
    const { epoch } = this;
    this.#clock.after(this.commitMs, () => {
      if (this.epoch === epoch) this.#commit(entry.sequence);
    });
  }

  #commit(sequence: number): void {
    for (; this.committed < sequence; this.committed += 1) {
      const entry = this.log[this.committed];
      if (entry === undefined) throw new Error("commit beyond the log");
      for (const inbox of entry.waiting) publishReply(this.#bus, inbox, entry.reply);
      if (!this.loseResults.has(entry.sequence)) this.publishResult(entry.sequence);
    }
  }

  publishResult(number: number, to?: string, { history, log }: KeptLog = this): void {
    const entry = log[number - 1];
    if (entry === undefined) throw new Error("no such result");
    const { client, id, reply, subject, trace } = entry;
    const given = {
      ...trace,
      [headers.history]: history,
      [headers.epoch]: String(entry.epoch),
      [headers.sequence]: String(entry.sequence),
      ...(to === undefined ? {} : { [replayHeaders.subject]: subject }),
    };
    if (this.#bus.publish(to ?? subject, reply, { ...given, [headers.result]: String(number) })) return;
    // As a server does whose broker takes less.
    if (to !== undefined) publishInPieces(this.#bus, to, reply, { ...given, [pieceHeaders.of]: String(number) });
    else {
      const standIn = standInFor(client, id, reply.length, this.#bus.maxPayloadBytes());
      this.#bus.publish(subject, standIn, { ...given, [headers.omitted]: String(number) });
    }
  }

  #onReplay(data: Uint8Array, inbox: string): void {
    const { from, history, limit } = ReplayRequest.parse(JSON.parse(Buffer.from(data).toString()));
    const at = this.#kept.findIndex((kept) => kept.history === history);
    const of = this.#kept[at] ?? { history: this.history, log: this.log.slice(0, this.committed) };
    const following = at < 0 ? {} : { following: this.#kept[at + 1]?.history ?? this.history };
    const last = of.log.length;
    const end = { history: of.history, current: this.history, ...following, oldest: this.oldest, last };
    const sayEnd = (next: number, error?: object) =>
      this.#bus.publish(inbox, bytesOf({ ...end, next, error }), { [replayHeaders.end]: String(next) });
    if (history !== undefined && history !== of.history) {
      sayEnd(from, { code: "UNKNOWN_HISTORY", message: "another history is the current one" });
      return;
    }
    if (from < this.oldest) {
      sayEnd(from, { code: "FORGOTTEN", message: "no longer remembered" });
      return;
    }
    let next = from;
    for (; next <= last && next < from + (limit ?? 1_000); next += 1) this.publishResult(next, inbox, of);
    sayEnd(next);
  }
}

function keyOf({ client, id }: { client: string; id: string }): string {
  return `${client}\n${id}`;
}

function replyBytes({ client, id }: Envelope, outcome: object): Uint8Array {
  return bytesOf({ client, id, ...outcome });
}
