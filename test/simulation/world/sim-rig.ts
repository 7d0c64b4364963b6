/** What the conformance suites wait with, in simulated time. */

import type { SimWorld } from "../../../actors/testing/world/sim-world.ts";
import type { Rig } from "../../conformance/rig.ts";

const withinMs = 120_000;
const turnMs = 1;

/** Drives simulated time wherever a real rig waits. */
export function simRig(sim: SimWorld): Pick<Rig, "clock" | "until" | "settle"> {
  const { scheduler } = sim;
  return {
    clock: sim.clock(sim.startProcess("driver")),
    until: async (condition, waitedFor) => {
      const endMs = scheduler.nowMs + withinMs;
      while (!condition()) {
        if (scheduler.nowMs > endMs) throw new Error(`waited in vain for ${waitedFor}`);
        await scheduler.run(scheduler.nowMs + turnMs);
      }
    },
    settle: async (promise) => {
      let isSettled = false;
      const watched = promise.finally(() => {
        isSettled = true;
      });
      watched.catch(() => undefined);
      await scheduler.run(scheduler.nowMs + withinMs, () => isSettled);
      return await watched;
    },
  };
}
