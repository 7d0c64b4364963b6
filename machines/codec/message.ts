/**
 * Messages between servers, the same on both links: `u8 version, u8 0, u16 0, u32 header length, header (JSON), payload`.
 * Only `mirror` and the chunks of a snapshot carry a payload. Links check the bytes (CRC-32); a message of another
 * version is a typed fault, never a guess. Positions are sequences; hashes are of the log up to there.
 */
import type { Ancestor } from "../../schemas/checkpoint.ts";
import type { Member, RegistryRecord } from "../../schemas/registry.ts";
import type { EpochEnd } from "../log/memory-log.ts";

export const messageVersion = 1;
/** What a mirror or a chunk of a snapshot has besides its payload, at most. */
export const payloadFieldsBytes = 1024;
const prefixBytes = 8;

/** What every server tells every other one, over both links, every `heartbeatMs`, and at once when it matters. */
export interface Heartbeat {
  type: "heartbeat";
  incarnation: string;
  /** How often its disk was started with (`startCount`): of two incarnations on one disk the newer has the higher one. */
  life: number;
  /** Which disk it runs on. Older programs do not say it. */
  disk?: string;
  beat: number;
  /** Its wall clock, ms since 1970; programs before tell none. */
  wallMs?: number;
  /** The newest beat heard from each server, and over the main link: proof that it was alive, and what gets through. */
  heard: Record<string, { incarnation: string; beat: number; mainBeat: number }>;
  state: string;
  hot: boolean;
  stopping: boolean;
  /** It knows that a record may be written again in its epoch (`left`). Older programs do not say so. */
  rereads?: boolean;
  /** Connected to NATS. */
  bus: boolean;
  /** The registry answered when it was asked last. */
  registry: boolean;
  epochSeen: number;
  history: string;
  lastEpoch: number;
  last: number;
  committed: number;
  schema: string;
  /** Its setting of that name: what was forgotten is the same on all servers only where this is. Older programs do not say it. */
  rememberClients?: number;
  /** The primary tells the record that it won, so that nobody needs to ask the registry. */
  record?: RegistryRecord;
  revision?: number;
  /** And how often it lost others in a row, by name, and how long ago: who takes its role over counts on from there. */
  removals?: Record<string, { times: number; ageMs: number }>;
}

/** A server asks the primary to be sent the log (rules 7 and 8). */
export interface Follow {
  type: "follow";
  session: string;
  /** Sessions of one incarnation in their order: a question of an earlier one comes late. Older programs count none. */
  number?: number;
  from: string;
  to: string;
  epoch: number;
  history: string;
  schema: string;
  last: number;
  committed: number;
  epochEnds: readonly EpochEnd[];
}

/** The primary's answer: drop what is above `sequence`; the log goes on from there. */
export interface Accept {
  type: "accept";
  session: string;
  from: string;
  to: string;
  epoch: number;
  sequence: number;
  /** Null where the primary has it on disk only: the first mirror shows it. */
  hash: number | null;
  /** The histories before this one; not there where there are none. */
  ancestors?: readonly Ancestor[];
}

export interface Decline {
  type: "decline";
  session: string;
  from: string;
  to: string;
  reason: "snapshot" | "schema" | "leaving";
}

/** Records, or none: then it carries the commit point and a probe. */
export interface Mirror {
  type: "mirror";
  session: string;
  epoch: number;
  from: string;
  to: string;
  first: number;
  last: number;
  previousHash: number;
  lastHash: number;
  committed: number;
  /** Results up to this number reached NATS (rule 13). */
  published: number;
  /** Answered in the next confirm: proof that the follower was still following after this was sent (rule 5). */
  probe: number;
}

export interface Confirm {
  type: "confirm";
  session: string;
  epoch: number;
  from: string;
  to: string;
  sequence: number;
  hash: number;
  probe: number;
  /** Something did not fit: send again from `sequence`. */
  gap: boolean;
}

/** A server that stops asks to be left out; the primary answers `left` when neither record nor open CAS names it. */
export interface Leave {
  type: "leave";
  from: string;
}
export interface Left {
  type: "left";
  from: string;
  to: string;
  epoch: number;
}

/** A planned switch: the primary has stopped; everything up to here is committed; the receiver may take the role. */
export interface Handover {
  type: "handover";
  from: string;
  to: string;
  epoch: number;
  sequence: number;
  hash: number;
}

/** Part of a snapshot, and the receiver's flow control. Handled by replication and checkpoint, not by the replica. */
export interface SnapshotChunk {
  type: "snapshotChunk";
  session: string;
  number: number;
}
export interface SnapshotAck {
  type: "snapshotAck";
  session: string;
  /** The chunk that is wanted next. */
  number: number;
  /** Everything came and was adopted. */
  done: boolean;
}

export type PeerMessage =
  | Heartbeat
  | Follow
  | Accept
  | Decline
  | Mirror
  | Confirm
  | Leave
  | Left
  | Handover
  | SnapshotChunk
  | SnapshotAck;

export class MessageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "MessageError";
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

export function decodeMessage(frame: Uint8Array): { message: PeerMessage; payload: Uint8Array } {
  const bytes = Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength);
  if (bytes.length < prefixBytes) throw new MessageError("a message is cut off");
  if (bytes[0] !== messageVersion)
    throw new MessageError(`a message of version ${bytes[0]}; this program knows ${messageVersion}`);
  const end = prefixBytes + bytes.readUInt32LE(4);
  if (end > bytes.length) throw new MessageError("a message is cut off");
  let header: unknown;
  try {
    header = JSON.parse(bytes.toString("utf8", prefixBytes, end));
  } catch {
    throw new MessageError("a message's header is not JSON");
  }
  if (typeof header !== "object" || header === null) throw new MessageError("a message's header is not an object");
  return { message: header as PeerMessage, payload: bytes.subarray(end) };
}

export function sameMember(one: Member, other: Member): boolean {
  return one.server === other.server && one.incarnation === other.incarnation;
}
