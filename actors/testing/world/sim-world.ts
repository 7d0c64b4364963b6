/**
 * A whole simulated world: hosts with disks and wall clocks, the network, the broker with its registry, and processes
 * that each see a World of their own through the ports. Everything random in it comes from one seed.
 */

import type { LastWords } from "../../../schemas/death.ts";
import { subjects } from "../../../schemas/subjects.ts";
import type { Log, LogFields, World } from "../../world/ports.ts";
import { boundaryInWords } from "./boundaries.ts";
import { Rng } from "./rng.ts";
import { Scheduler } from "./scheduler.ts";
import { SimBroker } from "./sim-broker.ts";
import { SimBus } from "./sim-bus.ts";
import { SimClock, WallClock } from "./sim-clock.ts";
import { SimDisk } from "./sim-disk.ts";
import { type FailsafeFaults, SimLinkFailsafe } from "./sim-link-failsafe.ts";
import { SimLinkMain, SimMainNetwork } from "./sim-link-main.ts";
import { SimNatsClient } from "./sim-nats-client.ts";
import { SimNetwork } from "./sim-network.ts";
import { type CrashPlan, type ProcessWatcher, SimProcess } from "./sim-process.ts";
import {
  type RegistryFaults,
  type RegistryVersion,
  type RegistryWatcher,
  SimRegistry,
  SimRegistryState,
} from "./sim-registry.ts";
import { SimStore } from "./sim-store.ts";
import { SimWatchdog } from "./sim-watchdog.ts";
import { Story, type StoryKind } from "./story.ts";

const usualFrameBytes = 16 * 1024 * 1024;

export interface SimHost {
  readonly name: string;
  readonly disk: SimDisk;
  readonly wall: WallClock;
  lives: number;
  /** In the data folder: what the watchdog of its last process left. */
  lastWords: LastWords | null;
}

export type LogLevel = "debug" | "info" | "warn" | "error";

export interface SimWorldOptions {
  readonly seed: number;
  readonly service: string;
  readonly servers: readonly string[];
  readonly registryTimeoutMs?: number;
  /** Largest frame on a main link. */
  readonly maxFrameBytes?: number;
}

/** Who hears of what happens, beside the story. */
export interface SimWorldWatcher {
  onProcessError?(process: SimProcess, error: unknown): void;
  onPlannedCrash?(process: SimProcess, plan: CrashPlan, what: string): void;
  onCompareAndSetSent?(by: string, expectedRevision: number): void;
  onRegistryWritten?(version: RegistryVersion, by: string, late: boolean): void;
  onRegistryAnswerLost?(by: string, outcome: string): void;
  onStaleRead?(): void;
  onLog?(process: SimProcess, level: LogLevel, fields: LogFields, message: string): void;
}

export class SimWorld implements ProcessWatcher, RegistryWatcher {
  readonly options: SimWorldOptions;
  readonly rng: Rng;
  readonly scheduler = new Scheduler();
  readonly story = new Story();
  readonly network: SimNetwork;
  readonly mainNetwork: SimMainNetwork;
  readonly broker: SimBroker;
  readonly registry = new SimRegistryState();
  readonly failsafeFaults: FailsafeFaults = { lossChance: 0, repeatChance: 0, delayChance: 0, maxDelayMs: 30 };
  readonly registryFaults: RegistryFaults = { lostAnswerChance: 0, lateChance: 0, maxLateMs: 4_000, lostCallChance: 0 };
  /** Fault: a stranger said what does not fit. Without one nothing is, for what servers say fits. */
  hasMisfits = false;
  watcher: SimWorldWatcher = {};
  readonly #watchdogs = new Map<string, SimWatchdog>();
  readonly #hosts = new Map<string, SimHost>();

  constructor(options: SimWorldOptions) {
    this.options = options;
    this.rng = new Rng(options.seed);
    this.network = new SimNetwork(this.scheduler, this.rng.stream("network"));
    this.mainNetwork = new SimMainNetwork(this.network);
    this.broker = new SimBroker(this.network, this.rng.stream("broker"));
  }

  get nowMs(): number {
    return this.scheduler.nowMs;
  }

  host(name: string): SimHost {
    let host = this.#hosts.get(name);
    if (host === undefined) {
      host = {
        name,
        disk: new SimDisk(this.rng.stream(`disk ${name}`)),
        wall: new WallClock(),
        lives: 0,
        lastWords: null,
      };
      this.#hosts.set(name, host);
    }
    return host;
  }

  /** A new life on the host; the disk is as the last one left it. */
  startProcess(hostName: string): SimProcess {
    const host = this.host(hostName);
    host.lives += 1;
    return new SimProcess(this.scheduler, hostName, host.lives, this);
  }

