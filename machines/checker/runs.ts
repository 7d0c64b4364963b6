/**
 * A request without a stamp is promised only for as long as it is remembered (rule 12). One that came again when it may have
 * been forgotten is another request under the same id: it gets a name of its own before anything is judged.
 *
 * What always holds: what was certainly remembered keeps its id, so that a request that is done twice is found; a request with
 * a stamp is promised for good, and none of its runs is told apart.
 */
import type { CommittedLogs } from "./committed-log.ts";
import type { CommittedRecord, HistoryEvent, InvokeEvent, ReplyEvent } from "./history.ts";
import { storyKey } from "./requests.ts";

/** What servers certainly remember: so many replies, each for so long. */
export interface Remembered {
  readonly replies: number;
  readonly ms: number;
}

/** One request without a stamp, along one log. */
interface Runs {
  run: number;
  /** Its last final record's place among all final records, from 1 on; 0: it has none in this run. */
  doneAt: number;
  /** When that was first known to be committed. */
  doneAtMs: number;
  /** This run cannot be older. */
  sinceMs: number;
}

/** The same events, where each run of a request that may have been forgotten before has a name of its own. */
export function tellRunsApart(
  events: readonly HistoryEvent[],
  logs: CommittedLogs,
  remembered: Remembered,
): readonly HistoryEvent[] {
  const names = new RunNames();
  const sentAtMs = unstamped(events);
  const committedAtMs = firstCommits(events);
  for (const records of pathsOf(logs)) nameRuns(records, sentAtMs, committedAtMs, remembered, names);
  if (names.isEmpty) return events;
  for (const event of events) if (event.type === "reply") names.onReply(event);
  return events.flatMap((event): HistoryEvent[] => {
    switch (event.type) {
      case "commit":
        return [{ ...event, records: event.records.map((record) => names.ofRecord(record)) }];
      case "result":
        return [{ ...event, bytes: names.ofResult(event.bytes) }];
      case "invoke":
        return names.ofCopy(event).map((id) => ({ ...event, id }));
      case "reply":
        return names.ofReply(event).map((id) => ({ ...event, id, bytes: renamed(event.bytes, event.id, id) }));
      default:
        return [event];
    }
  });
}

class RunNames {
  /** Of later runs: by the record's place, and by the bytes of its reply. */
  readonly #byPlace = new Map<string, string>();
  readonly #byReply = new Map<string, { readonly id: string; readonly name: string }>();
  /** By request: its id, and the names of its later runs. */
  readonly #all = new Map<string, Set<string>>();
  /** By copy: of the runs that it was answered with. */
  readonly #answered = new Map<string, Set<string>>();

  get isEmpty(): boolean {
    return this.#byPlace.size === 0;
  }

