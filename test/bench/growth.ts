/** Full rate for a long time: whether speed, latency or memory change with what has been done. */
import { inArena, withContestants } from "./arena.ts";
import { pair } from "./contestants/twinlog.ts";
import { load } from "./rounds.ts";

const inFlight = 256;
const sliceMs = 30_000;

export interface GrowthOptions {
  readonly minutes: number;
  readonly machine: string;
  tell(line: string): void;
}

export async function measureGrowth({ minutes, machine, tell }: GrowthOptions): Promise<void> {
  await inArena(false, (arena) =>
    withContestants(arena, [pair], tell, async ([one]) => {
      if (one === undefined) throw new Error("the pair did not start");
      tell(`${machine}; ${inFlight} in flight, each row ${sliceMs / 1_000} s\n`);
      tell("| minute | requests a second | p50 ms | p99 ms | worst ms | answered so far | primary MiB | backup MiB |");
      tell("|---|---|---|---|---|---|---|---|");
      let answered = 0;
      const slices = Math.max(1, Math.round((minutes * 60_000) / sliceMs));
      for (let slice = 1; slice <= slices; slice += 1) {
        const round = await load(arena, one, { inFlight, measureMs: sliceMs });
        answered += round.answered;
        const cells = [
          ((slice * sliceMs) / 60_000).toFixed(1),
          Math.round(round.perSecond).toLocaleString("en"),
          round.p50Ms.toFixed(1),
          round.p99Ms.toFixed(0),
          round.worstMs.toFixed(0),
          answered.toLocaleString("en"),
          (round.residentMiB["primary"] ?? 0).toFixed(0),
          (round.residentMiB["backup"] ?? 0).toFixed(0),
        ];
        tell(`| ${cells.join(" | ")} |`);
      }
    }),
  );
}
