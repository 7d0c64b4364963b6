/**
 * Whoever looks after the registry of a simulated service: where its record is gone or an older one is there, it is put back as
 * `twinlog init --restore` does it, by what all servers say. What always holds: it decides nothing that the command does not.
 */

import type { SimWorld } from "../../../actors/testing/world/sim-world.ts";
import { type Restoration, restoration } from "../../../machines/replica/registry/restoration.ts";
import type { Rules } from "../../../machines/replica/rules.ts";
import type { Moments } from "../judge/moments.ts";
import type { Cluster } from "./cluster.ts";

const againMs = 300;
/** An operator is no faster than that, and a server's own look at the registry is over by then. */
const lookEveryMs = 5_000;

export class RegistryOperator {
  readonly #sim: SimWorld;
  readonly #cluster: Cluster;
  readonly #moments: Moments;
  readonly #rules: Rules;
  #count = 0;

  constructor(sim: SimWorld, cluster: Cluster, moments: Moments, rules: Rules) {
    this.#sim = sim;
    this.#cluster = cluster;
    this.#moments = moments;
    this.#rules = rules;
  }

  /** Asks all who answer, once, and writes what follows from it. */
  restore(): Restoration {
    const { registry, options } = this.#sim;
    const standings = this.#cluster.standings();
    this.#count += 1;
    const made = restoration({
      service: options.service,
      standings,
      silent: options.servers.filter((name) => !standings.some(({ server }) => server === name)),
      present: registry.current?.record ?? null,
      acceptsLoss: false,
      writeId: `restore.${this.#count}`,
      history: `restored${this.#count}`,
      rules: this.#rules,
    });
    if (made.outcome !== "write") return made;
    this.#sim.tell("operator", `the registry is ${made.says}`);
    this.#moments.count("registry restored");
    let version = registry.write(made.record);
    while (made.taken.includes(version.revision)) version = registry.write(made.record);
    this.#sim.onRegistryWritten(version, "operator", false);
    return made;
  }

  /** From now on: where a server says that the registry went wrong, it is put right; a late compare-and-set may bring that about again. */
  lookAfter(): void {
    if (this.#cluster.standings().some(({ frozen }) => frozen !== "")) this.restore();
    this.#sim.scheduler.after(lookEveryMs, null, "operator", () => this.lookAfter());
  }

  /** Until nothing is left to do. */
  keepRestoring(): void {
    if (this.restore().outcome === "unneeded") return;
    this.#sim.scheduler.after(againMs, null, "operator", () => this.keepRestoring());
  }
}
