/**
 * Integrators' streams against the committed log: without repeats, dense, and nothing that is not committed
 * (invariant 9; rule 13; situations 16, 17).
 */
import type { CommittedLogs, HistoryLog } from "./committed-log.ts";
import type { CommittedRecord, HistoryEvent, MovedOnEvent, ResultEvent, Violation } from "./history.ts";

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
  for (const event of events) if (event.type === "movedOn") checkMove(event, logs, violations);
  const newest = logs.histories.at(-1)?.history;
  for (const [key, stream] of streams) {
    const committed = resultsOf(logs, stream.history);
    if (committed.size > 0) checkStream(key, stream, committed, violations);
    if (options.complete && stream.history === newest) checkDense(key, stream, committed, violations);
  }
  return violations;
}

/** What the next history goes on with was told before the reader went on to that (rule 13). */
function checkMove({ integrator, from, last, to, atMs }: MovedOnEvent, logs: CommittedLogs, found: Violation[]): void {
  const next = logs.histories.find(({ history }) => history === to);
  if (next === undefined) return;
  const kept = Math.max(0, ...inheritedFrom(logs, next, from).map(({ resultNumber }) => resultNumber));
  const text = `${integrator} was told that history ${from} ends at result ${last}, and ${to} goes on with ${kept} of it`;
  if (kept > last) found.push({ of: "rule 13", atMs, text });
}

function checkStream(key: string, stream: Stream, committed: Results, violations: Violation[]): void {
  for (const [number, event] of stream.byNumber) {
    const [record, ...others] = committed.get(number) ?? [];
    const fail = (of: string, text: string) =>
      violations.push({ of, atMs: event.atMs, text: `${key}: result ${number} ${text}` });
    if (record === undefined) fail("invariant 7", `was published and is not committed: ${event.bytes}`);
    else if (![record, ...others].some((one) => isTold(one, event)))
      fail("invariant 9", `is ${event.bytes} at ${event.sequence}, the log has ${record.reply} at ${record.sequence}`);
  }
}

function isTold({ sequence, reply, epoch }: CommittedRecord, event: ResultEvent): boolean {
  return sequence === event.sequence && reply === event.bytes && epoch === event.epoch;
}

function checkDense(key: string, stream: Stream, committed: Results, violations: Violation[]): void {
  for (const number of committed.keys()) {
    if (stream.byNumber.has(number)) continue;
    violations.push({ of: "invariant 9", atMs: 0, text: `${key}: result ${number} never came` });
    return;
  }
}

/** More than one where a new history goes on with another end of this one than was committed in it. */
type Results = Map<number, CommittedRecord[]>;

/** The results of one history by their number, those included that only a later history, which goes on with them, committed. */
function resultsOf(logs: CommittedLogs, history: string): Results {
  const results: Results = new Map();
  const add = (record: CommittedRecord) => {
    const known = results.get(record.resultNumber);
    if (known === undefined) results.set(record.resultNumber, [record]);
    else if (!known.some(({ hash }) => hash === record.hash)) known.push(record);
  };
  const log = logs.histories.find((one) => one.history === history);
  const records = Array.from(log?.records.values() ?? []);
  // A joiner that was far behind may commit older records under the history's name: numbers begin where it began.
  const start = records.find(({ kind, name }) => kind === "history" && name === history)?.sequence ?? 0;
  for (const record of records) if (record.kind === "final" && record.sequence > start) add(record);
  for (const later of logs.histories) if (later.history !== history) inheritedFrom(logs, later, history).forEach(add);
  return results;
}

/** Final records of this history on the log that a later one goes on with. */
function inheritedFrom({ tree, histories }: CommittedLogs, later: HistoryLog, history: string): CommittedRecord[] {
  const last = later.records.get(later.last);
  const path = last === undefined ? null : (tree?.pathTo(last) ?? null);
  const [first] = path?.records ?? [];
  // One that begins with an empty log has no record of its own that says so: whoever told the first one first.
  const told = histories.find(({ records }) => records.get(1)?.hash === first?.hash);
  let of = first?.sequence === 1 ? told?.history : undefined;
  const found: CommittedRecord[] = [];
  for (const record of path?.records ?? []) {
    if (record.kind === "history") of = record.name;
    else if (record.kind === "final" && of === history) found.push(record);
  }
  return found;
}
