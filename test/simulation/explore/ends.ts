/**
 * Whether every server of the small world that was told to stop comes to its end, once whatever is ordinary happens and
 * nothing else does: no fault, nobody who asks, and nothing more that the dead had asked of the registry. What always holds:
 * the world that is asked about is not changed; a state that is known to come to an end is not followed again.
 */
import { ExplorationError } from "./checks.ts";
import { settle } from "./start.ts";
import type { SmallWorld } from "./world.ts";

export class Ends {
  readonly #known = new Set<string>();

  check(world: SmallWorld): void {
    if (!isAnyStopping(world)) return;
    const passed: string[] = [];
    const then = world.clone();
    try {
      settle(then, (facts) => {
        if (this.#known.has(facts)) return true;
        passed.push(facts);
        return !isAnyStopping(then);
      });
    } catch {
      // What is violated on this way the exploration comes to by itself, and tells the whole way.
      return;
    }
    if (isAnyStopping(then) && !this.#known.has(String(then.facts))) throw new ExplorationError(whoStays(then));
    for (const facts of passed) this.#known.add(facts);
  }
}

function isAnyStopping({ servers }: SmallWorld): boolean {
  return servers.some(({ replica }) => replica?.stopping);
}

function whoStays({ servers }: SmallWorld): string {
  const staying = servers.flatMap(({ replica }) => (replica?.stopping ? [replica] : []));
  const texts = staying.map(({ self, state, waitingFor }) => `${self} (${state}) waits for ${waitingFor || "nothing"}`);
  return `clean stop: told to stop, and without an end: ${texts.join(", ")}`;
}
