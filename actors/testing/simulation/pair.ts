/**
 * Two servers of a simulated service, whole and as they ship, each started again as a supervisor would. What always holds: a server's
 * next life is on the disk that the last one left; what each does is recorded, for the checker.
 */
import { recordsOf } from "../../../machines/checker/records-of.ts";
import { initialRecord } from "../../../machines/replica/registry/initial-record.ts";
import type { RegistryRecord } from "../../../schemas/registry.ts";
import { Settings } from "../../../schemas/settings.ts";
import { subjects } from "../../../schemas/subjects.ts";
import type { Application } from "../../application/define.ts";
import type { Observer } from "../../observer.ts";
import { type ServerHandle, startServer } from "../../server.ts";
import type { Recorder } from "../recorder.ts";
import type { Rng } from "../world/rng.ts";
import type { SimNatsClient } from "../world/sim-nats-client.ts";
import type { KillKind, SimProcess } from "../world/sim-process.ts";
import type { SimWorld } from "../world/sim-world.ts";

export interface SimPairOptions {
  readonly sim: SimWorld;
  readonly application: Application;
  readonly limits: Settings["limits"];
  readonly recorder: Recorder;
  /** A server ended of an error. */
  readonly onError: (text: string) => void;
}

interface Server {
  process: SimProcess | null;
  handle: ServerHandle | null;
}

const restartMs = 300;
export class SimPair {
  readonly #options: SimPairOptions;
  readonly #servers = new Map<string, Server>();
  readonly #operator: SimNatsClient;
  #isOver = false;

  constructor(options: SimPairOptions) {
    const { sim } = options;
    const { service, servers, seed } = sim.options;
    this.#options = options;
    for (const name of servers) this.#servers.set(name, { process: null, handle: null });
    sim.registry.write(initialRecord(service, servers[0] ?? "", `h${seed}`));
    this.#operator = sim.natsClient(sim.startProcess("operator"));
    this.#operator.start(() => undefined);
  }

  get names(): readonly string[] {
    return [...this.#servers.keys()];
  }

  start(): void {
    for (const name of this.names) this.#start(name);
  }

  /** Nobody is started again. */
  stop(): void {
    this.#isOver = true;
    for (const { process } of this.#servers.values()) process?.kill();
  }

  process(name: string): SimProcess | null {
    const process = this.#servers.get(name)?.process ?? null;
    return process?.isAlive === true ? process : null;
  }

  /** The primary more often than the other one. */
  target(rng: Rng): string {
    const primary = this.#record?.primary.server;
    return primary !== undefined && rng.chance(0.6) ? primary : rng.pick(this.names);
  }

  /** Both run and are in sync, and no question is open that would make one of them the only one. */
  get isWhole(): boolean {
    const { registry } = this.#options.sim;
    const record = this.#record;
    const isAsked = [...this.#servers.values()].some(({ handle }) => (handle?.life?.replica.asked ?? null) !== null);
    if (record === null || isAsked || registry.mayLand.length > 0) return false;
    return record.inSync.length === this.#servers.size && record.inSync.every((one) => this.#lives(one));
  }

  /** The other one has everything, and lives on. */
  mayDie(name: string): boolean {
    const isDoomed = this.names.some((other) => other !== name && this.process(other)?.plan !== null);
    return this.isWhole && !isDoomed;
  }

  kill(name: string, kind: KillKind): void {
    this.#options.sim.tell(name, kind === "machine" ? "loses power" : "is killed", "life");
    this.process(name)?.kill(kind);
  }

  pause(name: string): void {
    this.process(name)?.pause();
  }
  resume(name: string): void {
    this.process(name)?.resume();
  }

  /** As `twinlog switch` does. */
  switchRoles(): void {
    const { sim } = this.#options;
    const primary = this.#record?.primary;
    if (primary === undefined) return;
    sim.tell(primary.server, "is told to switch");
    const body = Buffer.from(JSON.stringify({ incarnation: primary.incarnation }));
    this.#operator.publish(subjects.control(sim.options.service, primary.server, "switch"), body, {});
  }

  get #record(): RegistryRecord | null {
    return this.#options.sim.registry.newest;
  }

  #lives({ server, incarnation }: RegistryRecord["inSync"][number]): boolean {
    const process = this.process(server);
    if (process?.state !== "running") return false;
    const name = nameOf(process);
    return incarnation === name || incarnation.startsWith(`${name}.`);
  }

  #start(name: string): void {
    const { sim } = this.#options;
    const server = this.#servers.get(name);
    if (server === undefined || this.#isOver) return;
    const process = sim.startProcess(name);
    server.process = process;
    sim.tell(name, `starts as ${nameOf(process)}`, "life");
    process.whenKilled(() => {
      server.handle = null;
      const delayMs = restartMs * sim.rng.stream(`restart ${process.name}`).between(0.1, 4);
      sim.scheduler.after(delayMs, null, "supervise", () => this.#start(name));
    });
    process.later(0, "start", () => {
      const handle = this.#launch(process, name);
      server.handle = handle;
      handle.ended.then(
        (end) => {
          if (!process.isAlive) return;
          if (end.reason === "failed") this.#options.onError(`${name} ends: ${end.error.message}`);
          process.kill();
        },
        (error: unknown) => process.onError(error),
      );
    });
  }

  #launch(process: SimProcess, name: string): ServerHandle {
    const { sim, application, limits } = this.#options;
    let lives = 0;
    let incarnation = nameOf(process);
    return startServer({
      settings: Settings.parse({
        service: sim.options.service,
        server: name,
        servers: this.names.map((one, at) => ({ name: one, port: 7_000 + at })),
        dataDirectory: "simulated",
        limits,
      }),
      application,
      world: sim.world(process),
      process: { pid: 1, version: "simulated" },
      nameIncarnation: () => {
        lives += 1;
        incarnation = lives === 1 ? nameOf(process) : `${nameOf(process)}.${lives}`;
        return incarnation;
      },
      observer: this.#observer(name, () => incarnation),
    });
  }

  #observer(server: string, incarnation: () => string): Observer {
    const { recorder } = this.#options;
    const of = () => ({ server, incarnation: incarnation() });
    return {
      onMade: (epoch, sequence) => recorder.record({ type: "made", ...of(), epoch, sequence }),
      onCommitted: (history, batch) =>
        recorder.record({
          type: "commit",
          ...of(),
          history,
          previousHash: batch.previousHash,
          records: recordsOf(batch),
        }),
      onEpoch: (epoch) => recorder.record({ type: "epoch", ...of(), epoch }),
      onDigest: (history, sequence, digest) => recorder.record({ type: "digest", ...of(), history, sequence, digest }),
    };
  }
}

/** The life's number makes the incarnation, so that a story can be read. */
function nameOf(process: SimProcess): string {
  return process.name.replace("#", "-");
}
