/** The command that a failing seed ends with shows the same thing again: the same violation in the same run. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import test from "ava";
import { mutations } from "../mutations/mutations.ts";
import { replayCommand } from "./failing-seed.ts";
import { runShipped, type SeedTask } from "./shipped.ts";
import { shrink } from "./shrink.ts";

const program = fileURLToPath(new URL("./simulate.js", import.meta.url));

/** What the command prints, by a shell as a person would run it; it ends with 1, for the seed fails. */
async function printedBy(command: string): Promise<string> {
  const run = command.replace("npm run simulate --", `"${process.execPath}" "${program}"`);
  try {
    await promisify(execFile)("sh", ["-c", run]);
  } catch (error) {
    return (error as { stdout: string }).stdout;
  }
  throw new Error(`nothing failed: ${command}`);
}

async function failing(task: SeedTask, seeds: number) {
  for (let seed = 1; seed <= seeds; seed += 1) {
    const report = await runShipped(seed, task);
    if (report.violations.length > 0) return report;
  }
  throw new Error(`not in ${seeds} seeds: ${task.mutation}`);
}

const tasks: readonly SeedTask[] = [
  { mutation: "another one's sole disk is not waited for", faults: undefined },
  { mutation: "a restarted server is taken for its old incarnation", faults: ["kill", "flap"] },
  { mutation: "replies leave above the commit point", faults: undefined, aim: "three servers" },
];

for (const task of tasks)
  test(`shrunk, printed and run again: ${task.mutation}`, async (t) => {
    t.timeout(120_000);
    const failed = await failing(task, 10);
    // So many runs, whatever the machine: a budget of time would shrink to something else each time.
    let runs = 0;
    const { remainder, report } = await shrink(failed, {
      run: (rest) => runShipped(failed.seed, { ...task, remainder: rest }),
      budgetMs: 15,
      nowMs: () => runs++,
    });
    const printed = await printedBy(replayCommand(failed.seed, { ...task, remainder }));
    const [first] = report.violations;
    t.true(printed.includes(`did not hold: ${first?.of}`), printed);
    t.true(printed.includes(first?.text.split("\n", 1)[0] ?? "?"), printed);
    t.true(printed.includes(`trace ${report.traceHash}, ${report.events} events`), printed);
  });

test("no name of a mutation is more than a shell's quotes hold", (t) => {
  for (const { name } of mutations) t.notRegex(name, /["$`\\!]/);
});
