/**
 * The registry record: the one small truth about a service, changed only by compare-and-set (PROTOCOL.md, the registry
 * record). Every field of a server names an incarnation, so that a restarted process is never taken for the old one.
 */
import { z } from "zod";
import { Epoch, Hash, Id, IdOrNone, maxWallMs, Sequence, WallMs } from "./ranges.ts";
import { maxServers, ServerName } from "./settings.ts";

/** Incarnations that let themselves go in one epoch, at most: the next one waits for its primary. */
export const maxLeft = 1024;

export const Member = z.object({ server: ServerName, incarnation: Id });
export type Member = z.infer<typeof Member>;

export function sameMember(one: Member, other: Member): boolean {
  return one.server === other.server && one.incarnation === other.incarnation;
}

/**
 * Of the in-sync set. It is its incarnation; `disk` says besides which disk that has, for when it is gone: another one in
 * its name is not what the registry counts on. Programs before wrote none, and nothing is judged by one that is not there.
 */
export const InSyncMember = Member.extend({ disk: IdOrNone.optional() });
export type InSyncMember = z.infer<typeof InSyncMember>;

/** A position in the log: the sequence of a record and the log's hash up to and including it. */
export const Position = z.object({ sequence: Sequence, hash: Hash });
export type Position = z.infer<typeof Position>;

export const Mode = z.enum(["normal", "primary-only", "backup-only"]);
export type Mode = z.infer<typeof Mode>;

/** Since when (wall clock of the primary then, ms since 1970), and for how long; no `forMs`: until it is resumed. */
export const Pause = z.object({ sinceMs: WallMs, forMs: z.number().positive().max(maxWallMs).optional() });
export type Pause = z.infer<typeof Pause>;

const Shape = z.object({
  service: ServerName,
  history: Id,
  epoch: Epoch,
  mode: Mode,
  writeId: Id,
  previousWriteId: IdOrNone,
  primary: Member,
  inSync: z.array(InSyncMember).min(1).max(maxServers),
  /** memory: acknowledged = in the memory of every in-sync incarnation. disk: one member; acknowledged = on its disk. */
  durability: z.enum(["memory", "disk"]),
  /** With `disk`: the sole member's disk holds at least this much. */
  base: Position,
  /** Digest of the application's name and schemas with which the log began (claim 12). */
  schema: IdOrNone,
  /** The application's name: a server with another one does not join. Programs before wrote none. */
  application: z.string().max(64).optional(),
  /**
   * Incarnations that let themselves go: each wrote this record again, in its epoch, with its own name here, so that nothing
   * that was asked for before can land, and nobody takes it in on this record (clean stop).
   */
  left: z.array(Id).max(maxLeft).optional(),
  /** An operator put this record back where the registry had lost it: the epoch of the one whose configuration it has. */
  restoredFrom: Epoch.optional(),
  /** An operator paused the intake. */
  pause: Pause.optional(),
  /** An operator paused failover (rule 21): nobody takes over because a server is lost. Programs before know no such pause, and heed none. */
  failoverPause: Pause.optional(),
});

/** The record: it does not contradict itself either, for the servers work out from it who is counted on. */
export const RegistryRecord = Shape.refine(
  ({ primary, inSync }) => inSync.some((member) => sameMember(member, primary)),
  {
    message: "the primary is not in sync",
    path: ["primary"],
  },
).refine(({ durability, inSync }) => durability === "memory" || inSync.length === 1, {
  message: "on disk, with more than one member",
  path: ["durability"],
});
export type RegistryRecord = z.infer<typeof RegistryRecord>;

/** The record, or why these bytes are none. */
export function readRegistryRecord(text: string): RegistryRecord | string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return "it is not JSON";
  }
  const parsed = RegistryRecord.safeParse(value);
  if (parsed.success) return parsed.data;
  return parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`).join("; ");
}

/** What the registry says when it is read. */
export type RegistryRead =
  | { outcome: "found"; record: RegistryRecord; revision: number }
  /** `revision`: that of a deletion, where the key was deleted. */
  | { outcome: "missing"; revision?: number }
  /** `revision`: of what is there and is no record: an operator may write one over it. */
  | { outcome: "unavailable"; reason: string; revision?: number };

/** What became of a compare-and-set. Lost is only a clear refusal of the first and only try; whatever may have landed, or may still land, is unknown (rule 3). */
export type RegistryWrite =
  | { outcome: "won"; revision: number }
  | { outcome: "lost" }
  | { outcome: "unknown"; reason: string };
