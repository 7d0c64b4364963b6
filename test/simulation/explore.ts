/**
 * Explores the replica alone, breadth first: from two (or three) servers in normal mode, every order of messages, syncs,
 * answers of the registry, crashes and silences within bounds, to a depth or to the end. A state is told again by the
 * choices that led to it; states that look alike are visited once.
 */
import { createHash } from "node:crypto";
import { type Rules, shippedRules } from "../../machines/replica/rules.ts";
import { type Bounds, ExplorationError, SmallWorld } from "./explore-world.ts";

export interface Exploration {
  readonly states: number;
  readonly depth: number;
  /** Nothing was left out but for the depth. */
  readonly isComplete: boolean;
  readonly violation: { readonly text: string; readonly path: readonly string[] } | null;
}

/** Choices that bring a world to normal mode: whatever is ordinary, first come first served. */
function toNormal(bounds: Bounds, rules: Rules): string[] {
  const world = new SmallWorld(
    { ...bounds, requests: 0, crashes: 0, silences: 0, timeouts: 0, repeats: 0, ticks: 1e9 },
    rules,
  );
  const path: string[] = [];
  while (!world.isNormal) {
    if (path.length > 400)
      throw new Error(`the small world does not come to normal mode: ${path.slice(-20).join(", ")}`);
    const choices = world.choices();
    const ticked = path.filter((one) => one.startsWith("tick")).length;
    const tick = `tick ${bounds.servers[ticked % bounds.servers.length]}`;
    const choice = choices.find((one) => !one.startsWith("tick")) ?? tick;
    world.take(choice);
    path.push(choice);
  }
  return path;
}

function tell(bounds: Bounds, rules: Rules, start: readonly string[], path: readonly string[]): SmallWorld {
  const ticks = start.filter((choice) => choice.startsWith("tick")).length;
  const world = new SmallWorld({ ...bounds, ticks: bounds.ticks + ticks }, rules);
  for (const choice of start) world.take(choice);
  for (const choice of path) world.take(choice);
  return world;
}

export function explore(
  bounds: Bounds,
  options: { maxStates: number; maxDepth: number; rules?: Partial<Rules> },
): Exploration {
  const rules = { ...shippedRules, ...options.rules };
  const start = toNormal(bounds, shippedRules);
  const seen = new Set<string>();
  const first = tell(bounds, rules, start, []);
  let level: Visited[] = [{ path: [], choices: first.choices() }];
  let depth = 0;
  while (level.length > 0 && depth < options.maxDepth) {
    const next: Visited[] = [];
    depth += 1;
    for (const { path, choices } of level) {
      for (const choice of choices) {
        const longer = [...path, choice];
        try {
          const world = tell(bounds, rules, start, longer);
          const print = createHash("sha1").update(world.fingerprint()).digest("base64");
          if (seen.has(print)) continue;
          seen.add(print);
          next.push({ path: longer, choices: world.choices() });
        } catch (error) {
          if (!(error instanceof ExplorationError)) throw error;
          return { states: seen.size, depth, isComplete: false, violation: { text: error.message, path: longer } };
        }
        if (seen.size >= options.maxStates) return { states: seen.size, depth, isComplete: false, violation: null };
      }
    }
    level = next;
  }
  return { states: seen.size, depth, isComplete: level.length === 0, violation: null };
}

interface Visited {
  readonly path: readonly string[];
  readonly choices: readonly string[];
}
