/**
 * What servers say to each other, on both links (machines/codec/message.ts has the bytes): one schema for each message, and the
 * types inferred from them. Positions are sequences; hashes are of the log up to there. Fields that are not known are passed
 * over, for an older and a newer program run side by side; optional ones older programs do not say.
 *
 * What always holds: a message is held against its schema where its bytes are read, before anything is done for it; what is in
 * range is well formed and no more: who may say it is judged by the replica.
 */
import { z } from "zod";
import { Program } from "./catalog.ts";
import { Ancestor, maxAncestors } from "./checkpoint.ts";
import {
  Count,
  Epoch,
  Hash,
  Id,
  IdOrNone,
  maxCount,
  maxEpoch,
  maxHash,
  maxIdLength,
  maxStateLength,
  Sequence,
  WallMs,
} from "./ranges.ts";
import { RegistryRecord } from "./registry.ts";
import { maxServers, ServerName } from "./settings.ts";

/** How many changes of epoch a log remembers for finding a fork; older ones need a snapshot. */
export const maxEpochEnds = 256;

/** The last sequence of the records made in an epoch. */
const EpochEnd = z.object({ epoch: Epoch, last: Sequence });

/** By server's name. */
const byServer = <T extends z.ZodType>(what: T) =>
  z.record(ServerName, what).refine((all) => Object.keys(all).length <= maxServers, `of at most ${maxServers} servers`);

/** What every server tells every other one, over both links, every `heartbeatMs`, and at once when it matters. */
export const Heartbeat = z.object({
  type: z.literal("heartbeat"),
  incarnation: Id,
  /** How often its disk was started with (`startCount`): of two incarnations on one disk the newer has the higher one. */
  life: Count,
  /** Which disk it runs on. Older programs do not say it. */
  disk: IdOrNone.optional(),
  beat: Count,
  /** Its wall clock, ms since 1970; programs before tell none. */
  wallMs: WallMs.optional(),
  /** The newest beat heard from each server, and over the main link: proof that it was alive, and what gets through. */
  heard: byServer(z.object({ incarnation: Id, beat: Count, mainBeat: Count })),
  state: z.string().max(maxStateLength),
  hot: z.boolean(),
  stopping: z.boolean(),
  /** It knows that a record may be written again in its epoch (`left`). Older programs do not say so. */
  rereads: z.boolean().optional(),
  /** It heeds a pause of failover (rule 21). Older programs do not say so. */
  heedsPause: z.boolean().optional(),
  /** Connected to NATS. */
  bus: z.boolean(),
  /** The registry answered when it was asked last. */
  registry: z.boolean(),
  epochSeen: Epoch,
  history: IdOrNone,
  lastEpoch: Epoch,
  last: Sequence,
  committed: Sequence,
  schema: IdOrNone,
  /** Which program it runs. Older ones do not say it. */
  program: Program.optional(),
  /** Its setting of that name: what was forgotten is the same on all servers only where this is. Older programs do not say it. */
  rememberClients: Count.optional(),
  /** The primary tells the record that it won, so that nobody needs to ask the registry. */
  record: RegistryRecord.optional(),
  revision: Count.optional(),
  /** And how often it lost others in a row, by name, and how long ago: who takes its role over counts on from there. */
  removals: byServer(z.object({ times: Count, ageMs: Count })).optional(),
});
export type Heartbeat = z.infer<typeof Heartbeat>;

/** A server asks the primary to be sent the log (rules 7 and 8). */
export const Follow = z.object({
  type: z.literal("follow"),
  session: Id,
  /** Sessions of one incarnation in their order: a question of an earlier one comes late. Older programs count none. */
  number: Count.optional(),
  from: Id,
  to: Id,
  epoch: Epoch,
  history: IdOrNone,
  /** With which program its log began. */
  schema: IdOrNone,
  /** Which one it runs. Older programs do not say it. */
  program: Program.optional(),
  last: Sequence,
  committed: Sequence,
  epochEnds: z.array(EpochEnd).max(maxEpochEnds),
});
export type Follow = z.infer<typeof Follow>;

/** The primary's answer: drop what is above `sequence`; the log goes on from there. */
export const Accept = z.object({
  type: z.literal("accept"),
  session: Id,
  from: Id,
  to: Id,
  epoch: Epoch,
  sequence: Sequence,
  /** Null where the primary has it on disk only: the first mirror shows it. */
  hash: Hash.nullable(),
  /** The histories before this one; not there where there are none. */
  ancestors: z.array(Ancestor).max(maxAncestors).readonly().optional(),
});
export type Accept = z.infer<typeof Accept>;

