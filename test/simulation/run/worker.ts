/** A worker of `npm run simulate`: one seed a message. Reports without their story: it is told again when it is asked for. */
import type { SeedReport } from "./seed-run.ts";
import { runShipped, type SeedTask } from "./shipped.ts";

export interface WorkerTask extends SeedTask {
  readonly seed: number;
  /** Runs it again and compares the traces. */
  readonly twice: boolean;
}

export type SeedResult = Pick<
  SeedReport,
  "seed" | "traceHash" | "events" | "virtualMs" | "violations" | "check" | "moments" | "states"
> & {
  readonly servers: number;
  readonly workload: string;
  /** How many violations there were; only the first of them are told. */
  readonly violated: number;
  /** The kind of each fault that did something. */
  readonly happened: readonly string[];
};

const maxViolations = 5;

async function run(task: WorkerTask): Promise<SeedResult> {
  const report = await runShipped(task.seed, task);
  const { seed, traceHash, events, virtualMs, check, moments, states, plan } = report;
  const violations = report.violations.slice(0, maxViolations);
  if (task.twice) {
    const again = await runShipped(task.seed, task);
    if (again.traceHash !== traceHash)
      violations.push({ of: "determinism", text: `the trace was ${traceHash}, then ${again.traceHash}`, atMs: 0 });
  }
  const { servers, workload } = plan;
  const of = { seed, servers: servers.length, workload };
  const violated = Math.max(report.violations.length, violations.length);
  const happened = happenedIn(report);
  return { ...of, traceHash, events, virtualMs, violations, violated, check, moments, states, happened };
}

function happenedIn({ occurrences, lines }: SeedReport): readonly string[] {
  const told = new Set(lines.map(({ fault }) => fault));
  return occurrences.filter(({ number }) => told.has(number)).map(({ kind }) => kind);
}

process.on("message", (task: WorkerTask) => {
  run(task).then(
    (result) => process.send?.(result),
    (error: unknown) => {
      throw error;
    },
  );
});
