/**
 * The committed log as it stands on a stopped server's disk, proved while it is read, for the checker.
 */
import { openNodeClock } from "../../actors/world/clock-node.ts";
import { inspect } from "../../deploy/inspect.ts";
import type { CommitEvent, CommittedRecord } from "../../machines/checker/history.ts";
import { recordsOf } from "../../machines/checker/records-of.ts";

/**
 * Everything committed on the disk in `directory`, one event for each history, oldest first, at time 0: what is on the disk at
 * the end was true before. `firstHistory` is the one that the registry was created with.
 */
export async function readDiskLog(server: string, directory: string, firstHistory: string): Promise<CommitEvent[]> {
  const records: CommittedRecord[] = [];
  const { meta } = await inspect(directory, openNodeClock(), {
    onBatch: (batch) => void records.push(...recordsOf(batch)),
  });
  const committed = records.filter(({ sequence }) => sequence <= meta.committed);
  const byHistory = new Map<string, CommittedRecord[]>();
  let history = firstHistory;
  for (const record of committed) {
    if (record.kind === "history") history = record.name;
    const of = byHistory.get(history) ?? [];
    byHistory.set(history, of);
    of.push(record);
  }
  return [...byHistory].map(([name, of]) => ({
    type: "commit",
    atMs: 0,
    server,
    incarnation: meta.incarnation,
    history: name,
    records: of,
  }));
}
