/**
 * Answers `<service>.replay`: results again, from a result number (rule 13; schemas/replay.ts has the protocol), in pieces
 * where the broker does not take one whole. Reads the log on disk and then in memory, never above the commit point; of earlier
 * histories as well, as long as their log is kept. What always holds: results of one answer are dense and of one history, and
 * the last message says where to go on; an answer that NATS does not take whole, or whose server loses its
 * role, ends without that message; no more answers than `maxReplaysAtOnce` are under way, and one for each reader; all together
 * keep to the pace, and hold up no turn for longer than one part of an answer takes.
 */

import { RecordReader, recordKinds } from "../../machines/codec/record.ts";
import type { LogBatch } from "../../machines/log/batch.ts";
import type { Ancestor } from "../../schemas/checkpoint.ts";
import { ReplayRequest } from "../../schemas/envelope.ts";
import { pieceHeaders } from "../../schemas/pieces.ts";
import {
  maxReplayResults,
  maxReplaysAtOnce,
  type ReplayEnd,
  replayHeaders,
  replayReaderOf,
} from "../../schemas/replay.ts";
import { subjects } from "../../schemas/subjects.ts";
import type { Bus, BusMessage, Clock } from "../world/ports.ts";
import { publishInPieces } from "./pieces.ts";
import { ReplayPace } from "./replay-pace.ts";
import { pieceOfHeaders, resultHeaders } from "./results.ts";

export interface ReplaySource {
  readonly service: string;
  readonly history: string;
  readonly committed: number;
  /** Number of the newest committed result of this history. */
  lastResult(): number;
  /** The record before the first of this history. */
  readonly start: number;
  /** The histories before it whose log it goes on with, the oldest first. */
  readonly ancestors: readonly Ancestor[];
  /** Batches in order, from this sequence, or the oldest that is kept, through the commit point. */
  batches(from: number): AsyncIterable<LogBatch>;
}

/** Answers to follow up that are remembered: as many readers page through the log at once without reading it anew. */
const maxPlaces = 64;

/** Where in the log a result is that an earlier answer ended before: the next page begins there. */
export class ReplayPlaces {
  readonly #places = new Map<number, { history: string; sequence: number; oldest: number }>();

  note(number: number, place: { history: string; sequence: number; oldest: number }): void {
    this.#places.delete(number);
    this.#places.set(number, place);
    for (const first of this.#places.keys()) {
      if (this.#places.size <= maxPlaces) break;
      this.#places.delete(first);
    }
  }

  find(number: number, history: string): { sequence: number; oldest: number } | null {
    const place = this.#places.get(number);
    return place?.history === history ? place : null;
  }
}

/** One history's part of the log. */
interface Part {
  readonly history: string;
  /** Its records are those above `start`, through `end`. */
  readonly start: number;
  readonly end: number;
  last(): number;
  /** The history that came after it. */
  readonly following?: string;
}

function partOf({ history: current, start, ancestors, lastResult }: ReplaySource, history: string): Part | null {
  if (history === current) return { history, start, end: Number.POSITIVE_INFINITY, last: lastResult };
  const at = ancestors.findIndex((ancestor) => ancestor.history === history);
  const ancestor = ancestors[at];
  if (ancestor === undefined) return null;
  const { start: above, end, results } = ancestor;
  const following = ancestors[at + 1]?.history ?? current;
  return { history, start: above, end: end.sequence, last: () => results, following };
}

function end(
  { history: current }: ReplaySource,
  { history, following, last }: Part,
  told: { next: number; oldest: number; error?: ReplayEnd["error"] },
): ReplayEnd {
  return { history, current, ...(following === undefined ? {} : { following }), last: last(), ...told };
}

/** The answers of one server. */
export class Replays {
  readonly #places = new ReplayPlaces();
  readonly #pace: ReplayPace;
  /** Who is being answered (`replayReaderOf`). */
  #underWay = new Set<string>();

  constructor(clock: Clock, bytesPerSecond: number) {
    this.#pace = new ReplayPace(clock, bytesPerSecond);
  }

  /** NATS was lost, or the role: what was sent may not have arrived, and nothing more is sent of what is under way. */
  cut(): void {
    this.#underWay = new Set();
  }

