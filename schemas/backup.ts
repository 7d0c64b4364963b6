/**
 * Backups over NATS: what `twinlog backup` says on `<service>.control.<server>.backup`, and what it is answered; and what the
 * head of a backup's file says (machines/checkpoint/backup-format.ts). A question without `backup` begins one, and is answered
 * with its id; one with `backup` and `piece` is answered with that piece's bytes, or with a refusal.
 */
import { z } from "zod";
import { Id, IdOrNone, WallMs } from "./ranges.ts";
import { ControlReply } from "./status.ts";

/** The last token of the subject. */
export const backupVerb = "backup";

/** Pieces are numbered from 1, as a u32. */
const Piece = z.int().min(1).max(0xffff_ffff);

/** `incarnation`: the one that is meant, as its asker saw it. */
export const BackupRequest = z.object({
  incarnation: IdOrNone.optional(),
  backup: Id.optional(),
  piece: Piece.optional(),
  /** Whoever reads this backup has given it up: nothing is answered. */
  isOver: z.boolean().default(false),
});
export type BackupRequest = z.infer<typeof BackupRequest>;
export type BackupQuestion = z.input<typeof BackupRequest>;

/** As JSON, which a piece never is. `backup`: of the one that was begun. */
export const BackupReply = ControlReply.extend({ backup: Id.optional() });
export type BackupReply = z.infer<typeof BackupReply>;

/** When the file was made, by the clock of whoever made it, and by which version of the program. */
export const BackupHeader = z.object({ takenAtMs: WallMs, version: z.string().max(64) });
export type BackupHeader = z.infer<typeof BackupHeader>;
