/**
 * A pair (or more) of real servers for tests: a real nats-server, one process a server, real TCP, real LevelDB, in a folder and on
 * ports of their own. `startPair(t)` gives one test its own, `sharedPair(test)` gives a file's tests one.
 *
 * What always holds: when it is closed, no process, port or folder is left; what is known of a server's state is what its present
 * process said (`status`, `events`, `signals`); when a test failed, the ends of the servers' logs are told.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ExecutionContext, TestFn } from "ava";
import { connect as connectNats, type NatsConnection } from "nats";
import type { ApplicationDefinition, BodyOf, ResultOf } from "../../../actors/application/contract.ts";
import { type Connection, type ConnectOptions, connect } from "../../../actors/index.ts";
import { openRegistry } from "../../../actors/world/real-world.ts";
import { TcpProxy } from "../../../deploy/drill/proxy.ts";
import { initialRecord } from "../../../machines/replica/registry/initial-record.ts";
import { ReadySignal } from "../../../schemas/envelope.ts";
import type { Mode, RegistryRecord } from "../../../schemas/registry.ts";
import { type Limits, Settings } from "../../../schemas/settings.ts";
import { ControlReply, type ControlVerb, ServerEvent, ServerStatus } from "../../../schemas/status.ts";
import { subjects } from "../../../schemas/subjects.ts";
import { TestNats, type TestNatsOptions } from "../nats.ts";
import { makeTemporaryDirectory } from "../temporary-directory.ts";
import { until } from "../until.ts";
import { Ports } from "./ports.ts";
import { ServerProcess } from "./server-process.ts";

/**
 * What most tests want: servers that poll and flush often, and that are never taken for dead while they live, however loaded the
 * machine is. A killed server is found out at once all the same, by what the kernel and NATS say. A request is one record from the
 * first moment on (no caution after a takeover), so that tests may count.
 */
export const calmLimits: Partial<Limits> = {
  heartbeatMs: 50,
  suspicionMs: 10_000,
  stalledBackupMs: 10_000,
  registryPollMs: 50,
  flushMs: 50,
  cautionMs: 0,
  statusMs: 25,
};

/** For tests of silence: quick to suspect. On a loaded machine a living server may be suspected, and must not suffer from it. */
const nervousLimits: Partial<Limits> = {
  ...calmLimits,
  cautionMs: 100,
  heartbeatMs: 25,
  suspicionMs: 300,
  stalledBackupMs: 400,
};

const paces = { calm: calmLimits, nervous: nervousLimits, shipped: { statusMs: 25 } } as const;

export interface PairOptions {
  /** The first begins as primary. Default: alpha, beta. */
  readonly servers?: readonly string[];
  readonly service?: string;
  /** A name, or the path of a module. */
  readonly application?: string;
  /** calm is the default; shipped: the program's own, with quicker status. `limits` go over them. */
  readonly pace?: keyof typeof paces;
  readonly limits?: Partial<Limits>;
  /** More settings of one server, over all others. */
  readonly settings?: (server: string) => Record<string, unknown>;
  readonly environment?: Readonly<Record<string, string>>;
  /** The `twinlog` that its servers run. Default: this clone's. */
  readonly program?: string;
  /** Words before a server's command, such that it still is the process that is started. */
  readonly launcher?: (server: string) => readonly string[];
  /** A server that ends unasked is started again after so long. Default: it stays down. */
  readonly restartMs?: number;
  /** The main link goes through `pair.mainLink`, where it can be cut, frozen and tampered with. Two servers only. */
  readonly proxied?: boolean;
  readonly nats?: TestNatsOptions;
  /** Where the servers are listened to, where it is not the pair's own nats-server. */
  readonly watchOn?: string;
  /** Which servers are started, and waited for until all of them are in sync. Default: all. */
  readonly start?: readonly string[];
}

export interface RawReply {
  /** The reply's bytes as text. */
  readonly text: string;
  readonly reply: {
    ok: boolean;
    client: string;
    id: string;
    result?: unknown;
    sequence?: number;
    epoch?: number;
    error?: { code: string; message: string; executed: boolean };
  };
  readonly duplicate: boolean;
}

