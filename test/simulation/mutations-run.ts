/** `npm run simulate -- --mutations`: each rule broken by name until a run finds it out, and the table of that. */
import { mutations } from "./mutations.ts";
import { onWorkers } from "./worker-pool.ts";

const mutationBudget = 100;

/** Each mutation until its first violation; the table goes into ARCHITECTURE.md. */
export async function allMutations(options: {
  seeds: string | undefined;
  only: string | undefined;
  workers: number | undefined;
}): Promise<boolean> {
  const budget = Number(options.seeds ?? mutationBudget);
  const chosen = mutations.filter(({ name }) => options.only === undefined || name === options.only);
  let isFound = true;
  console.log("| rule | broken | found |\n|---|---|---|");
  for (const { name, rule, asserted } of chosen) {
    let seed = 0;
    let firstFound: { seed: number; text: string } | null = null;
    await onWorkers(
      options.workers,
      () => {
        if (firstFound !== null || seed >= budget) return null;
        seed += 1;
        return { seed, faults: undefined, twice: false, mutation: name };
      },
      (task, { violations }) => {
        const [first] = violations;
        if (first !== undefined && (firstFound === null || task.seed < firstFound.seed))
          firstFound = { seed: task.seed, text: `${first.of}: ${first.text}` };
      },
    );
    const found = firstFound as { seed: number; text: string } | null;
    isFound &&= found !== null || asserted !== undefined;
    const unseen = asserted === undefined ? `**not in ${budget} seeds**` : `not in ${budget} seeds; test: ${asserted}`;
    const text = found === null ? unseen : `after ${found.seed} seeds: ${found.text.slice(0, 90).replaceAll("|", "/")}`;
    console.log(`| ${rule} | ${name} | ${text} |`);
  }
  return isFound;
}
