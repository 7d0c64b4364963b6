/** Scenes of time (rule 20): of clocks, one of which is wrong, and the log's time must not go by it; and of what has a date. */
import { type FaultContext, type FaultKind, later, mayCrash } from "./context.ts";
import { roles, staged } from "./scenes.ts";

const dayMs = 86_400_000;
const listenMs = 1_100;

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

/** The primary's clock, and no other, is a day ahead, and an operator says that it is right: time goes on from there, and from then on never falls (situation 145). */
function acceptTime(context: FaultContext): void {
  const { sim, cluster, operator, moments } = context;
  const now = roles(context, 4_000);
  if (now === null) return;
  const { primary } = now;
  const { wall } = sim.host(primary);
  moments.count("wall clock jumped");
  wall.offsetMs = dayMs;
  later(context, 300, () => {
    const incarnation = cluster.incarnation(primary);
    sim.tell("operator", `says that ${primary}'s clock is right, which is a day ahead`);
    operator.command(primary, "accept-time", ({ ok }) => {
      if (ok) later(context, 500, () => mustFollow(context, primary, incarnation));
    });
  });
  later(context, 3_000, () => {
    wall.offsetMs = 0;
  });
}

/** What an operator is told, for longer than a status takes: that no step is left to be accepted. */
function mustFollow(context: FaultContext, name: string, incarnation: string): void {
  const { operator, cluster } = context;
  const conclude = operator.gather();
  later(context, listenMs, () => {
    const told = conclude().servers.find((one) => one.incarnation === incarnation);
    const apartMs = told?.time?.apartMs ?? 0;
    if (told?.role === "primary" && apartMs > dayMs / 2)
      cluster.onViolation("rule 20", `an operator took ${name}'s clock for right, and it is still ${apartMs} ms ahead`);
  });
}

/** All are stopped on purpose, and started again when some of what has a date is due (situation 146). */
function downOverDue(context: FaultContext): void {
  const { cluster, rng, sim, moments } = context;
  if (roles(context, 6_000) === null) return;
  for (const name of rng.shuffle([...cluster.names])) {
    moments.count("server stopped on purpose");
    sim.tell(name, "is told to stop, as all are");
    cluster.stop(name);
  }
  later(context, rng.between(2_000, 4_000), () => cluster.startAll());
}

export const timeScenes: readonly FaultKind[] = [
  staged("leapingClock", 500, leapingClock),
  staged("slowSuccessor", 500, slowSuccessor),
  staged("acceptTime", 500, acceptTime),
  staged("downOverDue", 500, downOverDue),
];
