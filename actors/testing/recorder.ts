/**
 * Records what clients send and are told, at the edge where it happens: a Bus that writes every copy of a request, every
 * answer and every query into the history, whatever client uses it.
 */

import type { HistoryEvent } from "../../machines/checker/history.ts";
import { headers } from "../../schemas/envelope.ts";
import { pieceHeaders } from "../../schemas/pieces.ts";
import { PieceCollector } from "../client/pieces.ts";
import type { Bus, BusFault, BusHeaders, BusMessage, Subscription } from "../world/ports.ts";
import { noRespondersStatus } from "../world/ports.ts";

type WithoutTime<T> = T extends unknown ? Omit<T, "atMs"> : never;

export class Recorder {
  readonly events: HistoryEvent[] = [];
  /** Copies of each request so far, whoever sent them. */
  readonly copies = new Map<string, number>();
  readonly #nowMs: () => number;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  record(event: WithoutTime<HistoryEvent>): void {
    this.events.push({ ...event, atMs: this.#nowMs() } as HistoryEvent);
  }

  /** Compact JSON lines: the whole history of a failed run, for those who want to look closer. */
  lines(): string {
    return this.events.map((event) => JSON.stringify(event)).join("\n");
  }
}

interface Sent {
  readonly client: string;
  readonly id: string;
  /** 0: a query. */
  readonly copy: number;
  /** Where its answer comes in pieces. */
  pieces?: PieceCollector;
}

interface SentEnvelope {
  client: string;
  id: string;
  body: unknown;
  after?: string;
  issuedAt?: number;
}

/** Nobody listens: this copy certainly reached no server. */
const notSent = (sent: Sent) =>
  JSON.stringify({
    client: sent.client,
    id: sent.id,
    ok: false,
    error: { code: "NOT_SENT", message: "no responders", executed: false },
  });

export class RecordingBus implements Bus {
  readonly #bus: Bus;
  readonly #recorder: Recorder;
  readonly #service: string;
  readonly #sent = new Map<string, Sent>();

  constructor(bus: Bus, recorder: Recorder, service: string) {
    this.#bus = bus;
    this.#recorder = recorder;
    this.#service = service;
  }

  start(onState: (connected: boolean) => void): Promise<void> {
    return this.#bus.start(onState);
  }

  connected(): boolean {
    return this.#bus.connected();
  }

  subscribe(subject: string, onMessage: (message: BusMessage) => void): Subscription {
    return this.#bus.subscribe(subject, (message) => {
      this.#onMessage(message);
      onMessage(message);
    });
  }

  publish(subject: string, data: Uint8Array, given?: BusHeaders, reply?: string): boolean {
    const isRequest = subject.startsWith(`${this.#service}.request.`);
    const isQuery = subject.startsWith(`${this.#service}.query.`);
    if (!isRequest && !isQuery) return this.#bus.publish(subject, data, given, reply);
    // Before it is sent: its answer may not be recorded before it.
    if (this.#bus.connected()) this.#onSent(data, reply ?? "", isRequest);
    return this.#bus.publish(subject, data, given, reply);
  }

  flush(): Promise<boolean> {
    return this.#bus.flush();
  }
  maxPayloadBytes(): number {
    return this.#bus.maxPayloadBytes();
  }
  room(subject: string, headers?: BusHeaders, reply?: string): number {
    return this.#bus.room(subject, headers, reply);
  }
  onFault(listener: (fault: BusFault) => void): Subscription {
    return this.#bus.onFault(listener);
  }

  inbox(): string {
    return this.#bus.inbox();
  }

  announceService(info: Parameters<Bus["announceService"]>[0]): Promise<Subscription> {
    return this.#bus.announceService(info);
  }

  stop(): Promise<void> {
    return this.#bus.stop();
  }

  #onSent(data: Uint8Array, reply: string, isRequest: boolean): void {
    const { client, id, body, after, issuedAt } = JSON.parse(Buffer.from(data).toString()) as SentEnvelope;
    if (!isRequest) {
      this.#sent.set(reply, { client, id, copy: 0 });
      this.#recorder.record({ type: "query", client, id, body });
      return;
    }
    const key = `${client}\u0000${id}`;
    const copy = (this.#recorder.copies.get(key) ?? 0) + 1;
    this.#recorder.copies.set(key, copy);
    this.#sent.set(reply, { client, id, copy });
    const order = after === undefined ? {} : { after };
    const stamp = issuedAt === undefined ? {} : { issuedAt };
    this.#recorder.record({ type: "invoke", client, id, copy, body, ...order, ...stamp });
  }

  /** Null: a piece that is not the last. */
  #wholeOf({ headers: given, data, subject }: BusMessage, sent: Sent): Uint8Array | null {
    const piece = given?.[pieceHeaders.piece];
    if (piece === undefined) return data;
    sent.pieces ??= new PieceCollector();
    return sent.pieces.take(subject, piece, data);
  }

  #onMessage(message: BusMessage): void {
    const sent = this.#sent.get(message.subject);
    if (sent === undefined) return;
    const { client, id, copy } = sent;
    const isAway = message.status === noRespondersStatus;
    const whole = this.#wholeOf(message, sent);
    if (whole === null) return;
    const bytes = isAway ? notSent(sent) : Buffer.from(whole).toString();
    if (copy === 0) this.#recorder.record({ type: "answer", client, id, bytes });
    else {
      const duplicate = message.headers?.[headers.duplicate] !== undefined;
      this.#recorder.record({ type: "reply", client, id, copy, bytes, duplicate });
    }
  }
}
