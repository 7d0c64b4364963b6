/**
 * nats-server, kept running: it is started again on the same port with the same data when it dies. What always holds: at
 * most one runs; after `stop` none is started; while servers of ours live it outlives us, so that they can stop cleanly.
 */
import { setTimeout as delay } from "node:timers/promises";
import { type NatsServer, type NatsServerOptions, startNatsServer } from "../nats/process.ts";
import { type KeepLimits, restartDelayMs } from "./kept-child.ts";

export class KeptNats {
  readonly #options: NatsServerOptions;
  readonly #limits: KeepLimits;
  readonly #tell: (line: string) => void;
  readonly #stopping = new AbortController();
  #server: NatsServer;
  #isRunning = true;
  #kept: Promise<void>;
  #needing: readonly number[] = [];

  private constructor(
    server: NatsServer,
    options: NatsServerOptions,
    limits: KeepLimits,
    tell: (line: string) => void,
  ) {
    this.#server = server;
    this.#options = { ...options, port: server.port };
    this.#limits = limits;
    this.#tell = tell;
    this.#kept = this.#keep();
  }

  /** Throws what `startNatsServer` throws: only a first start that fails is an error. */
  static async start(options: NatsServerOptions, limits: KeepLimits, tell: (line: string) => void): Promise<KeptNats> {
    return new KeptNats(await startNatsServer(options), options, limits, tell);
  }

  get url(): string {
    return this.#server.url;
  }
  get version(): string {
    return this.#server.version;
  }
  /** null while it does not run. */
  get pid(): number | null {
    return this.#isRunning ? this.#server.pid : null;
  }

  /** If we are killed, it goes on until these processes are gone too. */
  outlive(pids: readonly number[]): void {
    this.#needing = pids;
    this.#server.outlive(pids);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#server.stop();
    await this.#kept;
  }

  async #keep(): Promise<void> {
    const { signal } = this.#stopping;
    let deaths = 0;
    while (!signal.aborted) {
      const bornMs = performance.now();
      const { code, signal: by } = await this.#server.exited;
      this.#isRunning = false;
      if (signal.aborted) return;
      if (performance.now() - bornMs > this.#limits.steadyMs) deaths = 0;
      this.#tell(
        `nats-server ${by === null ? `ended with status ${code}` : `was ended by ${by}`}; it is started again`,
      );
      while (!signal.aborted && !this.#isRunning) {
        deaths += 1;
        await delay(restartDelayMs(deaths, this.#limits), undefined, { signal }).catch(() => undefined);
        if (!signal.aborted) await this.#startAgain();
      }
    }
  }

  async #startAgain(): Promise<void> {
    try {
      this.#server = await startNatsServer(this.#options);
      this.#isRunning = true;
      this.#server.outlive(this.#needing);
      if (this.#stopping.signal.aborted) await this.#server.stop();
      else this.#tell(`nats-server runs again (process ${this.#server.pid})`);
    } catch (error) {
      this.#tell(`nats-server could not be started again: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}
