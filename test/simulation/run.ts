/**
 * `npm run simulate`: seeds on all cores, the checker on each, and at the end the figures.
 *
 *   --seed N        one seed, with its story (the command that a failing seed prints)
 *   --seeds N       so many seeds, from --from (default 1)
 *   --minutes M     as many seeds as fit
 *   --ci            the seeds to keep, then as many as fit into 50 s, and more while a moment was not met
 *   --mutations     each rule broken by name until a violation is found, or its budget is over
 *   --mutation NAME one of them, with --seed for its story
 *   --faults A,B    these kinds of faults only
 *   --history FILE  with --seed: writes the recorded history, one event a line
 *
 * Exit status 0 only if no seed violated anything, every first seed gave the same trace twice, and (with --mutations)
 * every mutation was found.
 */

import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { Moments, momentNames } from "./moments.ts";
import { allMutations } from "./mutations-run.ts";
import type { SeedReport } from "./seed-run.ts";
import { seedsToKeep } from "./seeds.ts";
import { runShipped } from "./shipped.ts";
import type { SeedResult, WorkerTask } from "./worker.ts";
import { onWorkers } from "./worker-pool.ts";

const defaultSeeds = 200;
const maxFailuresShown = 5;
const ciMinutes = 50 / 60;
/** Only so many seeds are spent on moments that were not met in time. */
const maxCiSeeds = 600;

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    seeds: { type: "string" },
    from: { type: "string" },
    minutes: { type: "string" },
    ci: { type: "boolean" },
    mutations: { type: "boolean" },
    mutation: { type: "string" },
    faults: { type: "string" },
    history: { type: "string" },
    workers: { type: "string" },
  },
});

const workers = values.workers === undefined ? undefined : Number(values.workers);
const faults = values.faults?.split(",").filter((name) => name !== "");

function show(report: SeedReport): void {
  console.log(
    `seed ${report.seed}: ${report.plan.servers.length} servers, ${report.plan.workload}, ${report.plan.faultClass} the promise`,
  );
  console.log(`faults: ${report.faults.join(", ")}\n\n${report.story}\n`);
  for (const { of, atMs, text } of report.violations.slice(0, 20))
    console.log(`VIOLATION of ${of} (${atMs.toFixed(1)} ms): ${text}`);
  const { requests, acknowledged, refused, unknown, lost, doubled, committed } = report.check;
  console.log(
    `\n${requests} requests: ${acknowledged} acknowledged, ${refused} refused, ${unknown} unknown; ${committed} records; lost ${lost}, done twice ${doubled}`,
  );
  console.log(
    `trace ${report.traceHash}, ${report.events} events, ${(report.virtualMs / 1000).toFixed(1)} s of virtual time`,
  );
}

async function oneSeed(seed: number): Promise<boolean> {
  const task = { faults, mutation: values.mutation };
  const report = await runShipped(seed, task);
  const again = await runShipped(seed, task);
  show(report);
  if (values.history !== undefined) writeFileSync(values.history, `${report.history}\n`);
  if (again.traceHash !== report.traceHash)
    console.log(`NOT DETERMINISTIC: ${report.traceHash}, then ${again.traceHash}`);
  return report.violations.length === 0 && again.traceHash === report.traceHash;
}

function replayCommand(task: WorkerTask): string {
  const more = [
    task.mutation === undefined ? "" : ` --mutation "${task.mutation}"`,
    task.faults === undefined ? "" : ` --faults ${task.faults.join(",")}`,
  ].join("");
  return `npm run simulate -- --seed ${task.seed}${more}`;
}

async function manySeeds(): Promise<boolean> {
  const from = Number(values.from ?? 1);
  const minutes = values.ci ? ciMinutes : values.minutes === undefined ? null : Number(values.minutes);
  const untilMs = minutes === null ? null : performance.now() + minutes * 60_000;
  const seeds = minutes === null ? Number(values.seeds ?? defaultSeeds) : Number.MAX_SAFE_INTEGER;
  const kept = values.ci ? seedsToKeep.map((one) => one.seed) : [];
  const startedMs = performance.now();
  const moments = new Moments();
  const failures: { task: WorkerTask; result: SeedResult }[] = [];
  const sum = { seeds: 0, events: 0, virtualMs: 0, requests: 0, acknowledged: 0, unknown: 0, duplicates: 0 };
  let seed = from;
  const unmet = () => momentNames.filter((name) => (moments.counts.get(name) ?? 0) === 0);
  const isOver = () => {
    if (seed >= from + seeds) return true;
    if (untilMs === null || performance.now() < untilMs) return false;
    return !values.ci || seed >= from + maxCiSeeds || unmet().length === 0;
  };
  const next = (): WorkerTask | null => {
    const known = kept.shift();
    if (known !== undefined) return { seed: known, faults, twice: false, mutation: values.mutation };
    if (isOver()) return null;
    seed += 1;
    return { seed: seed - 1, faults, twice: (seed - 1 - from) % 50 === 0, mutation: values.mutation };
  };
  await onWorkers(workers, next, (task, result) => {
    sum.seeds += 1;
    sum.events += result.events;
    sum.virtualMs += result.virtualMs;
    sum.requests += result.check.requests;
    sum.acknowledged += result.check.acknowledged;
    sum.unknown += result.check.unknown;
    sum.duplicates += result.check.duplicates;
    moments.add(result.moments);
    if (result.violations.length === 0) return;
    failures.push({ task, result });
    if (failures.length > maxFailuresShown) return;
    const [first] = result.violations;
    console.log(`seed ${task.seed}: VIOLATION of ${first?.of}: ${first?.text}\n  to see it: ${replayCommand(task)}`);
  });
  const tookMinutes = (performance.now() - startedMs) / 60_000;
  console.log(
    `${sum.seeds} seeds in ${tookMinutes.toFixed(2)} minutes (${Math.round(sum.seeds / tookMinutes)} a minute): ${(sum.virtualMs / 3_600_000).toFixed(2)} virtual hours, ${sum.events} events`,
  );
  console.log(
    `${sum.requests} requests, ${sum.acknowledged} acknowledged, ${sum.unknown} unknown, ${sum.duplicates} duplicates`,
  );
  for (const name of momentNames) console.log(`${String(moments.counts.get(name) ?? 0).padStart(8)}  ${name}`);
  const absent = unmet();
  if (absent.length > 0) console.log(`never met: ${absent.join(", ")}`);
  console.log(
    failures.length === 0
      ? "no violation"
      : `${failures.length} seeds with violations: ${failures
          .map(({ task }) => task.seed)
          .slice(0, 50)
          .join(" ")}`,
  );
  return failures.length === 0 && (!values.ci || absent.length === 0);
}

const isGood = values.mutations
  ? await allMutations({ seeds: values.seeds, only: values.mutation, workers })
  : values.seed !== undefined
    ? await oneSeed(Number(values.seed))
    : await manySeeds();
process.exitCode = isGood ? 0 : 1;
