/**
 * The servers of a simulated service: started, killed, paused and restarted as a supervisor would, each life on the disk
 * that the last one left. Knows who is in sync, so that faults within the promise can be told from those beyond it.
 */

import type { Recorder } from "../../../actors/testing/recorder.ts";
import type { Rng } from "../../../actors/testing/world/rng.ts";
import { brokerHost } from "../../../actors/testing/world/sim-broker.ts";
import type { SimNatsClient } from "../../../actors/testing/world/sim-nats-client.ts";
import type { CrashPlan, KillKind, SimProcess } from "../../../actors/testing/world/sim-process.ts";
import type { SimWorld } from "../../../actors/testing/world/sim-world.ts";
import type { BusMessage } from "../../../actors/world/ports.ts";
import type { Member, RegistryRecord } from "../../../schemas/registry.ts";
import type { Standing } from "../../../schemas/standing.ts";
import { subjects } from "../../../schemas/subjects.ts";
import type { Moments } from "../judge/moments.ts";
import type { Oracle } from "../judge/oracle.ts";
import { LethalRequest } from "./lethal-request.ts";
import {
  incarnationOf,
  isLifeOf,
  type RunningServer,
  type ServerEnd,
  type StartServer,
  type Version,
} from "./running-server.ts";

interface SimServer {
  readonly name: string;
  process: SimProcess | null;
  running: RunningServer | null;
  /** The supervisor leaves it alone: stopped on purpose. */
  isOff: boolean;
  failedStarts: number;
  /** Its next life dies so. */
  nextPlan: CrashPlan | null;
  version: Version;
  /** Started on its disk while it ran, and refused, but for one that came just when it ended. */
  readonly seconds: Map<SimProcess, RunningServer | null>;
}

const restartMs = 300;
const retireMs = 250;
/** On which disk another process in a server's name begins: `own`, on what that machine had when it was called so before. */
type StrangersDisk = "empty" | "copy" | "own";
const disksSaid: Record<StrangersDisk, string> = {
  empty: "an empty disk",
  copy: "a copy of its disk",
  own: "the disk that it had there before",
};
/** The machine of another process in that name. */
const strangerOf = (name: string) => `${name}-twin`;
/** A start is over by then. */
const plannedStartMs = 400;

/** How often an operator goes on with an upgrade. */
const upgradeEveryMs = 300;

export class Cluster {
  readonly #sim: SimWorld;
  readonly #rng: Rng;
  readonly #start: StartServer;
  readonly #recorder: Recorder;
  readonly #moments: Moments;
  readonly #oracle: Oracle;
  readonly #servers = new Map<string, SimServer>();
  /** Processes that say that they are one of the servers, each on a machine of its own. */
  readonly #strangers = new Map<string, { readonly process: SimProcess; readonly running: RunningServer | null }>();
  /** Which version of the application is to run everywhere in the end. */
  #wanted: Version = "right";
  /** Those whose disk was taken from them, when they had ended. */
  readonly #broughtFrom = new WeakSet<SimProcess>();
  /** Machines of strangers whose disk is their own. */
  readonly #ownDisks = new Set<string>();
  readonly lethal = new LethalRequest();
  #commander: SimNatsClient | null = null;
  onViolation: (of: string, text: string) => void = () => {};
  /** A server's machine is in this state now; without a life it is `away`. */
  onState: (server: string, state: string) => void = () => {};

