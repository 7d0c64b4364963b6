/** A Twinlog pair, and a server alone, as they are shipped. */
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { ServiceStatus } from "../../../schemas/status.ts";
import { freePort } from "../../helpers/free-port.ts";
import type { Arena, Contestant, Running } from "./contestant.ts";
import { run, type Started, settingsFile, start, stopAll } from "./programs.ts";

const program = fileURLToPath(new URL("../../../deploy/twinlog.js", import.meta.url));
const untilWithinMs = 120_000;

interface Standing {
  readonly primary: string;
  readonly inSync: number;
}

/** The servers of one service, each a process that can be killed and started again. */
export class TwinlogServers {
  readonly service: string;
  readonly names: readonly string[];
  readonly #arena: Arena;
  readonly #configs = new Map<string, string>();
  readonly #processes = new Map<string, Started>();

  private constructor(arena: Arena, service: string, names: readonly string[]) {
    this.#arena = arena;
    this.service = service;
    this.names = names;
  }

  /** Returns when all are in sync. */
  static async start(arena: Arena, service: string, names: readonly string[]): Promise<TwinlogServers> {
    const all = new TwinlogServers(arena, service, names);
    const servers: { name: string; port: number }[] = [];
    for (const name of names) servers.push({ name, port: await freePort() });
    for (const name of names) all.#configs.set(name, await settingsFile(arena, service, name, servers));
    await run(process.execPath, [program, "init", "--config", all.#configs.get(names[0] ?? "") ?? ""]);
    for (const name of names) all.begin(name);
    await all.untilInSync();
    return all;
  }

  begin(name: string): void {
    const config = this.#configs.get(name) ?? "";
    this.#processes.set(name, start(process.execPath, [program, "server", "--config", config]));
  }

  pid(name: string): number {
    return this.#processes.get(name)?.child.pid ?? 0;
  }

  async kill(name: string): Promise<void> {
    await this.#processes.get(name)?.stop("SIGKILL");
  }

  /** null: nobody serves, or nobody answered. */
  async standing(): Promise<Standing | null> {
    const ask = ["status", "--json", "--service", this.service, "--nats", this.#arena.natsUrl];
    // Its exit status says whether a failover would work: what it prints counts.
    const { stdout } = await run(process.execPath, [program, ...ask]).catch((error: { stdout?: string }) => error);
    if (stdout === undefined || stdout === "") return null;
    const { epoch, servers } = JSON.parse(stdout) as ServiceStatus;
    const primary = servers.find((server) => server.role === "primary" && server.epoch === epoch);
    return primary === undefined ? null : { primary: primary.name, inSync: primary.record?.inSync.length ?? 0 };
  }

  async untilInSync(): Promise<Standing> {
    const untilMs = performance.now() + untilWithinMs;
    while (performance.now() < untilMs) {
      const standing = await this.standing();
      if (standing?.inSync === this.names.length) return standing;
      await wait(100);
    }
    throw new Error(`not all servers of ${this.service} are in sync after ${untilWithinMs} ms`);
  }

  stop(): Promise<void> {
    return stopAll([...this.#processes.values()]);
  }
}

async function startServers(arena: Arena, service: string, names: readonly string[]): Promise<Running> {
  const servers = await TwinlogServers.start(arena, service, names);
  const { primary } = await servers.untilInSync();
  const role = (name: string) => (name === primary ? "primary" : "backup");
  return {
    service,
    processes: Object.fromEntries(names.map((name) => [role(name), servers.pid(name)])),
    stop: () => servers.stop(),
  };
}

export const pair: Contestant = {
  name: "Twinlog pair",
  means: "in the memory of both servers, with duplicates and a warm application on the other side",
  missing: () => Promise.resolve(null),
  start: (arena) => startServers(arena, "pair", ["alpha", "beta"]),
};

export const alone: Contestant = {
  name: "Twinlog alone",
  means: "one server, synced to its disk",
  missing: () => Promise.resolve(null),
  start: (arena) => startServers(arena, "alone", ["alpha"]),
};
