/**
 * `up` in a test: in a folder and on ports of its own, with stand-in servers, everything it printed kept, and nothing left behind.
 */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ExecutionContext } from "ava";
import { connect, nkeyAuthenticator } from "nats";
import type { Bus } from "../../actors/world/ports.ts";
import { type UpLimits, type UpOptions, type UpWorld, up, upLimits } from "../../deploy/up.ts";
import type { RegistryRead } from "../../schemas/registry.ts";
import { freePort } from "../helpers/free-port.ts";
import { natsBinary } from "../helpers/nats.ts";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";
import { until } from "../helpers/until.ts";

// Every `up` of a test file listens for the end of the same process.
process.setMaxListeners(100);

export const standIn = fileURLToPath(new URL("stand-in-server.js", import.meta.url));

export const quickLimits: UpLimits = { ...upLimits, restartMs: 20, maxRestartMs: 200, steadyMs: 300, patienceMs: 200 };

/** Generous: a loaded machine starts a process in a second. */
export const withinMs = 30_000;

export async function upOptions(t: ExecutionContext, more: Partial<UpOptions> = {}): Promise<UpOptions> {
  const [natsPort, alpha, beta] = [await freePort(), await freePort(), await freePort()];
  return {
    service: "exchange",
    application: "exchange",
    data: await temporaryDirectory(t),
    natsPort,
    servers: [
      { name: "alpha", port: alpha },
      { name: "beta", port: beta },
    ],
    consolePort: null,
    websocketPort: null,
    watch: false,
    testService: false,
    program: [process.execPath, standIn],
    limits: quickLimits,
    ...more,
  };
}

/** Only what `up` uses of a bus. */
async function connectBus(contextFile: string): Promise<Bus> {
  const { url, nkey } = JSON.parse(readFileSync(contextFile, "utf8")) as { url: string; nkey: string };
  const authenticator = nkeyAuthenticator(readFileSync(nkey));
  const connection = await connect({ servers: url, authenticator, maxReconnectAttempts: -1, reconnectTimeWait: 20 });
  const unused = (): never => {
    throw new Error("up does not use this");
  };
  return {
    start: unused,
    publish: unused,
    flush: unused,
    announceService: unused,
    inbox: unused,
    maxPayloadBytes: unused,
    room: unused,
    onFault: unused,
    connected: () => !connection.isClosed(),
    subscribe: (subject, onMessage) => {
      const subscription = connection.subscribe(subject, {
        callback: (_error, { data, reply = "", subject: to }) => onMessage({ subject: to, data, reply }),
      });
      return { stop: () => subscription.unsubscribe() };
    },
    stop: () => connection.close(),
  };
}

/** The record is there when the stand-in's `init` was called; something else, where this file says so. */
export const notRecordFile = "no-record";
function readRegistry(data: string): RegistryRead {
  if (existsSync(join(data, notRecordFile)))
    return { outcome: "unavailable", reason: "revision 4 is damaged", revision: 4 };
  return existsSync(join(data, "initialised"))
    ? ({ outcome: "found", revision: 1, record: {} } as RegistryRead)
    : { outcome: "missing" };
}

/** The world of an `up` whose servers are stand-ins. */
export function standInWorld(
  data: string,
  environment: NodeJS.ProcessEnv,
  { stopped, forced = new AbortController().signal }: Pick<UpWorld, "stopped"> & Partial<Pick<UpWorld, "forced">>,
  out: (text: string) => void,
): UpWorld {
  return {
    stopped,
    forced,
    environment,
    out: async (text) => out(text),
    connect: connectBus,
    readRegistry: async () => readRegistry(data),
  };
}

export class RunningUp {
  readonly options: UpOptions;
  readonly #stop = new AbortController();
  readonly ended: Promise<number>;
  printed = "";

  constructor(options: UpOptions, binary: string) {
    this.options = options;
    const environment = { ...process.env, TWINLOG_NATS_SERVER: binary };
    const world = standInWorld(options.data, environment, { stopped: this.#stop.signal }, (text) => {
      this.printed += text;
    });
    this.ended = up(options, world);
    this.ended.catch(() => undefined);
  }

  stop(): Promise<number> {
    this.#stop.abort();
    return this.ended;
  }

  /** Waits until it has printed this; an `up` that ended with an error fails the test with that. */
  async prints(pattern: RegExp): Promise<RegExpExecArray> {
    const ended = this.ended.then(
      (status) => Promise.reject(new Error(`up ended with status ${status}:\n${this.printed}`)),
      (error: unknown) => Promise.reject(error),
    );
    ended.catch(() => undefined);
    const found = until(() => pattern.exec(this.printed), { withinMs, waitedFor: String(pattern) }).catch((error) => {
      throw new Error(`${(error as Error).message}\n${this.printed}`);
    });
    return Promise.race([found, ended]);
  }

  /** Waits until the screen is there. */
  async untilNormal(): Promise<void> {
    await this.prints(/Ctrl-C stops everything/);
  }

  pids(): { nats: number; alpha: number; beta: number } {
    const { nats, servers } = JSON.parse(readFileSync(join(this.options.data, "running.json"), "utf8"));
    return { nats, alpha: servers.alpha, beta: servers.beta };
  }

  story(server: string): string[] {
    return storyOf(this.options.data, server);
  }
}

export function storyOf(data: string, server: string): string[] {
  const path = join(data, server, "story");
  return existsSync(path) ? readFileSync(path, "utf8").trim().split("\n") : [];
}

/** What the stand-in does from its next start on. */
export function setBehaviour(data: string, server: string, how: string): void {
  mkdirSync(join(data, server), { recursive: true });
  writeFileSync(join(data, server, "behaviour"), how);
}

export async function startUp(t: ExecutionContext, more: Partial<UpOptions> = {}): Promise<RunningUp> {
  const running = new RunningUp(await upOptions(t, more), await natsBinary());
  t.teardown(() => running.stop().catch(() => undefined));
  return running;
}
