/** The figures of many seeds: the same on one worker and on two, and told by a run that is interrupted. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import test from "ava";

const program = fileURLToPath(new URL("./simulate.js", import.meta.url));

/** All that does not tell how long it took. */
function figuresOf(printed: string): string[] {
  return printed.split("\n").map((line) => line.replace(/in [\d.]+ minutes \(\d+ a minute\)/, ""));
}

test("one worker and two count the same", async (t) => {
  t.timeout(120_000);
  const run = (workers: number) =>
    promisify(execFile)(process.execPath, [program, "--seeds", "3", "--from", "700", "--workers", String(workers)]);
  const { stdout } = await run(1);
  t.regex(stdout, /^3 seeds in [\d.]+ minutes \(\d+ a minute\): [\d.]+ virtual hours, \d+ events, \d+ states$/m);
  t.regex(stdout, /^\d+ requests, \d+ acknowledged, \d+ unknown, \d+ duplicates$/m);
  t.regex(stdout, /^\d+ faults: /m);
  t.regex(stdout, /^no violation$/m);
  t.deepEqual(figuresOf((await run(2)).stdout), figuresOf(stdout));
});

test("an interrupted run tells its figures so far, and does not end well", async (t) => {
  t.timeout(120_000);
  const child = spawn(process.execPath, [program, "--minutes", "10", "--workers", "2"], {
    stdio: ["ignore", "pipe", "inherit"],
    detached: true,
  });
  const lines: string[] = [];
  const ended = once(child, "exit");
  for await (const line of createInterface({ input: child.stdout })) {
    // As a terminal does it: to all processes of its group.
    if (lines.push(line) === 1) process.kill(-(child.pid ?? 0), "SIGINT");
  }
  t.deepEqual(await ended, [1, null]);
  const printed = lines.join("\n");
  t.regex(printed, /^interrupted: the figures so far$/m);
  t.regex(printed, /^[1-9]\d* seeds in [\d.]+ minutes \([1-9]\d* a minute\)/m);
  t.regex(printed, /^[1-9]\d* requests/m);
});
