/**
 * `simulate`: a pair of whole servers runs an author's application in a simulated world, seed after seed, while things go wrong. What
 * always holds: everything follows from the seed, as far as the application does; what a client was told is held against the log, and
 * against the author's model; a seed that fails is made small and told as a story.
 */
import type { ApplicationDefinition } from "../application/contract.ts";
import type { Application } from "../application/define.ts";
import { faultNames } from "./simulation/faults.ts";
import { modelOf } from "./simulation/model.ts";
import { runSeed, type SeedReport, type SeedTask } from "./simulation/seed.ts";
import { shrink } from "./simulation/shrink.ts";
import {
  type SimulatedFault,
  SimulationFailed,
  type SimulationOptions,
  type SimulationReport,
} from "./simulation/types.ts";

const usual = { seeds: 20, clients: 3, requests: 40 };

/** Throws a ZodError where a limit is none, and a SimulationFailed at the first seed that fails. */
export async function runSimulation<Body, Parsed, Result>(
  application: ApplicationDefinition,
  options: SimulationOptions<Body, Parsed, Result>,
): Promise<SimulationReport> {
  const { seeds = usual.seeds, clients = usual.clients, requests = usual.requests, faults = faultNames } = options;
  const sum = { seeds: 0, requests: 0, acknowledged: 0, duplicates: 0, faults: 0, takeovers: 0 };
  const task: Omit<SeedTask, "seed" | "only"> = {
    application: application as Application,
    options: options as SimulationOptions<unknown, unknown, unknown>,
    makeModel: () => modelOf(application as Application, options.model?.() as never),
    clients,
    requests,
    faults,
  };
  for (const seed of typeof seeds === "number" ? Array.from({ length: seeds }, (_, at) => at + 1) : seeds) {
    const report = await runSeed({ ...task, seed });
    sum.seeds += 1;
    sum.requests += report.check.requests;
    sum.acknowledged += report.check.acknowledged;
    sum.duplicates += report.check.duplicates;
    sum.faults += report.occurrences.length;
    sum.takeovers += report.takeovers;
    if (report.violations.length > 0) throw await failureOf(report, { ...task, seed });
  }
  return sum;
}

async function failureOf(failed: SeedReport, task: SeedTask): Promise<SimulationFailed> {
  const again = await runSeed(task);
  const isSame = again.trace === failed.trace;
  const { report, runs } = isSame ? await shrink(failed, task) : { report: failed, runs: 0 };
  const [first] = report.violations;
  const told: SimulatedFault[] = report.occurrences.map(({ kind }) => kind);
  const small = `made small in ${runs} runs: ${told.length} of ${failed.occurrences.length} faults (${told.join(", ") || "none"}), ${report.check.requests} of ${failed.check.requests} requests`;
  const unlike =
    "run again it went another way: the application does not follow from its requests alone (a clock or chance in a schema, a key or a view, or a handler that waits for the real world)";
  const lines = [
    `seed ${task.seed}: ${first?.of}: ${first?.text.split("\n", 1)[0]}`,
    isSame ? small : unlike,
    "",
    report.story,
    "",
    `to see it again: simulate(…, { …, seeds: [${task.seed}] })`,
  ];
  return new SimulationFailed(lines.join("\n"), task.seed, first?.of ?? "", report.story);
}