  add(record: CommittedRecord, run: number): void {
    const { client, id, kind, reply } = record;
    const name = `${id} (run ${run})`;
    this.#byPlace.set(placeOf(record), name);
    if (kind === "final") this.#byReply.set(reply, { id, name });
    put(this.#all, storyKey(client, id), id, name);
  }

  onReply(event: ReplyEvent): void {
    const { client, id, bytes } = event;
    if (!this.#all.has(storyKey(client, id)) || !isOfRecord(bytes)) return;
    put(this.#answered, copyKey(event), this.#byReply.get(bytes)?.name ?? id);
  }

  ofRecord(record: CommittedRecord): CommittedRecord {
    const name = this.#byPlace.get(placeOf(record));
    return name === undefined ? record : { ...record, id: name, reply: renamed(record.reply, record.id, name) };
  }

  ofResult(bytes: string): string {
    const found = this.#byReply.get(bytes);
    return found === undefined ? bytes : renamed(bytes, found.id, found.name);
  }

  /** The runs that it was answered with; what was not answered may be of any. */
  ofCopy(event: InvokeEvent | ReplyEvent): readonly string[] {
    const all = this.#all.get(storyKey(event.client, event.id)) ?? [event.id];
    return [...(this.#answered.get(copyKey(event)) ?? all)];
  }

  ofReply(event: ReplyEvent): readonly string[] {
    return isOfRecord(event.bytes) ? [this.#byReply.get(event.bytes)?.name ?? event.id] : this.ofCopy(event);
  }
}

/** Along one log: a run ends with its final record, and another one begins when that may have been forgotten. */
function nameRuns(
  records: readonly CommittedRecord[],
  sentAtMs: ReadonlyMap<string, number>,
  committedAtMs: ReadonlyMap<string, number>,
  remembered: Remembered,
  names: RunNames,
): void {
  const all = new Map<string, Runs>();
  let results = 0;
  for (const record of records) {
    if (record.kind === "final") results += 1;
    const key = storyKey(record.client, record.id);
    const firstMs = sentAtMs.get(key);
    if (record.kind === "history" || record.kind === "catalog" || firstMs === undefined) continue;
    const runs = all.get(key) ?? { run: 1, doneAt: 0, doneAtMs: 0, sinceMs: firstMs };
    all.set(key, runs);
    const atMs = committedAtMs.get(placeOf(record)) ?? firstMs;
    const after = record.kind === "final" ? results - 1 : results;
    const isForgettable = after - runs.doneAt >= remembered.replies || atMs - runs.sinceMs >= remembered.ms;
    if (runs.doneAt > 0 && isForgettable) {
      runs.run += 1;
      runs.doneAt = 0;
      runs.sinceMs = runs.doneAtMs;
    }
    if (runs.run > 1) names.add(record, runs.run);
    if (record.kind !== "final") continue;
    runs.doneAt = results;
    runs.doneAtMs = atMs;
  }
}

/** When each request of which no copy has a stamp was first sent. */
function unstamped(events: readonly HistoryEvent[]): Map<string, number> {
  const sentAtMs = new Map<string, number>();
  const stamped = new Set<string>();
  for (const event of events) {
    if (event.type !== "invoke") continue;
    const key = storyKey(event.client, event.id);
    if (event.issuedAt !== undefined) stamped.add(key);
    if (!sentAtMs.has(key)) sentAtMs.set(key, event.atMs);
  }
  for (const key of stamped) sentAtMs.delete(key);
  return sentAtMs;
}

function firstCommits(events: readonly HistoryEvent[]): Map<string, number> {
  const atMs = new Map<string, number>();
  for (const event of events)
    if (event.type === "commit")
      for (const record of event.records) if (!atMs.has(placeOf(record))) atMs.set(placeOf(record), event.atMs);
  return atMs;
}

/** The log of each history, from its beginning where that was told. */
function pathsOf({ histories, tree, final }: CommittedLogs): readonly (readonly CommittedRecord[])[] {
  const paths = histories.map(({ records, last }) => {
    const end = records.get(last);
    return end === undefined ? null : (tree?.pathTo(end) ?? null);
  });
  return [final, ...paths.flatMap((path) => (path === null ? [] : [path.records]))];
}

function isOfRecord(bytes: string): boolean {
  return /"sequence":\d+,"epoch":\d+\}$/.test(bytes);
}

/** A reply names its request before anything else. */
function renamed(reply: string, id: string, name: string): string {
  return reply.replace(`"id":${JSON.stringify(id)}`, () => `"id":${JSON.stringify(name)}`);
}

function placeOf({ sequence, hash }: CommittedRecord): string {
  return `${sequence} ${hash}`;
}

function copyKey({ client, id, copy }: InvokeEvent | ReplyEvent): string {
  return `${storyKey(client, id)}\u0000${copy}`;
}

function put(sets: Map<string, Set<string>>, key: string, ...values: string[]): void {
  const set = sets.get(key) ?? new Set();
  for (const value of values) set.add(value);
  sets.set(key, set);
}
