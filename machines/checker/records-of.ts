/** A batch's records as the checker reads them, each with the log's hash up to and including it. */
import { chainHash, RecordReader, recordKinds } from "../codec/record.ts";
import type { LogBatch } from "../log/batch.ts";
import type { CommittedRecord } from "./history.ts";

const kindNames = new Map<number, CommittedRecord["kind"]>(
  Object.entries(recordKinds).map(([name, kind]) => [kind, name as CommittedRecord["kind"]]),
);

/** `onRecord` is told the size of each, in bytes. */
export function recordsOf(batch: LogBatch, onRecord?: (bytes: number) => void): CommittedRecord[] {
  const records: CommittedRecord[] = [];
  let hash = batch.previousHash;
  const reader = new RecordReader(batch.bytes);
  do {
    hash = chainHash(reader.bytes, hash);
    const { sequence, epoch, client, id, name, resultNumber, takenMs } = reader;
    onRecord?.(reader.bytes.length);
    const kind = kindNames.get(reader.kind) ?? "final";
    const reply = Buffer.from(reader.reply).toString();
    records.push({ sequence, epoch, hash, kind, client, id, name, takenMs, resultNumber, reply });
  } while (reader.next());
  return records;
}
