/** Scenes of clocks, by which the log's time must not go (rule 20). One is wrong, the others are right. */
import { type FaultContext, type FaultKind, later, mayCrash } from "./context.ts";
import { roles, staged } from "./scenes.ts";

const dayMs = 86_400_000;

/** The primary's clock, and no other, is a day ahead for a while (situation 145). */
function leapingClock(context: FaultContext): void {
  const { sim, moments } = context;
  const now = roles(context, 3_000);
  if (now === null) return;
  const { wall } = sim.host(now.primary);
  sim.tell(now.primary, "its clock is a day ahead for a while");
  moments.count("wall clock jumped");
  wall.offsetMs = dayMs;
  later(context, 2_000, () => {
    wall.offsetMs = 0;
  });
}

/** A server whose clock is hours behind takes over (situation 145). */
function slowSuccessor(context: FaultContext): void {
  const { sim, cluster, suspicionMs, moments } = context;
  const now = roles(context, 20 * suspicionMs);
  if (now === null || !mayCrash(context, now.primary)) return;
  const { wall } = sim.host(now.backup);
  sim.tell(now.backup, "its clock is six hours behind for a while");
  moments.count("wall clock jumped");
  wall.offsetMs = -dayMs / 4;
  later(context, 2 * suspicionMs, () => cluster.takeAway(now.primary, "process"));
  later(context, 8 * suspicionMs, () => cluster.start(now.primary));
  later(context, 12 * suspicionMs, () => {
    wall.offsetMs = 0;
  });
}

export const timeScenes: readonly FaultKind[] = [
  staged("leapingClock", 500, leapingClock),
  staged("slowSuccessor", 500, slowSuccessor),
];
