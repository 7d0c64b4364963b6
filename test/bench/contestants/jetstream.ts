/** JetStream by hand: each reply is a message of a stream on file, on one nats-server or on three of their own. */
import { join } from "node:path";
import { type NatsServer, startNatsServer } from "../../../deploy/nats/process.ts";
import { freePort } from "../../helpers/free-port.ts";
import type { Arena, Contestant } from "./contestant.ts";
import { startResponder } from "./programs.ts";

async function startCluster(arena: Arena, service: string, count: number): Promise<NatsServer[]> {
  const ports: number[] = [];
  for (let index = 0; index < count; index += 1) ports.push(await freePort());
  const routes = ports.map((port) => `"nats://127.0.0.1:${port}"`).join(", ");
  const start = (port: number, index: number) =>
    startNatsServer({
      binary: arena.natsBinary,
      storeDir: join(arena.folder, `${service}-${index}`),
      readyWithinMs: 60_000,
      ...(count === 1
        ? {}
        : { extraConfig: `cluster: { name: ${service}, listen: "127.0.0.1:${port}", routes: [${routes}] }` }),
    });
  return await Promise.all(ports.map(start));
}

function jetStream(replicas: 1 | 3): Contestant {
  const service = `jetstream${replicas}`;
  return {
    name: `JetStream, ${replicas === 1 ? "1 replica" : "3 replicas"}`,
    means: `a message with Nats-Msg-Id each, on file, ${replicas === 1 ? "one server" : "a quorum of three"}, synced later`,
    missing: () => Promise.resolve(null),
    async start(arena) {
      const servers = await startCluster(arena, service, replicas);
      const keeper = { name: `jetstream-${replicas}`, url: servers[0]?.url ?? "" };
      const responder = await startResponder(arena, service, keeper);
      const stores = servers.map(({ pid }, index) => [`store ${index + 1}`, pid] as const);
      return {
        service,
        processes: { responder: responder.child.pid ?? 0, ...Object.fromEntries(stores) },
        stop: async () => {
          await responder.stop();
          await Promise.all(servers.map((server) => server.stop()));
        },
      };
    },
  };
}

export const jetStreamOne = jetStream(1);
export const jetStreamThree = jetStream(3);
