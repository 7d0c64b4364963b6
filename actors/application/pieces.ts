/**
 * Sends what the broker may not take whole: in pieces, and with a stand-in for those who do not know pieces
 * (schemas/pieces.ts). What always holds: the bytes that were stored are what is sent, whole or cut; nothing else is ever
 * sent as the reply.
 */

import { headers } from "../../schemas/envelope.ts";
import type { ErrorCode } from "../../schemas/errors.ts";
import { maxPiecedBytes, pieceHeaders, pieceText } from "../../schemas/pieces.ts";
import type { Bus, BusHeaders } from "../world/ports.ts";

/** lost: not connected, or too much waits. omitted: it did not fit; a stand-in went, and the pieces if there may be any. */
export type Sent = "whole" | "omitted" | "lost";

/** The longest name of a piece, so that all have the same room. */
const longestName = pieceText({ index: 999_999_999, count: 999_999_999 });

/** The reply, or a query's answer, to whoever asked: after it may leave (rule 5). */
export function publishReply(bus: Bus, to: string, bytes: Uint8Array, given?: BusHeaders): Sent {
  if (bus.publish(to, bytes, given)) return "whole";
  if (!bus.connected() || bytes.length <= bus.room(to, given)) return "lost";
  const { client, id } = JSON.parse(Buffer.from(bytes).toString()) as { client: string; id: string };
  const standIn = standInFor(client, id, bytes.length, bus.maxPayloadBytes());
  if (!bus.publish(to, standIn, { ...given, [headers.omitted]: "1" })) return "lost";
  publishInPieces(bus, to, bytes, given);
  return "omitted";
}

/** Stands in for so many bytes of a reply: who reads it as one is told that it is done, and that this is not the reply. */
export function standInFor(client: string, id: string, bytes: number, takenBytes: number): Uint8Array {
  const code: ErrorCode = "REPLY_OMITTED";
  const message = `${bytes} bytes, and the broker takes ${takenBytes}: in pieces`;
  return Buffer.from(JSON.stringify({ client, id, ok: false, error: { code, message, executed: true } }));
}

/** False: not all of it was sent. */
export function publishInPieces(bus: Bus, to: string, bytes: Uint8Array, given?: BusHeaders): boolean {
  const room = bus.room(to, { ...given, [pieceHeaders.piece]: longestName });
  if (room < 1 || bytes.length > maxPiecedBytes) return false;
  const count = Math.ceil(bytes.length / room);
  for (let index = 1; index <= count; index += 1) {
    const piece = bytes.subarray((index - 1) * room, index * room);
    if (!bus.publish(to, piece, { ...given, [pieceHeaders.piece]: pieceText({ index, count }) })) return false;
  }
  return true;
}
