/**
 * `npm run simulate -- --mutations`: each rule broken by name until a run finds it out, and the table of that. Each seed
 * that found one is run again with the rules that ship, which must find nothing: what is found is the broken rule. A
 * mutation with a scope is looked for in the small world instead, and there what ships is explored further than it was.
 */
import { type ExploreOptions, explore } from "../explore/explore.ts";
import { type Mutation, mutations } from "../mutations/mutations.ts";
import type { SeedResult, WorkerTask } from "./worker.ts";
import { onWorkers } from "./worker-pool.ts";

/** Seeds that a mutation may take. */
const budget = 60;
/** States that a mutation may take in its scope; what ships is explored to so many times what was needed. */
const maxStates = 20_000;
const controlTimes = 4;

export interface MutationOptions {
  readonly seeds: string | undefined;
  readonly only: string | undefined;
  readonly workers: number | undefined;
}

interface Search {
  readonly mutation: Mutation;
  given: number;
  /** `after`: as many states of its scope, or seeds. */
  found: { readonly after: number; readonly of: string; readonly text: string } | null;
  /** What the shipped rules did in the plan and the seed in which it was found: "" is nothing. */
  control: string | null;
}

class Searches {
  readonly all: readonly Search[];
  readonly #seeds: number;
  readonly #controls: Search[] = [];
  /** What whole servers are run for. */
  readonly #inSeeds: readonly Search[];

  constructor(chosen: readonly Mutation[], seeds: number) {
    this.all = chosen.map((mutation) => ({ mutation, given: 0, found: null, control: null }));
    this.#inSeeds = this.all.filter(({ mutation }) => mutation.scope === undefined);
    this.#seeds = seeds;
  }

  exploreScopes(): void {
    for (const search of this.all) {
      const { scope, rules = {} } = search.mutation;
      if (scope === undefined) continue;
      const look = (options: ExploreOptions) => explore(scope, options);
      const { violation, states } = look({ rules, maxStates });
      search.given = states;
      if (violation === null) continue;
      const [of = "", ...text] = violation.text.split(": ");
      this.#onFound(search, { after: states, of, text: text.join(": ") });
      search.control = look({ maxStates: controlTimes * states }).violation?.text ?? "";
    }
  }

  #onFound(search: Search, found: NonNullable<Search["found"]>): void {
    search.found = found;
    const { after, of, text } = found;
    console.log(
      `  ${search.mutation.name}: ${search.mutation.scope ? "state" : "seed"} ${after}: ${of}: ${text.slice(0, 160)}`,
    );
  }

  next(): WorkerTask | null {
    const same = { faults: undefined, twice: false };
    const control = this.#controls.shift();
    if (control?.found) return { ...same, seed: control.found.after, mutation: control.mutation.name, isControl: true };
    const search = this.#inSeeds.find(({ found, given }) => found === null && given < this.#seeds);
    if (search === undefined) return null;
    search.given += 1;
    return { ...same, seed: search.given, mutation: search.mutation.name };
  }

  onResult(task: WorkerTask, { violations }: SeedResult): void {
    const search = this.all.find(({ mutation }) => mutation.name === task.mutation) as Search;
    const [first] = violations;
    if (task.isControl === true) search.control = first === undefined ? "" : `${first.of}: ${first.text}`;
    else if (first !== undefined && search.found === null) {
      this.#onFound(search, { after: task.seed, ...first });
      this.#controls.push(search);
    }
  }
}

function row({ mutation, found, control, given }: Search): string {
  const unit = mutation.scope === undefined ? "seed" : "state";
  const text =
    found === null
      ? `**not in ${given} ${unit}s**`
      : `after ${found.after} ${unit}${found.after === 1 ? "" : "s"} (${found.of})`;
  const isClean = control === null || control === "";
  return `| ${mutation.rule} | ${mutation.name} | ${text}${isClean ? "" : `, **and so is what ships: ${control}**`} |`;
}

/** True: every mutation was found, and what ships was not. */
export async function allMutations({ seeds, only, workers }: MutationOptions): Promise<boolean> {
  const chosen = mutations.filter(({ name, rule }) => only === undefined || name.includes(only) || rule === only);
  const searches = new Searches(chosen, Number(seeds ?? budget));
  const startedMs = performance.now();
  searches.exploreScopes();
  await onWorkers(
    workers,
    () => searches.next(),
    (task, result) => searches.onResult(task, result),
  );
  const found = searches.all.filter((search) => search.found !== null);
  const runs = searches.all.reduce((sum, { mutation, given }) => sum + (mutation.scope === undefined ? given : 0), 0);
  console.log("\n| rule | broken | found |\n|---|---|---|");
  for (const search of searches.all) console.log(row(search));
  const minutes = ((performance.now() - startedMs) / 60_000).toFixed(1);
  const unclean = found.filter(({ control }) => control !== "").length;
  const controls = unclean === 0 ? "what ships is clean in each" : `WHAT SHIPS IS NOT CLEAN IN ${unclean} OF THEM`;
  console.log(
    `\n${found.length} of ${searches.all.length} mutations found, ${controls}; ${runs} seeds in ${minutes} minutes`,
  );
  return found.every(({ control }) => control === "") && found.length === searches.all.length;
}
