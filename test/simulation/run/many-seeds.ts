/**
 * Many seeds on all cores, and their figures. What always holds: a failing seed is told the moment that it is found, so
 * that a run that is broken off has told what it knew; and some seeds of each kind (kept ones, and each number of servers
 * with each application) are run again in another process and must give the same trace.
 */

import { Moments, momentNames } from "../judge/moments.ts";
import { replayCommand, shrinkAndTell } from "./failing-seed.ts";
import { runShipped } from "./shipped.ts";
import type { SeedResult, WorkerTask } from "./worker.ts";
import { onWorkers } from "./worker-pool.ts";

export interface ManySeedsOptions {
  readonly from: number;
  /** Null: until the time is over. */
  readonly seeds: number | null;
  readonly minutes: number | null;
  /** Run first, whatever else is asked for. */
  readonly kept: readonly number[];
  /** Every moment must be met: the last part of the time is spent on those that were not, by seeds whose plans are made for them. */
  readonly mustMeetAll: boolean;
  /** After the time, so many more seeds at most. */
  readonly moreSeeds: number;
  readonly task: Pick<WorkerTask, "faults" | "mutation" | "aim">;
  readonly workers: number | undefined;
}

const interrupts = ["SIGINT", "SIGTERM"] as const;
const maxFailuresTold = 20;
const maxFailuresShrunk = 2;
/** Every so many seeds one is run twice in a row. */
const twiceEvery = 25;
/** From here on what was not met is aimed at. */
const aimedShare = 0.7;

export async function manySeeds(options: ManySeedsOptions): Promise<boolean> {
  const run = new ManySeeds(options);
  return await run.run();
}

