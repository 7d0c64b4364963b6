/**
 * What a drill has shown: its history through the checker, the gap of each fault (gaps.ts), and the page that says so. Pure.
 * What always holds: passed means that the log was read, that something was acknowledged, that nothing of it was lost or
 * done twice, and that the drill came to its end.
 */
import { checkHistory } from "../../machines/checker/check.ts";
import type { HistoryEvent, Violation } from "../../machines/checker/history.ts";
import { parseReply } from "../../machines/checker/requests.ts";
import type { DoneFault } from "./faults.ts";
import { acksSince, type Gap, gapOf } from "./gaps.ts";
import { type FaultKind, faultKinds } from "./plan.ts";

export interface DrillReport {
  readonly service: string;
  readonly seed: number;
  readonly passed: boolean;
  readonly requests: number;
  readonly acknowledged: number;
  readonly refused: number;
  /** What a server said to the first request that it refused; empty when it refused none. */
  readonly firstRefusal: string;
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
    /** The longest wait after that, until everything was normal again. */
    readonly laterMs: number;
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
  const acks = acksSince(events, Number.NEGATIVE_INFINITY);
  const told = faults.map((fault) => {
    const { gapMs, laterMs } = gapOf(acks, fault);
    return {
      kind: fault.kind,
      what: fault.what,
      atMs: tenths(fault.startMs - startMs),
      gapMs: tenths(gapMs),
      laterMs: tenths(laterMs),
      normalAfterMs: tenths(fault.normalMs - fault.startMs),
    };
  });
  const isProven = events.some(({ type }) => type === "commit");
  return {
    service,
    seed,
    passed: trouble === "" && isProven && checked.acknowledged > 0 && checked.violations.length === 0,
    requests: checked.requests,
    acknowledged: checked.acknowledged,
    refused: checked.refused,
    firstRefusal: firstRefusal(events),
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
        return [[kind, { times: gaps.length, medianMs: tenths(medianOf(gaps)), worstMs: Math.max(...gaps) }]];
      }),
    ),
    trouble,
  };
}

/** Of a server: that nobody listened is no word of anybody's. */
function firstRefusal(events: readonly HistoryEvent[]): string {
  for (const event of events) {
    const error = event.type === "reply" ? parseReply(event.bytes)?.error : undefined;
    if (error?.executed === false && error.code !== "NOT_SENT") return `${error.code}: ${error.message}`;
  }
  return "";
}

function tenths(ms: number): number {
  return Math.round(10 * ms) / 10;
}

export function medianOf(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const high = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? high : (high + (sorted[middle - 1] ?? 0)) / 2;
}

const shownViolations = 5;

export function reportText(report: DrillReport): string {
  const { requests, acknowledged, refused, firstRefusal, unknown, duplicates, lost, duplicated, violations, gaps } =
    report;
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
    ...(acknowledged === 0 && firstRefusal !== ""
      ? [`no request was taken; the first was refused with ${firstRefusal}\n`]
      : []),
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
export function faultText(fault: DoneFault, { gapMs, laterMs }: Gap, drillStartMs: number): string {
  const { kind, what, startMs, normalMs } = fault;
  const at = ((startMs - drillStartMs) / 1_000).toFixed(1).padStart(5);
  const normal = ((normalMs - startMs) / 1_000).toFixed(1);
  const later = laterMs > gapMs ? `, on the way there up to ${laterMs.toFixed(0)} ms` : "";
  return `${at} s  ${kind.padEnd(7)} ${what.padEnd(28)} gap ${gapMs.toFixed(0).padStart(5)} ms, normal after ${normal} s${later}\n`;
}
