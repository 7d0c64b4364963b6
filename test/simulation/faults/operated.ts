/**
 * What people do to a service that runs, in the middle of everything else: an operator's commands under load (situation
 * 36), another version of the program on one server (situation 39), an integrator that does not keep up (situation 41).
 */
import { anyServer, type FaultContext, type FaultKind, later, mayCrash, outageMs, target } from "./context.ts";

const maxLooks = 100;
const lookEveryMs = 20;

function switchRoles(context: FaultContext): void {
  const { operator, cluster, sim } = context;
  const name = cluster.record?.primary.server ?? anyServer(context);
  sim.tell("operator", `asks ${name} to switch the roles`);
  operator.command(name, "switch");
}

function pauseIntake(context: FaultContext): void {
  const { operator, sim } = context;
  const name = target(context);
  const forMs = outageMs(context);
  sim.tell("operator", `asks ${name} to pause intake for ${forMs.toFixed(0)} ms`);
  operator.command(name, "pause");
  later(context, forMs, () => operator.command(name, "resume"));
}

function flush(context: FaultContext): void {
  const name = anyServer(context);
  context.sim.tell("operator", `asks ${name} to flush`);
  context.operator.command(name, "flush");
}

/** Rule 18: all die, and the first that comes back and waits for the others is told to go on, whatever is lost. */
function recoverByForce(context: FaultContext): void {
  for (const name of context.cluster.names) context.cluster.kill(name, "machine");
  recoverWhoWaits(context, maxLooks);
}

function recoverWhoWaits(context: FaultContext, looks: number): void {
  const { cluster } = context;
  const name = cluster.names.find((one) => /^(waiting|refusing)/.test(cluster.state(one)));
  if (name !== undefined) recoverOne(context, name, looks);
  else if (looks > 1) later(context, lookEveryMs, () => recoverWhoWaits(context, looks - 1));
}

/** A server that does not know yet who is there says so, and is asked again: once, though two of one name may both say so. */
function recoverOne(context: FaultContext, name: string, looks: number): void {
  const { operator, sim } = context;
  sim.tell("operator", `tells ${name} to go on alone, whatever is lost`);
  let isAnswered = false;
  operator.command(name, "recover", ({ ok }) => {
    const isFirst = !isAnswered;
    isAnswered = true;
    if (!ok && isFirst && looks > 1) later(context, 2 * lookEveryMs, () => recoverWhoWaits(context, looks - 1));
  });
}

/** A server comes back as another version of the application: it may not take part until the right one is there again. */
function otherVersion(context: FaultContext): void {
  const { cluster, sim, rng, moments } = context;
  const name = anyServer(context);
  if (!mayCrash(context, name)) return;
  sim.tell(name, "is replaced by another version of the application");
  moments.count("another version started");
  cluster.replace(name, "other");
  later(context, rng.between(300, 2_500), () => {
    sim.tell(name, "is replaced by the right version, where it is not that already");
    cluster.rightVersion(name);
  });
}

/** A rolling upgrade, one server at a time, in whatever order and whatever else happens; there is no way back (rule 19). */
function upgrade(context: FaultContext): void {
  const { cluster, sim, rng, moments } = context;
  const old = cluster.names.filter((name) => !cluster.isUpgraded(name));
  if (old.length === 0) return;
  const name = rng.pick(old);
  if (!mayCrash(context, name)) return;
  sim.tell(name, "is replaced by the newer version of the application");
  moments.count("newer version started");
  cluster.upgrade(name);
}

/** The broker drops an integrator that reads nothing; it asks again for what it missed (rule 13). */
function slowIntegrator({ sim, rng, number, integrator, moments }: FaultContext): void {
  const forMs = rng.between(200, 3_000);
  sim.tell(integrator.host, `reads nothing for ${forMs.toFixed(0)} ms`);
  moments.count("integrator slow");
  sim.broker.maxUnread.set(integrator.host, rng.pick([500, 5_000]));
  integrator.pause();
  sim.scheduler.after(forMs, null, "fault", () => {
    sim.broker.maxUnread.delete(integrator.host);
    sim.story.within(number, () => integrator.resume());
  });
}

/**
 * Somebody starts a second server in the name of one, on another machine, and finds out a while later: with an empty disk, or with
 * what that machine had when it was called so before, and in sync perhaps.
 */
function nameTwice({ cluster, rng, sim, moments, number }: FaultContext): void {
  const name = rng.pick(cluster.names);
  if (cluster.stranger(name).incarnation !== "") return;
  moments.count("name used twice");
  cluster.startStranger(name, cluster.hasFormer(name) && rng.chance(0.7) ? "own" : "empty");
  sim.scheduler.after(rng.between(300, 6_000), null, "fault", () =>
    sim.story.within(number, () => cluster.retireStranger(name)),
  );
}

export const operatedFaults: readonly FaultKind[] = [
  { name: "switchRoles", class: "within", meanGapMs: 1_500, run: switchRoles },
  { name: "pauseIntake", class: "within", meanGapMs: 3_000, run: pauseIntake },
  { name: "flush", class: "within", meanGapMs: 1_500, run: flush },
  { name: "otherVersion", class: "within", meanGapMs: 4_000, run: otherVersion },
  { name: "upgrade", class: "within", meanGapMs: 3_000, run: upgrade },
  { name: "slowIntegrator", class: "within", meanGapMs: 3_000, run: slowIntegrator },
  { name: "nameTwice", class: "within", meanGapMs: 5_000, run: nameTwice },
  { name: "recoverByForce", class: "beyond", meanGapMs: 2_000, run: recoverByForce },
];
