/**
 * `npm run simulate`: seeds on all cores, the checker on each, and at the end the figures.
 *
 *   --seed N        one seed; when it fails it is shrunk, and its story ends with the command that shows that again
 *   --only A,B      with --seed: these faults by their numbers, or none; and so --clients, --requests (of each client),
 *                   --servers, --fault-ms and --no-stops: what is left of a seed that was shrunk
 *   --whole         with --seed: not shrunk, every line of its story
 *   --history FILE  with --seed: writes the recorded history, one event a line
 *   --seeds N       so many seeds, from --from (default 1)
 *   --minutes M     as many seeds as fit, with a line a minute and each failing seed as it comes; an interrupt (Ctrl-C) ends
 *                   it with the figures so far, and does not end well; the last third is spent
 *                   on moments that were not met
 *   --ci            the seeds to keep, then as many as fit into 60 s, and more while a moment was not met
 *   --mutations     each rule broken by name until a violation is found, or its budget is over
 *   --mutation NAME one of them, with --seed for its story; with --mutations: those whose names have this in them
 *   --explore       the replica alone, small scopes to their end, each for at most --minutes (default 20)
 *   --faults A,B    these kinds of faults only
 *   --aim MOMENT    plans made for that moment to come
 *   --workers N     processes, one a core unless told
 *
 * Exit status 0 only if no seed and no scope violated anything, every scope ended, seeds gave the same trace again, in a row and in another process,
 * and (with --ci, or --minutes without --faults, --mutation and --aim) every moment was met, and (with --mutations) every mutation was found.
 */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { serverNames } from "../service/seed-plan.ts";
import { allMutations } from "./all-mutations.ts";
import { runExploration } from "./all-scopes.ts";
import { shrinkAndTell, tellSeed } from "./failing-seed.ts";
import { manySeeds } from "./many-seeds.ts";
import { seedsToKeep } from "./seeds.ts";
import { runShipped } from "./shipped.ts";
import type { Remainder } from "./shrink.ts";

const defaultSeeds = 200;
const ciMinutes = 1;
/** Many times what a scope takes. */
const maxScopeMinutes = 20;
/** Only so many seeds are spent on moments that were not met in time. */
const moreCiSeeds = 700;

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    only: { type: "string" },
    clients: { type: "string" },
    requests: { type: "string" },
    servers: { type: "string" },
    "fault-ms": { type: "string" },
    "no-stops": { type: "boolean" },
    whole: { type: "boolean" },
    seeds: { type: "string" },
    from: { type: "string" },
    minutes: { type: "string" },
    ci: { type: "boolean" },
    explore: { type: "boolean" },
    mutations: { type: "boolean" },
    mutation: { type: "string" },
    faults: { type: "string" },
    aim: { type: "string" },
    history: { type: "string" },
    workers: { type: "string" },
  },
});

function number(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (Number.isNaN(value)) throw new Error(`${text} is no number`);
  return value;
}

const workers = number(values.workers);
const faults = values.faults?.split(",").filter((name) => name !== "");
const task = { faults, mutation: values.mutation, aim: values.aim, keepsHistory: values.history !== undefined };

/** What the command line leaves of a seed; null: all of it. */
function remainderGiven(): Remainder | null {
  const { only, clients, requests, servers } = values;
  const faultMs = values["fault-ms"];
  const remainder: Remainder = {
    ...(only === undefined ? {} : { only: only === "none" ? [] : only.split(",").map(Number) }),
    ...(clients === undefined ? {} : { clients: Number(clients) }),
    ...(requests === undefined ? {} : { requests: Number(requests) }),
    ...(servers === undefined ? {} : { servers: serverNames.slice(0, Number(servers)) }),
    ...(faultMs === undefined ? {} : { faultMs: Number(faultMs) }),
    ...(values["no-stops"] === true ? { stopsAtEnd: false } : {}),
  };
  return Object.keys(remainder).length === 0 ? null : remainder;
}

async function oneSeed(seed: number): Promise<boolean> {
  const remainder = remainderGiven();
  const whole = values.whole ?? false;
  const one = remainder === null ? task : { ...task, remainder };
  const report = await runShipped(seed, one);
  const again = await runShipped(seed, one);
  const failed = report.violations.length > 0;
  if (failed && remainder === null && !whole) await shrinkAndTell(report, one);
  else tellSeed(report, one, whole);
  if (values.history !== undefined) writeFileSync(values.history, `${report.history}\n`);
  if (again.traceHash !== report.traceHash)
    console.log(`NOT DETERMINISTIC: ${report.traceHash}, then ${again.traceHash}`);
  return !failed && again.traceHash === report.traceHash;
}

async function seeds(): Promise<boolean> {
  const isCi = values.ci ?? false;
  const minutes = isCi ? ciMinutes : (number(values.minutes) ?? null);
  return await manySeeds({
    from: number(values.from) ?? 1,
    seeds: minutes === null ? (number(values.seeds) ?? defaultSeeds) : null,
    minutes,
    kept: isCi ? seedsToKeep.map(({ seed }) => seed) : [],
    // Of kinds of faults that were asked for, not every moment comes.
    mustMeetAll: minutes !== null && faults === undefined && values.mutation === undefined && values.aim === undefined,
    moreSeeds: isCi ? moreCiSeeds : 0,
    task,
    workers,
  });
}

const isGood = values.explore
  ? runExploration(number(values.minutes) ?? maxScopeMinutes)
  : values.mutations
    ? await allMutations({ seeds: values.seeds, only: values.mutation, workers })
    : values.seed === undefined
      ? await seeds()
      : await oneSeed(Number(values.seed));
process.exitCode = isGood ? 0 : 1;
