/**
 * The folder of a service that runs on one machine (`.twinlog` by default): where everything lies in it, whose it is, and who uses it.
 *
 *   nats/          nats-server's data       alpha/, beta/        the servers' data
 *   alpha.json …   the servers' settings    alpha.log …          what they print, one JSON object a line
 *   service.json   where the service is     running.json         process ids of the last `up`
 *   peers.key      the key that the servers share
 *   access/        who may speak with nats-server (users.ts)
 * What always holds: one `up` uses a folder at a time; a folder belongs to one service and one application.
 */
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, renameSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { z } from "zod";
import { closeToOthers } from "../../actors/world/folder-owner.ts";
import { StoreError } from "../../actors/world/ports.ts";
import { DirectoryLock } from "../../actors/world/store-lock.ts";
import { answeredPrefixes } from "../../schemas/roles.ts";
import { ServiceFile } from "../../schemas/service-file.ts";
import { Settings } from "../../schemas/settings.ts";
import { isPath } from "../applications.ts";
import { keptSecret } from "./secrets.ts";

/** What keeps `up` from starting; the message is one line that says what to do. */
export class UpError extends Error {
  override readonly name = "UpError";
}

export const RunningFile = z.object({
  up: z.number().int(),
  nats: z.number().int().nullable(),
  servers: z.record(z.string(), z.number().int().nullable()),
});
export type RunningFile = z.infer<typeof RunningFile>;

export interface ServicePlan {
  readonly service: string;
  readonly application: string;
  readonly nats: string;
  readonly servers: readonly { readonly name: string; readonly port: number }[];
  readonly testService: boolean;
  /** What this server logs in with. */
  nkeyFile(server: string): string;
  /** Where it answers machines; undefined: it does not. */
  httpPort(server: string): number | undefined;
}

function unusable(path: string, error: unknown): UpError {
  return new UpError(`the folder ${path} cannot be used: ${(error as Error).message}; choose another with --data`);
}

export class ServiceFolder {
  readonly path: string;

  constructor(path: string) {
    this.path = resolve(path);
    try {
      mkdirSync(this.path, { recursive: true, mode: 0o700 });
    } catch (error) {
      throw unusable(this.path, error);
    }
  }

  get natsDirectory(): string {
    return join(this.path, "nats");
  }
  get accessDirectory(): string {
    return join(this.path, "access");
  }
  settingsFile(server: string): string {
    return join(this.path, `${server}.json`);
  }
  logFile(server: string): string {
    return join(this.path, `${server}.log`);
  }
  dataDirectory(server: string): string {
    return join(this.path, server);
  }

  /** Throws UpError while another `up` uses the folder, and where it is not this user's alone. */
  async lock(servers: readonly string[]): Promise<DirectoryLock> {
    const names = this.#namesFor(servers);
    try {
      return await DirectoryLock.take(this.path, names);
    } catch (error) {
      if (error instanceof StoreError && error.code === "unsafe") throw new UpError(error.message);
      if (!(error instanceof StoreError) || error.code !== "locked") throw unusable(this.path, error);
      const who = /process \d+/.exec(error.message)?.[0] ?? "another process";
      throw new UpError(
        `Twinlog already runs from ${this.path} (${who}): stop that one (Ctrl-C), or choose another --data folder`,
      );
    }
  }

  /** Folders of an earlier version, which others could read, are closed to them; they are returned. */
  async closeToOthers(servers: readonly string[]): Promise<string[]> {
    const home = realpathSync(this.path);
    const own = ["bin", "locked", "holder", ...this.#namesFor(servers)];
    const closed = (await closeToOthers(home, own)) ? [this.path] : [];
    for (const path of [this.natsDirectory, this.accessDirectory, ...servers.map((name) => this.dataDirectory(name))])
      if (await closeToOthers(path)) closed.push(path);
    return closed;
  }

  /** Throws UpError where the folder belongs to another service or application. */
  checkOwner(service: string, application: string): void {
    const owner = this.#read("service.json", ServiceFile);
    // A module may move: what it is, the servers themselves hold against their data.
    const isSame = owner?.application === application || (isPath(owner?.application ?? "") && isPath(application));
    if (owner === undefined || (owner.service === service && isSame)) return;
    throw new UpError(
      `${this.path} holds the data of service ${owner.service} (application ${owner.application}), not of ${service} (${application}): choose another --data folder`,
    );
  }

  /** Some server has run here before. */
  hasData(servers: readonly string[]): boolean {
    return servers.some((name) => {
      const directory = this.dataDirectory(name);
      return existsSync(directory) && readdirSync(directory).length > 0;
    });
  }

  /** By which the servers prove to each other who they are; made once. */
  #keyFile(): string {
    const path = join(this.path, "peers.key");
    keptSecret(path, () => `${randomBytes(32).toString("base64url")}\n`);
    return path;
  }

  /** The servers' settings are written at every start: a change made in them does not last. */
  writeSettings(plan: ServicePlan): Settings[] {
    const peers = { keyFile: this.#keyFile() };
    return plan.servers.map(({ name }) => {
      const port = plan.httpPort(name);
      const settings: z.input<typeof Settings> = {
        service: plan.service,
        server: name,
        application: plan.application,
        servers: plan.servers.map((server) => ({ name: server.name, port: server.port })),
        dataDirectory: this.dataDirectory(name),
        nats: { servers: [plan.nats], nkeyFile: plan.nkeyFile(name) },
        peers,
        ...(port === undefined ? {} : { http: { port } }),
        replyPrefixes: [...answeredPrefixes],
        testService: plan.testService,
      };
      this.#write(`${name}.json`, settings);
      return Settings.parse(settings);
    });
  }

  writeService({ service, application, nats }: ServicePlan): void {
    const access = this.accessDirectory;
    this.#write("service.json", ServiceFile.parse({ service, application, nats, access }));
  }

  running(): RunningFile | undefined {
    return this.#read("running.json", RunningFile);
  }
  /** Empty, or why it could not be written: nothing depends on it but the next start's patience. */
  writeRunning(running: RunningFile): string {
    try {
      this.#write("running.json", running);
      return "";
    } catch (error) {
      return (error as Error).message;
    }
  }

  /** Of what `up` writes in the folder. */
  #namesFor(servers: readonly string[]): string[] {
    const files = servers.flatMap((name) => [name, `${name}.json`, `${name}.log`, `${name}.log.1`]);
    const own = ["nats", "access", "service.json", "running.json", "peers.key", "console.log", "console.log.1"];
    return [...own, ...files];
  }

  #read<T>(name: string, schema: z.ZodType<T>): T | undefined {
    try {
      return schema.safeParse(JSON.parse(readFileSync(join(this.path, name), "utf8"))).data;
    } catch {
      return undefined;
    }
  }

  /** Under another name first, so that a reader never sees half a file. */
  #write(name: string, value: unknown): void {
    const path = join(this.path, name);
    writeFileSync(`${path}.new`, `${JSON.stringify(value, null, 2)}\n`);
    renameSync(`${path}.new`, path);
  }
}
