/**
 * The committed logs as the servers told them, one for each history (invariants 1, 3; rule 8).
 *
 * What always holds: two servers never commit different records at one sequence of one history, and a server commits
 * without a gap; the first fact that says otherwise is a violation, and the first record told is the one that is kept.
 */
import type { CommitEvent, CommittedRecord, ForkEvent, HistoryEvent, MadeEvent, Violation } from "./history.ts";
import { LogTree } from "./log-tree.ts";

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
  /** Null where servers did not say what came before what they told. */
  readonly tree: LogTree | null;
  /** The final log by sequence. */
  readonly path: ReadonlyMap<number, CommittedRecord>;
}

export interface HistoryStart {
  readonly history: string;
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
  const tree = new LogTree();
  const forks: ForkEvent[] = [];
  for (const event of events) {
    if (event.type === "commit") {
      addCommit(event, histories, violations, isSparse);
      tree.add(event);
    } else if (event.type === "fork") forks.push(event);
    else if (event.type === "made") checkMaker(event, makers, violations);
  }
  const ordered = inOrder([...histories.values()], forks);
  violations.push(...checkTree(ordered, forks, tree));
  const newest = ordered.at(-1);
  const last = newest?.records.get(newest.last);
  const path = last === undefined || isSparse ? null : tree.pathTo(last);
  const final = path === null ? stitched(ordered) : path.records;
  checkFinal(final, violations, isSparse);
  const onPath = new Map(final.map((record) => [record.sequence, record]));
  return {
    histories: ordered,
    violations,
    final,
    starts: startsOf(ordered, forks),
    tree: path === null ? null : tree,
    path: onPath,
  };
}

/**
 * A history whose own first record was never told may lack everything that was committed before it. A joiner that was far
 * behind may commit older records under its name: it does not begin with them. One that was announced may have answered
 * queries and committed nothing.
 */
function startsOf(histories: readonly HistoryLog[], forks: readonly ForkEvent[]): HistoryStart[] {
  const told = histories.slice(1).map((log) => ({
    history: log.history,
    sequence: ownStart(log)?.sequence ?? 0,
    epoch: epochOf(log, forks),
  }));
  const silent = forks.filter(({ history }) => !histories.some((log) => log.history === history));
  return [...told, ...silent.map(({ history, sequence, epoch }) => ({ history, sequence: sequence + 1, epoch }))];
}

/** In which it began. Its first record may be of a later one: where the log was empty none says that it began. */
function epochOf(log: HistoryLog, forks: readonly ForkEvent[]): number {
  const fork = forks.find(({ history }) => history === log.history);
  return fork?.epoch ?? ownStart(log)?.epoch ?? log.records.get(log.first)?.epoch ?? 0;
}

/** The record with which it began. */
function ownStart({ records, history }: HistoryLog): CommittedRecord | undefined {
  return [...records.values()].find(({ kind, name: of }) => kind === "history" && of === history);
}

/** In the order of the epochs in which they began: two that were forced at once may be told the other way round. */
function inOrder(histories: readonly HistoryLog[], forks: readonly ForkEvent[]): HistoryLog[] {
  const [first, ...rest] = histories;
  return first === undefined ? [] : [first, ...rest.sort((one, other) => epochOf(one, forks) - epochOf(other, forks))];
}

/**
 * A new history may have begun without this record: it may be missing, and its request may be run again there. Where the
 * tree of logs is known, exactly what is not in the log that the new history began with; else whatever lies above that.
 */
export function isDropped({ sequence = 0, epoch = 0, id = "" }: Told, { starts, tree, path }: CommittedLogs): boolean {
  if (tree === null) return starts.some((start) => epoch < start.epoch && sequence >= start.sequence);
  const there = path.get(sequence);
  if (there?.epoch === epoch && there.id === id) return false;
  return starts.some((start) => epoch < start.epoch);
}

/** Both are answers to one request: a new history began without the record of the older one, and has that of the newer. */
export function isOfAnotherHistory(one: Told, other: Told, logs: CommittedLogs): boolean {
  const [older, newer] = isLater(other, one, logs) ? [one, other] : [other, one];
  const { tree, starts, histories } = logs;
  if (tree === null) return isDropped(older, logs) && !isDropped(newer, logs);
  const { epoch: before = 0, sequence: at = 0 } = older;
  const { epoch: after = 0, sequence = 0, id } = newer;
  const isDivided = starts.some(({ epoch }) => before < epoch && epoch <= after);
  if (!isDivided && laterHistory(older, newer, logs) !== newer) return false;
  const told = histories.map(({ records }) => records.get(sequence));
  const record = told.find((found) => found?.epoch === after && found.id === id);
  const there = record === undefined ? undefined : tree.pathTo(record)?.records.find((found) => found.sequence === at);
  return there?.epoch !== before || there.id !== id;
}

