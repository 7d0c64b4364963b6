/**
 * When requests were taken, by the log's time (rule 20): the same in each record of a request, never earlier than before, and no
 * further ahead than clocks allow.
 *
 * A request that was only tried, and that nobody asked for again, is forgotten with the replies of its days, and then taken anew.
 *
 * What always holds: what waited between being taken and its first record is allowed to stand behind later ones for a while,
 * for the log does not tell how long that was.
 */
import type { CommittedLogs } from "./committed-log.ts";
import type { CommittedRecord, Violation } from "./history.ts";
import { storyKey } from "./requests.ts";

export interface TimeFacts {
  /** The latest wall clock that two servers have shown by then, ms since 1970: one alone is not believed. */
  readonly latestMs: (atMs: number) => number;
  /** The servers' limit. */
  readonly maxClockStepMs: number;
}

/** A request waits no longer for its first record: for the one before it, or for an attempt to be committed. */
const maxWaitMs = 60_000;

export function checkTimes(logs: CommittedLogs, facts: TimeFacts | undefined): Violation[] {
  const violations: Violation[] = [];
  const fail = (atMs: number, text: string) => violations.push({ of: "rule 20", atMs, text });
  const begun = new Map<string, { readonly takenMs: number; readonly isTriedOnly: boolean }>();
  const epochs = new Set<number>();
  let latest = 0;
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
    if (takenMs < latest - maxWaitMs) fail(atMs, `${who} was taken at ${takenMs}, and one before it at ${latest}`);
    if (latest === 0) firstAhead = takenMs - atMs;
    latest = Math.max(latest, takenMs);
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
