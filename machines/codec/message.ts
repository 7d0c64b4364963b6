/**
 * Messages between servers as bytes, the same on both links: `u8 version, u8 0, u16 0, u32 header length, header (JSON), payload`.
 * Only `mirror` and the chunks of a snapshot carry a payload. Links check the bytes (CRC-32); a message of another version,
 * or one that does not fit its schema (schemas/peer-message.ts), is a typed fault, never a guess.
 */
import { isHotMessage, isPeerMessageType, type PeerMessage, peerMessages } from "../../schemas/peer-message.ts";

export const messageVersion = 1;
/** What a mirror or a chunk of a snapshot has besides its payload, at most. */
export const payloadFieldsBytes = 1024;
/** The longest header that is read: a heartbeat whose record names all who left and may be named is shorter. */
export const maxHeaderBytes = 256 * 1024;
const prefixBytes = 8;

/**
 * cutOff: it ends too soon. version: of another program. header: it is no JSON object, or too long. type: no message is called so.
 * fields: one is missing, or not in its range. payload: it is not what the header says.
 */
export type MessageFault = "cutOff" | "version" | "header" | "type" | "fields" | "payload";

/** Bytes of a peer that are no message, or none that fits: dropped by whoever reads them, and nothing was done for it. */
export class MessageError extends Error {
  readonly fault: MessageFault;
  /** What it says that it is; "" where that cannot be read, or is no message's name. */
  readonly type: string;

  constructor(fault: MessageFault, message: string, type = "") {
    super(message);
    this.name = "MessageError";
    this.fault = fault;
    this.type = type;
  }
}

/** The message's own bytes; payload parts follow them in the same frame. */
export function encodeMessage(message: PeerMessage): Uint8Array {
  const header = JSON.stringify(message);
  const bytes = Buffer.allocUnsafe(prefixBytes + 3 * header.length);
  const length = bytes.write(header, prefixBytes, "utf8");
  bytes.writeUInt32LE(messageVersion, 0);
  bytes.writeUInt32LE(length, 4);
  return bytes.subarray(0, prefixBytes + length);
}

/** Throws MessageError, and nothing else, whatever the bytes are. */
export function decodeMessage(frame: Uint8Array): { message: PeerMessage; payload: Uint8Array } {
  const bytes = Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength);
  if (bytes.length < prefixBytes) throw new MessageError("cutOff", "a message is cut off");
  if (bytes[0] !== messageVersion)
    throw new MessageError("version", `a message of version ${bytes[0]}; this program knows ${messageVersion}`);
  const length = bytes.readUInt32LE(4);
  const end = prefixBytes + length;
  if (end > bytes.length) throw new MessageError("cutOff", "a message is cut off");
  if (length > maxHeaderBytes)
    throw new MessageError("header", `a message's header of ${length} bytes; at most ${maxHeaderBytes} are read`);
  let header: unknown;
  try {
    header = JSON.parse(bytes.toString("utf8", prefixBytes, end));
  } catch {
    throw new MessageError("header", "a message's header is not JSON");
  }
  if (typeof header !== "object" || header === null)
    throw new MessageError("header", "a message's header is not an object");
  return { message: fitting(header), payload: bytes.subarray(end) };
}

/** Throws MessageError. */
function fitting(header: object): PeerMessage {
  if (isHotMessage(header)) return header;
  const { type } = header as { type?: unknown };
  if (!isPeerMessageType(type)) throw new MessageError("type", "a message of a type that this program does not know");
  const parsed = peerMessages[type].safeParse(header);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const at = issue?.path.map(String).join(".").slice(0, maxPathLength);
  throw new MessageError(
    "fields",
    `${type}: ${at === "" ? "" : `${at}: `}${issue?.message}`.slice(0, maxTextLength),
    type,
  );
}

/** For the log, in UTF-16 units: what a stranger writes must not fill it. */
const maxPathLength = 100;
const maxTextLength = 300;