/**
 * The record counts in a later history than the other one does: what was made in an earlier epoch, and nobody had committed, may
 * be what a new history begins with. Where that is not told, or is the same, the epochs tell.
 */
export function isLater(one: Told, other: Told, logs: CommittedLogs): boolean {
  const later = laterHistory(one, other, logs);
  return later === null ? (one.epoch ?? 0) > (other.epoch ?? 0) : later === one;
}

/** Null: both were first committed in one history, or nobody told where. */
function laterHistory(one: Told, other: Told, logs: CommittedLogs): Told | null {
  const segments = [one, other].map((told) => segmentOfRecord(told, logs));
  const [mine = -1, its = -1] = segments;
  if (mine < 0 || its < 0 || mine === its) return null;
  return mine > its ? one : other;
}

/** What a reply says of its record. */
interface Told {
  readonly sequence?: number;
  readonly epoch?: number;
  readonly id?: string;
}

/** How many new histories had begun by this epoch: what is of one number was told by servers that knew of the same ones. */
export function segmentOf(epoch: number, { starts }: CommittedLogs): number {
  return starts.filter((start) => start.epoch <= epoch).length;
}

/** The same of a record: by the history in which it was first committed, whenever it was made. */
export function segmentOfRecord({ sequence = 0, epoch, id }: Told, logs: CommittedLogs): number {
  const { histories, starts } = logs;
  if (histories.length < 2) return 0;
  let firstAtMs = Number.POSITIVE_INFINITY;
  let segment = -1;
  for (const log of histories) {
    const record = log.records.get(sequence);
    const atMs = log.firstAtMs.get(sequence) ?? firstAtMs;
    if (record?.epoch !== epoch || record?.id !== id || atMs >= firstAtMs) continue;
    firstAtMs = atMs;
    const start = starts.find(({ history }) => history === log.history);
    segment = start === undefined ? 0 : segmentOf(start.epoch, logs);
  }
  return segment;
}

/** Each history's records lie on one log, and it begins with the log that was announced (rule 18). */
function checkTree(histories: readonly HistoryLog[], forks: readonly ForkEvent[], tree: LogTree): Violation[] {
  const violations: Violation[] = [];
  const fail = (text: string) => violations.push({ of: "invariant 3", atMs: 0, text });
  for (const log of histories) {
    const last = log.records.get(log.last);
    const path = last === undefined ? null : tree.pathTo(last);
    if (path === null) continue;
    const first = path.missing + 1;
    for (const record of log.records.values())
      if (record.sequence >= first && path.records[record.sequence - first]?.hash !== record.hash)
        fail(
          `history ${log.history} ends at ${log.last}, and ${name(record)} at ${record.sequence} is not in that log`,
        );
    const fork = forks.find(({ history }) => history === log.history);
    const own = ownStart(log);
    if (fork === undefined || own === undefined) continue;
    if (own.sequence !== fork.sequence + 1 || (tree.previousHash(own) ?? fork.hash) !== fork.hash)
      fail(`history ${log.history} was announced to begin after ${fork.sequence}, and begins at ${own.sequence}`);
  }
  return violations;
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
  const isNamed = record.kind === "history" || record.kind === "catalog";
  const what = isNamed ? `${record.kind} ${record.name}` : `${record.kind} ${record.client}/${record.id}`;
  return `${what} (epoch ${record.epoch}, hash ${record.hash.toString(16)})`;
}

/** Below where the newest history was first told, the log is the one that it went on from. */
function stitched(histories: readonly HistoryLog[]): CommittedRecord[] {
  const records: CommittedRecord[] = [];
  let below = Number.MAX_SAFE_INTEGER;
  for (const log of [...histories].reverse()) {
    for (let sequence = Math.min(log.last, below - 1); sequence >= log.first; sequence -= 1) {
      const record = log.records.get(sequence);
      if (record !== undefined) records.push(record);
    }
    below = Math.min(below, log.first);
  }
  return records.reverse();
}

/** Nothing is missing in it, and each request is in it once. */
function checkFinal(records: readonly CommittedRecord[], violations: Violation[], isSparse: boolean): void {
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
}
