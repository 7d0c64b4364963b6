/**
 * What goes wrong in a simulation: numbered occurrences, drawn from the seed before anything runs, so that one can be left out and the
 * others stay as they are. What always holds: a server dies only while both are in sync and nothing hangs over the other one, so
 * that the promise is that nothing acknowledged is lost.
 */

import type { Rng } from "../world/rng.ts";
import { brokerHost } from "../world/sim-broker.ts";
import type { SimWorld } from "../world/sim-world.ts";
import type { SimPair } from "./pair.ts";
import type { SimulatedFault } from "./types.ts";

export interface Occurrence {
  readonly number: number;
  readonly kind: SimulatedFault;
  readonly atMs: number;
}

interface Striking {
  readonly sim: SimWorld;
  readonly pair: SimPair;
  /** Of this occurrence alone. */
  readonly rng: Rng;
  readonly number: number;
  readonly suspicionMs: number;
}

const meanGapMs = 900;
/** A crash that was planned and did not come by then is taken back. */
const plannedMs = 400;
const lostShare = 0.05;
const boundaries = [
  "bus.publish",
  "bus.receive",
  "link.main.send",
  "link.main.receive",
  "store.write",
  "store.sync",
  "registry.cas",
  "timer",
] as const;

const kinds: Readonly<Record<SimulatedFault, (striking: Striking) => void>> = {
  kill: (striking) => die(striking, "process"),
  powerLoss: (striking) => die(striking, "machine"),
  crash: crashAtBoundary,
  pause: ({ sim, pair, rng, suspicionMs, number }) => {
    const name = pair.target(rng);
    const forMs = outageMs(rng, suspicionMs);
    sim.tell(name, `is paused for ${forMs.toFixed(0)} ms`);
    pair.pause(name);
    later(sim, number, forMs, () => pair.resume(name));
  },
  cutLink: (striking) => {
    const [one = "", other = ""] = striking.pair.names;
    cut(striking, one, `the main link to ${other} is cut`, [[`main:${one}`, `main:${other}`]]);
  },
  cutNats: (striking) => {
    const name = striking.pair.target(striking.rng);
    cut(striking, name, "is cut from NATS", [[name, brokerHost]]);
  },
  loseMessages: ({ sim, rng }) => {
    sim.broker.lossChance = rng.between(0, lostShare);
    sim.tell(brokerHost, `loses ${(100 * sim.broker.lossChance).toFixed(1)} % of its messages from now on`);
  },
  switch: ({ pair }) => pair.switchRoles(),
};

export const faultNames = Object.keys(kinds) as readonly SimulatedFault[];

function die({ pair, rng }: Striking, kind: "process" | "machine"): void {
  const name = pair.target(rng);
  if (pair.mayDie(name)) pair.kill(name, kind);
}

function crashAtBoundary({ sim, pair, rng, number }: Striking): void {
  const name = pair.target(rng);
  const process = pair.process(name);
  if (process === null || process.plan !== null || !pair.mayDie(name)) return;
  const plan = {
    what: rng.pick(boundaries),
    when: rng.chance(0.5) ? "before" : "after",
    countdown: rng.int(1, 12),
    kind: rng.chance(0.5) ? "process" : "machine",
    mayStrike: () => pair.mayDie(name),
    fault: number,
  } as const;
  process.plan = { ...plan };
  later(sim, number, plannedMs, () => {
    process.plan = null;
  });
}

function cut(striking: Striking, who: string, what: string, ways: readonly (readonly [string, string])[]): void {
  const { sim, rng, suspicionMs, number } = striking;
  const forMs = outageMs(rng, suspicionMs);
  sim.tell(who, `${what} for ${forMs.toFixed(0)} ms`);
  const both = ways.flatMap(([from, to]) => [[from, to] as const, [to, from] as const]);
  for (const [from, to] of both) sim.network.cut(from, to);
  later(sim, number, forMs, () => {
    for (const [from, to] of both) if (sim.network.isCut(from, to)) sim.network.heal(from, to);
  });
}

/** A little less than the time of suspicion, or up to three times as much. */
function outageMs(rng: Rng, suspicionMs: number): number {
  return suspicionMs * rng.between(0.1, 3);
}

function later(sim: SimWorld, number: number, delayMs: number, run: () => void): void {
  sim.scheduler.after(delayMs, null, "fault", () => sim.story.within(number, run));
}

/** Those of a seed, for so long; `only`: of them, these. */
export function occurrencesOf(
  rng: Rng,
  wanted: readonly SimulatedFault[],
  forMs: number,
  only?: readonly number[],
): Occurrence[] {
  const all: Occurrence[] = [];
  if (wanted.length === 0) return all;
  for (let atMs = rng.exponential(meanGapMs); atMs < forMs; atMs += rng.exponential(meanGapMs))
    all.push({ number: all.length + 1, kind: rng.pick(wanted), atMs });
  return only === undefined ? all : all.filter(({ number }) => only.includes(number));
}

export function strike(occurrence: Occurrence, sim: SimWorld, pair: SimPair, suspicionMs: number): void {
  const { number, kind, atMs } = occurrence;
  const rng = sim.rng.stream(`fault ${number}`);
  later(sim, number, atMs, () => kinds[kind]({ sim, pair, rng, number, suspicionMs }));
}

/** All is whole again, as far as the world goes. */
export function mend(sim: SimWorld, pair: SimPair): void {
  sim.network.healAll();
  sim.broker.lossChance = 0;
  for (const name of pair.names) {
    pair.resume(name);
    const process = pair.process(name);
    if (process !== null) process.plan = null;
  }
}
