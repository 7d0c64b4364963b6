/**
 * The registry record: the one small truth about a service, changed only by compare-and-set (PROTOCOL.md, the registry
 * record). Every field of a server names an incarnation, so that a restarted process is never taken for the old one.
 */
import { z } from "zod";

export const Member = z.object({ server: z.string(), incarnation: z.string() });
export type Member = z.infer<typeof Member>;

/**
 * Of the in-sync set. It is its incarnation; `disk` says besides which disk that has, for when it is gone: another one in
 * its name is not what the registry counts on. Programs before wrote none, and nothing is judged by one that is not there.
 */
export const InSyncMember = Member.extend({ disk: z.string().optional() });
export type InSyncMember = z.infer<typeof InSyncMember>;

/** A position in the log: the sequence of a record and the log's hash up to and including it. */
export const Position = z.object({ sequence: z.number().int().nonnegative(), hash: z.number().int().nonnegative() });
export type Position = z.infer<typeof Position>;

export const Mode = z.enum(["normal", "primary-only", "backup-only"]);
export type Mode = z.infer<typeof Mode>;

export const RegistryRecord = z.object({
  service: z.string(),
  history: z.string(),
  epoch: z.number().int().nonnegative(),
  mode: Mode,
  writeId: z.string(),
  previousWriteId: z.string(),
  primary: Member,
  inSync: z.array(InSyncMember).min(1),
  /** memory: acknowledged = in the memory of every in-sync incarnation. disk: one member; acknowledged = on its disk. */
  durability: z.enum(["memory", "disk"]),
  /** With `disk`: the sole member's disk holds at least this much. */
  base: Position,
  /** Digest of the application's name and schemas; a server with another one may not join (claim 12). */
  schema: z.string(),
  /**
   * Incarnations that let themselves go: each wrote this record again, in its epoch, with its own name here, so that nothing
   * that was asked for before can land, and nobody takes it in on this record (clean stop).
   */
  left: z.array(z.string()).optional(),
  /** An operator put this record back where the registry had lost it: the epoch of the one whose configuration it has. */
  restoredFrom: z.number().int().nonnegative().optional(),
  /** An operator paused the intake: since when (wall clock of the primary then, ms since 1970), and for how long; no `forMs`: until it is resumed. */
  pause: z.object({ sinceMs: z.number(), forMs: z.number().positive().optional() }).optional(),
});
export type RegistryRecord = z.infer<typeof RegistryRecord>;

/** What the registry says when it is read. */
export type RegistryRead =
  | { outcome: "found"; record: RegistryRecord; revision: number }
  /** `revision`: that of a deletion, where the key was deleted. */
  | { outcome: "missing"; revision?: number }
  | { outcome: "unavailable"; reason: string };

/** What became of a compare-and-set. Lost is only a clear refusal of the first and only try; whatever may have landed, or may still land, is unknown (rule 3). */
export type RegistryWrite =
  | { outcome: "won"; revision: number }
  | { outcome: "lost" }
  | { outcome: "unknown"; reason: string };
