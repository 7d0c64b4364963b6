/**
 * What a drill has shown: its history through the checker, the gap of each fault, and the page that says so. Pure.
 *
 * The gap of a fault is the longest time without an acknowledgement to any client, of the times that touch the fault: from
 * its start until everything was normal again.
 */
import { checkHistory } from "../../machines/checker/check.ts";
import type { HistoryEvent, Violation } from "../../machines/checker/history.ts";
import type { DoneFault } from "./faults.ts";
import { type FaultKind, faultKinds } from "./plan.ts";

export interface DrillReport {
  readonly service: string;
  readonly seed: number;
  readonly passed: boolean;
  readonly requests: number;
  readonly acknowledged: number;
  readonly refused: number;
  /** No answer came: executed or not, and nobody may say. */
  readonly unknown: number;
  /** Answers to requests that were sent again; all byte-equal to the first. */
  readonly duplicates: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly violations: readonly Violation[];
  /** Times in ms, from the drill's start. */
  readonly faults: readonly {
    readonly kind: FaultKind;
    readonly what: string;
    readonly atMs: number;
    readonly gapMs: number;
    readonly normalAfterMs: number;
  }[];
  readonly gaps: Readonly<Partial<Record<FaultKind, { times: number; medianMs: number; worstMs: number }>>>;
  /** Why the drill ended early; empty when it did not. */
  readonly trouble: string;
}

export interface DrillOutcome {
  readonly service: string;
  readonly seed: number;
  readonly startMs: number;
  readonly events: readonly HistoryEvent[];
  readonly faults: readonly DoneFault[];
  readonly trouble: string;
}

export function judge({ service, seed, startMs, events, faults, trouble }: DrillOutcome): DrillReport {
  const checked = checkHistory(events, {
    mayBeginHistory: false,
    mustRecover: trouble === "",
    resultsAreComplete: true,
    isSparse: true,
  });
  const times = events.flatMap((event) => (event.type === "reply" && !isRefusal(event.bytes) ? [event.atMs] : []));
  const told = faults.map(({ kind, what, startMs: atMs, normalMs }) => ({
    kind,
    what,
    atMs: atMs - startMs,
    gapMs: longestGap(times, atMs, normalMs),
    normalAfterMs: normalMs - atMs,
  }));
  const isProven = events.some(({ type }) => type === "commit");
  return {
    service,
    seed,
    passed: trouble === "" && isProven && checked.acknowledged > 0 && checked.violations.length === 0,
    requests: checked.requests,
    acknowledged: checked.acknowledged,
    refused: checked.refused,
    unknown: checked.unknown,
    duplicates: checked.duplicates,
    lost: checked.lost,
    duplicated: checked.doubled,
    violations: checked.violations,
    faults: told,
    gaps: Object.fromEntries(
      faultKinds.flatMap((kind) => {
        const gaps = told.filter((fault) => fault.kind === kind).map(({ gapMs }) => gapMs);
        if (gaps.length === 0) return [];
        return [[kind, { times: gaps.length, medianMs: medianOf(gaps), worstMs: Math.max(...gaps) }]];
      }),
    ),
    trouble,
  };
}

function isRefusal(bytes: string): boolean {
  return bytes.includes('"executed":false');
}

/** `times` in order. The longest interval between two of them that touches the span. */
export function longestGap(times: readonly number[], fromMs: number, toMs: number): number {
  let longest = 0;
  for (let at = 1; at < times.length; at += 1) {
    const before = times[at - 1] ?? 0;
    const after = times[at] ?? 0;
    if (after >= fromMs && before <= toMs) longest = Math.max(longest, after - before);
  }
  return longest;
}

export function medianOf(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const high = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? high : (high + (sorted[middle - 1] ?? 0)) / 2;
}

const shownViolations = 5;

export function reportText(report: DrillReport): string {
  const { requests, acknowledged, refused, unknown, duplicates, lost, duplicated, violations, gaps } = report;
  const count = (n: number) => n.toLocaleString("en");
  const ms = (n: number) => (n < 10 ? n.toFixed(1) : n.toFixed(0)).padStart(7);
  const rows = Object.entries(gaps).map(
    ([kind, { times, medianMs, worstMs }]) =>
      `  ${kind.padEnd(8)}${String(times).padStart(5)}${ms(medianMs)}${ms(worstMs)}\n`,
  );
  return [
    "\n",
    `requests ${count(requests)}: acknowledged ${count(acknowledged)}, refused ${count(refused)}, unknown ${count(unknown)}; sent again and answered with the same bytes ${count(duplicates)}\n`,
    `lost ${lost}, duplicated ${duplicated}\n`,
    ...(rows.length === 0 ? [] : ["\ngap in ms   times median  worst\n", ...rows]),
    ...violations.slice(0, shownViolations).map(({ of, text }) => `\nviolation of ${of}: ${text}\n`),
    ...(violations.length > shownViolations ? [`and ${violations.length - shownViolations} more\n`] : []),
    ...(report.trouble === "" ? [] : [`\n${report.trouble}\n`]),
    "\n",
    report.passed
      ? `PASSED: every acknowledged request is in the log, once, with the reply that its client got (seed ${report.seed})\n`
      : `FAILED (seed ${report.seed})\n`,
  ].join("");
}

/** A line for each fault as it is done. */
export function faultText({ kind, what, startMs, normalMs }: DoneFault, gapMs: number, drillStartMs: number): string {
  const at = ((startMs - drillStartMs) / 1_000).toFixed(1).padStart(5);
  const normal = ((normalMs - startMs) / 1_000).toFixed(1);
  return `${at} s  ${kind.padEnd(7)} ${what.padEnd(28)} gap ${gapMs.toFixed(0).padStart(5)} ms, normal after ${normal} s\n`;
}
