/**
 * Makes a failing run small: fewer occurrences of faults (delta debugging), then fewer clients, requests and servers, and
 * a shorter fault phase, as long as the same thing goes wrong. What always holds: what comes out was run and failed so;
 * the budget ends the search, never the run that is under way.
 */
import type { SeedPlan } from "../service/seed-plan.ts";
import type { SeedReport } from "./seed-run.ts";

/** What is left of a seed's plan. */
export type Remainder = Partial<Pick<SeedPlan, "only" | "clients" | "requests" | "servers" | "faultMs" | "stopsAtEnd">>;

export interface ShrinkOptions {
  /** Runs the seed with this rest of its plan. */
  readonly run: (remainder: Remainder) => Promise<SeedReport>;
  readonly budgetMs: number;
  readonly nowMs: () => number;
}

interface Shrunk {
  readonly remainder: Remainder;
  readonly report: SeedReport;
  readonly runs: number;
}

export async function shrink(failed: SeedReport, options: ShrinkOptions): Promise<Shrunk> {
  const shrinker = new Shrinker(failed, options);
  await shrinker.dropFaults();
  await shrinker.shortenFaults();
  await shrinker.lessen("clients", [1, 2, 3]);
  await shrinker.lessen("requests", [1, 2, 4, 8, 16, 32, 64, 128]);
  await shrinker.fewerServers();
  await shrinker.tryOne({ stopsAtEnd: false });
  await shrinker.dropFaults();
  await shrinker.shortenFaults();
  return shrinker.smallest;
}

class Shrinker {
  readonly #options: ShrinkOptions;
  readonly #what: string;
  readonly #endMs: number;
  #remainder: Remainder;
  #report: SeedReport;
  #runs = 0;

  constructor(failed: SeedReport, options: ShrinkOptions) {
    this.#options = options;
    this.#report = failed;
    this.#what = whatFailed(failed) ?? "";
    this.#endMs = options.nowMs() + options.budgetMs;
    this.#remainder = { only: failed.occurrences.map(({ number }) => number) };
  }

  get smallest(): Shrunk {
    return { remainder: this.#remainder, report: this.#report, runs: this.#runs };
  }

  /** Delta debugging: leaves out ever smaller pieces, from the last to the first. */
  async dropFaults(): Promise<void> {
    let only = this.#remainder.only ?? [];
    if (only.length > 0 && (await this.tryOne({ only: [] }))) return;
    for (let size = Math.ceil(only.length / 2); size >= 1; ) {
      let dropped = false;
      for (let end = only.length; end > 0; end -= size) {
        const fewer = [...only.slice(0, Math.max(0, end - size)), ...only.slice(end)];
        if (!(await this.tryOne({ only: fewer }))) continue;
        only = fewer;
        dropped = true;
      }
      if (this.#isOver) return;
      if (size > 1) size = Math.ceil(size / 2);
      else if (!dropped) return;
    }
  }

  /** The smallest number of those tried with which it still fails. */
  async lessen(what: "clients" | "requests", steps: readonly number[]): Promise<void> {
    for (const step of steps) {
      if (step >= this.#report.plan[what]) return;
      if (await this.tryOne({ [what]: step })) return;
    }
  }

  async fewerServers(): Promise<void> {
    const { servers } = this.#report.plan;
    for (let count = 2; count < servers.length; count += 1)
      if (await this.tryOne({ servers: servers.slice(0, count) })) return;
  }

  /** Ends the fault phase soon after the last fault. */
  async shortenFaults(): Promise<void> {
    const last = this.#report.occurrences.at(-1)?.atMs ?? 0;
    for (const more of [100, 400, 1_500]) {
      const faultMs = Math.ceil(last + more);
      if (faultMs >= this.#report.plan.faultMs) return;
      if (await this.tryOne({ faultMs })) return;
    }
  }

  async tryOne(change: Remainder): Promise<boolean> {
    if (this.#isOver) return false;
    const remainder = { ...this.#remainder, ...change };
    this.#runs += 1;
    const report = await this.#options.run(remainder);
    if (whatFailed(report) !== this.#what) return false;
    this.#remainder = remainder;
    this.#report = report;
    return true;
  }

  get #isOver(): boolean {
    return this.#options.nowMs() >= this.#endMs;
  }
}

/** Of an assertion its words, so that one failure is not taken for another. */
function whatFailed({ violations: [first] }: SeedReport): string | null {
  if (first === undefined) return null;
  return first.of === "assertion" ? (first.text.split("\n", 1)[0]?.replaceAll(/[\d#]+/g, "") ?? "") : first.of;
}
