/** A worker of `npm run simulate`: one seed a message. Reports without their story: it is told again when it is asked for. */
import type { SeedReport } from "./seed-run.ts";
import { runShipped } from "./shipped.ts";

export interface WorkerTask {
  readonly seed: number;
  readonly faults: readonly string[] | undefined;
  readonly mutation: string | undefined;
  /** In the mutation's plan, with the rules that ship. */
  readonly isControl?: boolean;
  /** Runs it again and compares the traces. */
  readonly twice: boolean;
}

export type SeedResult = Pick<
  SeedReport,
  "seed" | "traceHash" | "events" | "virtualMs" | "violations" | "check" | "moments"
>;

async function run(task: WorkerTask): Promise<SeedResult> {
  const { seed, traceHash, events, virtualMs, violations, check, moments } = await runShipped(task.seed, task);
  const result = { seed, traceHash, events, virtualMs, violations: violations.slice(0, 5), check, moments };
  if (!task.twice) return result;
  const again = await runShipped(task.seed, task);
  if (again.traceHash === traceHash) return result;
  const text = `the trace was ${traceHash}, then ${again.traceHash}`;
  return { ...result, violations: [...result.violations, { of: "determinism", text, atMs: 0 }] };
}

process.on("message", (task: WorkerTask) => {
  run(task).then(
    (result) => process.send?.(result),
    (error: unknown) => {
      throw error;
    },
  );
});
