/**
 * The faults of one seed: a random subset of kinds, each at random times. Every occurrence has a number and randomness of
 * its own, so that any of them can be left out and the others stay as they are: that is how a failing seed is shrunk.
 *
 * What always holds: occurrences are numbered in the order of their times, from 1; a shorter fault phase leaves out the
 * last numbers; after `healAll` the world is whole: networks free, disks sound, clocks right, everybody running.
 */

import type { Rng } from "../../../actors/testing/world/rng.ts";
import { brokerHost } from "../../../actors/testing/world/sim-broker.ts";
import type { FaultClass } from "../service/seed-plan.ts";
import type { FaultContext, FaultKind } from "./context.ts";
import { faultKinds } from "./kinds.ts";

export interface FaultPlanOptions extends Omit<FaultContext, "number" | "isOver"> {
  /** How long faults happen. */
  readonly forMs: number;
  /** These kinds and no others; else the seed chooses. */
  readonly kinds?: readonly string[] | undefined;
  /** These occurrences and no others. */
  readonly only?: readonly number[] | undefined;
}

/** One time that one fault happens. */
export interface Occurrence {
  readonly number: number;
  readonly kind: string;
  /** Since the beginning of the faults. */
  readonly atMs: number;
}

const crashesOnlyShare = 0.15;

/** What may go on while the registry is not to be trusted: nobody's disk is lost. */
const keepsDisks: ReadonlySet<string> = new Set([
  "kill",
  "cutMain",
  "flap",
  "failsafe",
  "brokerLoss",
  "registry",
  "jumpClock",
]);

function choose(rng: Rng, faultClass: FaultClass): readonly FaultKind[] {
  const possible = faultKinds.filter((kind) =>
    faultClass === "registry"
      ? kind.class === "registry" || keepsDisks.has(kind.name)
      : kind.class === "within" || kind.class === faultClass,
  );
  const share = rng.pick([0.15, 0.3, 0.6]);
  // A crash at a boundary needs a world that is whole: in some seeds nothing else happens.
  const crashesOnly = faultClass !== "registry" && rng.stream("crashes only").chance(crashesOnlyShare);
  if (crashesOnly) return named(["crashAtBoundary"]);
  // Each kind draws for itself: a new kind leaves the choice of the others as it is.
  const picked = possible.filter(({ name }) => rng.stream(name).chance(share));
  return picked.length > 0 ? picked : [rng.pick(possible)];
}

function named(names: readonly string[]): readonly FaultKind[] {
  return names.map((name) => {
    const kind = faultKinds.find((one) => one.name === name);
    if (kind === undefined)
      throw new Error(`no fault ${name}: there are ${faultKinds.map((one) => one.name).join(", ")}`);
    return kind;
  });
}

/**
 * What is promised where these faults are named, instead of drawn; null: what the seed says. A scene is made to be alone: beside
 * others it is beyond the promise. A registry that goes back while servers are cut off or lose their disks promises nothing.
 */
export function classOf(names: readonly string[]): FaultClass | null {
  const kinds = named(names);
  if (kinds.some((kind) => kind.class === "registry")) {
    const others = kinds.filter(({ class: of, name }) => of !== "registry" && !keepsDisks.has(name));
    if (others.length === 0) return "registry";
    const which = others.map(({ name }) => name).join(", ");
    throw new Error(`nothing is promised where the registry goes back beside ${which}: name these faults apart`);
  }
  const isMixed = kinds.length > 1 && kinds.some((kind) => kind.class === "staged");
  return isMixed || kinds.some((kind) => kind.class === "beyond") ? "beyond" : null;
}

interface Due {
  readonly kind: FaultKind;
  readonly atMs: number;
  readonly rng: Rng;
}

function timesOf(kind: FaultKind, rng: Rng, forMs: number): Due[] {
  const gaps = rng.stream(`${kind.name} gaps`);
  const times: Due[] = [];
  for (let atMs = gaps.exponential(kind.meanGapMs); atMs < forMs; atMs += gaps.exponential(kind.meanGapMs))
    times.push({ kind, atMs, rng: rng.stream(`${kind.name} ${times.length}`) });
  return times;
}

export class FaultPlan {
  readonly chosen: readonly string[];
  /** All that happen in this run. */
  readonly occurrences: readonly Occurrence[];
  readonly #context: FaultPlanOptions;
  #isOver = false;

  constructor(options: FaultPlanOptions) {
    this.#context = options;
    const { rng, faultClass, forMs, only } = options;
    const chosen = options.kinds === undefined ? choose(rng, faultClass) : named(options.kinds);
    this.chosen = chosen.map(({ name }) => name);
    const all = chosen.flatMap((kind) => timesOf(kind, rng, forMs)).sort((a, b) => a.atMs - b.atMs);
    const occurrences: Occurrence[] = [];
    for (const [index, due] of all.entries()) {
      const number = index + 1;
      if (only !== undefined && !only.includes(number)) continue;
      occurrences.push({ number, kind: due.kind.name, atMs: due.atMs });
      this.#plan(number, due);
    }
    this.occurrences = occurrences;
  }

  healAll(): void {
    this.#isOver = true;
    this.#context.cluster.lethal.disarm();
    this.#context.sim.registry.onWritten.clear();
    this.#context.moments.forgetListeners();
    const { sim, cluster } = this.#context;
    sim.network.healAll();
    Object.assign(sim.failsafeFaults, { lossChance: 0, repeatChance: 0, delayChance: 0 });
    Object.assign(sim.registryFaults, { lostAnswerChance: 0, lateChance: 0, lostCallChance: 0 });
    sim.broker.lossChance = 0;
    if (!sim.broker.isUp) sim.broker.restart();
    sim.broker.widen();
    sim.broker.forbidden.clear();
    sim.broker.join();
    sim.broker.maxUnread.clear();
    sim.registry.staleReads = null;
    this.#context.integrator.resume();
    this.#context.operator.resumeAll();
    sim.registry.isAvailable = true;
    sim.registry.isFull = false;
    // What was kept of it is put back, or nothing was kept and the servers are asked.
    const isAsked = sim.registry.isLost && this.#context.rng.stream("registry").chance(0.5);
    if (isAsked) this.#context.registryOperator.keepRestoring();
    else if (sim.registry.restore()) sim.tell(brokerHost, "the registry's operator puts its newest record back");
    this.#context.registryOperator.lookAfter();
    for (const name of this.#context.clients) sim.host(name).wall.offsetMs = 0;
    for (const name of cluster.names) {
      const { disk, wall } = sim.host(name);
      wall.offsetMs = 0;
      disk.isFull = false;
      disk.failingSyncs = 0;
      disk.failingWrites = 0;
      disk.slowness = 1;
      disk.losesSideRow = false;
      cluster.retireStranger(name);
      cluster.spare(name);
      cluster.resume(name);
      cluster.rightVersion(name);
      cluster.start(name);
    }
    cluster.finishUpgrade();
  }

  #plan(number: number, { kind, atMs, rng }: Due): void {
    const { scheduler, story } = this.#context.sim;
    scheduler.after(atMs, null, "fault", () => {
      if (!this.#isOver)
        story.within(number, () => kind.run({ ...this.#context, rng, number, isOver: () => this.#isOver }));
    });
  }
}