  constructor(sim: SimWorld, start: StartServer, recorder: Recorder, moments: Moments, oracle: Oracle) {
    this.#sim = sim;
    this.#rng = sim.rng.stream("cluster");
    this.#start = start;
    this.#recorder = recorder;
    this.#moments = moments;
    this.#oracle = oracle;
    for (const name of sim.options.servers) {
      // What a server had accepted goes with its disk, whoever put another one in place.
      for (const host of [name, strangerOf(name)])
        sim.host(host).disk.onOther = (wasKept) => recorder.record({ type: "disk", server: host, wasKept });
      this.#servers.set(name, {
        name,
        process: null,
        running: null,
        isOff: true,
        failedStarts: 0,
        nextPlan: null,
        version: "right",
        seconds: new Map(),
      });
    }
  }

  get names(): readonly string[] {
    return this.#sim.options.servers;
  }

  get record(): RegistryRecord | null {
    return this.#sim.registry.current?.record ?? null;
  }

  last(name: string): number {
    return this.#server(name).running?.last?.() ?? Number.MAX_SAFE_INTEGER;
  }

  committed(name: string): number {
    return this.#server(name).running?.committed?.() ?? 0;
  }

  /** Of its lifecycle; "" while it has none. */
  state(name: string): string {
    return this.#server(name).running?.state?.() ?? "";
  }

  /** What those say who can be asked. */
  standings(): Standing[] {
    return [...this.#servers.values()].flatMap(({ name, running }) => {
      const isAnswering = this.isRunning(name) && !this.#sim.network.isCutEitherWay(name, brokerHost);
      return (isAnswering ? running?.standing?.() : null) ?? [];
    });
  }

  /** Of its present life; "" while it has none. */
  incarnation(name: string): string {
    return this.#server(name).running?.incarnation?.() ?? "";
  }

  /** The service as an operator commands it (`twinlog switch`, `twinlog recover`). */
  command(name: string, verb: string): void {
    this.#tell(name, `is told to ${verb}`);
    const body = Buffer.from(JSON.stringify({ incarnation: this.incarnation(name) }));
    this.#operator.publish(subjects.control(this.#sim.options.service, name, verb), body, {});
  }

  /** Every message of these subjects, as the broker hands it on. */
  listen(pattern: string, onMessage: (message: BusMessage) => void): void {
    this.#operator.subscribe(pattern, onMessage);
  }

  get #operator(): SimNatsClient {
    if (this.#commander === null) {
      this.#commander = this.#sim.natsClient(this.#sim.startProcess("operator"));
      this.#commander.start(() => {});
    }
    return this.#commander;
  }

  process(name: string): SimProcess | null {
    return this.#servers.get(name)?.process ?? null;
  }

  isRunning(name: string): boolean {
    return this.process(name)?.state === "running";
  }

  start(name: string): void {
    const server = this.#server(name);
    // One that is stopping is started again once it has ended.
    server.isOff = false;
    if (server.process?.isAlive === true) return;
    const process = this.#sim.startProcess(name);
    server.process = process;
    this.#planStart(server, process);
    this.#tell(name, `starts as ${incarnationOf(process)}`);
    process.whenKilled((kind) => this.#onDead(server, process, kind));
    this.#begin(server, process);
  }

  /** A second process on a disk that is in use: it must be refused (situation 29). Where the first one ends first, it is the server. */
  startTwice(name: string): void {
    const server = this.#server(name);
    const process = this.#sim.startProcess(name);
    server.seconds.set(process, null);
    process.whenKilled((kind) => {
      server.seconds.delete(process);
      this.#onDead(server, process, kind);
    });
    this.#begin(server, process);
  }

  /** In an event of its own: what it throws is its own death. */
  #begin(server: SimServer, process: SimProcess): void {
    process.later(0, "start", () => {
      const running = this.#launch(process, server.name);
      const isTheServer = server.process === process;
      if (isTheServer) server.running = running;
      else server.seconds.set(process, running);
      this.#watch(server, process, running);
      if (isTheServer && server.isOff) this.stop(server.name);
    });
  }

  /**
   * A process that says it is this server, on another machine. Nobody starts it again. Returns the machine's name.
   */
  startStranger(name: string, on: StrangersDisk): string {
    const host = strangerOf(name);
    const { disk } = this.#sim.host(host);
    if (on === "copy") disk.put(this.#sim.host(name).disk.main.copy());
    else if (on === "empty") disk.wipe();
    if (on === "copy") this.#ownDisks.delete(host);
    else this.#ownDisks.add(host);
    const process = this.#sim.startProcess(host);
    this.#strangers.set(host, { process, running: null });
    this.#tell(host, `starts as ${incarnationOf(process)}, in the name of ${name}, with ${disksSaid[on]}`);
    process.later(0, "start", () => {
      const running = this.#launch(process, name);
      this.#strangers.set(host, { process, running });
      this.#watch(null, process, running);
    });
    return host;
  }

  /** Of a stranger: its incarnation and its state, "" while it has none. */
  stranger(name: string): { incarnation: string; state: string } {
    const { process, running } = this.#strangers.get(strangerOf(name)) ?? {};
    if (process?.isAlive !== true) return { incarnation: "", state: "" };
    return { incarnation: running?.incarnation?.() ?? "", state: running?.state?.() ?? "" };
  }

  /** A machine has a disk of its own that was in use in this name before, and no process. */
  hasFormer(name: string): boolean {
    const host = strangerOf(name);
    return this.#ownDisks.has(host) && this.#strangers.get(host)?.process.isAlive !== true;
  }

  killStranger(name: string): void {
    const { process } = this.#strangers.get(strangerOf(name)) ?? {};
    if (process?.isAlive !== true) return;
    this.#tell(strangerOf(name), "is killed");
    process.kill("process");
  }

  /**
   * Its operator ends it, again and again until it is gone: one that the registry has come to count on is stopped, and only while
   * another server is in sync.
   */
  retireStranger(name: string): void {
    const { process, running } = this.#strangers.get(strangerOf(name)) ?? {};
    if (process?.isAlive !== true) return;
    const inSync = this.record?.inSync ?? [];
    const isNamed = [...inSync, ...this.#sim.registry.mayLand.flatMap((asked) => asked.inSync)].some(
      ({ incarnation }) => isLifeOf(process, incarnation),
    );
    if (!isNamed) this.killStranger(name);
    else if (inSync.length > 1 && running && process.state === "running")
      process.later(0, "stop", () => {
        running.stop().then(
          () => {
            this.#onEnd(null, process, "exit");
            this.#bringDisk(name, process);
          },
          (error: unknown) => process.onError(error),
        );
      });
    this.#sim.scheduler.after(retireMs, null, "supervise", () => this.retireStranger(name));
  }

  /** A stranger that was alone when it ended has the only right disk: its operator brings that to the server of this name. */
  #bringDisk(name: string, stranger: SimProcess): void {
    const { record } = this;
    const [sole] = record?.inSync ?? [];
    if (record?.durability !== "disk" || sole === undefined || !isLifeOf(stranger, sole.incarnation)) return;
    // It was told to end more than once, and ended once.
    if (this.#broughtFrom.has(stranger)) return;
    this.#broughtFrom.add(stranger);
    this.kill(name, "process");
    this.#tell(name, "is given the disk of the one that had its name, and was alone");
    const { disk } = this.#sim.host(strangerOf(name));
    this.#sim.host(name).disk.put(disk.main.copy());
    disk.wipe();
    this.#ownDisks.delete(strangerOf(name));
    this.start(name);
  }

  /** With whatever else was started on its disk: that may be another one at once. */
  kill(name: string, kind: KillKind): void {
    const { process, seconds } = this.#server(name);
    for (const second of seconds.keys()) second.kill(kind);
    if (process?.isAlive !== true) return;
    const { running } = this.#server(name);
    const last = running?.last?.();
    const log = last === undefined || last === Number.MAX_SAFE_INTEGER ? "" : `; its log ends at ${last}`;
    this.#tell(name, `${kind === "machine" ? "loses power" : "is killed"}${log}`);
    process.kill(kind);
  }

  /** Kills it; the next life is of this version of the application. */
  replace(name: string, version: Version): void {
    this.#server(name).version = version;
    this.kill(name, "process");
  }

  /** One that takes no part, because it runs another application, is replaced. */
  rightVersion(name: string): void {
    if (this.#server(name).version === "other") this.replace(name, this.#wanted);
  }

  /** From now on the newer version is the right one: this server's next life is of it, and others' when their turn comes. */
  upgrade(name: string): void {
    this.#wanted = "newer";
    this.replace(name, "newer");
  }
  isUpgraded(name: string): boolean {
    return this.#server(name).version === "newer";
  }

  /** What an operator does in the end: one at a time, where nothing is lost by it; one that does not run, at once. */
  finishUpgrade(): void {
    const old = this.names.filter((name) => this.#server(name).version !== this.#wanted);
    if (old.length === 0) return;
    const isFree = (name: string) => !this.isRunning(name) || !this.#isCountedOn(name);
    const next = old.find(isFree) ?? old.find((name) => this.mayCrash(name));
    if (next !== undefined) this.replace(next, this.#wanted);
    this.#sim.scheduler.after(upgradeEveryMs, null, "supervise", () => this.finishUpgrade());
  }

  /** No planned crash hangs over it any more. */
  spare(name: string): void {
    const server = this.#server(name);
    server.nextPlan = null;
    if (server.process !== null) server.process.plan = null;
  }

  /** It is killed, and its next life dies as planned, unless that has not happened soon after its start. */
  killTwice(name: string, plan: CrashPlan): void {
    this.#server(name).nextPlan = plan;
    this.kill(name, plan.kind);
  }

  pause(name: string): void {
    this.process(name)?.pause();
  }

  /** Until it is killed. */
  block(name: string): void {
    this.process(name)?.block();
  }

  resume(name: string): void {
    this.process(name)?.resume();
  }

  /** A clean stop; the supervisor does not start it again. */
  stop(name: string): void {
    const server = this.#server(name);
    server.isOff = true;
    const { process, running } = server;
    if (process === null || running === null || !process.isAlive) return;
    process.later(0, "stop", () => {
      running.stop().then(
        () => this.#onEnd(server, process, "exit"),
        (error: unknown) => process.onError(error),
      );
    });
  }

  /** Dead, and nobody starts it again. */
  takeAway(name: string, kind: KillKind): void {
    this.#server(name).isOff = true;
    this.kill(name, kind);
  }

  startAll(): void {
    for (const name of this.names) this.start(name);
  }

  allEnded(): boolean {
    return [...this.#servers.values()].every(({ process }) => process?.isAlive !== true);
  }

  /** All servers live and are in sync: the best that there is. */
  isWhole(): boolean {
    const { record } = this;
    const areRight = this.names.every((name) => this.#server(name).version === this.#wanted);
    return areRight && record?.inSync.length === this.names.length && this.#allLive(record);
  }

  /** Every incarnation in the registry lives and runs, and nothing hangs over another server: a crash of this one loses nothing. */
  mayCrash(name: string): boolean {
    const record = this.#sim.registry.newest;
    if (record === null || !this.#mayCount().every((counted) => this.#allLive(counted))) return false;
    if (this.names.some((other) => other !== name && this.#isDoomed(other))) return false;
    return record.durability === "disk" || record.inSync.length > 1;
  }

  /**
   * A crash that was planned when it lost nothing loses nothing now: all others that may be counted on are there. One that died
   * before it was planned may have been taken in since, by what it had confirmed. An earlier life of this server is the one failure.
   */
  mayStrike(name: string): boolean {
    const record = this.#sim.registry.newest;
    const others = (counted: RegistryRecord) => counted.inSync.filter(({ server }) => server !== name);
    const areThere = this.#mayCount().every((counted) => others(counted).every((member) => this.#isThere(member)));
    if (record === null || !areThere) return false;
    return record.durability === "disk" || others(record).length > 0;
  }

  /** The newest record, and each that may still land: one that counts on a member which died meanwhile does so for that one failure. */
  #mayCount(): readonly RegistryRecord[] {
    const { newest, mayLand } = this.#sim.registry;
    return [...(newest === null ? [] : [newest]), ...mayLand, ...this.#asked()];
  }

  /** By the registry, or by what may land there. */
  #isCountedOn(name: string): boolean {
    const record = this.#sim.registry.newest;
    const records = [...(record === null ? [] : [record]), ...this.#sim.registry.mayLand, ...this.#asked()];
    return records.some(({ inSync }) => inSync.some(({ server }) => server === name));
  }

  /** What servers that run have asked for and not settled: they ask again, and that may land. */
  #asked(): readonly RegistryRecord[] {
    const running = [...this.#servers.values()].map(({ running }) => running?.asks?.() ?? null);
    return running.filter((record) => record !== null);
  }

  /** A planned crash or a disk error will end it. */
  #isDoomed(name: string): boolean {
    const { disk } = this.#sim.host(name);
    const { process, nextPlan } = this.#server(name);
    if (process !== null && disk.failedProcess === process.name) return true;
    return (
      nextPlan !== null || (process?.plan ?? null) !== null || disk.isFull || disk.failingSyncs + disk.failingWrites > 0
    );
  }

  /** A disk may be lost: another server holds everything, and no compare-and-set may make this one the only member. */
  mayHarmDisk(name: string): boolean {
    const { record } = this;
    return record?.durability === "memory" && this.mayCrash(name) && this.#sim.registry.mayLand.length === 0;
  }

  #allLive({ inSync }: RegistryRecord): boolean {
    return inSync.every((member) => this.isRunning(member.server) && this.#isThere(member));
  }

  /** It lives, or is paused and will go on. */
  #isThere({ server, incarnation }: Member): boolean {
    const process = this.process(server);
    return process?.isAlive === true && !process.isBlocked && isLifeOf(process, incarnation);
  }

  #planStart(server: SimServer, process: SimProcess): void {
    const plan = server.nextPlan;
    server.nextPlan = null;
    if (plan === null) return;
    process.plan = plan;
    this.#sim.scheduler.after(plannedStartMs, null, "fault", () => {
      if (process.plan === plan) process.plan = null;
    });
  }

  #launch(process: SimProcess, name: string): RunningServer {
    return this.#start({
      server: name,
      servers: this.names,
      incarnation: incarnationOf(process),
      world: this.#sim.world(process, name),
      process,
      recorder: this.#recorder,
      moments: this.#moments,
      oracle: this.#oracle,
      lethal: this.lethal,
      onViolation: (of, text) => this.onViolation(of, text),
      version: this.#server(name).version,
      onState: (state) => {
        if (process.isAlive) this.onState(process.host, state);
      },
    });
  }

  #watch(server: SimServer | null, process: SimProcess, running: RunningServer): void {
    running.ended.then(
      (end) => this.#onEnd(server, process, end),
      (error: unknown) => process.onError(error),
    );
  }

  #onEnd(server: SimServer | null, process: SimProcess, end: ServerEnd): void {
    if (!process.isAlive) return;
    if (end === "exit") this.#checkExit(process);
    this.#tell(process.host, `${incarnationOf(process)} ends: ${end}`);
    if (end === "damaged" && !this.#sim.host(process.host).disk.main.isHarmed)
      this.onViolation("rule 14", `${incarnationOf(process)} refuses its disk, and nothing but crashes came over it`);
    // Another version fails on a disk that is sound.
    const isItsOwn = server?.process === process && server.version === this.#wanted;
    if ((end === "fail" || end === "damaged") && isItsOwn) server.failedStarts += 1;
    process.kill("process");
  }

  /** PROTOCOL.md, clean stop: nobody counts on the memory of a server that exits. */
  #checkExit(process: SimProcess): void {
    const record = this.#sim.registry.newest;
    const isNamed = record?.inSync.some(({ incarnation }) => isLifeOf(process, incarnation)) === true;
    if (isNamed && record?.durability === "memory")
      this.onViolation(
        "clean stop",
        `${incarnationOf(process)} exits while epoch ${record.epoch} counts on its memory`,
      );
  }

  #onDead(server: SimServer, process: SimProcess, kind: KillKind): void {
    if (server.process !== process) return;
    server.running = null;
    this.onState(server.name, "away");
    if (kind === "machine") for (const second of server.seconds.keys()) second.kill(kind);
    if (this.#isSucceeded(server) || server.isOff) return;
    const delayMs = restartMs * this.#rng.between(0.1, 4);
    this.#sim.scheduler.after(delayMs, null, "supervise", () => {
      if (server.isOff || server.process?.isAlive === true) return;
      this.#mend(server);
      this.start(server.name);
    });
  }

  /** A second process is there, and has the disk from now on or is refused still: what its supervisor does is for that one. */
  #isSucceeded(server: SimServer): boolean {
    const [second] = server.seconds;
    if (second === undefined) return false;
    const [process, running] = second;
    server.seconds.delete(process);
    server.process = process;
    server.running = running;
    if (server.isOff) this.stop(server.name);
    return true;
  }

  /** A server that will not start because of its disk is given an empty one, where another server has everything. */
  #mend(server: SimServer): void {
    if (server.failedStarts < 3) return;
    server.failedStarts = 0;
    const { record } = this;
    const isNeeded = record?.inSync.every((member) => member.server === server.name) === true;
    if (isNeeded || this.#sim.host(server.name).disk.isFull) return;
    this.#tell(server.name, "is given an empty disk by its operator");
    this.#sim.host(server.name).disk.wipe();
  }

  #server(name: string): SimServer {
    const server = this.#servers.get(name);
    if (server === undefined) throw new Error(`no server ${name}`);
    return server;
  }

  #tell(name: string, text: string): void {
    this.#sim.tell(name, text, "life");
  }
}
