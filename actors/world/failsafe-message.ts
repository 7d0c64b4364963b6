/**
 * Messages of the failsafe link as bytes, little-endian:
 *
 *   u32 crc32 of all that follows, u8 version, u8 length of the sender's name, name, rest
 *   version 1, unproven:  rest = frame
 *   version 2, proven:    rest = proof (16), body
 *                         body = sender's session (8), f64 number, u8 count, count sessions of the receiver (8 each), frame;
 *                         or, where 128 is added to the count, a greeting, which has no frame
 *
 * The proof (peer-keys.ts) is of `provenParts`: who says it to whom, and the body. What always holds: bytes that are no message
 * are null, whatever they are.
 */
import { crc32 } from "node:zlib";
import { copyParts } from "./frames.ts";
import { proofBytes } from "./peer-keys.ts";

const versions = { unproven: 1, proven: 2 } as const;
const fixedBytes = 6;
const sessionBytes = 8;
const numberAt = sessionBytes;
const countAt = numberAt + 8;
const sessionsAt = countAt + 1;
/** Sessions of the receiver that a message is said to, at most: two processes may claim one name, and follow each other. */
export const maxAddressed = 4;
const greetingFlag = 0x80;

/** As text, a character for each byte. */
export type Session = string;
const sessionEncoding = "latin1";

export interface Body {
  readonly session: Session;
  readonly number: number;
  readonly to: readonly Session[];
  /** Null: it only says from which session it comes. */
  readonly frame: Uint8Array | null;
}

/** A frame in its parts, of so many bytes together. */
export interface Parts {
  readonly parts: readonly Uint8Array[];
  readonly bytes: number;
}

export interface FailsafeMessage {
  readonly from: string;
  readonly version: number;
  /** False: of a version that this program does not know. */
  readonly isKnown: boolean;
  readonly frame: Uint8Array | null;
  readonly proven: { readonly proof: Uint8Array; readonly bytes: Uint8Array; readonly body: Body } | null;
}

/** Besides the frame, at most. */
export function headerBytesOf(name: string, isProven: boolean): number {
  const plain = fixedBytes + Buffer.byteLength(name);
  return isProven ? plain + proofBytes + sessionsAt + maxAddressed * sessionBytes : plain;
}

export function unprovenMessage(from: string, { parts, bytes }: Parts): Buffer {
  const { message, at } = begun(from, versions.unproven, bytes);
  copyParts(parts, message, at);
  return checked(message);
}

/** `frame`: null for a greeting. */
export function provenMessage(
  from: string,
  { session, number, to }: Omit<Body, "frame">,
  frame: Parts | null,
  sign: (body: Uint8Array) => Uint8Array,
): Buffer {
  const frameAt = sessionsAt + to.length * sessionBytes;
  const { message, at } = begun(from, versions.proven, proofBytes + frameAt + (frame?.bytes ?? 0));
  const body = message.subarray(at + proofBytes);
  body.write(session, 0, sessionEncoding);
  body.writeDoubleLE(number, numberAt);
  body[countAt] = frame === null ? to.length | greetingFlag : to.length;
  for (const [nth, each] of to.entries()) body.write(each, sessionsAt + nth * sessionBytes, sessionEncoding);
  copyParts(frame?.parts ?? [], body, frameAt);
  message.set(sign(body), at);
  return checked(message);
}

/** What the proof of a body is of, besides the body. No name has a zero byte. */
export function provenContext(service: string, from: string, to: string): Uint8Array {
  return Buffer.from(["twinlog failsafe", service, from, to, ""].join("\0"));
}

export function readFailsafeMessage(data: Uint8Array): FailsafeMessage | null {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const restAt = fixedBytes + (bytes[5] ?? 0);
  if (bytes.length < restAt || crc32(bytes.subarray(4)) !== bytes.readUInt32LE(0)) return null;
  const version = bytes[4] ?? 0;
  const from = bytes.toString("utf8", fixedBytes, restAt);
  const rest = bytes.subarray(restAt);
  if (version !== versions.proven)
    return { from, version, isKnown: version === versions.unproven, frame: rest, proven: null };
  const body = bodyOf(rest.subarray(proofBytes));
  if (body === null) return null;
  const proven = { proof: rest.subarray(0, proofBytes), bytes: rest.subarray(proofBytes), body };
  return { from, version, isKnown: true, frame: body.frame, proven };
}

function bodyOf(bytes: Buffer): Body | null {
  const counted = bytes[countAt] ?? 0;
  const count = counted & ~greetingFlag;
  const frameAt = sessionsAt + count * sessionBytes;
  if (count > maxAddressed || bytes.length < frameAt) return null;
  const sessionIn = (at: number) => bytes.toString(sessionEncoding, at, at + sessionBytes);
  const to = Array.from({ length: count }, (_, nth) => sessionIn(sessionsAt + nth * sessionBytes));
  const frame = counted === count ? bytes.subarray(frameAt) : null;
  return { session: sessionIn(0), number: bytes.readDoubleLE(numberAt), to, frame };
}

function begun(from: string, version: number, restBytes: number): { message: Buffer; at: number } {
  const nameBytes = Buffer.byteLength(from);
  const message = Buffer.allocUnsafe(fixedBytes + nameBytes + restBytes);
  message[4] = version;
  message[5] = nameBytes;
  message.write(from, fixedBytes);
  return { message, at: fixedBytes + nameBytes };
}

function checked(message: Buffer): Buffer {
  message.writeUInt32LE(crc32(message.subarray(4)), 0);
  return message;
}
