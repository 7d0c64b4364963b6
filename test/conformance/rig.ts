/**
 * What every conformance suite needs of the world that it runs in, real or simulated: a clock, a way to wait for
 * something, and an end. A suite never waits for a time, only for a condition, so that simulated time can be driven.
 */

import { openNodeClock } from "../../actors/world/clock-node.ts";
import type { Clock } from "../../actors/world/ports.ts";
import { until as untilReal } from "../helpers/until.ts";

export interface Rig {
  readonly clock: Clock;
  /** Lets the world go on until the condition holds; throws when it does not hold in good time. */
  until(condition: () => boolean, waitedFor: string): Promise<void>;
  /** Lets the world go on until the promise is settled. Real worlds just await it. */
  settle<T>(promise: Promise<T>): Promise<T>;
  /** Ends everything that the rig started. */
  dispose(): Promise<void>;
}

/** How long a real world may take: generous, since it is only ever waited for when something is broken. */
const realWithinMs = 20_000;

/** The part of a rig that is the same for all real adapters. */
export function realRig(): Pick<Rig, "clock" | "until" | "settle"> {
  return {
    clock: openNodeClock(),
    until: async (condition, waitedFor) => {
      await untilReal(condition, { withinMs: realWithinMs, everyMs: 1, waitedFor });
    },
    settle: (promise) => promise,
  };
}

/** Bytes that are different everywhere, so that a lost, doubled or moved piece shows. The same seed gives the same bytes. */
export function patternBytes(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = (seed * 2_654_435_761 + 1) >>> 0;
  for (let at = 0; at < length; at += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
