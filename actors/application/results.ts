/**
 * Publishes results after commit, in the order of the log (rule 13; claim 27's way out to integrators). What always holds:
 * nothing above the commit point is published; each result at least once; the watermark moves only over what NATS has
 * certainly got, and a new primary goes on from the mirrored watermark.
 */

import { RecordReader, recordKinds } from "../../machines/codec/record.ts";
import type { MemoryLog } from "../../machines/log/memory-log.ts";
import { headers } from "../../schemas/envelope.ts";
import { subjects } from "../../schemas/subjects.ts";
import type { Bus, BusHeaders } from "../world/ports.ts";

/** Results published in one go; then others have their turn: a new primary's backlog must not hold up its clients. */
const maxAtOnce = 2_000;
/** Result subjects that are kept ready. */
const maxSubjects = 100_000;

export class ResultsPublisher {
  readonly #bus: Bus;
  readonly #service: string;
  readonly #reader = new RecordReader(new Uint8Array(0));
  readonly #subjects = new Map<string, string>();
  #published = 0;
  #isFlushing = false;
  #generation = 0;
  #isActive = false;

  constructor(bus: Bus, service: string) {
    this.#bus = bus;
    this.#service = service;
  }

  /** `after`: results of records up to here are NATS's already. */
  start(after: number): void {
    this.#generation += 1;
    this.#published = after;
    this.#isActive = true;
  }

  stop(): void {
    this.#isActive = false;
    this.#generation += 1;
  }

  /** The connection was lost: what it did not certainly take is published again. */
  rewind(watermark: number): void {
    this.#generation += 1;
    this.#published = Math.min(this.#published, watermark);
  }

  /** Publishes what is committed. True: there is more. */
  publish(log: MemoryLog, committed: number, history: string): boolean {
    if (!this.#isActive || !this.#bus.connected()) return false;
    const from = Math.max(this.#published, log.base.sequence) + 1;
    if (from > committed) return false;
    let budget = maxAtOnce;
    for (const batch of log.batches(from, committed)) {
      const bytes = Buffer.from(batch.bytes.buffer, batch.bytes.byteOffset, batch.bytes.byteLength);
      const reader = this.#reader;
      reader.over(bytes, 0);
      do {
        if (budget === 0) return true;
        if (reader.kind === recordKinds.final) {
          if (!this.#bus.publish(this.#subject(reader), reader.reply, resultHeaders(reader, history))) return false;
          budget -= 1;
        }
        this.#published = reader.sequence;
      } while (reader.next());
    }
    return false;
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
      return (await this.#bus.flush()) && generation === this.#generation ? published : null;
    } finally {
      this.#isFlushing = false;
    }
  }
}

export function resultHeaders(reader: RecordReader, history: string): BusHeaders {
  const number = String(reader.resultNumber);
  return {
    [headers.history]: history,
    [headers.epoch]: String(reader.epoch),
    [headers.sequence]: String(reader.sequence),
    [headers.result]: number,
    [headers.messageId]: `${history}-${number}`,
  };
}
