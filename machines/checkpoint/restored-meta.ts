/**
 * What a store's meta record says when it came from a backup: what the log shows, and nothing of what the backup's server was to
 * the registry. What always holds: it names no disk, no incarnation and no record that anybody counts on, it counted in no
 * epoch, and it says that it was restored; so it goes on by itself nowhere (the start table), and by an operator's force as a
 * new history (rule 18).
 */
import type { CheckpointMeta, LogEnd } from "../../schemas/checkpoint.ts";

export interface Restoring {
  /** Whose store it becomes. */
  readonly server: string;
  /** A fresh id, which no server ever had. */
  readonly incarnation: string;
  /** Of the backup's log. */
  readonly end: LogEnd;
  /** When the backup was taken, by its own word, in ISO form. */
  readonly takenAt: string;
}

export function restoredMeta(meta: CheckpointMeta, { server, incarnation, end, takenAt }: Restoring): CheckpointMeta {
  const { record: _record, disk: _disk, logEnd: _logEnd, ...kept } = meta;
  return {
    ...kept,
    server,
    incarnation,
    previousEnd: null,
    life: 0,
    // No lower than its own records': whoever goes on with them makes higher ones.
    epoch: end.epoch,
    memberEpoch: 0,
    syncedEpoch: 0,
    restored: { sequence: end.sequence, takenAt },
  };
}
