/**
 * Reads a store once, from the first key to the last, and proves it while it hands everything to the visitor (rule 14).
 * What always holds: nothing is held back until the end, so a store of any size streams through; whoever loads state
 * this way uses it only when the scan has ended without an error.
 */

import { everything, readSegment, segmentKey, spaces } from "../../machines/checkpoint/layout.ts";
import { type Identity, proveEnd, type Recovered, type RecoveryVisitor, Scan } from "../../machines/checkpoint/scan.ts";
import { KeyedHash } from "../../machines/codec/keyed-hash.ts";
import { type LogBatch, sliceFrom, verifyBatch } from "../../machines/log/batch.ts";
import { type Store, type StoreEntry, StoreError } from "../world/ports.ts";
import { type ToProve, takeProved } from "./proved-elsewhere.ts";

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

/**
 * The same of an open store, and of its log's end: an image of it may end where it was committed. A large one is read and proved by
 * another thread meanwhile. `secret`: what rows' keys are hashed with.
 */
export async function recover(
  store: Store,
  identity: Identity,
  secret: string,
  visitor: RecoveryVisitor,
): Promise<Recovered | null> {
  const { service, server } = identity;
  const toProve: ToProve = { service, server, secret };
  const elsewhere = (await store.readElsewhere?.(toProve)) ?? null;
  const found =
    elsewhere === null
      ? await scanEntries(store.entries(everything), identity, new KeyedHash(secret), visitor)
      : await takeProved(elsewhere, identity, visitor);
  if (found !== null) proveEnd(found);
  return found;
}

/** The batch that holds this record, proved; null where the log on disk does not have it. Throws StoreError (damaged). */
export async function readBatch(store: Store, sequence: number): Promise<LogBatch | null> {
  const upTo = { from: segmentKey(0), to: segmentKey(sequence + 1), reverse: true, limit: 1 };
  for await (const [key, value] of store.entries(upTo)) {
    const batch = proved(key, value);
    return batch.last >= sequence ? batch : null;
  }
  return null;
}

function proved(key: Uint8Array, value: Uint8Array): LogBatch {
  const batch = readSegment(key, value);
  const fault = verifyBatch(batch);
  if (fault !== null) throw new StoreError("damaged", `the log on disk is damaged: ${fault}`);
  return batch;
}

/**
 * The log of an open store from record `from` on, or from the oldest that there is where that is gone. What always holds:
 * batches come dense and chained, each proved before it is given out; they end where the log that is read no longer goes on,
 * because it was cut meanwhile, or what follows dropped for its age. Throws StoreError (damaged) where a segment is not sound.
 */
export async function* readLog(store: Store, from: number): AsyncGenerator<LogBatch> {
  let start = segmentKey(from);
  for await (const [key] of store.entries({ from: segmentKey(0), to: segmentKey(from + 1), reverse: true, limit: 1 }))
    start = Buffer.from(key);
  let before: LogBatch | null = null;
  for await (const [key, value] of store.entries({ from: start, to: Uint8Array.of(spaces.segment + 1) })) {
    const batch = proved(key, value);
    if (before !== null && (batch.first !== before.last + 1 || batch.previousHash !== before.lastHash)) return;
    before = batch;
    if (batch.last >= from) yield batch.first >= from ? batch : sliceFrom(batch, from);
  }
}
