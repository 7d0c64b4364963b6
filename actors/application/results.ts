/**
 * Publishes results after commit, in the order of the log (rule 13; claim 27's way out to integrators). What always holds:
 * nothing above the commit point is published; each result at least once, or a stand-in where the broker does not take one
 * so large (schemas/pieces.ts); the watermark moves only over what NATS has certainly got, never over what it forbade, and a
 * new primary goes on from the mirrored watermark.
 */

import { RecordReader, recordKinds } from "../../machines/codec/record.ts";
import type { MemoryLog } from "../../machines/log/memory-log.ts";
import type { Rules } from "../../machines/replica/rules.ts";
import { headers } from "../../schemas/envelope.ts";
import { subjectKind, subjects } from "../../schemas/subjects.ts";
import { traceparentHeader } from "../../schemas/traceparent.ts";
import type { Bus, BusFault, BusHeaders } from "../world/ports.ts";
import { standInFor } from "./pieces.ts";

/** Results published in one go; then others have their turn: a new primary's backlog must not hold up its clients. */
const maxAtOnce = 2_000;
/** Result subjects that are kept ready. */
const maxSubjects = 100_000;
/** What NATS forbade is tried again so much later, one result first. */
const tryAgainMs = 500;

interface HeldBack {
  readonly untilMs: number;
  /** So many go out, and are confirmed, before the next: twice as many each time. */
  readonly atOnce: number;
  /** What was sent when the last of it was forbidden: beyond it nothing is held back any more. */
  readonly through: number;
}

export class ResultsPublisher {
  readonly #bus: Bus;
  readonly #service: string;
  readonly #rules: Rules;
  readonly #reader = new RecordReader(new Uint8Array(0));
  readonly #subjects = new Map<string, string>();
  #published = 0;
  /** NATS certainly has them up to here. */
  #confirmed = 0;
  #heldBack: HeldBack | null = null;
  #isFlushing = false;
  #generation = 0;
  #isActive = false;
  /** Results that stood for no more than a stand-in, since the role was taken. */
  omitted = 0;

  constructor(bus: Bus, service: string, rules: Rules) {
    this.#bus = bus;
    this.#service = service;
    this.#rules = rules;
  }

  /** Results wait because NATS forbids them. */
  get isHeldBack(): boolean {
    return this.#heldBack !== null;
  }

  /** `after`: results of records up to here are NATS's already. */
  start(after: number): void {
    this.#generation += 1;
    this.#published = after;
    this.#confirmed = after;
    this.#heldBack = null;
    this.omitted = 0;
    this.#isActive = true;
  }

  stop(): void {
    this.#isActive = false;
    this.#heldBack = null;
    this.#generation += 1;
  }

  /** The connection was lost: what it did not certainly take is published again. */
  rewind(watermark: number): void {
    this.#generation += 1;
    this.#confirmed = Math.min(this.#confirmed, watermark);
    this.#published = Math.min(this.#published, watermark);
  }

  /**
   * A result was forbidden, nobody knows which, or their own connection was lost, nobody knows where: all since the last confirmed
   * one are published again when they may be.
   */
  onFault({ kind, subject }: BusFault, nowMs: number): void {
    if (!this.#isActive || subjectKind(this.#service, subject) !== "result") return;
    if (kind === "lost") this.rewind(this.#confirmed);
    if (!this.#rules.isHeldBack(kind === "publish")) return;
    const through = Math.max(this.#published, this.#heldBack?.through ?? 0);
    this.#heldBack = { untilMs: nowMs + tryAgainMs, atOnce: 1, through };
    this.rewind(this.#confirmed);
  }

  /** Publishes what is committed. True: there is more. */
  publish(log: MemoryLog, committed: number, history: string, nowMs: number): boolean {
    if (!this.#isActive || !this.#bus.connected()) return false;
    const held = this.#heldBack;
    if (held !== null && (nowMs < held.untilMs || this.#published > this.#confirmed)) return false;
    const from = Math.max(this.#published, log.base.sequence) + 1;
    if (from > committed) return false;
    let budget = held?.atOnce ?? maxAtOnce;
    for (const batch of log.batches(from, committed)) {
      const bytes = Buffer.from(batch.bytes.buffer, batch.bytes.byteOffset, batch.bytes.byteLength);
      const reader = this.#reader;
      reader.over(bytes, 0);
      do {
        if (budget === 0) return held === null;
        if (reader.kind === recordKinds.final) {
          if (!this.#publishOne(reader, history)) return false;
          budget -= 1;
        }
        this.#published = reader.sequence;
      } while (reader.next());
    }
    return false;
  }

  /** False: it could not be sent now. */
  #publishOne(reader: RecordReader, history: string): boolean {
    const bus = this.#bus;
    const subject = this.#subject(reader);
    const { reply } = reader;
    const given = resultHeaders(reader, history);
    if (bus.publish(subject, reply, given)) return true;
    if (!bus.connected() || reply.length <= bus.room(subject, given)) return false;
    const standIn = standInFor(reader.client, reader.id, reply.length, bus.maxPayloadBytes());
    const told = standInHeaders(reader, history);
    const fits = (where: string) => standIn.length <= bus.room(where, told);
    const where = [subject, subjects.omittedResult(this.#service)].find(fits);
    if (where !== undefined && !bus.publish(where, standIn, told)) return false;
    // Where not even that fits, the number that is missing tells.
    this.omitted += 1;
    return true;
  }

  #subject(reader: RecordReader): string {
    const { key, client } = reader;
    const name = `${key}\u0000${client}`;
    let subject = this.#subjects.get(name);
    if (subject === undefined) {
      if (this.#subjects.size >= maxSubjects) this.#subjects.clear();
      subject = subjects.result(this.#service, key, client);
      this.#subjects.set(name, subject);
    }
    return subject;
  }

  /** Asks NATS whether it has everything so far; then the watermark may move. One question at a time. */
  async confirm(): Promise<number | null> {
    if (this.#isFlushing || !this.#isActive) return null;
    const { generation, published } = { generation: this.#generation, published: this.#published };
    this.#isFlushing = true;
    try {
      if (!(await this.#bus.flush()) || generation !== this.#generation) return null;
      this.#onConfirmed(published);
      return published;
    } finally {
      this.#isFlushing = false;
    }
  }

  #onConfirmed(published: number): void {
    const isMore = published > this.#confirmed;
    this.#confirmed = Math.max(this.#confirmed, published);
    const held = this.#heldBack;
    if (held === null || !isMore) return;
    const isOver = this.#confirmed >= held.through;
    this.#heldBack = isOver ? null : { ...held, atOnce: Math.min(2 * held.atOnce, maxAtOnce) };
  }
}

export function resultHeaders(reader: RecordReader, history: string): BusHeaders {
  const number = String(reader.resultNumber);
  return { ...pieceOfHeaders(reader, history), [headers.result]: number, [headers.messageId]: `${history}-${number}` };
}

/** Those of a result that do not make a message that result. */
export function pieceOfHeaders(reader: RecordReader, history: string): BusHeaders {
  const { traceparent } = reader;
  const given = {
    [headers.history]: history,
    [headers.epoch]: String(reader.epoch),
    [headers.sequence]: String(reader.sequence),
  };
  return traceparent === "" ? given : { ...given, [traceparentHeader]: traceparent };
}

/** A stream that takes it for the result would take the result for a repeat. */
export function standInHeaders(reader: RecordReader, history: string): BusHeaders {
  const number = String(reader.resultNumber);
  const messageId = `${history}-${number}-omitted`;
  return { ...pieceOfHeaders(reader, history), [headers.omitted]: number, [headers.messageId]: messageId };
}
