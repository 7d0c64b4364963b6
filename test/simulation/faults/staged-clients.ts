/** Scenes of clients: what one does must not cost the others (rule 15). */
import { cut, type FaultContext, type FaultKind, later } from "./context.ts";
import { links, roles, staged } from "./scenes.ts";

/** More than the limits that the scene is for take. */
const flooding = 400;
const answeredWithinMs = 8_000;

/**
 * While nothing is confirmed one client sends more than may be in flight at once. Another one, which has nothing in flight, asks
 * once, and is told anything but BUSY (situation 138). Holds where no third client has what is kept for those that hold little.
 */
function crowd(context: FaultContext): void {
  const { sim, cluster, suspicionMs, moments } = context;
  const now = roles(context, answeredWithinMs);
  if (now === null) return;
  const { primary, backup } = now;
  sim.tell("a client", `sends ${flooding} requests at once, and another one asks once`);
  moments.count("burst of requests");
  cut(context, links(backup, primary), suspicionMs / 3);
  let told = "nothing";
  context.burst(flooding);
  later(context, suspicionMs / 8, () =>
    context.ask((answer) => {
      told = answer;
      if (answer === "BUSY")
        cluster.onViolation("rule 15", "a client with nothing in flight was refused for another's flood");
    }),
  );
  later(context, answeredWithinMs, () => {
    if (told === "nothing") cluster.onViolation("rule 15", "a client was not answered while another one flooded");
  });
}

export const clientScenes: readonly FaultKind[] = [staged("crowd", 2_000, crowd)];
