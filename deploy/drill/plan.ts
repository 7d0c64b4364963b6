/**
 * What a drill does to the servers, and when: drawn from a seed, so that the same seed gives the same plan. Pure.
 *
 * kill: SIGKILL of the primary. stop: SIGSTOP of the primary for one to three times the time of suspicion, then SIGCONT.
 * cut: the main link is closed and refused for a while. switch: the primary hands its role over, as an operator asks it to.
 */

export const faultKinds = ["kill", "stop", "cut", "switch"] as const;
export type FaultKind = (typeof faultKinds)[number];

export interface PlannedFault {
  readonly kind: FaultKind;
  /** Normal service before it. */
  readonly waitMs: number;
  /** How long it lasts, where it lasts, in times of suspicion. */
  readonly suspicions: number;
}

const wait = { leastMs: 300, mostMs: 1_200 };

/** Endless; each of the kinds once, in an order of its own, before any of them again. */
export function* planFaults(seed: number, kinds: readonly FaultKind[]): Generator<PlannedFault, never> {
  const random = randomFrom(seed);
  for (;;) {
    const left = [...kinds];
    while (left.length > 0) {
      const [kind] = left.splice(Math.floor(random() * left.length), 1);
      const waitMs = Math.round(wait.leastMs + random() * (wait.mostMs - wait.leastMs));
      const suspicions = (kind === "cut" ? 0.2 : 1) + 2 * random();
      if (kind !== undefined) yield { kind, waitMs, suspicions };
    }
  }
}

/** 0 <= x < 1, the same row of numbers for the same seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