  async answer(message: BusMessage, bus: Bus, source: ReplaySource): Promise<void> {
    const underWay = this.#underWay;
    const reader = replayReaderOf(message.reply);
    if (underWay.has(reader)) {
      refuse(message, bus, { code: "BUSY", message: "an answer to this reader is under way; ask again after its end" });
      return;
    }
    if (underWay.size >= maxReplaysAtOnce) {
      refuse(message, bus, { code: "BUSY", message: `${maxReplaysAtOnce} answers are under way; ask again` });
      return;
    }
    underWay.add(reader);
    const goesOn = () => underWay === this.#underWay;
    try {
      await answerReplay(message, bus, source, { places: this.#places, pace: this.#pace, goesOn });
    } finally {
      underWay.delete(reader);
    }
  }
}

/** So much of an answer's share of the pace is used up between two turns of its own. */
const partBytes = 32 * 1024;
/** A record that is only passed over costs so much less than one that is sent. */
const passedOverShare = 1 / 8;

interface AnswerMeans {
  readonly places: ReplayPlaces;
  readonly pace: ReplayPace;
  /** False once it is cut off; then no more is said, not even where to go on. */
  readonly goesOn: () => boolean;
}

export async function answerReplay(
  message: BusMessage,
  bus: Bus,
  source: ReplaySource,
  { places, pace, goesOn }: AnswerMeans,
): Promise<void> {
  const finish = (told: ReplayEnd) =>
    goesOn() &&
    bus.publish(message.reply, Buffer.from(JSON.stringify(told)), { [replayHeaders.end]: String(told.next) });
  const request = parse(message.data);
  const present: Part = { history: source.history, start: source.start, end: 0, last: source.lastResult };
  if (request === null) {
    const error = { code: "INVALID_REQUEST", message: 'send {"from": <result number>}' } as const;
    finish(end(source, present, { next: 1, oldest: 1, error }));
    return;
  }
  const { from, history = source.history, limit = maxReplayResults } = request;
  const part = partOf(source, history);
  if (part === null) {
    const error = { code: "UNKNOWN_HISTORY", message: `the history that goes on here is ${source.history}` } as const;
    finish(end(source, present, { next: from, oldest: 1, error }));
    return;
  }
  await pace.turn();
  if (!goesOn()) return;
  const known = part.last();
  const budget = Math.min(limit, maxReplayResults);
  const place = places.find(from, history);
  let next = from;
  let oldest = place?.oldest ?? 0;
  let last = 0;
  let isFirst = true;
  let unpaid = 0;
  const pay = () => {
    pace.spend(unpaid);
    unpaid = 0;
  };
  const reader = new RecordReader(new Uint8Array(0));
  try {
    for await (const batch of source.batches(place?.sequence ?? part.start + 1)) {
      if (!goesOn()) return;
      if (batch.first > part.end) break;
      const bytes = Buffer.from(batch.bytes.buffer, batch.bytes.byteOffset, batch.bytes.byteLength);
      reader.over(bytes, 0);
      do {
        if (unpaid >= partBytes) {
          pay();
          await pace.turn();
          if (!goesOn()) return;
        }
        const recordBytes = reader.end - reader.start;
        unpaid += recordBytes * passedOverShare;
        if (reader.kind !== recordKinds.final || reader.sequence > part.end) continue;
        // What a place pointed to may have been forgotten since.
        if (isFirst && (place === null || reader.resultNumber > from)) oldest = reader.resultNumber;
        isFirst = false;
        if (reader.resultNumber !== next || next - from >= budget) continue;
        const subject = subjects.result(source.service, reader.key, reader.client);
        if (!sendResult(bus, message.reply, reader, subject, history)) return;
        unpaid += recordBytes;
        next += 1;
        last = reader.sequence;
      } while (reader.next());
      // Nothing more to give: of a number that is not there yet, only the oldest was to be found out.
      if (next - from >= budget || (from > known && !isFirst)) break;
    }
  } finally {
    pay();
  }
  if (last > 0) places.note(next, { history, sequence: last + 1, oldest });
  // Nothing is left of it: what it had is told all the same.
  if (isFirst && place === null) oldest = known + 1;
  const isForgotten = next === from && from < oldest;
  const error = { code: "FORGOTTEN", message: `results before ${oldest} are no longer remembered` } as const;
  finish(end(source, part, { next, oldest: Math.max(oldest, 1), ...(isForgotten ? { error } : {}) }));
}

/** False: it was not sent, and the answer ends here. */
function sendResult(bus: Bus, to: string, reader: RecordReader, subject: string, history: string): boolean {
  const { reply } = reader;
  const given = { ...resultHeaders(reader, history), [replayHeaders.subject]: subject };
  if (bus.publish(to, reply, given)) return true;
  if (!bus.connected() || reply.length <= bus.room(to, given)) return false;
  const of = { [replayHeaders.subject]: subject, [pieceHeaders.of]: String(reader.resultNumber) };
  return publishInPieces(bus, to, reply, { ...pieceOfHeaders(reader, history), ...of });
}

function parse(data: Uint8Array): ReplayRequest | null {
  try {
    const request = ReplayRequest.safeParse(JSON.parse(Buffer.from(data).toString("utf8")));
    return request.success ? request.data : null;
  } catch {
    return null;
  }
}

/** Answers while this server cannot: it has not committed what it inherited. */
export function answerNotHot(message: BusMessage, bus: Bus): void {
  refuse(message, bus, { code: "NOT_HOT", message: "this server has not committed what it inherited; ask again" });
}

function refuse(message: BusMessage, bus: Bus, error: ReplayEnd["error"]): void {
  const told: ReplayEnd = { history: "", current: "", next: 1, oldest: 1, last: 0, error };
  bus.publish(message.reply, Buffer.from(JSON.stringify(told)), { [replayHeaders.end]: "1" });
}
