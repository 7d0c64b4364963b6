/**
 * Does one planned fault to a running pair and waits until everything is normal again. What always holds: whatever
 * happens, a server that was stopped goes on and a cable that was cut is mended before this returns.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Bus, Clock } from "../../actors/world/ports.ts";
import { ControlReply, type ServerStatus } from "../../schemas/status.ts";
import { subjects } from "../../schemas/subjects.ts";
import { ask } from "../commands/ask.ts";
import { localServer } from "./local-server.ts";
import type { FaultKind, PlannedFault } from "./plan.ts";
import type { PairWatch } from "./watch.ts";

/** A fault that could not be done, or after which the service did not become normal. */
export class DrillError extends Error {
  override readonly name = "DrillError";
}

export interface Cable {
  cut(): Promise<void>;
  mend(): Promise<void>;
}

export interface FaultWorld {
  readonly service: string;
  readonly operator: string | undefined;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly watch: PairWatch;
  readonly stopped: AbortSignal;
  /** How long it may take to be normal again. */
  readonly recoverWithinMs: number;
  /** null: the main link is not ours to cut. */
  readonly cable: Cable | null;
}

export interface DoneFault {
  readonly kind: FaultKind;
  /** In a few words: to whom, and for how long. */
  readonly what: string;
  readonly startMs: number;
  /** When everything was normal again; when it was given up, where the drill was interrupted. */
  readonly normalMs: number;
  /** Of the primary that it was done to. */
  readonly epoch: number;
}

const switchAnswerMs = 5_000;
const normalSuspicionMs = 500;

/** Throws DrillError. */
export async function doFault(planned: PlannedFault, world: FaultWorld): Promise<DoneFault> {
  const primary = world.watch.primary;
  if (primary === undefined) throw new DrillError(`no primary speaks: ${world.watch.saying}`);
  const { recoverWithinMs } = world;
  const startMs = performance.now();
  const { epoch } = primary;
  const { kind } = planned;
  const { what, isOver } = await faults[kind](primary, planned, world);
  const sinceMs = performance.now();
  const fromMs = sinceMs;
  while (performance.now() - fromMs < recoverWithinMs && !world.stopped.aborted) {
    const rest = recoverWithinMs - (performance.now() - fromMs);
    if ((await world.watch.untilNormal(sinceMs, rest, world.stopped)) && isOver())
      return { kind, what, startMs, normalMs: performance.now(), epoch };
    await delay(5);
  }
  if (world.stopped.aborted) return { kind, what, startMs, normalMs: performance.now(), epoch };
  const hint = kind === "kill" ? "; something must start a killed server again, as `twinlog up` and systemd do" : "";
  throw new DrillError(
    `not normal again within ${recoverWithinMs / 1_000} s after ${kind} (${what}): ${world.watch.saying}${hint}`,
  );
}

interface Happened {
  readonly what: string;
  /** Besides being normal: what was to come of it has come. */
  readonly isOver: () => boolean;
}
type Fault = (primary: ServerStatus, planned: PlannedFault, world: FaultWorld) => Promise<Happened>;

const faults: Readonly<Record<FaultKind, Fault>> = {
  kill: (primary, _, { watch }) => {
    process.kill(checkedPid(primary), "SIGKILL");
    return Promise.resolve({
      what: `${primary.name}, process ${primary.pid}`,
      isOver: () => watch.status(primary.name)?.pid !== primary.pid,
    });
  },

  stop: async (primary, { suspicions }, { stopped }) => {
    const pid = checkedPid(primary);
    const suspicionMs = suspicionOf(primary);
    const forMs = Math.round(suspicions * suspicionMs);
    process.kill(pid, "SIGSTOP");
    try {
      await delay(forMs, undefined, { signal: stopped }).catch(() => undefined);
    } finally {
      process.kill(pid, "SIGCONT");
    }
    return { what: `${primary.name} for ${forMs} ms`, isOver: () => true };
  },

  cut: async (primary, { suspicions }, { cable, stopped }) => {
    if (cable === null) throw new DrillError("only the main link of a drill's own pair can be cut");
    const forMs = Math.round(suspicions * suspicionOf(primary));
    await cable.cut();
    try {
      await delay(forMs, undefined, { signal: stopped }).catch(() => undefined);
    } finally {
      await cable.mend();
    }
    return { what: `the main link for ${forMs} ms`, isOver: () => true };
  },

  switch: async (primary, _, { bus, clock, service, operator, watch }) => {
    const subject = subjects.control(service, primary.name, "switch", operator);
    const asked = await ask(bus, clock, subject, {}, switchAnswerMs);
    const reply = asked.outcome === "answered" ? ControlReply.safeParse(asked.data).data : undefined;
    if (reply?.ok !== true)
      throw new DrillError(`${primary.name} did not switch: ${reply?.message ?? "it has not answered"}`);
    return { what: `from ${primary.name}`, isOver: () => watch.primary?.name !== primary.name };
  },
};

/** Throws DrillError unless the process is certainly the server. */
function checkedPid(status: ServerStatus): number {
  const obstacle = whyNotSignalled(status);
  if (obstacle !== "") throw new DrillError(obstacle);
  return status.pid;
}

/** Why this server cannot be killed or stopped by us; empty when it can. */
export function whyNotSignalled(status: ServerStatus): string {
  const found = localServer(status);
  return typeof found === "string" ? `${status.name} cannot be killed or stopped from here: ${found}` : "";
}

function suspicionOf(status: ServerStatus): number {
  const found = localServer(status);
  return typeof found === "string" ? normalSuspicionMs : found.limits.suspicionMs;
}
