/**
 * Whose clock is whose (rule 12): a client that is told EXPIRED has stamped as late itself, and what it stamped was done; or
 * as many others have as must be for the common floor. And what lies too far in the future was not done.
 *
 * What always holds: only what was recorded with its stamp is judged; where a server's clock was wrong, nothing is said of
 * the future.
 */
import type { CommittedLogs } from "./committed-log.ts";
import type { HistoryEvent, InvokeEvent, Violation } from "./history.ts";
import { parseReply, type RequestStory, storyKey } from "./requests.ts";

export interface StampFacts {
  /** The wall clock of one that is right. */
  readonly wallMs: (atMs: number) => number;
  /** The servers' limits. */
  readonly rememberClients: number;
  readonly skewMs: number;
  readonly maxFutureMs: number;
  /** Their clocks were right all the time. */
  readonly serversAreRight: boolean;
  /** Who was the primary had always heard of a clock that is. */
  readonly isRightOneKnown: boolean;
}

/** Clocks in a small world drift, and what is sent takes time. */
const toleranceMs = 1_000;

/** A copy of a request that was done, in any history. */
type Done = Pick<InvokeEvent, "atMs" | "client"> & { readonly issuedAt: number };

export function checkStamps(
  events: readonly HistoryEvent[],
  stories: Map<string, RequestStory>,
  logs: CommittedLogs,
  facts: StampFacts,
): Violation[] {
  const done = doneCopies(events, stories, logs);
  const violations: Violation[] = [];
  const fail = (atMs: number, text: string) => violations.push({ of: "rule 12", atMs, text });
  for (const event of events) {
    if (event.type !== "reply" || !event.bytes.includes('"stamps"')) continue;
    const code = parseReply(event.bytes)?.error?.code;
    const copy = stories.get(storyKey(event.client, event.id))?.copies.get(event.copy);
    const issuedAt = copy?.issuedAt;
    if (copy === undefined || issuedAt === undefined) continue;
    const who = `${event.client}/${event.id} was told ${code}`;
    if (code === "EXPIRED" && !isExplained(event.client, issuedAt, event.atMs, done, facts))
      fail(event.atMs, `${who}, and never had anything done that was stamped so late`);
    const isAhead = issuedAt > facts.wallMs(copy.atMs) + facts.skewMs + toleranceMs;
    if (code === "INVALID_REQUEST" && facts.isRightOneKnown && !isAhead)
      fail(event.atMs, `${who}, and its clock is right, as the primary has heard`);
  }
  if (facts.serversAreRight)
    for (const { atMs, client, aheadMs } of takenTooEarly(stories, logs, facts))
      fail(atMs, `${client} stamped ${Math.round(aheadMs)} ms ahead, and it was done`);
  return violations;
}

interface TooEarly {
  readonly atMs: number;
  readonly client: string;
  /** At the last moment at which it can have been taken. */
  readonly aheadMs: number;
}

/**
 * In each history, what was done though every copy that can have been taken was stamped too far in the future. A copy is judged when a
 * server takes it, not when it is sent: later ones carry the same stamp and need not be too early any more, and one that was sent
 * may lie unread. By its first record one was taken.
 */
function* takenTooEarly(
  stories: Map<string, RequestStory>,
  { histories }: CommittedLogs,
  facts: StampFacts,
): Generator<TooEarly> {
  for (const { records, firstAtMs } of histories) {
    const takenByMs = new Map<string, number>();
    for (const [sequence, { kind, client, id }] of records) {
      const atMs = firstAtMs.get(sequence);
      if (kind === "history" || kind === "catalog" || atMs === undefined) continue;
      const key = storyKey(client, id);
      takenByMs.set(key, Math.min(takenByMs.get(key) ?? atMs, atMs));
    }
    for (const [key, atMs] of takenByMs) {
      const story = stories.get(key);
      const latestMs = facts.wallMs(atMs) + facts.maxFutureMs + toleranceMs;
      const candidates = [...(story?.copies.values() ?? [])].filter(
        (copy) => copy.atMs <= atMs && story?.refused.has(copy.copy) !== true,
      );
      const lowest = Math.min(...candidates.map(({ issuedAt = 0 }) => issuedAt));
      if (candidates.length > 0 && lowest > latestMs)
        yield { atMs, client: candidates[0]?.client ?? "", aheadMs: lowest - facts.wallMs(atMs) };
    }
  }
}

/**
 * Copies of what is on record that may be what was done, in the order in which they were sent: one that was refused is not, and
 * may have had another stamp.
 */
function doneCopies(
  events: readonly HistoryEvent[],
  stories: Map<string, RequestStory>,
  { histories }: CommittedLogs,
): Done[] {
  const keys = new Set<string>();
  for (const { records } of histories)
    for (const { kind, client, id } of records.values()) if (kind === "final") keys.add(storyKey(client, id));
  const done: Done[] = [];
  for (const event of events) {
    if (event.type !== "invoke" || event.issuedAt === undefined) continue;
    const { client, id, atMs, copy, issuedAt } = event;
    const key = storyKey(client, id);
    if (!keys.has(key) || stories.get(key)?.refused.has(copy) === true) continue;
    done.push({ client, atMs, issuedAt });
  }
  return done;
}

function isExplained(client: string, stampMs: number, atMs: number, done: readonly Done[], facts: StampFacts): boolean {
  const others = new Set<string>();
  let isAnyRight = !facts.serversAreRight;
  for (const one of done) {
    if (one.atMs > atMs) break;
    if (one.issuedAt < stampMs) continue;
    if (one.client === client) return true;
    others.add(one.client);
    // A floor may be dropped when the clock has passed it, however far ahead it lay once.
    isAnyRight ||= one.issuedAt <= facts.wallMs(atMs) + facts.skewMs + toleranceMs;
  }
  // When floors are dropped, as many are left, and one was dropped with the highest; those ahead are fewer.
  return isAnyRight && others.size > Math.floor((facts.rememberClients + 1) / 2);
}