export interface RawRequest {
  readonly client: string;
  readonly id: string;
  /** The partition key that the application gives to this body; default: its symbol. */
  readonly key?: string;
  readonly after?: string;
  readonly issuedAt?: number;
  readonly resend?: boolean;
  readonly timeoutMs?: number;
}

const waitMs = 60_000;

export class Pair {
  readonly service: string;
  readonly folder: string;
  readonly nats: TestNats;
  /** A plain connection to nats-server, for tests that speak NATS themselves. */
  readonly raw: NatsConnection;
  readonly servers: ReadonlyMap<string, ServerProcess>;
  readonly settings: ReadonlyMap<string, Settings>;
  /** Transitions of all servers, oldest first, as they came. */
  readonly events: ServerEvent[] = [];
  /** The signals `ready`. */
  readonly signals: ReadySignal[] = [];
  readonly #statuses = new Map<string, ServerStatus>();
  readonly #mainLink: TcpProxy | null;
  /** As a server's, but NATS is reached from here. */
  readonly #watching: Settings;
  readonly #closers: (() => Promise<unknown> | unknown)[] = [];

  private constructor(
    parts: Pick<Pair, "service" | "folder" | "nats" | "raw" | "settings">,
    options: Pick<PairOptions, "restartMs" | "environment" | "program" | "launcher" | "watchOn">,
    link: TcpProxy | null,
  ) {
    this.service = parts.service;
    this.folder = parts.folder;
    this.nats = parts.nats;
    this.raw = parts.raw;
    this.settings = parts.settings;
    this.#mainLink = link;
    const [first] = parts.settings.values();
    if (first === undefined) throw new Error("a pair has servers");
    this.#watching = { ...first, nats: { ...first.nats, servers: [options.watchOn ?? parts.nats.url] } };
    this.servers = new Map(
      [...parts.settings.keys()].map((name) => [
        name,
        new ServerProcess({
          name,
          configFile: join(parts.folder, `${name}.json`),
          restartMs: options.restartMs ?? null,
          ...(options.environment === undefined ? {} : { environment: options.environment }),
          ...(options.program === undefined ? {} : { program: options.program }),
          ...(options.launcher === undefined ? {} : { launcher: options.launcher(name) }),
          onEnded: () => this.#statuses.delete(name),
        }),
      ]),
    );
  }

  static async open(options: PairOptions = {}): Promise<Pair> {
    const closers: (() => Promise<unknown> | unknown)[] = [];
    try {
      const directory = await makeTemporaryDirectory();
      closers.push(directory.remove);
      const ports = new Ports();
      closers.push(() => ports.release());
      const nats = await TestNats.start(join(directory.path, "nats"), { port: await ports.reserve(), ...options.nats });
      closers.push(() => nats.stop());
      const raw = await connectNats({
        servers: options.watchOn ?? nats.url,
        maxReconnectAttempts: -1,
        reconnectTimeWait: 20,
      });
      closers.push(() => raw.close());
      let proxy: TcpProxy | null = null;
      const { settings, listens } = await makeSettings(options, nats.url, directory.path, ports, async (target) => {
        proxy = new TcpProxy(() => target);
        await proxy.listen();
        return proxy.port;
      });
      if (proxy !== null) closers.push(() => (proxy as TcpProxy).close());
      const service = options.service ?? "pair";
      const pair = new Pair({ service, folder: directory.path, nats, raw, settings }, options, proxy);
      pair.#closers.push(...closers.splice(0));
      closers.push(() => pair.close());
      await pair.#begin(options, listens);
      return pair;
    } catch (error) {
      for (const close of closers.reverse()) await close();
      throw error;
    }
  }

