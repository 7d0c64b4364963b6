/** The bench in short, as it is: the pair answers beside the bare responder, and what is printed is what was measured. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import test from "ava";
import { plot } from "./plot.ts";
import { median, memoryLine, ratioOf, tableRow } from "./report.ts";
import type { Level, Measured } from "./rounds.ts";
import { usageOf } from "./usage.ts";

const run = promisify(execFile);

test("the short bench prints the pair's ratios, and ends well", async (t) => {
  const program = fileURLToPath(new URL("./bench.js", import.meta.url));
  const { stdout } = await run(process.execPath, [program, "--quick"]);
  for (const inFlight of [64, 256])
    t.regex(
      stdout,
      new RegExp(`\\| ${inFlight} \\| Twinlog pair \\| [\\d,]+ \\| .* \\| \\d\\.\\d\\d \\|.*primary \\d+, backup \\d+`),
    );
});

const round = (perSecond: number, more: Partial<Measured> = {}): Measured => ({
  answered: 100,
  perSecond,
  p50Ms: 1,
  p99Ms: 20,
  worstMs: 30,
  failed: 0,
  cpuUs: { primary: 20 },
  residentMiB: { primary: perSecond },
  ...more,
});
const levels: Level[] = [
  { inFlight: 64, isBurst: false, contestant: "bare", rounds: [round(100), round(1_000), round(400)] },
  { inFlight: 64, isBurst: false, contestant: "pair", rounds: [round(50), round(700), round(240, { failed: 2 })] },
];

test("a ratio is the median of the rounds' ratios, each within its round", (t) => {
  const [, pair] = levels;
  if (pair === undefined) throw new Error("there is one");
  t.is(ratioOf(pair, levels), 0.6, "not 240 of 400, and not the best of both");
  t.is(ratioOf(pair, [pair]), undefined);
  t.is(tableRow(pair, levels), "| 64 | pair (2 refused) | 240 | 50 to 700 | 0.60 | 1.00 | 20 | 30 | primary 20 |");
  t.is(memoryLine("pair", levels), "pair: primary 700 MiB");
});

test("a median of an even number is the lower one, of none it is 0", (t) => {
  t.is(median([3, 1, 2, 4]), 2);
  t.is(median([]), 0);
});

test("a plot names each contestant and how fast it was, as text", (t) => {
  const svg = plot(levels, "One < run");
  t.true(svg.includes("One &lt; run") && svg.includes(">pair<") && svg.includes(">240/s<"));
  t.false(svg.includes("NaN"));
});

test("what a process used is counted, and nothing of one that is gone", (t) => {
  const { own, gone } = usageOf({ own: process.pid, gone: 2 ** 30 });
  t.true((own?.cpuMs ?? 0) > 0 && (own?.residentMiB ?? 0) > 10);
  t.deepEqual(gone, { cpuMs: 0, residentMiB: 0 });
});
