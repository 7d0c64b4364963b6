/** The simulated bus and registry are held to the contracts of the real ones; the simulated links and store in conformance.test.ts. */

import { brokerHost } from "../../../actors/testing/world/sim-broker.ts";
import { SimWorld } from "../../../actors/testing/world/sim-world.ts";
import { busConformance } from "../../conformance/bus.ts";
import { registryConformance } from "../../conformance/registry.ts";
import { simRig } from "./sim-rig.ts";

const servers = ["alpha", "beta"] as const;

busConformance("simulated bus", async () => {
  const sim = new SimWorld({ seed: 4, service: "test", servers });
  await Promise.resolve();
  return {
    ...simRig(sim),
    prefix: "test",
    make: () => sim.world(sim.startProcess("alpha")).bus,
    brokerGone: async () => {
      sim.tell(brokerHost, "dies");
      sim.broker.crash();
      await sim.scheduler.run(sim.nowMs + 1);
    },
    brokerBack: async () => {
      sim.broker.restart();
      await Promise.resolve();
    },
    dispose: () => Promise.resolve(),
  };
});

registryConformance("simulated registry", async () => {
  const sim = new SimWorld({ seed: 5, service: "test", servers, registryTimeoutMs: 300 });
  const rig = simRig(sim);
  const worlds = await Promise.all(
    servers.map(async (server) => {
      const world = sim.world(sim.startProcess(server));
      const ignore = () => undefined;
      await rig.settle(world.failsafe.start({ onUp: ignore, onDown: ignore, onFrame: ignore }));
      return world;
    }),
  );
  // The connection is dialled behind the start.
  await sim.scheduler.run(sim.nowMs + 1_000);
  let made = 0;
  return {
    ...rig,
    service: "test",
    make: () => {
      const world = worlds[made % worlds.length];
      made += 1;
      if (world === undefined) throw new Error("no server");
      return world.registry;
    },
    outage: async () => {
      for (const server of servers) {
        sim.network.cut(server, brokerHost);
        sim.network.cut(brokerHost, server);
      }
      await Promise.resolve();
    },
    recover: async () => {
      for (const server of servers) {
        sim.network.heal(server, brokerHost);
        sim.network.heal(brokerHost, server);
      }
      await Promise.resolve();
    },
    dispose: () => Promise.resolve(),
  };
});
