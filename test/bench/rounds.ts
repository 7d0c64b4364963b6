/** The rounds of a bench: all contestants in turn, again and again, so that what the machine does besides hits all of them. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Arena, Contestant, Running } from "./contestants/contestant.ts";
import type { LoadOptions, LoadReport } from "./load.ts";
import { usageOf } from "./usage.ts";

const run = promisify(execFile);
const program = fileURLToPath(new URL("./load.js", import.meta.url));
export const warmMs = 1_000;

/** One load on one contestant, and what its processes needed for it. */
export interface Measured extends LoadReport {
  /** µs on a core for each request that was answered, by process. */
  readonly cpuUs: Readonly<Record<string, number>>;
  readonly residentMiB: Readonly<Record<string, number>>;
}

export type Taking = { readonly contestant: Contestant; readonly running: Running };

/** What one contestant made of one level, in each round. */
export interface Level {
  readonly inFlight: number;
  readonly isBurst: boolean;
  readonly contestant: string;
  readonly rounds: readonly Measured[];
}

let loads = 0;

export async function load(
  arena: Arena,
  { running }: Taking,
  options: Pick<LoadOptions, "inFlight" | "measureMs">,
): Promise<Measured> {
  loads += 1;
  const processes = { ...running.processes, "nats-server": arena.natsPid };
  const all: LoadOptions = { ...options, url: arena.natsUrl, service: running.service, warmMs, run: String(loads) };
  const before = usageOf(processes);
  const { stdout } = await run(process.execPath, [program, JSON.stringify(all)]);
  const report = JSON.parse(stdout) as LoadReport;
  const after = usageOf(processes);
  const each = (of: (role: string) => number) =>
    Object.fromEntries(Object.keys(processes).map((role) => [role, of(role)]));
  return {
    ...report,
    cpuUs: each((role) => (((after[role]?.cpuMs ?? 0) - (before[role]?.cpuMs ?? 0)) * 1_000) / report.answered),
    residentMiB: each((role) => after[role]?.residentMiB ?? 0),
  };
}

export interface RoundsOptions {
  readonly levels: readonly number[];
  readonly rounds: number;
  readonly measureMs: number;
  /** So many at once, besides; 0: none. */
  readonly burst: number;
  onLevel(levels: readonly Level[]): void;
}

export async function allRounds(arena: Arena, taking: readonly Taking[], options: RoundsOptions): Promise<Level[]> {
  const plans = [
    ...options.levels.map((inFlight) => ({ inFlight, measureMs: options.measureMs })),
    ...(options.burst === 0 ? [] : [{ inFlight: options.burst, measureMs: 0 }]),
  ];
  const found: Level[] = [];
  for (const plan of plans) {
    const measured = new Map<string, Measured[]>(taking.map(({ contestant }) => [contestant.name, []]));
    for (let round = 0; round < options.rounds; round += 1)
      for (const one of taking) measured.get(one.contestant.name)?.push(await load(arena, one, plan));
    const ofPlan = [...measured].map(([contestant, rounds]) => ({
      inFlight: plan.inFlight,
      isBurst: plan.measureMs === 0,
      contestant,
      rounds,
    }));
    options.onLevel(ofPlan);
    found.push(...ofPlan);
  }
  return found;
}
