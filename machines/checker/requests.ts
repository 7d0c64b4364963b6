/**
 * What clients were told about their requests, against the committed log (invariants 1, 6, 7, 9; rules 5, 11, 12).
 *
 * What always holds: only an answer binds; a request without one may be in the log or not. A refusal binds only when
 * every copy of the request was refused with `executed: false`.
 */
import { timersName } from "../../schemas/timers.ts";
import { type CommittedLogs, isDropped, isLater, isOfAnotherHistory } from "./committed-log.ts";
import type { CommittedRecord, HistoryEvent, InvokeEvent, ReplyEvent, Violation } from "./history.ts";

export interface ParsedReply {
  readonly client: string;
  readonly id: string;
  readonly ok: boolean;
  readonly result?: unknown;
  readonly error?: { readonly code: string; readonly message: string; readonly executed: boolean };
  readonly sequence?: number;
  readonly epoch?: number;
}

interface RecordedAnswer {
  readonly bytes: string;
  readonly reply: ParsedReply;
  readonly atMs: number;
  /** Of the copy that got it. */
  readonly body: unknown;
}

/** Refused whatever the server holds (rule 5), and before the id is looked at. */
const refusedAlike: ReadonlySet<string> = new Set(["INVALID_REQUEST", "TOO_LARGE"]);

/** All that is known of one (client, id). */
export interface RequestStory {
  readonly client: string;
  readonly id: string;
  readonly copies: Map<number, InvokeEvent>;
  readonly refused: Set<number>;
  /** Bodies that every server refuses alike: no copy of them was run, the unanswered ones neither. JSON. */
  readonly refusedBodies: Set<string>;
  /** The first answer that is a record's: ok, or a failure that was logged. One that a new history dropped gives way. */
  answer: RecordedAnswer | null;
  readonly firstAtMs: number;
}

export function parseReply(bytes: string): ParsedReply | null {
  try {
    const value: unknown = JSON.parse(bytes);
    return typeof value === "object" && value !== null && "ok" in value ? (value as ParsedReply) : null;
  } catch {
    return null;
  }
}

export function storyKey(client: string, id: string): string {
  return `${client}\u0000${id}`;
}

export function readRequests(
  events: readonly HistoryEvent[],
  logs: CommittedLogs,
): {
  stories: Map<string, RequestStory>;
  violations: Violation[];
} {
  const stories = new Map<string, RequestStory>();
  const violations: Violation[] = [];
  for (const event of events) {
    if (event.type === "invoke") {
      const key = storyKey(event.client, event.id);
      let story = stories.get(key);
      if (story === undefined) {
        const { client, id, atMs } = event;
        const none = { copies: new Map(), refused: new Set<number>(), refusedBodies: new Set<string>(), answer: null };
        story = { client, id, ...none, firstAtMs: atMs };
        stories.set(key, story);
      }
      story.copies.set(event.copy, event);
    } else if (event.type === "reply") readReply(event, stories, logs, violations);
  }
  return { stories, violations };
}

function readReply(
  event: ReplyEvent,
  stories: Map<string, RequestStory>,
  logs: CommittedLogs,
  violations: Violation[],
): void {
  const story = stories.get(storyKey(event.client, event.id));
  const reply = parseReply(event.bytes);
  const fail = (of: string, text: string) =>
    violations.push({ of, atMs: event.atMs, text: `${event.client}/${event.id}: ${text}` });
  if (story === undefined || reply === null || reply.client !== event.client || !isIdOf(reply, event.id)) {
    fail("rule 5", `an answer that belongs to no request: ${event.bytes}`);
    return;
  }
  if (reply.sequence === undefined) {
    if (reply.ok) fail("rule 5", `a result without a sequence: ${event.bytes}`);
    else if (reply.error?.executed === false) readRefusal(event.copy, reply.error.code, story);
    return;
  }
  const copy = story.copies.get(event.copy);
  const answer = { bytes: event.bytes, reply, atMs: event.atMs, body: copy?.body };
  const before = story.answer;
  if (before !== null && before.bytes !== event.bytes && isOfAnotherHistory(before.reply, reply, logs)) {
    if (isLater(reply, before.reply, logs)) story.answer = answer;
    return;
  }
  // Another body under the same id, sent after the first was answered: it may not get that answer.
  if (copy !== undefined && before !== null && before.atMs < copy.atMs && !isSameBody(before.body, copy.body))
    fail("rule 12", `another body under the same id was answered with a record: ${event.bytes}`);
  if (before === null) story.answer = answer;
  else if (before.bytes !== event.bytes)
    fail("invariant 6", `two different answers: ${before.bytes} and ${event.bytes}`);
}

