/**
 * The checker: a recorded history in, violations of PROTOCOL.md out. Pure, so that the simulator, the tests with real
 * processes and `twinlog drill` use the same one. It knows nothing of how the servers work.
 */
import { type CommittedLogs, readCommittedLogs } from "./committed-log.ts";
import type { HistoryEvent, SequentialModel, Violation } from "./history.ts";
import { checkOverdue, checkQueries, checkReplay } from "./replay.ts";
import { checkOrder, checkRequests, parseReply, type RequestStory, readRequests, storyKey } from "./requests.ts";
import { checkResults } from "./results.ts";
import { type Remembered, tellRunsApart } from "./runs.ts";
import { checkServers } from "./servers.ts";
import { checkStamps, type StampFacts } from "./stamps.ts";
import { checkTimes, type TimeFacts } from "./times.ts";

export interface CheckOptions {
  /** A fresh one for each check; without it, replies are not compared with a model. */
  readonly makeModel?: (() => SequentialModel) | undefined;
  /** Beyond the promise a new history may begin; within it, none may. */
  readonly mayBeginHistory: boolean;
  /** After `healed`, something sent must have been answered (invariant 10). */
  readonly mustRecover: boolean;
  /** The log was told by an integrator: its own clients' final records alone, and gaps between them are no violation. */
  readonly isSparse?: boolean;
  /** Integrators have asked for all that they missed. */
  readonly resultsAreComplete: boolean;
  /** Without it, stamps are not judged. */
  readonly stamps?: StampFacts | undefined;
  /** Without it, it is not judged how late requests were taken. */
  readonly times?: TimeFacts | undefined;
  /** Without it, a request without a stamp is held to be remembered for good. */
  readonly remembered?: Remembered | undefined;
}

export interface CheckReport {
  readonly violations: Violation[];
  readonly requests: number;
  readonly acknowledged: number;
  readonly refused: number;
  readonly unknown: number;
  readonly duplicates: number;
  /** Acknowledged and not in the log. */
  readonly lost: number;
  /** In the log more than once. */
  readonly doubled: number;
  readonly histories: number;
  readonly committed: number;
}

export function checkHistory(told: readonly HistoryEvent[], options: CheckOptions): CheckReport {
  const { isSparse = false, remembered } = options;
  const asTold = readCommittedLogs(told, { isSparse });
  const events = remembered === undefined ? told : tellRunsApart(told, asTold, remembered);
  const logs = events === told ? asTold : readCommittedLogs(events, { isSparse });
  const { stories, violations: fromReplies } = readRequests(events, logs);
  const isNewHistory = logs.histories.length > 1;
  const hasLog = logs.histories.length > 0;
  const violations = [
    ...logs.violations,
    ...fromReplies,
    ...(hasLog ? checkRequests(stories, logs, isNewHistory && options.mayBeginHistory) : []),
    ...(hasLog && options.stamps !== undefined ? checkStamps(events, stories, logs, options.stamps) : []),
    ...checkTimes(logs, options.times, events),
    ...checkServers(events),
    ...checkResults(events, logs, { complete: options.resultsAreComplete }),
  ];
  // A new history may lack what clients were told before it: what that is only the tree of logs says.
  if (!isNewHistory || logs.tree !== null) {
    violations.push(...checkOrder(stories, logs), ...checkQueries(events, stories, logs));
    if (options.makeModel !== undefined) {
      const model = options.makeModel();
      violations.push(...checkReplay(events, stories, logs, model));
      if (options.mustRecover) violations.push(...checkOverdue(logs, model));
    }
  }
  if (isNewHistory && !options.mayBeginHistory) {
    violations.push({
      of: "invariant 4",
      atMs: 0,
      text: `a new history began within the promise: ${logs.histories.map((log) => log.history).join(", ")}`,
    });
  }
  if (options.mustRecover) violations.push(...checkRecovery(events));
  return report(events, stories, logs, violations);
}

function checkRecovery(events: readonly HistoryEvent[]): Violation[] {
  const healed = events.find((event) => event.type === "healed");
  if (healed === undefined)
    return [{ of: "invariant 10", atMs: 0, text: "the history does not say when it was healed" }];
  const sentAfter = new Set<string>();
  for (const event of events) {
    if (event.type === "invoke" && event.atMs >= healed.atMs) sentAfter.add(storyKey(event.client, event.id));
    if (event.type !== "reply" || !sentAfter.has(storyKey(event.client, event.id))) continue;
    if (parseReply(event.bytes)?.sequence !== undefined) return [];
  }
  return [{ of: "invariant 10", atMs: healed.atMs, text: "nothing that was sent after the faults ended was answered" }];
}

function report(
  events: readonly HistoryEvent[],
  stories: Map<string, RequestStory>,
  logs: CommittedLogs,
  violations: Violation[],
): CheckReport {
  const all = [...stories.values()];
  const acknowledged = all.filter((story) => story.answer !== null);
  const refused = all.filter((story) => story.answer === null && story.refused.size === story.copies.size);
  return {
    violations,
    requests: all.length,
    acknowledged: acknowledged.length,
    refused: refused.length,
    unknown: all.length - acknowledged.length - refused.length,
    duplicates: events.filter((event) => event.type === "reply" && event.duplicate).length,
    lost: violations.filter(({ text }) => text.endsWith(": lost")).length,
    doubled: violations.filter(({ text }) => text.includes("is in the log twice")).length,
    histories: logs.histories.length,
    committed: logs.final.length,
  };
}
