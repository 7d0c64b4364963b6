/**
 * When requests were taken, by the log's time (rule 20): the same in each record of a request, never earlier than before, and no
 * further ahead than clocks allow.
 *
 * A request that was only tried, and that nobody asked for again, is forgotten with the replies of its days, and then taken anew.
 *
 * What always holds: what waited between being taken and its first record may stand behind later ones of the same primary, for the log
 * does not tell how long that was, nor by how much time was moved on meanwhile. A primary takes nothing before it has the log
 * of those before it: behind theirs nothing may stand. Where nobody says who made the records, all may stand behind for a while.
 */
import type { CommittedLogs } from "./committed-log.ts";
import type { CommittedRecord, HistoryEvent, Violation } from "./history.ts";
import { storyKey } from "./requests.ts";

export interface TimeFacts {
  /** The latest wall clock that two servers have shown by then, ms since 1970: one alone is not believed. */
  readonly latestMs: (atMs: number) => number;
  /** The servers' limit. */
  readonly maxClockStepMs: number;
}

/** A request waits no longer for its first record: for the one before it, or for an attempt to be committed. */
const maxWaitMs = 60_000;

/** Whose records an epoch's are (invariant 1); an epoch is not there where nobody told. */
function makersOf(events: readonly HistoryEvent[]): ReadonlyMap<number, string> {
  const makers = new Map<number, string>();
  for (const event of events)
    if (event.type === "made") makers.set(event.epoch, `${event.server} ${event.incarnation}`);
  return makers;
}

/** The latest time in the log, by who made the record; "" where nobody told. */
class Latest {
  readonly #byMaker = new Map<string, number>();

  note(maker: string, takenMs: number): void {
    this.#byMaker.set(maker, Math.max(this.#byMaker.get(maker) ?? 0, takenMs));
  }

  /** What a record of this maker may not stand behind; 0: there is none. */
  floorFor(maker: string): number {
    let floor = 0;
    for (const [other, latest] of this.#byMaker) {
      if (other === maker && maker !== "") continue;
      floor = Math.max(floor, latest - (maker === "" || other === "" ? maxWaitMs : 0));
    }
    return floor;
  }
}

export function checkTimes(
  logs: CommittedLogs,
  facts: TimeFacts | undefined,
  events: readonly HistoryEvent[] = [],
): Violation[] {
  const makers = makersOf(events);
  const latest = new Latest();
  const violations: Violation[] = [];
  const fail = (atMs: number, text: string) => violations.push({ of: "rule 20", atMs, text });
  const begun = new Map<string, { readonly takenMs: number; readonly isTriedOnly: boolean }>();
  const epochs = new Set<number>();
  /** What the first one's clock was ahead of the run's time: before it the log says nothing that a clock could be held against. */
  let firstAhead = Number.NEGATIVE_INFINITY;
  for (const record of logs.final) {
    const { takenMs = 0, client, id, kind, sequence, epoch } = record;
    epochs.add(epoch);
    if (takenMs === 0) continue;
    const atMs = firstCommit(record, logs);
    const who = `${client}/${id} at ${sequence}`;
    const before = begun.get(storyKey(client, id));
    if (kind === "final") begun.delete(storyKey(client, id));
    else begun.set(storyKey(client, id), { takenMs, isTriedOnly: kind === "attempt" && before?.isTriedOnly !== false });
    const isAnew = before?.isTriedOnly === true && kind === "attempt" && takenMs > before.takenMs;
    if (before !== undefined && !isAnew) {
      if (before.takenMs !== takenMs)
        fail(atMs, `${who} was taken at ${takenMs}, and an earlier record of it says ${before.takenMs}`);
      continue;
    }
    const maker = makers.get(epoch) ?? "";
    const floor = latest.floorFor(maker);
    if (takenMs < floor)
      fail(atMs, `${who} was taken at ${takenMs}, and records before it say that it was ${floor} by then`);
    if (firstAhead === Number.NEGATIVE_INFINITY) firstAhead = takenMs - atMs;
    latest.note(maker, takenMs);
    // Each primary may have followed its clock so far.
    const mostMs =
      Math.max(facts?.latestMs(atMs) ?? takenMs, firstAhead + atMs) + epochs.size * (facts?.maxClockStepMs ?? 0);
    if (takenMs > mostMs) fail(atMs, `${who} was taken at ${takenMs}, later than any two clocks said: ${mostMs}`);
  }
  return violations;
}

function firstCommit({ sequence, hash }: CommittedRecord, { histories }: CommittedLogs): number {
  const times = histories.flatMap(({ records, firstAtMs }) =>
    records.get(sequence)?.hash === hash ? [firstAtMs.get(sequence) ?? 0] : [],
  );
  return Math.min(...times, Number.MAX_SAFE_INTEGER);
}