class ManySeeds {
  readonly #options: ManySeedsOptions;
  readonly #startedMs = performance.now();
  readonly #moments = new Moments();
  readonly #faults = new Map<string, number>();
  readonly #states = new Set<string>();
  readonly #failures: { task: WorkerTask; result: SeedResult }[] = [];
  /** By what they are examples of: the traces that another process must give again. */
  readonly #examples = new Map<string, { task: WorkerTask; traceHash: string }>();
  readonly #sum = {
    seeds: 0,
    twice: 0,
    events: 0,
    virtualMs: 0,
    requests: 0,
    acknowledged: 0,
    unknown: 0,
    duplicates: 0,
    violations: 0,
  };
  /** The seeds that are under way are run to their end, and no more. */
  #isInterrupted = false;
  #next: number;
  #aims = 0;
  #seedsAfter = 0;
  #kept: number[];

  constructor(options: ManySeedsOptions) {
    this.#options = options;
    this.#next = options.from;
    this.#kept = [...options.kept];
  }

  async run(): Promise<boolean> {
    const progress = setInterval(() => this.#tellProgress(), 60_000);
    const onSignal = () => {
      this.#isInterrupted = true;
    };
    for (const signal of interrupts) process.once(signal, onSignal);
    try {
      const work = onWorkers(
        this.#options.workers,
        () => this.#task(),
        (task, result) => this.#onResult(task, result),
      );
      if (this.#options.minutes !== null) console.log("seeds are being run; an interrupt ends with the figures so far");
      await work;
    } finally {
      clearInterval(progress);
      for (const signal of interrupts) process.off(signal, onSignal);
    }
    const tookMinutes = this.#minutes;
    if (!this.#isInterrupted) await this.#runExamplesAgain();
    this.#tellFigures(tookMinutes);
    if (this.#isInterrupted) return false;
    for (const { task } of this.#failures.slice(0, maxFailuresShrunk)) await this.#shrink(task);
    return this.#failures.length === 0 && (!this.#options.mustMeetAll || this.#unmet.length === 0);
  }

  get #minutes(): number {
    return (performance.now() - this.#startedMs) / 60_000;
  }

  get #unmet(): readonly string[] {
    return momentNames.filter((name) => (this.#moments.counts.get(name) ?? 0) === 0);
  }

  #task(): WorkerTask | null {
    if (this.#isInterrupted) return null;
    const { task, from } = this.#options;
    const kept = this.#kept.shift();
    if (kept !== undefined) return { ...task, seed: kept, twice: true };
    if (this.#isOver) return null;
    const seed = this.#next;
    this.#next += 1;
    const aim = this.#aim();
    return { ...task, ...(aim === undefined ? {} : { aim }), seed, twice: (seed - from) % twiceEvery === 0 };
  }

  /** One after the other, so that several workers do not all aim at the same. */
  #aim(): string | undefined {
    const { minutes, mustMeetAll } = this.#options;
    if (!mustMeetAll || minutes === null) return undefined;
    if (this.#minutes >= minutes) this.#seedsAfter += 1;
    if (this.#minutes < minutes * aimedShare) return undefined;
    this.#aims += 1;
    return this.#unmet[this.#aims % this.#unmet.length];
  }

  get #isOver(): boolean {
    const { from, seeds, minutes, mustMeetAll, moreSeeds } = this.#options;
    if (seeds !== null && this.#next - from >= seeds) return true;
    if (minutes === null || this.#minutes < minutes) return false;
    return !mustMeetAll || this.#seedsAfter >= moreSeeds || this.#unmet.length === 0;
  }

  #onResult(task: WorkerTask, result: SeedResult): void {
    const sum = this.#sum;
    sum.seeds += 1;
    if (task.twice) sum.twice += 1;
    sum.events += result.events;
    sum.virtualMs += result.virtualMs;
    sum.requests += result.check.requests;
    sum.acknowledged += result.check.acknowledged;
    sum.unknown += result.check.unknown;
    sum.duplicates += result.check.duplicates;
    sum.violations += result.violated;
    this.#moments.add(result.moments);
    for (const kind of result.happened) this.#faults.set(kind, (this.#faults.get(kind) ?? 0) + 1);
    for (const state of result.states) this.#states.add(state);
    this.#keepExample(task, result);
    if (result.violations.length > 0) this.#onFailure(task, result);
  }

  #keepExample(task: WorkerTask, result: SeedResult): void {
    const { servers, workload, traceHash } = result;
    const isKept = this.#options.kept.includes(task.seed);
    const example = isKept ? `kept ${task.seed}` : `${servers} ${workload}`;
    if (!this.#examples.has(example)) this.#examples.set(example, { task: { ...task, twice: false }, traceHash });
  }

  #onFailure(task: WorkerTask, result: SeedResult): void {
    this.#failures.push({ task, result });
    if (this.#failures.length > maxFailuresTold) return;
    const [first] = result.violations;
    const text = first?.text.split("\n", 1)[0]?.slice(0, 200) ?? "";
    console.log(
      `seed ${task.seed}: ${first?.of} did not hold: ${text}\n  to see it: ${replayCommand(task.seed, task)}`,
    );
  }

  /** In a process of its own, with nothing in its memory from before. */
  async #runExamplesAgain(): Promise<void> {
    const expected = new Map([...this.#examples.values()].map(({ task, traceHash }) => [task.seed, traceHash]));
    const tasks = [...this.#examples.values()].map(({ task }) => task);
    await onWorkers(
      this.#options.workers,
      () => tasks.shift() ?? null,
      (task, { traceHash, ...result }) => {
        const before = expected.get(task.seed);
        if (before === traceHash) return;
        const text = `the trace was ${before}, and ${traceHash} in another process`;
        this.#onFailure(task, { ...result, traceHash, violations: [{ of: "determinism", text, atMs: 0 }] });
      },
    );
  }

  #tellProgress(): void {
    const { seeds, events } = this.#sum;
    const faults = [...this.#faults.values()].reduce((sum, count) => sum + count, 0);
    console.log(
      `${this.#minutes.toFixed(0)} min: ${seeds} seeds, ${faults} faults, ${events} events, ${this.#states.size} states; ${this.#failures.length} seeds failed`,
    );
  }

  #tellFigures(tookMinutes: number): void {
    const { seeds, twice, events, virtualMs, requests, acknowledged, unknown, duplicates, violations } = this.#sum;
    if (this.#isInterrupted) console.log("interrupted: the figures so far");
    const faults = [...this.#faults].sort(([one, a], [other, b]) => b - a || (one < other ? -1 : 1));
    console.log(
      `${seeds} seeds in ${tookMinutes.toFixed(2)} minutes (${Math.round(seeds / Math.max(tookMinutes, 0.001))} a minute): ${(virtualMs / 3_600_000).toFixed(2)} virtual hours, ${events} events, ${this.#states.size} states`,
    );
    console.log(`${requests} requests, ${acknowledged} acknowledged, ${unknown} unknown, ${duplicates} duplicates`);
    console.log(
      `${faults.reduce((sum, [, count]) => sum + count, 0)} faults: ${faults.map(([kind, count]) => `${kind} ${count}`).join(", ")}`,
    );
    const again = this.#isInterrupted ? 0 : this.#examples.size;
    console.log(`the same trace: ${twice} seeds twice in a row, ${again} again in another process`);
    for (const name of momentNames) console.log(`${String(this.#moments.counts.get(name) ?? 0).padStart(8)}  ${name}`);
    if (this.#unmet.length > 0)
      console.log(`never met${this.#options.mustMeetAll ? " (the run fails)" : ""}: ${this.#unmet.join(", ")}`);
    const failed = this.#failures.map(({ task }) => task.seed);
    console.log(
      failed.length === 0
        ? "no violation"
        : `${violations} violations, ${failed.length} seeds failed: ${failed.slice(0, 50).join(" ")}`,
    );
  }

  async #shrink({ seed, ...task }: WorkerTask): Promise<void> {
    const report = await runShipped(seed, task);
    console.log("");
    if (report.violations.length === 0) console.log(`seed ${seed}: run alone it does not fail`);
    else await shrinkAndTell(report, task);
  }
}
