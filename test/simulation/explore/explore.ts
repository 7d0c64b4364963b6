/**
 * Explores the replica alone: from two (or three) servers in normal mode, every order of messages, disk jobs, answers of the
 * registry, crashes and silences within bounds, to the end or to a limit. What always holds: states with equal facts
 * (world.ts) are visited once; from each, servers that were told to stop come to their end (ends.ts); the path to a violation is the shortest when the breadth is explored first.
 */
import { type Rules, shippedRules } from "../../../machines/replica/rules.ts";
import { type Bounds, noBounds } from "./bounds.ts";
import { Ends } from "./ends.ts";
import { Scope } from "./scope.ts";
import { letsGo } from "./stale.ts";
import { startOf } from "./start.ts";
import { Visited } from "./visited.ts";
import { inWords } from "./words.ts";
import type { SmallWorld } from "./world.ts";

export interface ExploreOptions {
  /** Broken ones, in force from normal mode on. */
  readonly rules?: Partial<Rules>;
  readonly maxStates?: number;
  readonly maxDepth?: number;
  readonly maxMs?: number;
  /** "breadth" (default): the shortest path to a violation. "depth": far less memory, and longer paths. */
  readonly first?: "breadth" | "depth";
  /** False: what an input makes of a server is worked out anew each time (default: once). */
  readonly remembers?: boolean;
  /** False: messages that can have no effect any more are kept all the same (default: let go, see stale.ts). */
  readonly forgets?: boolean;
  /** Called for each state. */
  readonly onState?: (world: SmallWorld) => void;
}

export interface Exploration {
  readonly states: number;
  /** Choices that were taken. */
  readonly steps: number;
  /** Of the longest path, in choices. */
  readonly depth: number;
  /** Nothing was left out. */
  readonly isComplete: boolean;
  /** `path`: what happened, in words. */
  readonly violation: {
    readonly text: string;
    readonly path: readonly string[];
    readonly choices: readonly string[];
  } | null;
}

interface Path {
  readonly choice: string;
  readonly before: Path | null;
  readonly length: number;
}

interface Reached {
  readonly world: SmallWorld;
  readonly path: Path | null;
}

function choicesTo(path: Path | null): string[] {
  const choices: string[] = [];
  for (let at = path; at !== null; at = at.before) choices.unshift(at.choice);
  return choices;
}

export function explore(bounds: Partial<Bounds> & Pick<Bounds, "servers">, options: ExploreOptions = {}): Exploration {
  const { maxStates = Number.POSITIVE_INFINITY, maxDepth = Number.POSITIVE_INFINITY, first = "breadth" } = options;
  const untilMs = performance.now() + (options.maxMs ?? Number.POSITIVE_INFINITY);
  // No two have one name in the small world, and beats, by which that is proved, are not told apart there.
  const rules = { ...shippedRules, countsAsPresent: () => true };
  const { remembers = true, forgets = letsGo(options.rules) } = options;
  const scope = new Scope({ ...noBounds, ...bounds }, rules, forgets, remembers);
  const start = startOf(scope);
  Object.assign(rules, options.rules);
  scope.states.forget();
  const visited = new Visited(start.facts.length);
  visited.add(start.facts);
  options.onState?.(start);
  const ends = new Ends();
  let open: Reached[] = [{ world: start, path: null }];
  let next: Reached[] = first === "breadth" ? [] : open;
  let steps = 0;
  let depth = 0;
  let isComplete = true;
  const end = (violation: Exploration["violation"] = null): Exploration => ({
    states: visited.count,
    steps,
    depth,
    isComplete: isComplete && violation === null,
    violation,
  });
  for (;;) {
    const reached = open.pop();
    if (reached === undefined) {
      if (next.length === 0) return end();
      open = next.reverse();
      next = [];
      continue;
    }
    const { world, path } = reached;
    const length = (path?.length ?? 0) + 1;
    if (length > maxDepth) {
      isComplete = false;
      continue;
    }
    for (const choice of world.choices()) {
      const longer: Path = { choice, before: path, length };
      const then = world.clone();
      steps += 1;
      let isNew = false;
      try {
        then.take(choice);
        isNew = visited.add(then.facts);
        if (isNew) ends.check(then);
      } catch (error) {
        const choices = choicesTo(longer);
        return end({ text: (error as Error).message, path: inWords(start, choices), choices });
      }
      if (!isNew) continue;
      depth = Math.max(depth, length);
      options.onState?.(then);
      next.push({ world: then, path: longer });
    }
    if (visited.count >= maxStates || performance.now() > untilMs) {
      isComplete = open.length + next.length === 0;
      return end();
    }
  }
}
