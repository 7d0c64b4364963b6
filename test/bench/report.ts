/** What a bench found, as text: medians of the rounds, their spread, and the ratio to the bare responder of the same round. */
import type { Level, Measured } from "./rounds.ts";

export const median = (list: readonly number[]): number =>
  [...list].sort((one, other) => one - other)[Math.floor((list.length - 1) / 2)] ?? 0;

export const of = (level: Level, what: (round: Measured) => number): number => median(level.rounds.map(what));

const reference = (levels: readonly Level[], { inFlight, isBurst }: Level): Level | undefined =>
  levels.find((one) => one.contestant === "bare" && one.inFlight === inFlight && one.isBurst === isBurst);

/** Requests a second beside the bare responder's, round by round; undefined without one. */
export function ratioOf(level: Level, levels: readonly Level[]): number | undefined {
  const bare = reference(levels, level);
  if (bare === undefined) return undefined;
  return median(level.rounds.map(({ perSecond }, round) => perSecond / (bare.rounds[round]?.perSecond ?? Number.NaN)));
}

const thousands = (perSecond: number) => Math.round(perSecond).toLocaleString("en");
const ms = (value: number) => (value < 10 ? value.toFixed(2) : value.toFixed(0));

function spread({ rounds }: Level): string {
  const speeds = rounds.map(({ perSecond }) => perSecond);
  return `${thousands(Math.min(...speeds))} to ${thousands(Math.max(...speeds))}`;
}

/** By process, in the order in which the contestant names them. */
function cpu(level: Level): string {
  const roles = Object.keys(level.rounds[0]?.cpuUs ?? {});
  return roles.map((role) => `${role} ${of(level, ({ cpuUs }) => cpuUs[role] ?? 0).toFixed(0)}`).join(", ");
}

export const tableHead = [
  "| in flight | | requests a second | rounds | of bare | p50 ms | p99 ms | worst ms | CPU µs a request |",
  "|---|---|---|---|---|---|---|---|---|",
].join("\n");

export function tableRow(level: Level, levels: readonly Level[]): string {
  const { inFlight, isBurst, contestant, rounds } = level;
  const ratio = ratioOf(level, levels);
  const failed = rounds.reduce((sum, round) => sum + round.failed, 0);
  const cells = [
    isBurst ? `${thousands(inFlight)} at once` : String(inFlight),
    failed === 0 ? contestant : `${contestant} (${failed} refused)`,
    thousands(of(level, ({ perSecond }) => perSecond)),
    spread(level),
    ratio === undefined ? "" : ratio.toFixed(2),
    ms(of(level, ({ p50Ms }) => p50Ms)),
    ms(of(level, ({ p99Ms }) => p99Ms)),
    ms(Math.max(...rounds.map(({ worstMs }) => worstMs))),
    cpu(level),
  ];
  return `| ${cells.join(" | ")} |`;
}

/** The largest memory that a contestant's processes had. */
export function memoryLine(name: string, levels: readonly Level[]): string {
  const most = new Map<string, number>();
  for (const { rounds } of levels.filter(({ contestant }) => contestant === name))
    for (const { residentMiB } of rounds)
      for (const [role, mib] of Object.entries(residentMiB)) most.set(role, Math.max(most.get(role) ?? 0, mib));
  return `${name}: ${[...most].map(([role, mib]) => `${role} ${mib.toFixed(0)} MiB`).join(", ")}`;
}
