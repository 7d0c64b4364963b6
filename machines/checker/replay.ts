/**
 * The committed log through a plain model of the application: every reply and every query's answer must be what the
 * model says at that place in the log, and queries must respect real time (linearizability).
 */
import { type CommittedLogs, segmentOf, segmentOfRecord } from "./committed-log.ts";
import type { AnswerEvent, HistoryEvent, QueryEvent, SequentialModel, Violation } from "./history.ts";
import { bodyOf, type ParsedReply, parseReply, type RequestStory, storyKey } from "./requests.ts";

interface Read {
  readonly query: QueryEvent;
  readonly answer: AnswerEvent;
  readonly sequence: number;
  readonly result: unknown;
  /** Which histories had begun by the epoch of its answer (`segmentOf`). */
  readonly segment: number;
}

/** Structural equality of JSON values; the order of an object's keys does not matter. */
export function sameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const keysA = definedKeys(a);
  const keysB = definedKeys(b);
  if (keysA.length !== keysB.length) return false;
  return keysA.every((key) => sameJson((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]));
}

function definedKeys(value: object): string[] {
  return Object.keys(value).filter((key) => (value as Record<string, unknown>)[key] !== undefined);
}

function readQueries(events: readonly HistoryEvent[], logs: CommittedLogs): Read[] {
  const asked = new Map<string, QueryEvent>();
  const reads: Read[] = [];
  for (const event of events) {
    const key = event.type === "query" || event.type === "answer" ? storyKey(event.client, event.id) : "";
    // A query may be sent again under its id, and the answer be to the first copy.
    if (event.type === "query" && !asked.has(key)) asked.set(key, event);
    if (event.type !== "answer") continue;
    const query = asked.get(key);
    const reply = parseReply(event.bytes);
    if (query === undefined || reply === null || !reply.ok || reply.sequence === undefined) continue;
    const { sequence, result, epoch = 0 } = reply;
    reads.push({ query, answer: event, sequence, result, segment: segmentOf(epoch, logs) });
  }
  return reads;
}

/** Replays the final log. A model is made by `makeModel` for this one replay. */
export function checkReplay(
  events: readonly HistoryEvent[],
  stories: Map<string, RequestStory>,
  logs: CommittedLogs,
  model: SequentialModel,
): Violation[] {
  const violations: Violation[] = [];
  // What was read in an earlier history may have been dropped with it.
  const reads = readQueries(events, logs)
    .filter(({ segment }) => segment === logs.starts.length)
    .sort((a, b) => a.sequence - b.sequence);
  let next = 0;
  const answerUpTo = (sequence: number) => {
    for (let read = reads[next]; read !== undefined && read.sequence <= sequence; read = reads[next]) {
      next += 1;
      checkRead(read, model, violations);
    }
  };
  answerUpTo(0);
  for (const record of logs.final) {
    answerUpTo(record.sequence - 1);
    const story = stories.get(storyKey(record.client, record.id));
    const reply: ParsedReply | null = record.kind === "final" ? parseReply(record.reply) : null;
    // A failure that was logged has no effects: the model does not run it.
    if (reply?.ok === false) {
      model.fail?.(record);
      continue;
    }
    const expected = model.run(record, bodyOf(story));
    if (reply !== null && expected !== undefined && !sameJson(reply.result, expected))
      violations.push({
        of: "checker",
        atMs: story?.firstAtMs ?? 0,
        text: `${record.client}/${record.id} at ${record.sequence}: the log says ${JSON.stringify(reply.result)}, the model ${JSON.stringify(expected)}`,
      });
  }
  answerUpTo(Number.MAX_SAFE_INTEGER);
  return violations;
}

/** By then they should have come, whoever served. */
const lateMs = 10_000;

/** After a replay: timers that were due long before the last request was taken, where the system served again (rule 20). */
export function checkOverdue({ final }: CommittedLogs, model: SequentialModel): Violation[] {
  const lastMs = final.reduce((latest, { takenMs = 0 }) => Math.max(latest, takenMs), 0);
  return (model.overdue?.(lastMs - lateMs) ?? []).map((id) => ({
    of: "rule 20",
    atMs: 0,
    text: `timer ${id} was due, and never came`,
  }));
}

function checkRead(read: Read, model: SequentialModel, violations: Violation[]): void {
  const expected = model.query(read.query.body);
  if (expected === undefined || sameJson(expected, withoutSequence(read.result, expected))) return;
  violations.push({
    of: "rule 5",
    atMs: read.answer.atMs,
    text: `query ${read.query.client}/${read.query.id} at ${read.sequence}: answered ${JSON.stringify(read.result)}, the model ${JSON.stringify(expected)}`,
  });
}

/** An answer may name the sequence that it saw; a model that does not count sequences leaves it out. */
function withoutSequence(result: unknown, expected: unknown): unknown {
  if (typeof result !== "object" || result === null || !("sequence" in result)) return result;
  if (typeof expected === "object" && expected !== null && "sequence" in expected) return result;
  const { sequence: _, ...rest } = result;
  return rest;
}

/** Each history's queries against its own answers: of another history a server need not know. */
export function checkQueries(
  events: readonly HistoryEvent[],
  stories: Map<string, RequestStory>,
  logs: CommittedLogs,
): Violation[] {
  const reads = readQueries(events, logs);
  const all = [...stories.values()];
  return [...new Set(reads.map(({ segment }) => segment))].flatMap((segment) => {
    const answered = all.filter(({ answer }) => answer !== null && segmentOfRecord(answer.reply, logs) === segment);
    const own = reads.filter((read) => read.segment === segment);
    return checkReads(own, answered);
  });
}

/** A query sees everything acknowledged before it was sent, nothing sent after it was answered, and no less than earlier ones. */
function checkReads(reads: readonly Read[], answered: readonly RequestStory[]): Violation[] {
  const violations: Violation[] = [];
  const fail = (read: Read, text: string) =>
    violations.push({
      of: "rule 5",
      atMs: read.answer.atMs,
      text: `query ${read.query.client}/${read.query.id} ${text}`,
    });
  const facts = [
    ...answered.map((story) => ({ knownAtMs: story.answer?.atMs ?? 0, sequence: story.answer?.reply.sequence ?? 0 })),
    ...reads.map((read) => ({ knownAtMs: read.answer.atMs, sequence: read.sequence })),
  ].sort((a, b) => a.knownAtMs - b.knownAtMs);
  let at = 0;
  let known = 0;
  for (const read of [...reads].sort((a, b) => a.query.atMs - b.query.atMs)) {
    for (let fact = facts[at]; fact !== undefined && fact.knownAtMs < read.query.atMs; fact = facts[at]) {
      known = Math.max(known, fact.sequence);
      at += 1;
    }
    if (read.sequence < known) fail(read, `saw ${read.sequence} when ${known} was known before it was sent`);
  }
  for (const story of answered) {
    const sequence = story.answer?.reply.sequence ?? 0;
    for (const read of reads)
      if (read.answer.atMs < story.firstAtMs && read.sequence >= sequence)
        fail(read, `saw ${read.sequence}, answered before ${story.client}/${story.id} (${sequence}) was first sent`);
  }
  return violations;
}
