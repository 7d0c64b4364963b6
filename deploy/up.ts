/**
 * `twinlog up`: everything on one machine. Finds or brings nats-server and runs it, creates the service's registry record at
 * the first start, runs the servers as processes of their own and keeps all of them running until it is told to stop.
 *
 * What always holds:
 * 1. A registry record is created only where no server has ever run; data without a record is an error, never a new start.
 * 2. Stopping asks the servers first, waits for them by a named limit, and ends nats-server last: they need it to stop cleanly.
 * 3. Whatever way this ends, its children end too, and its folder is free for the next start.
 */

import { mkdirSync } from "node:fs";
import { delimiter, dirname, relative } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Bus } from "../actors/world/ports.ts";
import type { RegistryRead } from "../schemas/registry.ts";
import { normalDataFolder } from "../schemas/service-file.ts";
import type { Settings } from "../schemas/settings.ts";
import { ServerStatus } from "../schemas/status.ts";
import { subjects } from "../schemas/subjects.ts";
import { isInstalledIn } from "./installed.ts";
import { complaint, reasonIn, runCommand } from "./nats/command.ts";
import { bringNatsServer } from "./nats-server.ts";
import { freePort } from "./ports.ts";
import { ServiceFolder, type ServicePlan, UpError } from "./up/folder.ts";
import { type KeepLimits, KeptChild, keepLimits } from "./up/kept-child.ts";
import { KeptNats } from "./up/kept-nats.ts";
import { refuseTakenPorts, untilLastRunEnded } from "./up/last-run.ts";
import { ProgramFiles } from "./up/program-files.ts";
import { Rolling } from "./up/rolling.ts";
import { screen } from "./up/screen.ts";
import { LocalUsers, registryBucket } from "./up/users.ts";
import { ServiceWatch } from "./up/watch.ts";

const tryApplication = fileURLToPath(new URL("./up/try-application.js", import.meta.url));
const cloneBin = fileURLToPath(new URL("../../.twinlog/bin", import.meta.url));

export interface UpLimits extends KeepLimits {
  /** How long the servers may take to stop. */
  readonly stopMs: number;
  /** How long they may take before it is said whom we wait for, and how often it is said again. */
  readonly patienceMs: number;
  readonly initMs: number;
}

export interface UpOptions {
  readonly service: string;
  readonly application: string;
  readonly data: string;
  readonly natsPort: number;
  /** `httpPort`: where it answers machines; where that is taken, on any port that is free. Absent: it does not. */
  readonly servers: readonly { readonly name: string; readonly port: number; readonly httpPort?: number }[];
  /** Where the console listens; where that is taken, on any port that is free. null: there is none. */
  readonly consolePort: number | null;
  /** Where nats-server listens for WebSockets; where that is taken, on any port that is free. null: it does not. */
  readonly websocketPort: number | null;
  /** Changes of the application's module, a path, are brought in while the service serves. */
  readonly watch: boolean;
  /** `drill` may kill and cut. */
  readonly testService: boolean;
  /** The `twinlog` program: its words before the command's name. */
  readonly program: readonly [string, ...string[]];
  readonly limits: UpLimits;
}

export interface UpWorld {
  /** Aborted once: stop cleanly. */
  readonly stopped: AbortSignal;
  /** Aborted right before this process ends at once. */
  readonly forced: AbortSignal;
  readonly environment: NodeJS.ProcessEnv;
  out(text: string): Promise<void>;
  /** As a context of the `nats` tool says. */
  connect(contextFile: string): Promise<Bus>;
  readRegistry(settings: Settings): Promise<RegistryRead>;
}

/** Runs until `stopped`, and returns the exit status: 0 when everything stopped cleanly. Throws UpError and nats-server's errors. */
export async function up(options: UpOptions, world: UpWorld): Promise<number> {
  const folder = new ServiceFolder(options.data);
  const names = options.servers.map(({ name }) => name);
  const lock = await folder.lock(names);
  try {
    folder.checkOwner(options.service, options.application);
    for (const path of await folder.closeToOthers(names))
      await world.out(`${path}: other users could read this folder until now: it is closed to them\n`);
    return await new Up(options, world, folder).run();
  } finally {
    await lock.release();
  }
}

class Up {
  readonly #options: UpOptions;
  readonly #world: UpWorld;
  readonly #folder: ServiceFolder;
  readonly #watch: ServiceWatch;
  readonly #users: LocalUsers;
  #children: KeptChild[] = [];
  #console: KeptChild | null = null;
  #consoleUrl = "";
  /** Where each server answers machines, by name. */
  #httpPorts: ReadonlyMap<string, number> = new Map();
  #nats: KeptNats | null = null;
  #websocketPort: number | null = null;
  #bus: Bus | null = null;
  /** Of the file with process ids. */
  #toldFault = "";

