/**
 * A stranger who speaks in every server's name, over the bus and over its main link, and says what is no message, is out of range,
 * or is no records (situation 137). No seed draws it: `--faults speakMisfits`. What always holds: nothing that he says fits.
 */
import { ServerStatus } from "../../../schemas/status.ts";
import { subjects } from "../../../schemas/subjects.ts";
import { type KnownService, misfitFrames, misfitMirrors } from "../../helpers/misfit-frames.ts";
import { type FaultContext, type FaultKind, later } from "./context.ts";
import { others, roles, staged } from "./scenes.ts";

/** So many frames from each server to each other one. */
const framesEach = 60;
/** They come within this time; and so long after it the status says it, at the latest. */
const speaksForMs = 800;
const toldWithinMs = 700;
/** Sessions of a server that may stand by then: whose numbers he guesses. */
const guessedSessions = [1, 2, 3, 4, 5];

function speakMisfits(context: FaultContext): void {
  const { sim, cluster, rng } = context;
  if (roles(context, speaksForMs + toldWithinMs) === null) return;
  sim.tell("stranger", "says what does not fit, in every server's name");
  sim.hasMisfits = true;
  for (const from of cluster.names) {
    for (const to of others(from, cluster.names)) {
      const known = knownOf(context, from, to);
      if (known === null) return;
      for (const [, frame] of rng.shuffle(misfitFrames(known)).slice(0, framesEach))
        later(context, rng.between(0, speaksForMs), () => say(context, from, to, frame));
      for (const number of guessedSessions)
        later(context, rng.between(0, speaksForMs), () => sayMirrors(context, from, to, number));
    }
  }
  for (const name of cluster.names) expectTold(context, name);
}

/** What everybody may ask of them; null: they are not there. */
function knownOf({ sim, cluster }: FaultContext, from: string, to: string): (KnownService & { hash: number }) | null {
  const standings = cluster.standings();
  const [speaker, hearer] = [from, to].map((name) => standings.find(({ server }) => server === name));
  if (speaker === undefined || hearer === undefined) return null;
  const { epochSeen: epoch, history } = speaker;
  const { last, hash } = hearer;
  return { service: sim.options.service, from: speaker, to: hearer, epoch, history, schema: "", last, hash };
}

/** Of the records that the hearer lacks now. */
function sayMirrors(context: FaultContext, from: string, to: string, number: number): void {
  const known = knownOf(context, from, to);
  if (known === null) return;
  const session = `${known.to.incarnation}.s${number}`;
  for (const [, frame] of misfitMirrors(known, session, { sequence: known.last, hash: known.hash }))
    say(context, from, to, frame);
}

function say({ sim, rng }: FaultContext, from: string, to: string, frame: Uint8Array): void {
  if (rng.chance(0.5)) sim.mainNetwork.inject(from, to, frame);
  else {
    const subject = subjects.actor(sim.options.service, to, "replication");
    sim.broker.deliverLate({ subject, data: frame, headers: { from }, reply: "" });
  }
}

/** One that lives through it says that it dropped them, and is in the same life. */
function expectTold(context: FaultContext, name: string): void {
  const { cluster, sim } = context;
  const incarnation = cluster.incarnation(name);
  let isTold = false;
  cluster.listen(subjects.status(sim.options.service, name), ({ data }) => {
    const { troubles } = ServerStatus.parse(JSON.parse(Buffer.from(data).toString()));
    if (troubles.some(({ code }) => code === "messages.unfit")) isTold = true;
  });
  later(context, speaksForMs + toldWithinMs, () => {
    if (cluster.incarnation(name) !== incarnation)
      cluster.onViolation("rule 15", `${incarnation} ended of what does not fit`);
    else if (!isTold) cluster.onViolation("rule 15", `${incarnation} dropped what does not fit, and does not say so`);
  });
}

export const misfitScenes: readonly FaultKind[] = [staged("speakMisfits", 2_000, speakMisfits)];
