/**
 * A real nats-server for tests, on a free port and a folder of its own, gone when the test (or the file) is over.
 *
 * `natsServer(t)` gives one test its own, which it may stop, kill and start again; `sharedNatsServer(test)` gives all tests of a file
 * one, for those that only need a bus: keep them apart by service name. Tests in other files never see it.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ExecutionContext, TestFn } from "ava";
import { configName } from "../../deploy/nats/folder.ts";
import { type NatsExit, type NatsServer, type NatsServerOptions, startNatsServer } from "../../deploy/nats/process.ts";
import { bringNatsServer } from "../../deploy/nats-server.ts";
import { makeTemporaryDirectory, temporaryDirectory } from "./temporary-directory.ts";

export type TestNatsOptions = Partial<Pick<NatsServerOptions, "maxPayloadBytes" | "extraConfig" | "storeDir" | "port">>;

/** A nats-server that keeps its port and its data over stops, kills and restarts. */
export class TestNats {
  #options: NatsServerOptions;
  #server: NatsServer;

  private constructor(options: NatsServerOptions, server: NatsServer) {
    this.#options = { ...options, port: server.port };
    this.#server = server;
  }

  static async start(storeDir: string, options: TestNatsOptions): Promise<TestNats> {
    const all = { binary: await natsBinary(), storeDir, ...options };
    return new TestNats(all, await startNatsServer(all));
  }

  get url(): string {
    return this.#server.url;
  }

  get port(): number {
    return this.#server.port;
  }

  get pid(): number {
    return this.#server.pid;
  }

  get version(): string {
    return this.#server.version;
  }

  /** SIGSTOP pauses it, SIGCONT lets it go on, SIGKILL ends it (then wait for `stop()`). */
  signal(signal: NodeJS.Signals): void {
    this.#server.kill(signal);
  }

  stop(): Promise<NatsExit> {
    return this.#server.stop();
  }

  /** Stops it if it runs, and starts it on the same port with the same data, with another configuration if one is given. */
  async restart(changed: Pick<TestNatsOptions, "maxPayloadBytes" | "extraConfig"> = {}): Promise<void> {
    await this.stop();
    this.#options = { ...this.#options, ...changed };
    this.#server = await startNatsServer(this.#options);
  }

  /** Its operator changes the configuration and has it read again: connections stay. */
  reload(extraConfig: string): void {
    const file = join(this.#options.storeDir, configName);
    const before = this.#options.extraConfig ?? "";
    writeFileSync(file, readFileSync(file, "utf8").replace(before, extraConfig));
    this.#options = { ...this.#options, extraConfig };
    this.signal("SIGHUP");
  }
}

/** The path of the nats-server that tests run; `npm test` has brought it before the first test. */
export async function natsBinary(): Promise<string> {
  const root = fileURLToPath(new URL("../../..", import.meta.url));
  return (await bringNatsServer({ dataFolder: join(root, ".twinlog") })).path;
}

export async function natsServer(t: ExecutionContext, options: TestNatsOptions = {}): Promise<TestNats> {
  const storeDir = options.storeDir ?? (await temporaryDirectory(t));
  const nats = await TestNats.start(storeDir, options);
  t.teardown(() => nats.stop());
  return nats;
}

/** Call it at the top of a test file; read `.current` in the tests. */
export function sharedNatsServer<Context>(
  test: TestFn<Context>,
  options: TestNatsOptions = {},
): { readonly current: TestNats } {
  let current: TestNats | undefined;
  let directory: Awaited<ReturnType<typeof makeTemporaryDirectory>> | undefined;
  test.before("start the file's nats-server", async () => {
    directory = await makeTemporaryDirectory();
    current = await TestNats.start(directory.path, options);
  });
  test.after.always("stop the file's nats-server", async () => {
    await current?.stop();
    await directory?.remove();
  });
  return {
    get current() {
      if (current === undefined) {
        throw new Error("the file's nats-server runs only while its tests do");
      }
      return current;
    },
  };
}
