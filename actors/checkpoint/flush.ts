/**
 * Prepares one flush: folds the records that were committed since the last one into store writes. What always holds:
 * it works in slices of about a millisecond and lets input that waits have its turn in between, so a large flush does
 * not hold up acknowledgements; nothing is written here, and the tables end exactly at the commit point (rule 6).
 */
import { Fold } from "../../machines/checkpoint/fold.ts";
import type { Write } from "../../machines/checkpoint/layout.ts";
import type { LogTail } from "../../machines/checkpoint/log-tail.ts";
import type { RowLedger } from "../../machines/checkpoint/row-ledger.ts";
import type { KeyedHash } from "../../machines/codec/keyed-hash.ts";
import type { CheckpointMeta, LogEnd } from "../../schemas/checkpoint.ts";
import type { Clock } from "../world/ports.ts";
import type { FlushWrite, MetaPatch } from "./writer.ts";

const sliceBytes = 256 * 1024;
const sliceWrites = 2048;

export interface FlushRequest {
  /** The commit point: tables and queues on disk will stand here (rule 6). */
  readonly committed: number;
  /** The oldest record that must stay in the log on disk: for remembered replies, and for a joiner's catch-up. */
  readonly retainFrom: number;
  readonly meta?: MetaPatch;
}

/** What a fold works with. */
export interface FoldOptions {
  /** It hands out all at once: it may grow, or be cut above the commit point, while this waits. */
  readonly source: LogTail;
  readonly clock: Clock;
  readonly hash: KeyedHash;
  readonly ledger: RowLedger;
}

/** The ledger stands where the flush will when this resolves: a flush that was prepared must be written. */
export async function prepareFlush(
  options: FoldOptions,
  meta: CheckpointMeta,
  { committed, retainFrom, meta: patch = {} }: FlushRequest,
): Promise<FlushWrite> {
  const { applied } = meta;
  if (committed < applied.sequence)
    throw new RangeError(`a flush through record ${committed}; the tables on disk stand at ${applied.sequence}`);
  const fold = new Fold(options.hash, meta.queues);
  if (committed > applied.sequence) await foldRecords(options, fold, applied.sequence + 1, committed);
  const end: LogEnd = fold.end ?? applied;
  if (end.sequence !== committed) throw new RangeError(`the log ends at ${end.sequence}, below the commit point`);
  const rows: Write[] = [];
  while (fold.emit(options.ledger, rows, sliceWrites)) await soon(options.clock);
  return {
    applied: end,
    digest: options.ledger.digest,
    queues: fold.places(),
    rows,
    retainFrom,
    patch: {
      ...patch,
      ...(fold.resultNumber === null ? {} : { resultNumber: fold.resultNumber }),
      ...(fold.takenMs > (meta.takenMs ?? 0) ? { takenMs: fold.takenMs } : {}),
      ...(fold.catalog === null ? {} : { catalog: fold.catalog }),
    },
  };
}

async function foldRecords({ source, clock }: FoldOptions, fold: Fold, from: number, through: number): Promise<void> {
  let bytes = 0;
  for (const batch of source.batches(from, through)) {
    fold.add(batch);
    bytes += batch.bytes.length;
    if (bytes < sliceBytes) continue;
    await soon(clock);
    bytes = 0;
  }
}

function soon(clock: Clock): Promise<void> {
  return new Promise((resolve) => clock.soon(resolve));
}
