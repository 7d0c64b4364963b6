/** What processes have used so far, as Linux counts it: time on a core and memory, each with all its children. */
import { readdirSync, readFileSync } from "node:fs";

export interface Usage {
  /** User and system time of the process and its living children. */
  readonly cpuMs: number;
  /** Resident, of the process alone. */
  readonly residentMiB: number;
}

/** Of Linux on every architecture that Node runs on. */
const ticksPerSecond = 100;
const parentField = 1;
const userTimeField = 11;
const systemTimeField = 12;

/** The fields of /proc/PID/stat behind the program's name, which may hold anything. */
function statOf(pid: number): string[] | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    return null;
  }
}

function childrenOf(pid: number): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((one) => Number(statOf(one)?.[parentField]) === pid);
}

function cpuMs(pid: number): number {
  const stat = statOf(pid);
  const ticks = stat === null ? 0 : Number(stat[userTimeField]) + Number(stat[systemTimeField]);
  return (ticks * 1_000) / ticksPerSecond + childrenOf(pid).reduce((sum, child) => sum + cpuMs(child), 0);
}

function residentMiB(pid: number): number {
  try {
    const [, kiB = "0"] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
    return Number(kiB) / 1_024;
  } catch {
    return 0;
  }
}

export type UsageOf = Readonly<Record<string, Usage>>;

export function usageOf(processes: Readonly<Record<string, number>>): UsageOf {
  return Object.fromEntries(
    Object.entries(processes).map(([role, pid]) => [role, { cpuMs: cpuMs(pid), residentMiB: residentMiB(pid) }]),
  );
}
