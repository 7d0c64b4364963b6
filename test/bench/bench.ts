/**
 * `npm run bench`: Twinlog against the same job by hand, in one run, in turn, with the same load generator. Absolute figures belong
 * to the machine; ratios within a run are what counts.
 *
 *   npm run bench -- [--levels 1,64,256,1024,4096] [--rounds 3] [--seconds 4] [--burst 10000] [--results]
 *                    [--peers] [--alone]         Redis, JetStream and PostgreSQL by hand too; a server alone
 *                    [--json FILE] [--svg FILE]
 *   npm run bench -- --quick                     a short one; fails only where the pair collapses
 *   npm run bench -- --growth [--minutes 10]     full rate for long: does speed, latency or memory change?
 *   npm run bench -- --failover [--times 50] [--servers 2]   the gap of one raw client when the primary is killed
 */
import { writeFile } from "node:fs/promises";
import { arch, cpus, platform, totalmem } from "node:os";
import { parseArgs } from "node:util";
import { inArena, withContestants } from "./arena.ts";
import { bare } from "./contestants/bare.ts";
import type { Contestant } from "./contestants/contestant.ts";
import { jetStreamOne, jetStreamThree } from "./contestants/jetstream.ts";
import { postgres } from "./contestants/postgres.ts";
import { redisInMemory, redisOnDisk } from "./contestants/redis.ts";
import { alone, pair } from "./contestants/twinlog.ts";
import { measureFailovers } from "./failover.ts";
import { measureGrowth } from "./growth.ts";
import { plot } from "./plot.ts";
import { memoryLine, ratioOf, tableHead, tableRow } from "./report.ts";
import { allRounds, type Level, load } from "./rounds.ts";

/** Below this share of the bare responder something is broken, however loaded the machine is. */
const collapsedBelow = 0.05;
const quick = { levels: "64,256", rounds: "1", seconds: "2" };

const { values } = parseArgs({
  options: {
    levels: { type: "string" },
    rounds: { type: "string" },
    seconds: { type: "string" },
    burst: { type: "string", default: "0" },
    results: { type: "boolean", default: false },
    peers: { type: "boolean", default: false },
    alone: { type: "boolean", default: false },
    quick: { type: "boolean", default: false },
    growth: { type: "boolean", default: false },
    minutes: { type: "string", default: "10" },
    failover: { type: "boolean", default: false },
    times: { type: "string", default: "50" },
    servers: { type: "string", default: "2" },
    json: { type: "string" },
    svg: { type: "string" },
  },
});

const tell = (line: string) => process.stdout.write(`${line}\n`);
const [core] = cpus();
const machine = `${cpus().length} cores (${core?.model.trim() ?? "unknown"}), ${(totalmem() / 2 ** 30).toFixed(0)} GiB, ${platform()} ${arch()}, Node ${process.versions.node}`;

function contestants(): Contestant[] {
  const byHand = [redisInMemory, redisOnDisk, jetStreamOne, jetStreamThree, postgres];
  return [bare, pair, ...(values.alone ? [alone] : []), ...(values.peers ? byHand : [])];
}

async function rounds(): Promise<void> {
  const { levels = "1,64,256,1024", rounds: times = "3", seconds = "4" } = values.quick ? quick : values;
  const found = await inArena(values.results, (arena) =>
    withContestants(arena, contestants(), tell, async (taking) => {
      for (const { contestant } of taking) tell(`- ${contestant.name}: ${contestant.means}`);
      // Compilers warm up first: what is measured is a program that has run for a while.
      for (const one of taking) await load(arena, one, { inFlight: 256, measureMs: 1_000 });
      tell(
        `\n${machine}; results ${values.results ? "published" : "not published"}; medians of ${times}\n\n${tableHead}`,
      );
      return await allRounds(arena, taking, {
        levels: levels.split(",").map(Number),
        rounds: Number(times),
        measureMs: Number(seconds) * 1_000,
        burst: Number(values.burst),
        onLevel: (ofLevel) => {
          for (const one of ofLevel) tell(tableRow(one, ofLevel));
        },
      });
    }),
  );
  tell(
    `\nMost memory, resident: ${[...new Set(found.map(({ contestant }) => contestant))].map((name) => memoryLine(name, found)).join("; ")}`,
  );
  if (values.json !== undefined)
    await writeFile(
      values.json,
      `${JSON.stringify({ machine, at: new Date().toISOString(), levels: found }, null, 1)}\n`,
    );
  if (values.svg !== undefined) await writeFile(values.svg, plot(found, "Requests a second, one run"));
  if (values.quick) failWhereCollapsed(found);
}

function failWhereCollapsed(found: readonly Level[]): void {
  for (const level of found) {
    const ratio = ratioOf(level, found) ?? 1;
    const failed = level.rounds.reduce((sum, round) => sum + round.failed, 0);
    if (level.contestant !== pair.name || (ratio >= collapsedBelow && failed === 0)) continue;
    tell(
      `${level.inFlight} in flight: ${ratio.toFixed(2)} of the bare responder, ${failed} refused: something is broken`,
    );
    process.exitCode = 1;
  }
}

for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
tell("");
if (values.growth) await measureGrowth({ minutes: Number(values.minutes), machine, tell });
else if (values.failover)
  await measureFailovers({ times: Number(values.times), servers: Number(values.servers), machine, tell });
else await rounds();
