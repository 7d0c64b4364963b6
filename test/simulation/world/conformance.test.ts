/** The simulated adapters are held to the contracts of the real ones, so that the simulation is not kinder than the world. */

import { brokerHost } from "../../../actors/testing/world/sim-broker.ts";
import type { SimProcess } from "../../../actors/testing/world/sim-process.ts";
import { SimWorld } from "../../../actors/testing/world/sim-world.ts";
import type { Store } from "../../../actors/world/ports.ts";
import { linkConformance } from "../../conformance/link.ts";
import { storeConformance } from "../../conformance/store.ts";
import { simRig } from "./sim-rig.ts";

const servers = ["alpha", "beta"] as const;
const sides = [
  ["main:alpha", "main:beta"],
  ["main:beta", "main:alpha"],
] as const;

linkConformance("simulated main link", async () => {
  const sim = new SimWorld({ seed: 1, service: "test", servers });
  const alpha = sim.world(sim.startProcess("alpha")).main;
  const beta = sim.world(sim.startProcess("beta")).main;
  await Promise.resolve();
  return {
    ...simRig(sim),
    alpha,
    beta,
    cut: async () => {
      for (const [from, to] of sides) sim.network.cut(from, to);
      sim.mainNetwork.reset("alpha", "beta");
      await Promise.resolve();
    },
    heal: async () => {
      for (const [from, to] of sides) sim.network.heal(from, to);
      await Promise.resolve();
    },
    betaIsAbsent: () => Promise.resolve(),
    maxBufferedBytes: 4 * 1024 * 1024,
    reasons: { stopped: ["closed"], absent: ["refused"] },
    keepsOrder: true,
    dispose: () => Promise.resolve(),
  };
});

linkConformance("simulated failsafe link", async () => {
  const sim = new SimWorld({ seed: 2, service: "test", servers });
  const alpha = sim.world(sim.startProcess("alpha")).failsafe;
  const beta = sim.world(sim.startProcess("beta")).failsafe;
  await Promise.resolve();
  return {
    ...simRig(sim),
    alpha,
    beta,
    cut: async () => {
      sim.tell(brokerHost, "dies");
      sim.broker.crash();
      await sim.scheduler.run(sim.nowMs + 100);
    },
    heal: async () => {
      sim.broker.restart();
      await Promise.resolve();
    },
    betaIsAbsent: () => Promise.resolve(),
    maxBufferedBytes: 1024 * 1024,
    reasons: { stopped: ["noResponders"], absent: ["noResponders"] },
    keepsOrder: true,
    dispose: () => Promise.resolve(),
  };
});

for (const kind of ["process", "machine"] as const) {
  storeConformance(`simulated store, ${kind} crash`, async () => {
    const sim = new SimWorld({ seed: 3, service: "test", servers });
    const owners = new Map<Store, SimProcess>();
    await Promise.resolve();
    return {
      ...simRig(sim),
      make: () => {
        const process = sim.startProcess("alpha");
        const { store } = sim.world(process);
        const close = store.close.bind(store);
        // The dead never answer; the suite closes them all the same.
        store.close = () => (process.isAlive ? close() : Promise.resolve());
        owners.set(store, process);
        return store;
      },
      crash: async (store) => {
        owners.get(store)?.kill(kind);
        await Promise.resolve();
      },
      dispose: () => Promise.resolve(),
    };
  });
}
