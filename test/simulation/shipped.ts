/** What the simulator runs: the servers that ship, composed with simulated worlds, with one rule broken where asked. */
import { mutations } from "./mutations.ts";
import { runSeed, type SeedOptions, type SeedReport } from "./seed-run.ts";
import { startToy } from "./toy-server.ts";

export async function runShipped(
  seed: number,
  task: { faults: readonly string[] | undefined; mutation: string | undefined },
): Promise<SeedReport> {
  const mutation = mutations.find(({ name }) => name === task.mutation);
  if (task.mutation !== undefined && mutation === undefined) throw new Error(`no mutation is called ${task.mutation}`);
  const options: SeedOptions = {
    makeStart: (_, workload) => startToy(workload),
    init: () => undefined,
    ...(task.faults === undefined ? {} : { fixed: { faults: task.faults } }),
  };
  return await runSeed(seed, options);
}
