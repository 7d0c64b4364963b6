/**
 * A whole drill inside a network of its own whose packets are late, lost, doubled and out of order: delay, loss and reordering
 * below TCP, for every line at once. It needs network namespaces and the kernel's netem; packets.test.ts does without it.
 */
import { execFile, execFileSync } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import test, { type ExecutionContext } from "ava";
import { inFull, notRun } from "./full.ts";

const full = inFull(test);
const program = fileURLToPath(new URL("../../deploy/twinlog.js", import.meta.url));

/** Null: it can. */
function whyNot(netem: string): string | null {
  try {
    execFileSync("unshare", ["-n", "sh", "-c", `ip link set lo up && ${netem}`], { stdio: "pipe" });
    return null;
  } catch (error) {
    const said = String((error as { stderr?: Buffer }).stderr ?? error).trim();
    return `a network of its own with netem cannot be made here: ${said}`;
  }
}

async function drillIn(t: ExecutionContext, netem: string): Promise<void> {
  const why = whyNot(netem);
  if (why !== null) return notRun(t, why);
  const drill = `exec ${process.execPath} ${program} drill --seconds 12 --seed 11 --rate 150 --json`;
  const ran = await new Promise<{ error: Error | null; out: string; err: string }>((resolve) => {
    execFile("unshare", ["-n", "sh", "-c", `ip link set lo up && ${netem} && ${drill}`], (error, out, err) =>
      resolve({ error, out, err }),
    );
  });
  t.is(ran.error, null, ran.err);
  const report = JSON.parse(ran.out) as { passed: boolean; lost: number; duplicated: number; gaps: unknown };
  t.log(JSON.stringify(report.gaps));
  t.like(report, { passed: true, lost: 0, duplicated: 0 });
}

const mixes: Readonly<Record<string, string>> = {
  "nothing but the namespace": "true",
  "5 ms, more or less": "tc qdisc add dev lo root netem delay 5ms 3ms distribution normal",
  "1 % lost": "tc qdisc add dev lo root netem loss 1%",
  "late, doubled and out of order": "tc qdisc add dev lo root netem delay 4ms 2ms reorder 25% 50% duplicate 1%",
};
for (const [name, netem] of Object.entries(mixes))
  full(`a drill in a network of its own: ${name}`, (t) => drillIn(t, netem));

test.serial("netem: whether it can be used here", (t) => {
  const why = whyNot(mixes["1 % lost"] ?? "");
  if (why === null) t.pass();
  else notRun(t, why);
});
