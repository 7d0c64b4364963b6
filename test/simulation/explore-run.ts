/**
 * `npm run simulate -- --explore`: every scope, one after another, and a table of what was explored, of which
 * ARCHITECTURE.md shows one. What always holds: a scope that did not end in its time says so.
 */
import { explore } from "./explore.ts";
import { scopes } from "./explore-scopes.ts";

/** True if nothing was violated. `minutes`: at most so many for each scope. */
export function runExploration(minutes: number): boolean {
  let isGood = true;
  console.log("| scope | servers | states | steps | to the end | seconds |\n|---|---|---|---|---|---|");
  for (const { name, bounds } of scopes) {
    const startedMs = performance.now();
    const { states, steps, isComplete, violation } = explore(bounds, { first: "depth", maxMs: minutes * 60_000 });
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(0);
    const end = isComplete ? "yes" : "**no**";
    console.log(`| ${name} | ${bounds.servers.length} | ${states} | ${steps} | ${end} | ${seconds} |`);
    if (violation === null) continue;
    isGood = false;
    console.log(`\nVIOLATION: ${violation.text}\n${violation.path.map((line) => `  ${line}`).join("\n")}\n`);
  }
  return isGood;
}
