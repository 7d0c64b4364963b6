/**
 * Makes a seed that fails small: fewer faults, by halves and then one by one, then fewer clients and requests, as long as the same thing
 * does not hold. What always holds: what comes of it was run, and failed so; no more than so many runs are spent on it.
 */
import { runSeed, type SeedReport, type SeedTask } from "./seed.ts";

const maxRuns = 60;

export interface Shrunk {
  readonly report: SeedReport;
  readonly runs: number;
}

export async function shrink(failed: SeedReport, task: SeedTask): Promise<Shrunk> {
  const what = failed.violations[0]?.of;
  let smallest: SeedTask & { readonly only: readonly number[] } = {
    ...task,
    only: failed.occurrences.map(({ number }) => number),
  };
  let report = failed;
  let runs = 0;
  const fails = async (
    smaller: Partial<Pick<SeedTask, "clients" | "requests">> & { readonly only?: readonly number[] },
  ): Promise<boolean> => {
    if (runs >= maxRuns) return false;
    runs += 1;
    const tried = await runSeed({ ...smallest, ...smaller });
    if (tried.violations[0]?.of !== what) return false;
    smallest = { ...smallest, ...smaller };
    report = tried;
    return true;
  };
  if (!(await fails({ only: [] }))) {
    for (let size = Math.ceil(smallest.only.length / 2); size >= 1; size = size > 1 ? Math.ceil(size / 2) : 0)
      for (let end = smallest.only.length; end > 0; end -= size)
        await fails({ only: [...smallest.only.slice(0, Math.max(0, end - size)), ...smallest.only.slice(end)] });
  }
  for (const clients of [1, 2]) if (clients < smallest.clients && (await fails({ clients }))) break;
  for (const requests of [1, 2, 4, 8, 16]) if (requests < smallest.requests && (await fails({ requests }))) break;
  return { report, runs };
}
