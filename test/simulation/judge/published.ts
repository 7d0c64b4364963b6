/**
 * Sees what the broker took of results, and holds every server's watermark against it (rule 13): a result below it that no
 * broker ever took would never be published by anybody. What always holds: a stand-in counts, since it stands for its
 * result; where the broker did not even take that, the missing number tells; results of an earlier history are nobody's
 * concern in the next.
 */
import { standInFor } from "../../../actors/application/pieces.ts";
import { standInHeaders } from "../../../actors/application/results.ts";
import { usualLimits } from "../../../actors/testing/world/sim-broker.ts";
import { headerText } from "../../../actors/world/message-nats.ts";
import { type BrokerLimits, roomFor } from "../../../actors/world/message-size.ts";
import type { BusMessage } from "../../../actors/world/ports.ts";
import { RecordReader, recordKinds } from "../../../machines/codec/record.ts";
import type { LogBatch } from "../../../machines/log/batch.ts";
import type { Replica } from "../../../machines/replica/replica.ts";
import { headers } from "../../../schemas/envelope.ts";
import { subjects } from "../../../schemas/subjects.ts";
import { traceparentHeader } from "../../../schemas/traceparent.ts";
import { wrongTraceInRecord, wrongTraceOnResult } from "./traces.ts";

interface Result {
  readonly sequence: number;
  readonly client: string;
  readonly id: string;
  readonly replyBytes: number;
  /** Of its stand-in. */
  readonly headerBytes: number;
}

/** One history: its committed results in order, and those that the broker took, by their sequence. */
class Published {
  readonly taken = new Set<number>();
  readonly results: Result[] = [];
  /** So many of them were looked at. */
  checked = 0;
  /** What lies below is of the history before. */
  start = 0;
  /** The committed log was told up to here. */
  told = 0;

  note(reader: RecordReader, history: string): void {
    const { kind, sequence, name } = reader;
    if (kind === recordKinds.history && name === history) this.start = Math.max(this.start, sequence);
    if (kind !== recordKinds.final || sequence <= (this.results.at(-1)?.sequence ?? 0)) return;
    const headerBytes = headerText(standInHeaders(reader, history)).length;
    const { client, id, replyLength: replyBytes } = reader;
    this.results.push({ sequence, client, id, replyBytes, headerBytes });
  }

  /** Not even a stand-in of these goes through a broker that takes so much: nobody misses them. */
  excuse(limits: BrokerLimits, service: string): void {
    for (const result of this.results.slice(this.checked)) {
      const { sequence, client, id, replyBytes, headerBytes } = result;
      const standIn = standInFor(client, id, replyBytes, limits.payloadBytes);
      if (standIn.length > roomFor(limits, subjects.omittedResult(service), "", headerBytes)) this.taken.add(sequence);
    }
  }

  /**
   * The first result up to this watermark that no broker took; 0 if there is none, and while a server still tells what it has
   * committed below: the record with which the history begins, and what came before it may be of several batches.
   */
  missing(watermark: number): number {
    if (watermark > this.told) return 0;
    for (; this.checked < this.results.length; this.checked += 1) {
      const sequence = this.results[this.checked]?.sequence ?? 0;
      if (sequence > watermark) return 0;
      if (sequence > this.start && !this.taken.has(sequence)) return sequence;
    }
    return 0;
  }
}

export class PublishedCheck {
  readonly #fail: (of: string, text: string) => void;
  readonly #histories = new Map<string, Published>();
  readonly #reader = new RecordReader(new Uint8Array(0));
  /** Of a broker that takes less than usual; null: it takes everything. */
  #narrow: { readonly limits: BrokerLimits; readonly service: string } | null = null;
  #hasFailed = false;

  constructor(fail: (of: string, text: string) => void) {
    this.#fail = fail;
  }

  /** The broker takes so much from now on, also of what is still to be published. */
  onLimits(limits: BrokerLimits, service: string): void {
    this.#narrow = limits === usualLimits ? null : { limits, service };
    for (const published of this.#histories.values()) published.excuse(limits, service);
  }

  /** The first is told. */
  #judge(of: string, wrong: string | null): void {
    if (wrong === null || this.#hasFailed) return;
    this.#hasFailed = true;
    this.#fail(of, wrong);
  }

  #of(history: string): Published {
    const known = this.#histories.get(history) ?? new Published();
    this.#histories.set(history, known);
    return known;
  }

  /** The broker has this message on a subject of results. */
  onTaken({ headers: given, data }: BusMessage): void {
    this.#judge("traces", wrongTraceOnResult(data, given?.[traceparentHeader]));
    const history = given?.[headers.history];
    if (history !== undefined) this.#of(history).taken.add(Number(given?.[headers.sequence]));
  }

  onCommitted(history: string, batch: LogBatch): void {
    const published = this.#of(history);
    this.#reader.over(Buffer.from(batch.bytes.buffer, batch.bytes.byteOffset, batch.bytes.byteLength), 0);
    do {
      published.note(this.#reader, history);
      this.#judge("traces", wrongTraceInRecord(this.#reader));
    } while (this.#reader.next());
    published.told = Math.max(published.told, batch.last);
    if (this.#narrow !== null) published.excuse(this.#narrow.limits, this.#narrow.service);
  }

  check({ self, history, published }: Pick<Replica, "self" | "history" | "published">): void {
    const missing = this.#hasFailed ? 0 : this.#of(history).missing(published);
    if (missing === 0) return;
    this.#judge(
      "rule 13",
      `${self} takes results up to ${published} for published, and NATS never took that of ${missing}`,
    );
  }
}
