/**
 * How large a message is for the broker: headers count with the data, and a publish has one line of control before them.
 * What always holds: nothing is called smaller than it is.
 */

import { utf8Length } from "../../schemas/utf8.ts";

/** What one broker takes. */
export interface BrokerLimits {
  /** Headers and data. The broker says so when it is connected to. */
  readonly payloadBytes: number;
  /** The line of a publish or a subscription. The broker says nothing of it: it is tried out (dialled-nats.ts). */
  readonly lineBytes: number;
}

/** Longest words around the subjects in a line: `HPUB `, two numbers, spaces. */
const wordBytes = 32;

/** The longest line that there can be about this subject, without what ends it. */
export function lineBytesOf(subject: string, reply: string): number {
  return wordBytes + utf8Length(subject) + utf8Length(reply);
}

/** How many bytes of data fit behind so many bytes of headers; negative: not even an empty message. */
export function roomFor(limits: BrokerLimits, subject: string, reply: string, headerBytes: number): number {
  return misfit(limits, subject, reply, 0) === "" ? limits.payloadBytes - headerBytes : -1;
}

/** Why the broker would not take a message; "" if it does. `bytes`: headers and data. */
export function misfit(limits: BrokerLimits, subject: string, reply: string, bytes: number): string {
  const { payloadBytes, lineBytes } = limits;
  if (bytes > payloadBytes) return `a message of ${bytes} bytes; the broker takes ${payloadBytes}`;
  // No character takes more than three bytes for each of its units.
  if (wordBytes + 3 * (subject.length + reply.length) <= lineBytes) return "";
  const line = lineBytesOf(subject, reply);
  return line > lineBytes ? `a subject that needs a line of ${line} bytes; the broker takes ${lineBytes}` : "";
}
