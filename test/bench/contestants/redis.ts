/** Redis by hand: a primary and a replica, in memory, or with a file that is synced with every write. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { freePort } from "../../helpers/free-port.ts";
import type { Contestant } from "./contestant.ts";
import { listens, missingProgram, type Started, start, startResponder, stopAll } from "./programs.ts";

function redis(name: string, service: string, means: string, settings: readonly string[]): Contestant {
  return {
    name,
    means: `${means}; ${settings.join(" ")}`,
    missing: () => missingProgram("redis-server"),
    async start(arena) {
      const ports = [await freePort(), await freePort()] as const;
      const started: Started[] = [];
      for (const [index, port] of ports.entries()) {
        const folder = join(arena.folder, `${service}-${index}`);
        await mkdir(folder);
        const place = ["--port", String(port), "--bind", "127.0.0.1", "--dir", folder, "--loglevel", "warning"];
        const follows = index === 0 ? [] : ["--replicaof", `127.0.0.1 ${ports[0]}`];
        started.push(start("redis-server", [...place, ...settings, ...follows]));
        await listens(port);
      }
      const url = `redis://127.0.0.1:${ports[0]}`;
      const responder = await startResponder(arena, service, { name: "redis", url });
      const [primary, replica] = started;
      const processes = {
        responder: responder.child.pid ?? 0,
        primary: primary?.child.pid ?? 0,
        replica: replica?.child.pid ?? 0,
      };
      return { service, processes, stop: () => stopAll([...started, responder]) };
    },
  };
}

export const redisInMemory = redis("Redis", "redis", "HSET and WAIT 1: in the memory of both", [
  "--save",
  "",
  "--appendonly",
  "no",
]);

export const redisOnDisk = redis(
  "Redis, AOF always",
  "redisaof",
  "HSET and WAIT 1: in the memory of both, on the primary's disk",
  ["--save", "", "--appendonly", "yes", "--appendfsync", "always"],
);
