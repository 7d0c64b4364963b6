/**
 * The record: the log entry of one transaction, as bytes. Encoded once, on the primary; the same bytes go over the
 * link, into every log and onto every disk. All integers are little-endian; `length` counts the bytes after itself.
 *
 *    0 u32 length      4 u8 version      5 u8 kind       6 u16 ordinal (of the transaction in its request, from 0)
 *    8 u32 epoch      12 u16 client     14 u16 id       16 u16 key        18 u16 name      (lengths in bytes)
 *   20 f64 sequence   28 f64 resultNumber  36 f64 stampMs   44 f64 forgottenThrough   52 f64 bodyHash
 *   60 u32 effects    64 u32 reply     68 u32 body      (lengths in bytes)
 *   72 client, id, key, name, effects, reply, body
 *
 * When a request was taken (`takenMs`, f64) stands where programs of release 0.1 look for nothing: of a final record in place of
 * its body, of a transaction or an attempt in place of its result number. Its trace context (traceparent.ts) stands behind that, or
 * behind the body. Such records have the same version, and either program reads the other's.
 *
 * What always holds: the log's hash at sequence n is the CRC-32 of all record bytes up to and including n's, so one
 * call checks a whole batch and every prefix has one hash. It finds accidents, not forgeries; (epoch, sequence) names
 * a record, because one incarnation makes the records of an epoch (invariant 1).
 */
import { crc32 } from "node:zlib";
import { readTrace, traceAsSpace, traceBehind, traceBytes, traceSpaceBytes, writeTrace } from "./traceparent.ts";

export const recordVersion = 1;

/**
 * transaction: one of several of a request, its result is still to come (`reply` holds the transaction's value).
 * final: the last of its request: effects and the reply. attempt: the request is about to be run and may be dangerous
 * (rule 17; `ordinal` counts the attempts). history: a new history begins here (`name` is its id). catalog: from here on the
 * state has the tables and queues that `body` says (rule 19; `name` is the catalog's), after the effects.
 */
export const recordKinds = { transaction: 1, final: 2, attempt: 3, history: 4, catalog: 5 } as const;
export type RecordKind = (typeof recordKinds)[keyof typeof recordKinds];

/** What a record has before its client, id, key, name, effects, reply and body. */
export const recordHeaderBytes = 72;
const noBytes: Uint8Array = new Uint8Array(0);
/** `takenMs`, where it is a final record's body. */
const timeBytes = 8;

export interface RecordFields {
  kind: RecordKind;
  ordinal: number;
  epoch: number;
  sequence: number;
  /** Dense, from 1 in each history; 0 on records that are not final. */
  resultNumber: number;
  /** The request's `issuedAt`, a whole number; or its arrival at the primary, marked by a half (`arrivalStamp`). ms since 1970. */
  stampMs: number;
  /** When the request was taken, by the log's time (rule 20), ms since 1970; 0 or absent: not told, as in records of release 0.1. */
  takenMs?: number;
  /** Its trace context, as `readTraceparent` gives it; "" or absent: none. Only where `takenMs` is told. */
  traceparent?: string;
  /** Replies of records with a sequence up to this are forgotten once this record is committed (rule 12). */
  forgottenThrough: number;
  bodyHash: number;
  client: string;
  id: string;
  /** The partition key: third token of the request's subject. */
  key: string;
  name: string;
  effects: Uint8Array;
  /** The reply (final) or the transaction's value (transaction), JSON in UTF-8. */
  reply: Uint8Array | string;
  /**
   * JSON. The request's body: in the first record of a request of several, and in attempts, so that another server can run it. Or the
   * catalog. A final record has none.
   */
  body: Uint8Array | string;
}

function write(target: Buffer, at: number, part: Uint8Array | string): number {
  if (typeof part === "string") return target.write(part, at, "utf8");
  target.set(part, at);
  return part.length;
}

/** An upper bound for the encoded size: what `encodeRecord` may need. */
export function recordBound(fields: RecordFields): number {
  const texts = fields.client.length + fields.id.length + fields.key.length + fields.name.length;
  const factor = (part: Uint8Array | string) => (typeof part === "string" ? 3 * part.length : part.length);
  const trace = fields.traceparent ? traceSpaceBytes : 0;
  const parts = fields.effects.length + factor(fields.reply) + factor(fields.body);
  return recordHeaderBytes + timeBytes + trace + 3 * texts + parts;
}

