/**
 * `npm run simulate -- --explore`: every scope, one after another, a table of what was explored, and a line of
 * totals. What always holds: a scope that did not end in its time says so, and counts as a failure as a violation does.
 */
import { type Exploration, explore } from "../explore/explore.ts";
import { type ExploredScope, scopes } from "../explore/scopes.ts";

interface Explored extends Exploration {
  /** Of one core. */
  readonly seconds: number;
}

/** True if every scope ended and nothing was violated. `minutes`: at most so many for each scope. */
export function runExploration(minutes: number): boolean {
  const startedMs = performance.now();
  const all: Explored[] = [];
  console.log("| scope | servers | states | steps | longest path | seconds |\n|---|---|---|---|---|---|");
  for (const scope of scopes) {
    const one = exploreScope(scope, minutes);
    const { states, steps, depth, seconds, isComplete, violation } = one;
    const end = isComplete || violation !== null ? "" : " **did not end**";
    const figures = [states, steps, depth, seconds.toFixed(1)].join(" | ");
    console.log(`| ${scope.name}${end} | ${scope.bounds.servers.length} | ${figures} |`);
    if (violation !== null) tellViolation(scope, violation, minutes);
    all.push(one);
  }
  console.log(`\n${total(all)}, ${((performance.now() - startedMs) / 60_000).toFixed(1)} minutes by the clock`);
  return all.every(({ isComplete }) => isComplete);
}

/** Depth first: then only the states themselves need memory, not those that are still to be gone on from. */
function exploreScope({ bounds }: ExploredScope, minutes: number): Explored {
  const before = process.cpuUsage();
  const explored = explore(bounds, { first: "depth", maxMs: minutes * 60_000 });
  const { user, system } = process.cpuUsage(before);
  return { ...explored, seconds: (user + system) / 1e6 };
}

/** By the shortest path that leads to one, if that is found in time. */
function tellViolation({ bounds }: ExploredScope, long: Violation, minutes: number): void {
  const { text, path } = explore(bounds, { first: "breadth", maxMs: minutes * 60_000 }).violation ?? long;
  console.log(`\nVIOLATION: ${text}\n${path.map((line) => `  ${line}`).join("\n")}\n`);
}
type Violation = NonNullable<Exploration["violation"]>;

function total(all: readonly Explored[]): string {
  const sum = (of: (one: Explored) => number) => all.reduce((before, one) => before + of(one), 0);
  const violated = sum(({ violation }) => Number(violation !== null));
  const open = sum(({ isComplete, violation }) => Number(!isComplete && violation === null));
  const verdict = violated + open === 0 ? "all to the end, no violation" : `${violated} violated, ${open} did not end`;
  const figures = `${sum(({ states }) => states)} states, ${sum(({ steps }) => steps)} steps`;
  const longest = Math.max(...all.map(({ depth }) => depth));
  const minutes = sum(({ seconds }) => seconds) / 60;
  return `${all.length} scopes, ${verdict}: ${figures}, longest path ${longest}, ${minutes.toFixed(1)} minutes of one core`;
}