  /** All that one process sees of the world. `server`: as which it speaks, where that is not its host's. */
  world(process: SimProcess, server = process.host): World {
    const host = this.host(process.host);
    const { service, servers, maxFrameBytes = usualFrameBytes } = this.options;
    const peers = servers.filter((name) => name !== server);
    const stream = (name: string) => this.rng.stream(`${name} ${process.name}`);
    const client = this.natsClient(process);
    const clock = new SimClock(process, stream("clock"), host.wall);
    const { failsafeFaults: faults, broker } = this;
    return {
      clock,
      main: new SimLinkMain(process, server, peers, this.mainNetwork, stream("main"), maxFrameBytes),
      failsafe: new SimLinkFailsafe({
        process,
        service,
        server,
        peers,
        client,
        faults,
        rng: stream("failsafe"),
      }),
      bus: new SimBus(process, client, clock),
      registry: new SimRegistry({
        process,
        client,
        broker,
        state: this.registry,
        faults: this.registryFaults,
        watcher: this,
        rng: stream("registry"),
        timeoutMs: this.options.registryTimeoutMs ?? 1_000,
      }),
      store: new SimStore(process, host.disk, stream("store")),
      log: this.#log(process),
      watchdog: this.#watchdog(host, process),
    };
  }

  #watchdog(host: SimHost, process: SimProcess): SimWatchdog {
    const watchdog = new SimWatchdog(host, process.name);
    this.#watchdogs.set(host.name, watchdog);
    return watchdog;
  }

  /** Of a server whose code does not come back: what its watchdog is going to say, and to whom. */
  lastWordsOf(server: string): { readonly words: LastWords; say(): void; tell(): void } {
    const watchdog = this.#watchdogs.get(server);
    const words = watchdog?.words ?? null;
    if (watchdog === undefined || words === null) throw new Error(`nothing of the application runs on ${server}`);
    const { service, servers } = this.options;
    const data = new TextEncoder().encode(JSON.stringify({ server, life: words.life, lastWords: words }));
    return {
      words,
      say: () => watchdog.say(words),
      tell: () => {
        for (const name of servers)
          if (name !== server) this.broker.deliverLate({ subject: subjects.deaths(service, name), data, reply: "" });
      },
    };
  }

  /** For processes that are no servers. */
  natsClient(process: SimProcess): SimNatsClient {
    return new SimNatsClient(process, process.host, this.broker, this.rng.stream(`nats ${process.name}`));
  }

  clock(process: SimProcess): SimClock {
    return new SimClock(process, this.rng.stream(`clock ${process.name}`), this.host(process.host).wall);
  }

  tell(who: string, text: string, kind?: StoryKind): void {
    this.story.tell(this.nowMs, who, text, kind);
  }

  onProcessError(process: SimProcess, error: unknown): void {
    const text = error instanceof Error ? error.message : String(error);
    this.tell(process.name, `dies of an error: ${text}`, "violation");
    process.kill("process");
    this.watcher.onProcessError?.(process, error);
  }

  onPlannedCrash(process: SimProcess, plan: CrashPlan, what: string): void {
    const how = plan.kind === "machine" ? "loses power" : "is killed";
    const when = plan.when === "before" ? "just before" : "just after";
    this.story.within(plan.fault, () => this.tell(process.name, `${how} ${when} it ${boundaryInWords(what)}`));
    this.watcher.onPlannedCrash?.(process, plan, what);
  }

  onCompareAndSetSent(by: string, expectedRevision: number): void {
    this.watcher.onCompareAndSetSent?.(by, expectedRevision);
  }

  onRegistryWritten(version: RegistryVersion, by: string, late: boolean): void {
    const { epoch, mode, primary, inSync, durability } = version.record;
    const members = inSync.map(({ incarnation }) => incarnation).join(", ");
    const what = `epoch ${epoch}: ${mode}, ${durability}, primary ${primary.server}, in sync ${members}`;
    this.tell(by, late ? `a compare-and-set of it lands late: ${what}` : `wins ${what}`, "registry");
    this.watcher.onRegistryWritten?.(version, by, late);
  }

  onRegistryAnswerLost(by: string, outcome: string): void {
    this.tell(by, `the registry's answer (${outcome}) is lost`, "registry");
    this.watcher.onRegistryAnswerLost?.(by, outcome);
  }

  onStaleRead(by: string): void {
    this.tell(by, "an old leader of the registry answers it", "registry");
    this.watcher.onStaleRead?.();
  }

  #log(process: SimProcess): Log {
    const at = (level: LogLevel) => (fields: LogFields, message: string) => {
      if (!process.isAlive) return;
      if (level !== "debug") this.tell(process.name, level === "info" ? message : `${level}: ${message}`);
      this.watcher.onLog?.(process, level, fields, message);
    };
    return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
  }
}