/** Writes the record at `at` and returns its end. The target must have `recordBound` bytes left. */
export function encodeRecord(target: Buffer, at: number, fields: RecordFields): number {
  let end = at + recordHeaderBytes;
  const client = write(target, end, fields.client);
  end += client;
  const id = write(target, end, fields.id);
  end += id;
  const key = write(target, end, fields.key);
  end += key;
  const name = write(target, end, fields.name);
  end += name;
  const effects = write(target, end, fields.effects);
  end += effects;
  const reply = write(target, end, fields.reply);
  end += reply;
  const { kind, takenMs = 0, traceparent = "" } = fields;
  let body = 0;
  if (kind !== recordKinds.final) {
    body = write(target, end, fields.body);
    if (traceparent !== "" && body > 0) body += write(target, end + body, traceAsSpace(traceparent));
  } else if (takenMs > 0) {
    target.writeDoubleLE(takenMs, end);
    body = timeBytes;
    if (traceparent !== "") body += writeTrace(target, end + body, traceparent);
  }
  end += body;
  target.writeUInt32LE(end - at - 4, at);
  target[at + 4] = recordVersion;
  target[at + 5] = kind;
  target.writeUInt16LE(fields.ordinal, at + 6);
  target.writeUInt32LE(fields.epoch, at + 8);
  target.writeUInt16LE(client, at + 12);
  target.writeUInt16LE(id, at + 14);
  target.writeUInt16LE(key, at + 16);
  target.writeUInt16LE(name, at + 18);
  target.writeDoubleLE(fields.sequence, at + 20);
  target.writeDoubleLE(isBegun(kind) ? takenMs : fields.resultNumber, at + 28);
  target.writeDoubleLE(fields.stampMs, at + 36);
  target.writeDoubleLE(fields.forgottenThrough, at + 44);
  target.writeDoubleLE(fields.bodyHash, at + 52);
  target.writeUInt32LE(effects, at + 60);
  target.writeUInt32LE(reply, at + 64);
  target.writeUInt32LE(body, at + 68);
  return end;
}

/** Its request has no result yet: there is no result number. */
function isBegun(kind: number | undefined): boolean {
  return kind === recordKinds.transaction || kind === recordKinds.attempt;
}

/** The record bytes are not what this version writes: a damaged log, or a newer version's (rule 14). */
export class RecordError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "RecordError";
  }
}

