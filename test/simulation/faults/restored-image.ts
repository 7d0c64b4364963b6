/**
 * What `twinlog backup` and `twinlog restore` make of a store, entry by entry: the image that is on the disk, its log cut at the commit
 * point that it names, with the meta record of a restored one. What always holds: nothing of it is shared with the disk that it is of.
 */
import { SimDirectory } from "../../../actors/testing/world/sim-disk.ts";
import type { StoreEntry } from "../../../actors/world/ports.ts";
import {
  metaKey,
  metaValue,
  readMeta,
  readSegment,
  segmentValue,
  spaces,
} from "../../../machines/checkpoint/layout.ts";
import { restoredMeta } from "../../../machines/checkpoint/restored-meta.ts";
import { Scan } from "../../../machines/checkpoint/scan.ts";
import { KeyedHash } from "../../../machines/codec/keyed-hash.ts";
import { sliceThrough } from "../../../machines/log/batch.ts";
import type { CheckpointMeta, LogEnd } from "../../../schemas/checkpoint.ts";

export interface Backup {
  readonly meta: CheckpointMeta;
  readonly end: LogEnd;
  readonly entries: readonly StoreEntry[];
}

/** Null: its server has stored nothing yet, or has not flushed. */
export function backupOf(directory: SimDirectory): Backup | null {
  const image = directory.copy().range();
  const [first] = image;
  if (first === undefined || directory.isHarmed) return null;
  const meta = readMeta(first[1]);
  const entries = image.flatMap((entry) => committedOf(entry, meta.committed));
  const scan = new Scan(meta, new KeyedHash("backup"), {});
  for (const [key, value] of entries) scan.entry(key, value);
  const end = scan.finish()?.end;
  return end === undefined || end.sequence === 0 ? null : { meta, end, entries };
}

function committedOf(entry: StoreEntry, committed: number): StoreEntry[] {
  const [key, value] = entry;
  if (key[0] !== spaces.segment) return [entry];
  const batch = readSegment(key, value);
  if (batch.first > committed) return [];
  if (batch.last <= committed) return [entry];
  const kept = sliceThrough(batch, committed);
  return [[key, segmentValue([kept], kept.bytes.length)]];
}

export function restoredFrom({ meta, end, entries }: Backup, server: string, incarnation: string): SimDirectory {
  const restored = restoredMeta(meta, { server, incarnation, end, takenAt: "2026-01-01T00:00:00.000Z" });
  const directory = new SimDirectory();
  const put = entries.map(([key, value]) => ({ type: "put", key, value }) as const);
  directory.write([...put, { type: "put", key: metaKey, value: metaValue(restored) }]);
  directory.sync();
  return directory;
}
