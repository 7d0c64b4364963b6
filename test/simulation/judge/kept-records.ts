/**
 * Nothing that was acknowledged and reached a disk is deleted by the program (rules 7 and 18): at the end of a run each
 * committed record that a disk let go of, by a snapshot's adoption or by a cut of its log, is in the present history, or in
 * some store that is there or was set aside.
 *
 * What always holds: records that a crash lost were never let go of; a disk that a fault replaced tells nothing.
 */

import type { SimDirectory, SimDisk } from "../../../actors/testing/world/sim-disk.ts";
import type { StoreEntry } from "../../../actors/world/ports.ts";
import type { CommittedLogs } from "../../../machines/checker/committed-log.ts";
import type { Violation } from "../../../machines/checker/history.ts";
import { LayoutError, metaKey, readMeta, readSegment, spaces } from "../../../machines/checkpoint/layout.ts";
import { chainHash, RecordReader } from "../../../machines/codec/record.ts";
import type { LogEnd } from "../../../schemas/checkpoint.ts";

const placeOf = ({ sequence, hash }: { sequence: number; hash: number }) => `${sequence} ${hash}`;

/** Records of the log in these entries, oldest first. */
function* recordsIn(entries: Iterable<StoreEntry>): Generator<LogEnd> {
  for (const [key, value] of entries) {
    if (key[0] !== spaces.segment) continue;
    const batch = readSegment(key, value);
    const reader = new RecordReader(batch.bytes);
    let hash = batch.previousHash;
    do {
      hash = chainHash(reader.bytes, hash);
      yield { sequence: reader.sequence, epoch: reader.epoch, hash };
    } while (reader.next());
  }
}

/** Where the tables stand: all records up to there are in them. */
function appliedOf(directory: SimDirectory): LogEnd | null {
  const value = directory.get(metaKey);
  return value === undefined ? null : readMeta(value).applied;
}

/** What a store has: the records of its log, and those that its tables follow from. */
function* heldBy(directory: SimDirectory, logs: CommittedLogs): Generator<string> {
  for (const record of recordsIn(directory.range())) yield placeOf(record);
  const applied = appliedOf(directory);
  if (applied === null) return;
  yield placeOf(applied);
  const told = logs.histories
    .map(({ records }) => records.get(applied.sequence))
    .find((record) => record?.hash === applied.hash);
  for (const record of (told && logs.tree?.pathTo(told)?.records) ?? []) yield placeOf(record);
}

export function deletedRecords(disks: ReadonlyMap<string, SimDisk>, logs: CommittedLogs): Violation[] {
  const all = [...disks];
  if (logs.tree === null || all.every(([, { dropped, main }]) => dropped.length === 0 && main.cut.length === 0))
    return [];
  const committed = new Map<string, string>();
  for (const { history, records } of logs.histories)
    for (const record of records.values()) committed.set(placeOf(record), history);
  const kept = new Set(logs.final.map(placeOf));
  const violations: Violation[] = [];
  for (const [server, { main, aside }] of all)
    for (const directory of [main, ...aside.map((copy) => copy.directory)]) {
      try {
        for (const place of heldBy(directory, logs)) kept.add(place);
      } catch (error) {
        if (!(error instanceof LayoutError)) throw error;
        if (!directory.isHarmed)
          violations.push({ of: "rule 14", atMs: 0, text: `${server} cannot read what it wrote: ${error.message}` });
      }
    }
  for (const [server, disk] of all)
    for (const record of letGoBy(disk)) {
      const history = committed.get(placeOf(record));
      if (history === undefined || kept.has(placeOf(record))) continue;
      const { sequence, epoch } = record;
      const text = `${server} deleted record ${sequence} of epoch ${epoch}, committed in history ${history}, and it is nowhere any more`;
      violations.push({ of: "rule 18", atMs: 0, text });
      break;
    }
  return violations;
}

function* letGoBy({ dropped, main }: SimDisk): Generator<LogEnd> {
  for (const directory of [...dropped, main]) yield* recordsIn(directory.cut);
  for (const directory of dropped) {
    yield* recordsIn(directory.range());
    const applied = appliedOf(directory);
    if (applied !== null) yield applied;
  }
}
