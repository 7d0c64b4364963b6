/**
 * Reads a store once, from the first key to the last, and proves it while it hands everything to the visitor (rule 14).
 * What always holds: nothing is held back until the end, so a store of any size streams through; whoever loads state
 * this way uses it only when the scan has ended without an error.
 */
import type { KeyedHash } from "../../machines/checkpoint/keyed-hash.ts";
import { everything } from "../../machines/checkpoint/layout.ts";
import { type Identity, type Recovered, type RecoveryVisitor, Scan } from "../../machines/checkpoint/scan.ts";
import type { Store, StoreEntry } from "../world/ports.ts";

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
