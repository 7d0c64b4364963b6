/**
 * One seed, told to a person: what was there, what happened, what did not hold, and the one command that shows it again.
 * A failing seed is shrunk first.
 */

import { wholeStory } from "../../../actors/testing/world/story.ts";
import type { SeedReport } from "./seed-run.ts";
import { runShipped, type SeedTask } from "./shipped.ts";
import { shrink } from "./shrink.ts";

/** How long a failing seed may be made smaller. */
const shrinkBudgetMs = 30_000;
const maxViolationsTold = 3;

/** What did not hold, in the words of PROTOCOL.md. */
const meanings: Readonly<Record<string, string>> = {
  "invariant 1": "one primary makes the records of an epoch, and a reply names the epoch of its record",
  "invariant 2": "what is acknowledged is held by every in-sync member, or is on the disk of the only one",
  "invariant 3": "of any two committed logs one is a prefix of the other",
  "invariant 4": "who goes hot holds every record that was acknowledged before: nothing acknowledged is lost",
  "invariant 5": "at the same sequence all servers have the same tables and queues",
  "invariant 6": "a request has one answer, the same for every copy",
  "invariant 7": "nothing leaves above the commit point",
  "invariant 8": "the epoch that a server accepted never falls",
  "invariant 9": "results come once each, in order, with no number missing",
  "invariant 10": "after the faults the system serves again",
  "rule 5": "a read or a refusal knows everything that was acknowledged before it was asked for",
  "rule 11": "a request runs after the one that it names",
  "rule 12": "an id that comes again with another body is refused",
  "rule 16": "a transaction that was done is not done again",
  "clean stop": "a server exits only when nobody counts on its memory",
  assertion: "a server stopped because one of its own checks failed, or died of an error",
  checker: "the log, run again through a plain model, gives the answers that clients got",
  determinism: "the same seed gives the same trace",
};

export function replayCommand(seed: number, { mutation, faults, aim, remainder }: SeedTask): string {
  const given = [
    ["mutation", mutation === undefined ? undefined : `"${mutation}"`],
    ["faults", faults?.join(",")],
    ["aim", aim === undefined ? undefined : `"${aim}"`],
    ["only", remainder?.only === undefined ? undefined : remainder.only.join(",") || "none"],
    ["servers", remainder?.servers?.length],
    ["clients", remainder?.clients],
    ["requests", remainder?.requests],
    ["fault-ms", remainder?.faultMs],
  ] as const;
  const words = given.flatMap(([name, value]) => (value === undefined ? [] : [`--${name} ${value}`]));
  if (remainder?.stopsAtEnd === false) words.push("--no-stops");
  return ["npm run simulate --", `--seed ${seed}`, ...words].join(" ");
}

export function tellSeed(report: SeedReport, task: SeedTask, whole = false): void {
  const { plan, check } = report;
  const { servers, workload, clients, heartbeatMs, suspicionMs, confirm, faultClass } = plan;
  console.log(
    `seed ${report.seed}: servers ${servers.join(", ")}; ${workload}; ${clients} client${clients === 1 ? "" : "s"}; heartbeat ${heartbeatMs} ms, suspicion ${suspicionMs} ms; confirm level ${confirm}; faults ${faultClass === "registry" ? "of the registry" : `${faultClass} the promise`}`,
  );
  if (task.mutation !== undefined) console.log(`broken on purpose: ${task.mutation}`);
  const faults = report.occurrences.map(({ number, kind }) => `f${number} ${kind}`);
  console.log(
    `faults: ${whole || faults.length < 12 ? faults.join(", ") : `${faults.length}, of ${report.faults.join(", ")}`}\n`,
  );
  console.log(`${whole ? wholeStory(report.lines) : report.story}\n`);
  for (const of of new Set(report.violations.map((violation) => violation.of)))
    console.log(`did not hold: ${of}${meanings[of] === undefined ? "" : ` (${meanings[of]})`}`);
  for (const { text } of report.violations.slice(0, maxViolationsTold)) console.log(`  ${text}`);
  if (report.violations.length > maxViolationsTold)
    console.log(`  and ${report.violations.length - maxViolationsTold} more`);
  console.log(
    `${check.requests} requests: ${check.acknowledged} acknowledged, ${check.refused} refused, ${check.unknown} unknown; ${check.committed} records; lost ${check.lost}, done twice ${check.doubled}`,
  );
  console.log(
    `trace ${report.traceHash}, ${report.events} events, ${(report.virtualMs / 1000).toFixed(1)} s of virtual time`,
  );
}

/** Makes it small, tells its story, and says how to see it again. */
export async function shrinkAndTell(failed: SeedReport, task: SeedTask): Promise<void> {
  const { remainder, report, runs } = await shrink(failed, {
    run: (rest) => runShipped(failed.seed, { ...task, remainder: rest }),
    budgetMs: shrinkBudgetMs,
    nowMs: () => performance.now(),
  });
  const { occurrences, check } = failed;
  console.log(
    `shrunk in ${runs} runs: ${report.occurrences.length} of ${occurrences.length} faults, ${report.check.requests} of ${check.requests} requests`,
  );
  const shrunk = { ...task, remainder };
  tellSeed(report, shrunk);
  console.log(`to see it again:\n  ${replayCommand(failed.seed, shrunk)}`);
}
