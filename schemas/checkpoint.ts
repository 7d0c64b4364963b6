/**
 * What a server's store says about itself, in one key that every flush rewrites. Read with zod once,
 * when the store is opened; the agent writes it from then on.
 */
import { z } from "zod";
import { Catalog } from "./catalog.ts";
import { Count, Epoch, Hash, Id, IdOrNone, Sequence } from "./ranges.ts";
import { Position, RegistryRecord } from "./registry.ts";

/** A queue's place on disk: items `head` to `tail - 1`; `hash` is the CRC-32 chain of every item ever pushed. */
export const QueuePlace = z.object({ part: Count.max(255), head: Count, tail: Count, hash: Hash });
export type QueuePlace = z.infer<typeof QueuePlace>;

/** Number of rows of all tables, and the sum of their hashes modulo 2^32: the same on all servers at the same applied sequence (invariant 5). */
export const RowDigest = z.object({ rows: Count, sum: Hash });
export type RowDigest = z.infer<typeof RowDigest>;

/** A position and the epoch of the record there, because rule 7 and `afterTotalLoss` compare (epoch, sequence). */
export const LogEnd = Position.extend({ epoch: Epoch });
export type LogEnd = z.infer<typeof LogEnd>;

/** What was forgotten of whom (machines/log/floors.ts): the clients are those above the common floor. */
const SavedFloors = z.object({
  commonMs: z.number(),
  clients: z.array(z.tuple([z.string(), z.number()])),
});
/**
 * An earlier history whose log this one goes on with: its records are those above `start`, through `end`. Results are counted
 * anew in each history, so that without this nobody could tell which numbers these records have.
 */
export const Ancestor = z.object({
  history: IdOrNone,
  /** The record with which it began; 0 for the first one, which has none. */
  start: Sequence,
  /** Where the log ended when the next history began. */
  end: LogEnd,
  /** Number of its last result. */
  results: Count,
});
export type Ancestor = z.infer<typeof Ancestor>;

/** Only the newest are remembered: the log of older ones is long gone. */
export const maxAncestors = 32;

/** What the server decides; it changes by `saveMeta` and with each flush. */
const OwnerMeta = z.object({
  service: z.string(),
  server: z.string(),
  /** Digest of the application's name and schemas with which the log began. */
  schema: z.string(),
  /** Of the tables and queues on this disk. Disks that older programs wrote have none: theirs is that of the digest's program. */
  catalog: Catalog.optional(),
  history: IdOrNone,
  /** Of this history, the oldest first. Disks that older programs wrote have none. */
  ancestors: z.array(Ancestor).max(maxAncestors).optional(),
  /** Highest epoch that this server ever accepted; never falls (invariant 8). */
  epoch: Epoch,
  /**
   * Highest epoch in which the registry counted on this disk or its server's memory. Seeing an epoch is not enough: an empty
   * disk sees as much. Disks that older programs wrote have none.
   */
  memberEpoch: Epoch.optional(),
  /** Highest epoch in which this disk had all that was acknowledged by then (confirm level `synced`). */
  syncedEpoch: Epoch.optional(),
  /** Which disk it is, from its first use on: of two that claim one name each has its own. Older disks have none. */
  disk: IdOrNone.optional(),
  /** It was restored from a backup that ends with this record and was taken then, in ISO form; it counts for nothing once the disk is a member's. */
  restored: z.object({ sequence: Sequence, takenAt: z.string().max(32) }).optional(),
  /** The newest registry record that was seen: where the registry is lost, this is what is left of it. */
  record: RegistryRecord.optional(),
  incarnation: Id,
  /** Where the log of the incarnation before this one ended. */
  previousEnd: LogEnd.extend({ incarnation: Id }).nullable(),
  /** How often this server was started (`startCount`): of two incarnations the newer has the higher number. */
  life: Count,
  /** Results of records up to this sequence reached NATS (rule 13). */
  published: Sequence,
  /** Committed, as far as this server knew; never less than applied. */
  committed: Sequence,
  /** Result number as of `applied`. */
  resultNumber: Count,
  /** The latest time at which a request with a record up to `applied` was taken (rule 20). Disks that older programs wrote have none. */
  takenMs: z.number().nonnegative().optional(),
  /**
   * Replies of records up to this sequence are forgotten, and `floorMs` is the newest stamp among them, whoever's (rule 12).
   * Programs that know no floors of clients take it for everybody's, and so are the disks read that they wrote.
   */
  forgottenThrough: Sequence,
  floorMs: z.number().nonnegative(),
  floors: SavedFloors.optional(),
});
export type OwnerMeta = z.infer<typeof OwnerMeta>;

export const CheckpointMeta = OwnerMeta.extend({
  /** Where the tables and queues on disk stand; never above the commit point (rule 6). */
  applied: LogEnd,
  /**
   * Where the log on this disk ended when this was written, 0 where it was empty: what is written later makes it longer, and a truncation
   * says so here. Disks that older programs wrote have none.
   */
  logEnd: Sequence.optional(),
  /** The first record of the first segment on disk; `applied.sequence + 1` when there is none up to it. */
  firstRetained: Sequence.min(1),
  digest: RowDigest,
  queues: z.array(QueuePlace),
  flushes: Count,
});
export type CheckpointMeta = z.infer<typeof CheckpointMeta>;