  constructor(options: UpOptions, world: UpWorld, folder: ServiceFolder) {
    this.#options = options;
    this.#world = world;
    this.#folder = folder;
    this.#users = new LocalUsers(folder.accessDirectory, {
      service: options.service,
      servers: options.servers.map(({ name }) => name),
      bucket: registryBucket,
      testService: options.testService,
      websocket: options.websocketPort !== null,
    });
    this.#watch = new ServiceWatch(
      options.servers.map(({ name }) => name),
      (line) => this.#tell(line),
    );
  }

  async run(): Promise<number> {
    const { forced } = this.#world;
    forced.addEventListener("abort", this.#onForced);
    try {
      const nats = await this.#startNats();
      await this.#untilStopped(this.#serve(nats));
      return await this.#stop();
    } catch (error) {
      await this.#stop();
      throw error;
    } finally {
      forced.removeEventListener("abort", this.#onForced);
    }
  }

  /** Ended by force: nobody is waited for. Where we are killed, servers end by their channel to us. */
  readonly #onForced = (): void => {
    for (const child of this.#children) child.signal("SIGKILL");
    this.#console?.signal("SIGKILL");
  };

  #tell(line: string): void {
    void this.#world.out(`${new Date().toTimeString().slice(0, 8)} ${line}\n`);
  }

  /** Settles with the work, or as soon as we are to stop; an error of the work counts until then. */
  async #untilStopped(work: Promise<void>): Promise<void> {
    const { stopped } = this.#world;
    const cut = new Promise<void>((resolve) => {
      if (stopped.aborted) resolve();
      else stopped.addEventListener("abort", () => resolve(), { once: true });
    });
    await Promise.race([work, cut]);
  }

  async #startNats(): Promise<KeptNats> {
    const { natsPort, websocketPort, servers, limits } = this.#options;
    const { environment, stopped } = this.#world;
    const tell = (line: string): void => this.#tell(line);
    const ports = [natsPort, ...servers.map(({ port }) => port)];
    await untilLastRunEnded(this.#folder.running(), ports, tell, stopped);
    await refuseTakenPorts([
      { port: natsPort, whose: "nats-server", option: "--nats-port or --base-port" },
      ...servers.map(({ name, port }) => ({ port, whose: name, option: "--main-ports or --base-port" })),
    ]);
    // Where another folder of this clone has brought it already, it is not brought again.
    const path = [environment.PATH ?? "", cloneBin].join(delimiter);
    const binary = await bringNatsServer({
      dataFolder: this.#folder.path,
      environment: { ...environment, PATH: path },
      tell,
    });
    mkdirSync(this.#folder.natsDirectory, { recursive: true });
    if (websocketPort !== null) this.#websocketPort = await freePort(websocketPort);
    this.#nats = await KeptNats.start(
      {
        binary: binary.path,
        storeDir: this.#folder.natsDirectory,
        port: natsPort,
        extraConfig: this.#users.conf(),
        ...(this.#websocketPort === null ? {} : { websocketPort: this.#websocketPort }),
      },
      limits,
      tell,
    );
    this.#tell(`nats-server ${this.#nats.version} runs at ${this.#nats.url} (process ${this.#nats.pid})`);
    return this.#nats;
  }

  /** Everything after nats-server; ends only by an error, or after we were told to stop. */
  async #serve(nats: KeptNats): Promise<void> {
    const { service, application, servers } = this.#options;
    const { testService } = this.#options;
    const nkeyFile = (name: string): string => this.#users.nkeyFile(name);
    this.#httpPorts = await this.#findHttpPorts();
    const httpPort = (name: string): number | undefined => this.#httpPorts.get(name);
    const plan: ServicePlan = { service, application, servers, nats: nats.url, testService, nkeyFile, httpPort };
    this.#users.writeContexts(nats.url);
    const [first] = this.#folder.writeSettings(plan);
    const { stopped } = this.#world;
    await this.#initialise(first as Settings);
    this.#folder.writeService(plan);
    if (stopped.aborted) return;
    const bus = await this.#world.connect(this.#users.contextFile("viewer"));
    this.#bus = bus;
    if (stopped.aborted) return;
    bus.subscribe(subjects.statuses(service), ({ data }) => this.#onStatus(data));
    for (const { name } of servers) this.#startServer(name);
    await this.#startConsole();
    await this.#untilNormal();
    if (stopped.aborted) return;
    await this.#world.out(this.#screen(nats));
    if (this.#options.watch) this.#watchProgram();
    await new Promise<never>(() => {});
  }

  /** Each another one. */
  async #findHttpPorts(): Promise<ReadonlyMap<string, number>> {
    const found = new Map<string, number>();
    const given = new Set([this.#options.consolePort]);
    for (const { name, httpPort } of this.#options.servers) {
      if (httpPort === undefined) continue;
      let port = await freePort(given.has(httpPort) ? 0 : httpPort);
      while (given.has(port)) port = await freePort();
      given.add(port);
      found.set(name, port);
    }
    return found;
  }

  /** Rule 1: the record's absence is a first start only where no server has ever run. */
  async #initialise(settings: Settings): Promise<void> {
    const { service, servers, program, limits } = this.#options;
    const names = servers.map(({ name }) => name);
    const found = await this.#world.readRegistry(settings);
    if (found.outcome === "unavailable" && found.revision === undefined)
      throw new UpError(`the registry cannot be read: ${found.reason}`);
    // What is there and is no record is put right by an operator, who asks the servers for that: they must be there.
    if (found.outcome === "unavailable") this.#tell(`warning: the registry has no record: ${found.reason}`);
    if (found.outcome !== "missing") return;
    if (this.#folder.hasData(names))
      throw new UpError(
        `the servers have data in ${this.#folder.path}, but the registry has no record of ${service}: bring back ${this.#folder.natsDirectory}, or move the folder away to start anew without that data`,
      );
    this.#tell(`first start: the registry gets its record of service ${service}`);
    const [node, ...words] = program;
    const config = this.#folder.settingsFile(settings.server);
    const context = this.#users.contextFile("administrator");
    const result = await runCommand(node, [...words, "init", "--config", config, "--context", context], {
      timeoutMs: limits.initMs,
      environment: this.#world.environment,
    });
    if (result.status === 0 && !result.timedOut) return;
    const [, said] = /^twinlog: (.*)$/m.exec(result.stderr) ?? [];
    throw new UpError(said ?? complaint(result, "twinlog init"));
  }

  #startServer(name: string): void {
    const { program, limits } = this.#options;
    const [node, ...words] = program;
    const child = new KeptChild({
      name,
      command: [node, ...words, "server", "--config", this.#folder.settingsFile(name)],
      logFile: this.#folder.logFile(name),
      limits,
      tell: (line) => this.#tell(line),
      onPid: (pid) => {
        this.#watch.onPid(name, pid);
        this.#onProcesses();
      },
    });
    this.#children.push(child);
    child.start();
  }

  #watchProgram(): void {
    const { application, service, program, limits } = this.#options;
    const { environment, stopped } = this.#world;
    const [node, ...words] = program;
    const folder = dirname(application);
    const run = (args: string[]) => runCommand(node, args, { timeoutMs: limits.initMs, environment, cwd: folder });
    const data = relative(folder, this.#folder.path);
    const rolling = new Rolling({
      module: application,
      files: new ProgramFiles(folder, (path) => /(^|\/)(\.|node_modules\/)/.test(path) || path.startsWith(`${data}/`)),
      watch: this.#watch,
      tryProgram: async () => {
        const result = await run([tryApplication, application]);
        if (result.status === 0 && !result.timedOut) return null;
        const reason = result.timedOut ? "" : reasonIn(result.stderr);
        return reason === "" ? complaint(result, "loading it") : reason;
      },
      again: (name) => this.#children.find((child) => child.name === name)?.again(),
      switchRoles: async () => {
        const context = this.#users.contextFile("operator");
        const result = await run([...words, "switch", "--service", service, "--context", context]);
        return result.status === 0 && !result.timedOut ? null : complaint(result, "twinlog switch");
      },
      tell: (line) => this.#tell(line),
      stopped,
    });
    rolling.start();
    this.#tell(
      `${relative(process.cwd(), application)} is watched: save it, and the service goes on with what is in it`,
    );
  }

  /** A process of its own: whatever becomes of it, the servers do not notice. */
  async #startConsole(): Promise<void> {
    const { program, limits, consolePort, service } = this.#options;
    if (consolePort === null) return;
    const port = await freePort(consolePort);
    const [node, ...words] = program;
    const logIns = [
      "--context",
      this.#users.contextFile("viewer"),
      "--operator-context",
      this.#users.contextFile("operator"),
    ];
    const acting = ["--login", this.#users.passwordsFile];
    const child = new KeptChild({
      name: "console",
      command: [node, ...words, "console", "--service", service, "--port", String(port), ...logIns, ...acting],
      logFile: this.#folder.logFile("console"),
      limits,
      tell: (line) => this.#tell(line),
      onPid: () => undefined,
    });
    this.#console = child;
    this.#consoleUrl = `http://127.0.0.1:${port}/`;
    child.start();
  }

  /** Who runs, for nats-server, which outlives us until they are gone, and for the next start. */
  #onProcesses(): void {
    const pids = this.#children.map(({ name, pid }) => [name, pid] as const);
    this.#nats?.outlive(pids.flatMap(([, pid]) => (pid === null ? [] : [pid])));
    const running = { up: process.pid, nats: this.#nats?.pid ?? null, servers: Object.fromEntries(pids) };
    const fault = this.#folder.writeRunning(running);
    if (fault !== "" && fault !== this.#toldFault) this.#tell(`warning: process ids are not kept: ${fault}`);
    this.#toldFault = fault;
  }

  #onStatus(data: Uint8Array): void {
    try {
      const status = ServerStatus.safeParse(JSON.parse(Buffer.from(data).toString()));
      if (status.success) this.#watch.onStatus(status.data);
    } catch {
      // Not from a server of ours.
    }
  }

  async #untilNormal(): Promise<void> {
    const { patienceMs } = this.#options.limits;
    const done = new AbortController();
    const normal = this.#watch.untilNormal().then(() => done.abort());
    while (!done.signal.aborted && !this.#world.stopped.aborted) {
      await delay(5 * patienceMs, undefined, { signal: done.signal }).catch(() => undefined);
      if (!done.signal.aborted) this.#tell(`not in sync yet: ${this.#watch.waits.join("; ")}`);
    }
    await normal;
  }

  #screen(nats: KeptNats): string {
    const { service, application, servers, program } = this.#options;
    const here = (path: string): string => {
      const short = relative(process.cwd(), path);
      return short.startsWith("..") ? path : short;
    };
    const folder = this.#folder;
    const home = here(folder.path);
    return screen({
      service,
      application,
      nats: {
        url: nats.url,
        pid: nats.pid,
        version: nats.version,
        data: here(folder.natsDirectory),
        websocketPort: this.#websocketPort,
      },
      servers: servers.map(({ name, port }) => ({
        name,
        port,
        pid: this.#children.find((child) => child.name === name)?.pid ?? null,
        http: this.#httpPorts.get(name),
        data: here(folder.dataDirectory(name)),
        log: here(folder.logFile(name)),
        status: this.#watch.statuses.get(name),
      })),
      console: this.#consoleUrl,
      twinlog: [
        ...(home === normalDataFolder ? [] : [`TWINLOG_DATA=${home}`]),
        ...(isInstalledIn(process.cwd()) ? ["npx", "twinlog"] : ["node", ...program.slice(1).map(here)]),
      ].join(" "),
      access: here(folder.accessDirectory),
    });
  }

  /** Servers first, all at once; then nats-server. 1 if somebody had to be killed. */
  async #stop(): Promise<number> {
    const living = new Set(this.#children.filter(({ pid }) => pid !== null));
    if (living.size > 0) this.#tell(`stopping ${namesOf(living)} …`);
    const ended = this.#children.map(async (child) => {
      const isClean = await child.stop();
      living.delete(child);
      return isClean;
    });
    const inTime = await this.#waitFor(Promise.all(ended), living);
    await this.#console?.stop();
    const isClean = inTime && !(await Promise.all(ended)).includes(false);
    await this.#bus?.stop();
    await this.#nats?.stop();
    if (this.#nats !== null) this.#tell(isClean ? "everything has stopped" : "everything has stopped, not cleanly");
    return isClean ? 0 : 1;
  }

  async #waitFor(ended: Promise<unknown>, living: ReadonlySet<KeptChild>): Promise<boolean> {
    const { stopMs, patienceMs } = this.#options.limits;
    const sinceMs = performance.now();
    const patience = new AbortController();
    const over = ended.then(() => patience.abort());
    while (!patience.signal.aborted) {
      const restMs = stopMs - (performance.now() - sinceMs);
      if (restMs <= 0) {
        this.#tell(
          `warning: ${namesOf(living)} did not stop within ${stopMs} ms and is killed: what it had not written is lost to it`,
        );
        for (const child of living) child.signal("SIGKILL");
        await over;
        return false;
      }
      await delay(Math.min(patienceMs, restMs), undefined, { signal: patience.signal }).catch(() => undefined);
      if (!patience.signal.aborted) this.#tell(`waiting for ${namesOf(living)} to stop`);
    }
    return true;
  }
}

function namesOf(children: Iterable<KeptChild>): string {
  return [...children].map(({ name, pid }) => `${name} (process ${pid})`).join(" and ");
}

export const upLimits: UpLimits = { ...keepLimits, stopMs: 15_000, patienceMs: 1_000, initMs: 20_000 };