export const Decline = z.object({
  type: z.literal("decline"),
  session: Id,
  from: Id,
  to: Id,
  reason: z.enum(["snapshot", "schema", "leaving"]),
});
export type Decline = z.infer<typeof Decline>;

/** Records, or none: then it carries the commit point and a probe. */
export const Mirror = z.object({
  type: z.literal("mirror"),
  session: Id,
  epoch: Epoch,
  from: Id,
  to: Id,
  first: Sequence.min(1),
  last: Sequence,
  previousHash: Hash,
  lastHash: Hash,
  committed: Sequence,
  /** Results up to this number reached NATS (rule 13). */
  published: Sequence,
  /** Answered in the next confirm: proof that the follower was still following after this was sent (rule 5). */
  probe: Count,
});
export type Mirror = z.infer<typeof Mirror>;

export const Confirm = z.object({
  type: z.literal("confirm"),
  session: Id,
  epoch: Epoch,
  from: Id,
  to: Id,
  sequence: Sequence,
  hash: Hash,
  probe: Count,
  /** Something did not fit: send again from `sequence`. */
  gap: z.boolean(),
});
export type Confirm = z.infer<typeof Confirm>;

/** A server that stops asks to be left out; the primary answers `left` when neither record nor open CAS names it. */
export const Leave = z.object({ type: z.literal("leave"), from: Id });
export const Left = z.object({ type: z.literal("left"), from: Id, to: Id, epoch: Epoch });

/** A planned switch: the primary has stopped; everything up to here is committed; the receiver may take the role. */
export const Handover = z.object({
  type: z.literal("handover"),
  from: Id,
  to: Id,
  epoch: Epoch,
  sequence: Sequence,
  hash: Hash,
});
export type Handover = z.infer<typeof Handover>;

/** Part of a snapshot, and the receiver's flow control. Handled by replication and checkpoint, not by the replica. */
export const SnapshotChunk = z.object({ type: z.literal("snapshotChunk"), session: Id, number: Count });
export type SnapshotChunk = z.infer<typeof SnapshotChunk>;

export const SnapshotAck = z.object({
  type: z.literal("snapshotAck"),
  session: Id,
  /** The chunk that is wanted next. */
  number: Count,
  /** Everything came and was adopted. */
  done: z.boolean(),
});
export type SnapshotAck = z.infer<typeof SnapshotAck>;

/** Every message that there is, by its type. */
export const peerMessages = {
  heartbeat: Heartbeat,
  follow: Follow,
  accept: Accept,
  decline: Decline,
  mirror: Mirror,
  confirm: Confirm,
  leave: Leave,
  left: Left,
  handover: Handover,
  snapshotChunk: SnapshotChunk,
  snapshotAck: SnapshotAck,
} as const;
export type PeerMessageType = keyof typeof peerMessages;
export type PeerMessage = { [Type in PeerMessageType]: z.infer<(typeof peerMessages)[Type]> }[PeerMessageType];

export function isPeerMessageType(type: unknown): type is PeerMessageType {
  return typeof type === "string" && Object.hasOwn(peerMessages, type);
}

// --- the hot path ---------------------------------------------------------------------------------------------------

/**
 * Mirrors and confirms come once for each batch, and their schemas would cost more than the parsing of their JSON: the same is
 * asked here by hand. A test holds both to the same verdicts.
 */
export function isHotMessage(value: object): value is Mirror | Confirm {
  const { type, session, epoch, from, to, probe } = value as Record<keyof (Mirror & Confirm), unknown>;
  if (type !== "mirror" && type !== "confirm") return false;
  if (!isId(session) || !isId(from) || !isId(to)) return false;
  if (!isWhole(epoch, maxEpoch) || !isWhole(probe, maxCount)) return false;
  return type === "mirror" ? hasMirror(value) : hasConfirm(value);
}

function hasMirror(value: object): boolean {
  const { first, last, previousHash, lastHash, committed, published } = value as Record<keyof Mirror, unknown>;
  if (!isWhole(first, maxCount) || first < 1 || !isWhole(last, maxCount)) return false;
  if (!isWhole(previousHash, maxHash) || !isWhole(lastHash, maxHash)) return false;
  return isWhole(committed, maxCount) && isWhole(published, maxCount);
}

function hasConfirm(value: object): boolean {
  const { sequence, hash, gap } = value as Record<keyof Confirm, unknown>;
  return isWhole(sequence, maxCount) && isWhole(hash, maxHash) && typeof gap === "boolean";
}

function isId(value: unknown): value is string {
  return typeof value === "string" && value.length > 0 && value.length <= maxIdLength;
}

function isWhole(value: unknown, max: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= max;
}