function readRefusal(copy: number, code: string, story: RequestStory): void {
  story.refused.add(copy);
  if (refusedAlike.has(code)) story.refusedBodies.add(JSON.stringify(story.copies.get(copy)?.body));
}

/** A message that is too large is not read: its refusal has no id. */
function isIdOf(reply: ParsedReply, id: string): boolean {
  return reply.id === id || (reply.id === "" && reply.error?.code === "TOO_LARGE");
}

function isSameBody(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/**
 * The body that was run: the answered copy's (a reused id with another body gets no record's answer).
 * Where nobody was told, the first that was not refused, in this copy or as every server would.
 */
export function bodyOf(story: RequestStory | undefined): unknown {
  if (story === undefined) return undefined;
  const { answer, copies, refused, refusedBodies } = story;
  if (answer !== null) return answer.body;
  const all = [...copies.values()];
  const mayHaveRun = ({ copy, body }: InvokeEvent) => !refused.has(copy) && !refusedBodies.has(JSON.stringify(body));
  return (all.find(mayHaveRun) ?? all[0])?.body;
}

/** Every answer against the log. `mayLose`: a new history began, and what was acknowledged before it may be gone. */
export function checkRequests(stories: Map<string, RequestStory>, logs: CommittedLogs, mayLose: boolean): Violation[] {
  const violations: Violation[] = [];
  const finals = new Map<string, CommittedRecord>();
  const done = new Set<string>();
  const begun = firstRecords(logs);
  for (const record of logs.final) {
    const key = storyKey(record.client, record.id);
    if (record.kind === "final") finals.set(key, record);
    if (record.kind !== "transaction" && record.kind !== "final") continue;
    if (record.name === "") continue;
    const step = `${key}\u0000${record.name}`;
    if (done.has(step))
      violations.push({
        of: "rule 16",
        atMs: 0,
        text: `transaction ${record.name} of ${record.client}/${record.id} was run again at ${record.sequence}`,
      });
    done.add(step);
  }
  for (const [key, story] of stories) {
    const record = finals.get(key);
    const fail = (of: string, text: string, atMs = story.firstAtMs) =>
      violations.push({ of, atMs, text: `${story.client}/${story.id}: ${text}` });
    if (story.answer !== null) {
      const { bytes, reply, atMs } = story.answer;
      if (record === undefined) {
        if (!(mayLose && isDropped(reply, logs)))
          fail("invariant 4", `acknowledged at sequence ${reply.sequence} and not in the log: lost`, atMs);
      } else if (record.reply !== bytes) {
        if (!(mayLose && isDropped(reply, logs)))
          fail("invariant 6", `was answered ${bytes}, the log has ${record.reply}`, atMs);
      } else checkNames(record, reply, fail);
      checkCommitted(logs, story, fail);
    }
    // A refusal does not name its history: where two were served at once, it speaks of the one that gave it.
    if (!mayLose) checkRefusals(key, story, begun, fail);
    if (story.answer === null && record !== undefined && story.refused.size === story.copies.size) {
      fail("checker", `every copy was refused with executed: false, and it is in the log at ${record.sequence}`);
    }
  }
  // The service asks itself for what its timers bring.
  for (const [key, record] of finals)
    if (!stories.has(key) && record.client !== timersName)
      violations.push({
        of: "checker",
        atMs: 0,
        text: `${record.client}/${record.id} is in the log and was never sent`,
      });
  return violations;
}

/**
 * When the first record of each request was first committed. It was made of a copy that was sent before; an attempt runs
 * nothing.
 */
function firstRecords({ histories }: CommittedLogs): Map<string, number> {
  const begun = new Map<string, number>();
  for (const { records, firstAtMs } of histories)
    for (const { kind, client, id, sequence } of records.values()) {
      if (kind !== "transaction" && kind !== "final") continue;
      const key = storyKey(client, id);
      const atMs = firstAtMs.get(sequence) ?? Number.POSITIVE_INFINITY;
      begun.set(key, Math.min(begun.get(key) ?? atMs, atMs));
    }
  return begun;
}

/** A copy that ran was not refused as not executed: of those that were sent before its record, one is left. */
function checkRefusals(key: string, story: RequestStory, begun: Map<string, number>, fail: Fail): void {
  const atMs = begun.get(key);
  if (atMs === undefined || story.refused.size === 0) return;
  const before = [...story.copies.values()].filter((copy) => copy.atMs <= atMs);
  if (before.length > 0 && before.every(({ copy }) => story.refused.has(copy)))
    fail("rule 7", "every copy that was sent before it ran was refused with executed: false", atMs);
}

type Fail = (of: string, text: string, atMs?: number) => void;

function checkNames(record: CommittedRecord, reply: ParsedReply, fail: Fail): void {
  if (reply.sequence !== record.sequence || reply.epoch !== record.epoch)
    fail(
      "invariant 1",
      `the reply names sequence ${reply.sequence} and epoch ${reply.epoch}, its record is ${record.sequence} of epoch ${record.epoch}`,
    );
}

/** Invariant 7: some server had committed the record when its reply came. */
function checkCommitted(logs: CommittedLogs, story: RequestStory, fail: Fail): void {
  if (logs.histories.length === 0 || story.answer === null) return;
  const { reply, atMs } = story.answer;
  const sequence = reply.sequence ?? 0;
  const isCommitted = logs.histories.some((log) => {
    const committedAtMs = log.firstAtMs.get(sequence);
    const record = log.records.get(sequence);
    return committedAtMs !== undefined && committedAtMs <= atMs && record?.id === story.id;
  });
  if (!isCommitted) fail("invariant 7", `answered at sequence ${sequence} before any server committed it`, atMs);
}

/** Real time and `after`: what was answered before another request was first sent comes before it in the log. */
export function checkOrder(stories: Map<string, RequestStory>, logs: CommittedLogs): Violation[] {
  const violations: Violation[] = [];
  const starts = new Map<string, number>();
  const poisoned = new Set<string>();
  let latest: { story: RequestStory; sequence: number } | null = null;
  for (const record of logs.final) {
    const key = storyKey(record.client, record.id);
    const story = stories.get(key);
    if (story === undefined) continue;
    // A request of several transactions is in its place with the first of them; an attempt runs nothing.
    if (record.kind !== "attempt" && !starts.has(key)) starts.set(key, record.sequence);
    if (isPoisoned(record)) poisoned.add(key);
    if (record.kind !== "final") continue;
    // One that a new history dropped and ran again without telling anybody has the answer of the old one.
    const isAnswered = story.answer?.bytes === record.reply;
    if (latest !== null && isAnswered && story.answer !== null && latest.story.firstAtMs > story.answer.atMs)
      violations.push({
        of: "checker",
        atMs: story.answer.atMs,
        text: `${name(latest.story)} was first sent after ${name(story)} was answered, and is before it in the log (${latest.sequence}, ${record.sequence})`,
      });
    if (latest === null || story.firstAtMs > latest.story.firstAtMs) latest = { story, sequence: record.sequence };
  }
  for (const [key, story] of stories) {
    const sequence = starts.get(key);
    const after = predecessorOf(story, stories, logs);
    if (sequence === undefined || after === undefined || poisoned.has(key)) continue;
    const before = starts.get(storyKey(story.client, after));
    if (before === undefined || before > sequence)
      violations.push({
        of: "rule 11",
        atMs: story.firstAtMs,
        text: `${name(story)} ran at ${sequence}, after ${after}, which ${before === undefined ? "is not in the log" : `is at ${before}`}`,
      });
  }
  return violations;
}

/** Poisoned: it was not run, so nothing about its place was promised. */
function isPoisoned(record: CommittedRecord): boolean {
  return record.kind === "final" && parseReply(record.reply)?.error?.code === "POISONED";
}

/**
 * The request that certainly ran first, if it ran: every copy names it, or was sent when it was answered by a record.
 * Where copies differ otherwise nothing binds: another one may be the one that was run.
 */
function predecessorOf(
  story: RequestStory,
  stories: Map<string, RequestStory>,
  logs: CommittedLogs,
): string | undefined {
  const copies = [...story.copies.values()];
  const named = new Set(copies.flatMap(({ after }) => (after === undefined ? [] : [after])));
  const [after] = named;
  if (named.size !== 1 || after === undefined) return undefined;
  const answer = stories.get(storyKey(story.client, after))?.answer;
  const answeredAtMs = answer?.atMs ?? Number.POSITIVE_INFINITY;
  // Its answer freed those after it, and a new history dropped it.
  if (answer !== undefined && answer !== null && isDropped(answer.reply, logs)) return undefined;
  return copies.every((copy) => copy.after !== undefined || copy.atMs >= answeredAtMs) ? after : undefined;
}

function name(story: RequestStory): string {
  return `${story.client}/${story.id}`;
}
