/**
 * Integrators' streams against the committed log: without repeats, dense, and nothing that is not committed
 * (invariant 9; rule 13; situations 16, 17).
 */
import type { CommittedLogs } from "./committed-log.ts";
import type { CommittedRecord, HistoryEvent, ResultEvent, Violation } from "./history.ts";

interface Stream {
  readonly history: string;
  readonly byNumber: Map<number, ResultEvent>;
}

/** `complete`: the integrators asked for what they missed and must have everything now. */
export function checkResults(
  events: readonly HistoryEvent[],
  logs: CommittedLogs,
  options: { complete: boolean },
): Violation[] {
  const violations: Violation[] = [];
  const streams = new Map<string, Stream>();
  for (const event of events) {
    if (event.type !== "result") continue;
    const key = `${event.integrator} ${event.history}`;
    let stream = streams.get(key);
    if (stream === undefined) {
      stream = { history: event.history, byNumber: new Map() };
      streams.set(key, stream);
    }
    const known = stream.byNumber.get(event.number);
    if (known === undefined) stream.byNumber.set(event.number, event);
    else if (known.bytes !== event.bytes || known.sequence !== event.sequence)
      violations.push({
        of: "invariant 9",
        atMs: event.atMs,
        text: `result ${event.number} of history ${event.history} came twice and was different: ${known.bytes}, ${event.bytes}`,
      });
  }
  const newest = logs.histories.at(-1)?.history;
  for (const [key, stream] of streams) {
    const committed = resultsOf(logs, stream.history);
    if (committed.size > 0) checkStream(key, stream, committed, violations);
    if (options.complete && stream.history === newest) checkDense(key, stream, committed, violations);
  }
  return violations;
}

function checkStream(
  key: string,
  stream: Stream,
  committed: Map<number, CommittedRecord>,
  violations: Violation[],
): void {
  for (const [number, event] of stream.byNumber) {
    const record = committed.get(number);
    const fail = (of: string, text: string) =>
      violations.push({ of, atMs: event.atMs, text: `${key}: result ${number} ${text}` });
    if (record === undefined) fail("invariant 7", `was published and is not committed: ${event.bytes}`);
    else if (record.sequence !== event.sequence || record.reply !== event.bytes || record.epoch !== event.epoch)
      fail("invariant 9", `is ${event.bytes} at ${event.sequence}, the log has ${record.reply} at ${record.sequence}`);
  }
}

function checkDense(
  key: string,
  stream: Stream,
  committed: Map<number, CommittedRecord>,
  violations: Violation[],
): void {
  for (const number of committed.keys()) {
    if (stream.byNumber.has(number)) continue;
    violations.push({ of: "invariant 9", atMs: 0, text: `${key}: result ${number} never came` });
    return;
  }
}

/** The results of one history by their number. */
function resultsOf(logs: CommittedLogs, history: string): Map<number, CommittedRecord> {
  const results = new Map<number, CommittedRecord>();
  const log = logs.histories.find((one) => one.history === history);
  const records = Array.from(log?.records.values() ?? []);
  // A joiner that was far behind may commit older records under the history's name: numbers begin where it began.
  const start = records.find(({ kind, name }) => kind === "history" && name === history)?.sequence ?? 0;
  for (const record of records)
    if (record.kind === "final" && record.sequence > start) results.set(record.resultNumber, record);
  return results;
}