  async #begin(options: PairOptions, listens: ReadonlyMap<string, unknown>): Promise<void> {
    for (const [name, process] of this.servers) {
      await writeFile(process.configFile, JSON.stringify(listens.get(name), null, 2));
      this.#closers.push(() => process.close());
    }
    this.#watch();
    const { registry, close } = await openRegistry(this.#watching);
    try {
      const first = initialRecord(this.service, this.#watching.server, `history-of-${this.service}`);
      // On a loaded machine a bucket of three replicas may take longer than a try: what it made is then read.
      const isThere = async () => {
        if ((await registry.create(first)).outcome === "won") return true;
        const read = await registry.read();
        return read.outcome === "found" && read.record.writeId === first.writeId;
      };
      await until(isThere, { withinMs: waitMs, everyMs: 50, waitedFor: "the registry's record" });
    } finally {
      await close();
    }
    const started = options.start ?? [...this.servers.keys()];
    for (const name of started) this.server(name).start();
    if (started.length > 0) {
      try {
        await this.normal();
        if (this.#mainLink !== null && started.length > 1) await this.onMainLink();
      } catch (error) {
        throw new Error(`${(error as Error).message}\n${this.story().join("\n")}`, { cause: error });
      }
    }
  }

  #watch(): void {
    const { raw, service } = this;
    raw.subscribe(subjects.statuses(service), {
      callback: (_error, message) => {
        const status = ServerStatus.parse(message.json());
        // What a dead process said last may come after its end was seen.
        if (this.servers.get(status.name)?.pid === status.pid) this.#statuses.set(status.name, status);
      },
    });
    raw.subscribe(subjects.events(service), {
      callback: (_error, message) => this.events.push(ServerEvent.parse(message.json())),
    });
    raw.subscribe(subjects.signal(service), {
      callback: (_error, message) => this.signals.push(ReadySignal.parse(message.json())),
    });
  }

  // --- servers ----------------------------------------------------------------------------------------------------

  server(name: string): ServerProcess {
    const found = this.servers.get(name);
    if (found === undefined) throw new Error(`there is no server ${name}`);
    return found;
  }

  /** The proxy that the main link goes through (option `proxied`). */
  get mainLink(): TcpProxy {
    if (this.#mainLink === null) throw new Error("start the pair with `proxied`");
    return this.#mainLink;
  }

  /** The last status of the server's present process; undefined before its first one. */
  status(name: string): ServerStatus | undefined {
    return this.#statuses.get(name);
  }

  statuses(): ServerStatus[] {
    return [...this.#statuses.values()];
  }

  /** A status that the server made after this call; both read the same clock. */
  newStatus(name: string, withinMs = waitMs): Promise<ServerStatus> {
    const sinceMs = Date.now();
    return this.waitFor(name, ({ atMs }) => atMs > sinceMs, { withinMs, waitedFor: "a new status" });
  }

  /** The next status that comes from it, whatever its clock says. */
  nextStatus(name: string): Promise<ServerStatus> {
    const before = this.#statuses.get(name);
    return this.waitFor(name, (status) => status !== before, { waitedFor: "the next status" });
  }

  /** Waits until a server's status is as wanted, and returns it. */
  waitFor(
    name: string,
    isWanted: (status: ServerStatus) => boolean,
    options: { withinMs?: number; waitedFor?: string } = {},
  ): Promise<ServerStatus> {
    return until(
      () => {
        const status = this.#statuses.get(name);
        return status !== undefined && isWanted(status) ? status : undefined;
      },
      { withinMs: options.withinMs ?? waitMs, waitedFor: `${name}: ${options.waitedFor ?? isWanted.toString()}` },
    );
  }

  /** The hot server; undefined while there is none that says so. */
  hot(): ServerStatus | undefined {
    const hot = this.statuses().filter(({ role, state }) => role === "primary" && state.startsWith("hot"));
    return hot.sort((one, other) => other.epoch - one.epoch)[0];
  }

  /** Waits for a mode and names who is who; `backup` is undefined unless normal. */
  async waitForMode(mode: Mode, withinMs = waitMs): Promise<{ primary: string; backup: string | undefined }> {
    const found = await until(
      () => {
        const hot = this.hot();
        if (hot === undefined || hot.mode !== mode || hot.application !== "hot") return undefined;
        if (mode !== "normal") return hot.state === "hot.alone" ? { primary: hot.name, backup: undefined } : undefined;
        if (hot.state !== "hot.normal") return undefined;
        const backup = this.statuses().find(
          ({ name, role, epoch, state }) =>
            name !== hot.name && role === "backup" && epoch === hot.epoch && state === "following.warm",
        );
        return backup === undefined ? undefined : { primary: hot.name, backup: backup.name };
      },
      { withinMs, waitedFor: `the mode ${mode}` },
    );
    return found;
  }

  /** Waits until every server that runs, or is about to be started again, is in sync: one hot, the others warm, in one epoch. */
  async normal(withinMs = waitMs): Promise<{ primary: string; backup: string }> {
    const names = [...this.servers.values()].filter(({ isUp }) => isUp).map(({ name }) => name);
    return await until(
      () => {
        const hot = this.hot();
        if (hot === undefined || hot.application !== "hot") return undefined;
        if (names.length === 1) return hot.state === "hot.alone" ? { primary: hot.name, backup: "" } : undefined;
        if (hot.state !== "hot.normal" || hot.mode !== "normal") return undefined;
        const others = names.filter((name) => name !== hot.name).map((name) => this.#statuses.get(name));
        const isInSync = (status: ServerStatus | undefined) =>
          status?.role === "backup" && status.epoch === hot.epoch && status.state === "following.warm";
        return others.every(isInSync) ? { primary: hot.name, backup: others[0]?.name ?? "" } : undefined;
      },
      { withinMs, waitedFor: `${names.join(", ")} in sync` },
    );
  }

  /** Waits until records go over the main link: servers may be in sync over NATS before it is up, and then to cut it cuts nothing. */
  async onMainLink(): Promise<void> {
    for (const name of this.servers.keys()) await this.waitFor(name, ({ links }) => links.main === "up");
  }

  async control(server: string, verb: ControlVerb): Promise<ControlReply> {
    const message = await this.raw.request(subjects.control(this.service, server, verb), "", { timeout: 5_000 });
    return ControlReply.parse(message.json());
  }

  /** What an actor of a server answers on its own subject. */
  async report(
    server: string,
    actor: "application" | "replication" | "checkpoint" | "failover",
  ): Promise<Record<string, unknown>> {
    const message = await this.raw.request(subjects.actor(this.service, server, actor), "", { timeout: 5_000 });
    return message.json<Record<string, unknown>>();
  }

  /** The registry's record as it is now. */
  async registryRecord(): Promise<RegistryRecord> {
    const { registry, close } = await openRegistry(this.#watching);
    try {
      // Only the third "unavailable" counts: a busy machine may be late once.
      let read = await registry.read();
      for (let again = 0; again < 2 && read.outcome === "unavailable"; again += 1) read = await registry.read();
      if (read.outcome !== "found") throw new Error(`the registry says: ${JSON.stringify(read)}`);
      return read.record;
    } finally {
      await close();
    }
  }

  // --- clients ----------------------------------------------------------------------------------------------------

  /** A client by the library, on a connection of its own, closed with the pair. */
  async client<A extends ApplicationDefinition = ApplicationDefinition>(
    options: Omit<ConnectOptions<A>, "service" | "nats">,
  ): Promise<Connection<BodyOf<A>, ResultOf<A>>> {
    const connection = await connect<A>({
      ...options,
      service: this.service,
      nats: this.nats.url,
    } as ConnectOptions<A>);
    this.#closers.push(() => connection.disconnect());
    return connection;
  }

  /** One request in plain NATS, sent once. Rejects as NATS does: no responders, timeout. */
  async ask(body: unknown, request: RawRequest): Promise<RawReply> {
    const { client, id, key = symbolOf(body), timeoutMs = 5_000, ...more } = request;
    const subject = subjects.request(this.service, key, client);
    const message = await this.raw.request(subject, JSON.stringify({ client, id, body, ...more }), {
      timeout: timeoutMs,
    });
    return readReply(message);
  }

  /** The same, sent again with the same id until a server answers with something that is not worth a retry. */
  async askUntilAnswered(body: unknown, request: RawRequest, withinMs = waitMs): Promise<RawReply> {
    return await until(
      async () => {
        const answer = await this.ask(body, { timeoutMs: 300, ...request });
        const isRetried = ["BUSY", "NOT_HOT", "OUT_OF_ORDER"].includes(answer.reply.error?.code ?? "");
        return isRetried ? undefined : answer;
      },
      { withinMs, waitedFor: `an answer to ${request.client} ${request.id}` },
    );
  }

  // --- the end ----------------------------------------------------------------------------------------------------

  /** The ends of the servers' logs, for people. */
  story(): string[] {
    return [...this.servers.values()].flatMap(({ name, lines }) => [
      `--- ${name}`,
      ...lines.slice(-40),
      `status: ${JSON.stringify(this.#statuses.get(name))}`,
    ]);
  }

  async close(): Promise<void> {
    for (const close of this.#closers.splice(0).reverse()) await close();
  }
}

function symbolOf(body: unknown): string {
  const isKeyed = typeof body === "object" && body !== null && "symbol" in body;
  return isKeyed ? String(body.symbol) : "";
}

function readReply(message: { string(): string; headers?: { has(name: string): boolean } | undefined }): RawReply {
  const text = message.string();
  return {
    text,
    reply: JSON.parse(text) as RawReply["reply"],
    duplicate: message.headers?.has("Twinlog-Duplicate") ?? false,
  };
}

/** Settings as they are in force (parsed), and as they are written to the file. */
async function makeSettings(
  options: PairOptions,
  nats: string,
  folder: string,
  ports: Ports,
  openProxy: (target: number) => Promise<number>,
): Promise<{ settings: Map<string, Settings>; listens: Map<string, unknown> }> {
  const names = options.servers ?? ["alpha", "beta"];
  const own = new Map<string, number>();
  for (const name of names) own.set(name, await ports.reserve());
  // The server whose name sorts first dials, so that one proxy before the other one carries the whole link.
  const [dials, listens] = [...names].sort();
  const behind = options.proxied === true ? await openProxy(own.get(listens ?? "") ?? 0) : null;
  const files = new Map<string, unknown>();
  const settings = new Map<string, Settings>();
  for (const server of names) {
    const dataDirectory = join(folder, server);
    await mkdir(dataDirectory, { recursive: true });
    const portOf = (name: string) =>
      behind !== null && server === dials && name === listens ? behind : (own.get(name) ?? 0);
    const file = {
      service: options.service ?? "pair",
      server,
      application: options.application ?? "exchange",
      servers: names.map((name) => ({ name, port: portOf(name) })),
      dataDirectory,
      nats: { servers: [nats] },
      limits: { ...paces[options.pace ?? "calm"], ...options.limits },
      ...options.settings?.(server),
    };
    files.set(server, file);
    settings.set(server, Settings.parse(file));
  }
  return { settings, listens: files };
}

/** One test's own pair. */
export async function startPair(t: ExecutionContext, options: PairOptions = {}): Promise<Pair> {
  const pair = await Pair.open(options);
  t.teardown(async () => {
    if (!t.passed) t.log(pair.story().join("\n"));
    await pair.close();
  });
  return pair;
}

/** Call it at the top of a test file; read `.current` in the tests, and make these serial. */
export function sharedPair<Context>(test: TestFn<Context>, options: PairOptions = {}): { readonly current: Pair } {
  let current: Pair | undefined;
  test.before("start the file's servers", async () => {
    current = await Pair.open(options);
  });
  test.afterEach.always((t) => {
    if (!t.passed && current !== undefined) t.log(current.story().join("\n"));
  });
  test.after.always("stop the file's servers", () => current?.close());
  return {
    get current() {
      if (current === undefined) throw new Error("the file's servers run only while its tests do");
      return current;
    },
  };
}
