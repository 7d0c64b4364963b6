/**
 * Scenes of an operator's maintenance (rule 21): failover is paused, and then what it forbids to act upon happens. No seed draws them by
 * itself. The judge is beside every seed (judge/failover-pause.ts): a record under which failover is paused gives the role to nobody in
 * the place of one that is lost.
 */
import { type FaultContext, type FaultKind, later, mayCrash } from "./context.ts";
import { once, onceWritten } from "./scenes.ts";

/** As long as servers need to find out, to ask and to win. */
const patienceMs = 3_000;

const primaryOf = ({ cluster }: FaultContext): string | undefined => cluster.record?.primary.server;

/** Whoever is the primary is told; `run` follows when the registry has it. */
function pause(context: FaultContext, forMs: number, run: () => void): void {
  const { operator, sim } = context;
  const name = primaryOf(context);
  if (name === undefined) return;
  sim.tell("operator", `asks ${name} to pause failover for ${forMs.toFixed(0)} ms`);
  onceWritten(context, ({ failoverPause }) => failoverPause !== undefined, run);
  operator.command(name, "pause-failover", () => {}, undefined, forMs);
}

/** Told to all: the primary may be gone. */
function resume({ operator, cluster, sim }: FaultContext): void {
  sim.tell("operator", "lets failover go on");
  for (const name of cluster.names) operator.command(name, "resume-failover");
}

/** The primary dies under the pause, and is back before or after an operator lets failover go on, or the time is over. */
function losePaused(context: FaultContext): void {
  const { rng, cluster } = context;
  const forMs = rng.pick([patienceMs, 20 * patienceMs]);
  pause(context, forMs, () => {
    const primary = primaryOf(context);
    if (primary === undefined || !mayCrash(context, primary)) return;
    cluster.kill(primary, rng.chance(0.5) ? "process" : "machine");
    later(context, rng.between(30, patienceMs), () => cluster.start(primary));
    later(context, rng.between(100, patienceMs), () => resume(context));
  });
}

/** It is paused at whatever moment, for a while, in the middle of everything else. */
function pauseFailover(context: FaultContext): void {
  const forMs = context.rng.between(200, patienceMs);
  pause(context, forMs, () => {});
  once(
    context,
    forMs,
    () => context.rng.chance(0.001),
    () => resume(context),
  );
}

export const maintenanceScenes: readonly FaultKind[] = [
  { name: "losePaused", class: "staged", meanGapMs: 2_500, run: losePaused },
  { name: "pauseFailover", class: "within", meanGapMs: 5_000, run: pauseFailover },
];
