/**
 * Reads a store once, from the first key to the last, and proves it while it hands everything to the visitor (rule 14).
 * What always holds: nothing is held back until the end, so a store of any size streams through; whoever loads state
 * this way uses it only when the scan has ended without an error.
 */
import type { KeyedHash } from "../../machines/checkpoint/keyed-hash.ts";
import { everything, readSegment, segmentKey, spaces, tables } from "../../machines/checkpoint/layout.ts";
import { type Identity, type Recovered, type RecoveryVisitor, Scan } from "../../machines/checkpoint/scan.ts";
import { type LogBatch, sliceFrom, verifyBatch } from "../../machines/log/batch.ts";
import type { CheckpointMeta } from "../../schemas/checkpoint.ts";
import { type Store, type StoreEntry, StoreError } from "../world/ports.ts";

/** Null: the store is empty, a first start. Throws RecoveryError, or StoreError from the store. */
export async function scanEntries(
  entries: AsyncIterable<StoreEntry>,
  identity: Identity,
  hash: KeyedHash,
  visitor: RecoveryVisitor,
): Promise<Recovered | null> {
  const scan = new Scan(identity, hash, visitor);
  for await (const [key, value] of entries) scan.entry(key, value);
  return scan.finish();
}

/** The same of an open store. */
export function recover(
  store: Store,
  identity: Identity,
  hash: KeyedHash,
  visitor: RecoveryVisitor,
): Promise<Recovered | null> {
  return scanEntries(store.entries(everything), identity, hash, visitor);
}

/** Rows and queue items of an open store once more, proved again; nobody may flush meanwhile. */
export async function reloadTables(
  store: Store,
  identity: Identity,
  hash: KeyedHash,
  visitor: RecoveryVisitor,
): Promise<CheckpointMeta> {
  const scan = new Scan(identity, hash, visitor);
  for await (const [key, value] of store.entries(tables)) scan.entry(key, value);
  const meta = scan.finishTables();
  if (meta === null) throw new StoreError("damaged", "the store's meta record is gone");
  return meta;
}

/**
 * Records from `from` on, at least one, and no further segment once `maxBytes` are there. `first` is the first record
 * of the segment that holds `from`. Throws StoreError (damaged) where the log on disk is not sound.
 */
export async function readSegments(store: Store, first: number, from: number, maxBytes: number): Promise<LogBatch[]> {
  const batches: LogBatch[] = [];
  let bytes = 0;
  for await (const [key, value] of store.entries({ from: segmentKey(first), to: Uint8Array.of(spaces.segment + 1) })) {
    const batch = readSegment(key, value);
    const before = batches.at(-1);
    const fault = verifyBatch(batch);
    if (fault !== null) throw new StoreError("damaged", `in the log on disk, ${fault}`);
    // A segment that was just dropped for its age, or a part that was just truncated: what chains is what there is.
    if (batch.first !== (before === undefined ? first : before.last + 1)) break;
    if (before !== undefined && before.lastHash !== batch.previousHash) break;
    if (batch.last < from) break;
    const wanted = batch.first < from ? sliceFrom(batch, from) : batch;
    if (batches.length > 0 && bytes + wanted.bytes.length > maxBytes) break;
    batches.push(wanted);
    bytes += wanted.bytes.length;
  }
  return batches;
}