/** Reads one record in place: no copy, no object per record. Move it along a batch with `at(next)`. */
export class RecordReader {
  #bytes: Buffer;
  #start = 0;
  #end = 0;
  #clientAt = 0;
  #idAt = 0;
  #keyAt = 0;
  #nameAt = 0;
  #effectsAt = 0;
  #replyAt = 0;
  #bodyAt = 0;

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at(at);
  }

  /** The same reader over other bytes. */
  over(bytes: Buffer, at: number): boolean {
    this.#bytes = bytes;
    return this.at(at);
  }

  /** Moves to the record that starts at `at`; false at the end of the bytes. Throws RecordError if it does not fit. */
  at(at: number): boolean {
    const bytes = this.#bytes;
    if (at === bytes.length) return false;
    if (at + recordHeaderBytes > bytes.length) throw new RecordError("a record is cut off");
    const end = at + 4 + bytes.readUInt32LE(at);
    if (bytes[at + 4] !== recordVersion)
      throw new RecordError(`a record of version ${bytes[at + 4]}; this program knows ${recordVersion}`);
    this.#start = at;
    this.#clientAt = at + recordHeaderBytes;
    this.#idAt = this.#clientAt + bytes.readUInt16LE(at + 12);
    this.#keyAt = this.#idAt + bytes.readUInt16LE(at + 14);
    this.#nameAt = this.#keyAt + bytes.readUInt16LE(at + 16);
    this.#effectsAt = this.#nameAt + bytes.readUInt16LE(at + 18);
    this.#replyAt = this.#effectsAt + bytes.readUInt32LE(at + 60);
    this.#bodyAt = this.#replyAt + bytes.readUInt32LE(at + 64);
    this.#end = this.#bodyAt + bytes.readUInt32LE(at + 68);
    if (this.#end !== end || end > bytes.length) throw new RecordError("a record's lengths do not add up");
    return true;
  }

  /** Moves to the next record of the same bytes. */
  next(): boolean {
    return this.at(this.#end);
  }

  get start(): number {
    return this.#start;
  }
  get end(): number {
    return this.#end;
  }
  get kind(): RecordKind {
    return this.#bytes[this.#start + 5] as RecordKind;
  }
  get ordinal(): number {
    return this.#bytes.readUInt16LE(this.#start + 6);
  }
  get epoch(): number {
    return this.#bytes.readUInt32LE(this.#start + 8);
  }
  get sequence(): number {
    return this.#bytes.readDoubleLE(this.#start + 20);
  }
  get resultNumber(): number {
    return isBegun(this.#bytes[this.#start + 5]) ? 0 : this.#bytes.readDoubleLE(this.#start + 28);
  }
  /** 0: it does not tell. */
  get takenMs(): number {
    const kind = this.#bytes[this.#start + 5];
    if (isBegun(kind)) return this.#bytes.readDoubleLE(this.#start + 28);
    const isTold = kind === recordKinds.final && this.#end - this.#bodyAt >= timeBytes;
    return isTold ? this.#bytes.readDoubleLE(this.#bodyAt) : 0;
  }
  /** Its request's trace context; "": none. Not in a request's later transactions. */
  get traceparent(): string {
    const kind = this.#bytes[this.#start + 5];
    if (isBegun(kind)) return traceBehind(this.#bytes, this.#bodyAt, this.#end);
    const traceAt = this.#bodyAt + timeBytes;
    const isTold = kind === recordKinds.final && this.#end - traceAt === traceBytes;
    return isTold ? readTrace(this.#bytes, traceAt) : "";
  }
  get stampMs(): number {
    return this.#bytes.readDoubleLE(this.#start + 36);
  }
  get forgottenThrough(): number {
    return this.#bytes.readDoubleLE(this.#start + 44);
  }
  get bodyHash(): number {
    return this.#bytes.readDoubleLE(this.#start + 52);
  }
  get client(): string {
    return this.#bytes.toString("utf8", this.#clientAt, this.#idAt);
  }
  get id(): string {
    return this.#bytes.toString("utf8", this.#idAt, this.#keyAt);
  }
  get key(): string {
    return this.#bytes.toString("utf8", this.#keyAt, this.#nameAt);
  }
  get name(): string {
    return this.#bytes.toString("utf8", this.#nameAt, this.#effectsAt);
  }
  get effects(): Uint8Array {
    return this.#effectsAt === this.#replyAt ? noBytes : this.#bytes.subarray(this.#effectsAt, this.#replyAt);
  }
  get reply(): Uint8Array {
    return this.#bytes.subarray(this.#replyAt, this.#bodyAt);
  }
  /** Where the reply lies in the bytes, for those who keep the bytes. */
  get replyAt(): number {
    return this.#replyAt;
  }
  get replyLength(): number {
    return this.#bodyAt - this.#replyAt;
  }
  get body(): Uint8Array {
    return this.kind === recordKinds.final ? noBytes : this.#bytes.subarray(this.#bodyAt, this.#end);
  }
  get bytes(): Uint8Array {
    return this.#bytes.subarray(this.#start, this.#end);
  }
}

/** The log's hash after `bytes`, given the hash before them. */
export function chainHash(bytes: Uint8Array, previousHash: number): number {
  return crc32(bytes, previousHash);
}

/**
 * The stamp of a request that came without one: the primary's wall clock, and half a millisecond, which no `issuedAt` has.
 * What was done under it is promised only while it is remembered, so that it lifts no floor (rule 12).
 */
export function arrivalStamp(wallMs: number): number {
  return Math.floor(wallMs) + 0.5;
}
export function isArrival(stampMs: number): boolean {
  return stampMs % 1 !== 0;
}

/** How a request is found again: client and id, which may hold any character but control characters. */
export function requestKey(client: string, id: string): string {
  return `${client}\u0000${id}`;
}
