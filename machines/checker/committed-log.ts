/**
 * The committed logs as the servers told them, one for each history (invariants 1, 3; rule 8).
 *
 * What always holds: two servers never commit different records at one sequence of one history, and a server commits
 * without a gap; the first fact that says otherwise is a violation, and the first record told is the one that is kept.
 */
import type { CommitEvent, CommittedRecord, HistoryEvent, MadeEvent, Violation } from "./history.ts";

export interface HistoryLog {
  readonly history: string;
  /** By sequence. */
  readonly records: Map<number, CommittedRecord>;
  /** The time of the first commit of each, by sequence. */
  readonly firstAtMs: Map<number, number>;
  first: number;
  last: number;
}

export interface CommittedLogs {
  /** In the order in which they began. */
  readonly histories: HistoryLog[];
  readonly violations: Violation[];
  /** The newest history's records in sequence, with what it took over from those before it. */
  readonly final: readonly CommittedRecord[];
  /** Where new histories began: each may lack what was committed before it from this sequence on. */
  readonly starts: readonly HistoryStart[];
}

export interface HistoryStart {
  readonly sequence: number;
  readonly epoch: number;
}

/** `isSparse`: not every record was told, so that a gap says nothing. */
export function readCommittedLogs(
  events: readonly HistoryEvent[],
  { isSparse }: { isSparse: boolean } = { isSparse: false },
): CommittedLogs {
  const histories = new Map<string, HistoryLog>();
  const violations: Violation[] = [];
  const makers = new Map<string, MadeEvent>();
  for (const event of events) {
    if (event.type === "commit") addCommit(event, histories, violations, isSparse);
    else if (event.type === "made") checkMaker(event, makers, violations);
  }
  const inOrder = [...histories.values()];
  return { histories: inOrder, violations, final: finalLog(inOrder, violations, isSparse), starts: startsOf(inOrder) };
}

/**
 * A history whose own first record was never told may lack everything that was committed before it. A joiner that was far
 * behind may commit older records under its name: it does not begin with them.
 */
function startsOf(histories: readonly HistoryLog[]): HistoryStart[] {
  return histories.slice(1).flatMap(({ history, records, first }) => {
    const own = [...records.values()].find(({ kind, name }) => kind === "history" && name === history);
    if (own !== undefined) return { sequence: own.sequence, epoch: own.epoch };
    const start = records.get(first);
    return start === undefined ? [] : { sequence: 0, epoch: start.epoch };
  });
}

/** A new history may have begun without this record: it may be missing, and its request may be run again there. */
export function isDropped(
  { sequence = 0, epoch = 0 }: { readonly sequence?: number; readonly epoch?: number },
  { starts }: CommittedLogs,
): boolean {
  return starts.some((start) => epoch < start.epoch && sequence >= start.sequence);
}

function addCommit(
  event: CommitEvent,
  histories: Map<string, HistoryLog>,
  violations: Violation[],
  isSparse: boolean,
): void {
  let log = histories.get(event.history);
  if (log === undefined) {
    log = { history: event.history, records: new Map(), firstAtMs: new Map(), first: Number.MAX_SAFE_INTEGER, last: 0 };
    histories.set(event.history, log);
  }
  const where = `${event.server}/${event.incarnation}`;
  // Between two events a server may have jumped: by a snapshot.
  let before = 0;
  for (const record of event.records) {
    const known = log.records.get(record.sequence);
    if (known !== undefined && !isSame(known, record)) {
      violations.push({
        of: "invariant 3",
        atMs: event.atMs,
        text: `${where} committed ${name(record)} at ${record.sequence} of history ${event.history}, where ${name(known)} was committed before`,
      });
    }
    if (before !== 0 && record.sequence !== before + 1 && !isSparse) {
      violations.push({
        of: "invariant 3",
        atMs: event.atMs,
        text: `${where} committed ${record.sequence} after ${before}: a gap`,
      });
    }
    before = record.sequence;
    if (known === undefined) {
      log.records.set(record.sequence, record);
      log.firstAtMs.set(record.sequence, event.atMs);
    }
    log.first = Math.min(log.first, record.sequence);
    log.last = Math.max(log.last, record.sequence);
  }
}

function checkMaker(event: MadeEvent, makers: Map<string, MadeEvent>, violations: Violation[]): void {
  const known = makers.get(String(event.epoch));
  if (known === undefined) makers.set(String(event.epoch), event);
  else if (known.incarnation !== event.incarnation)
    violations.push({
      of: "invariant 1",
      atMs: event.atMs,
      text: `both ${known.server}/${known.incarnation} and ${event.server}/${event.incarnation} made records in epoch ${event.epoch}`,
    });
}

function isSame(a: CommittedRecord, b: CommittedRecord): boolean {
  return a.hash === b.hash && a.epoch === b.epoch && a.client === b.client && a.id === b.id && a.reply === b.reply;
}

function name(record: CommittedRecord): string {
  const what = record.kind === "history" ? `history ${record.name}` : `${record.kind} ${record.client}/${record.id}`;
  return `${what} (epoch ${record.epoch}, hash ${record.hash.toString(16)})`;
}

/** Below where the newest history was first told, the log is the one that it went on from. */
function finalLog(histories: readonly HistoryLog[], violations: Violation[], isSparse: boolean): CommittedRecord[] {
  const records: CommittedRecord[] = [];
  let below = Number.MAX_SAFE_INTEGER;
  for (const log of [...histories].reverse()) {
    for (let sequence = Math.min(log.last, below - 1); sequence >= log.first; sequence -= 1) {
      const record = log.records.get(sequence);
      if (record !== undefined) records.push(record);
    }
    below = Math.min(below, log.first);
  }
  records.reverse();
  const final = new Map<string, CommittedRecord>();
  let expected = 1;
  for (const record of records) {
    if (record.sequence !== expected && !isSparse) {
      violations.push({
        of: "invariant 3",
        atMs: 0,
        text: `the committed log goes from ${expected - 1} to ${record.sequence}: what lies between was never told`,
      });
    }
    expected = record.sequence + 1;
    if (record.kind !== "final") continue;
    const key = `${record.client}\u0000${record.id}`;
    const known = final.get(key);
    if (known !== undefined)
      violations.push({
        of: "invariant 6",
        atMs: 0,
        text: `request ${record.client}/${record.id} is in the log twice: at ${known.sequence} and ${record.sequence}`,
      });
    final.set(key, record);
  }
  return records;
}
