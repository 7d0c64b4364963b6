/**
 * An application in a test of its author's: no NATS, no disk, milliseconds. What always holds: requests come in by the client
 * library and the door, and are run, recorded, answered again and resumed by the same code as in a server; after a crash the next
 * server's state is built from the log's bytes alone.
 *
 * Time is the machine's, and a test may move it forward: timers, handlers, deadlines and stamps go by that.
 */
import type { z } from "zod";
import { Settings } from "../../schemas/settings.ts";
import type { ApplicationDefinition, Queues, Reader, Tables, ViewDefinitions } from "../application/contract.ts";
import { StateReader } from "../application/state.ts";
import { type Client, createClient, type QueryOptions, type RequestOptions } from "../client/client.ts";
import type { Answer } from "../client/entry.ts";
import type { Clock, Log } from "../world/ports.ts";
import type { Deaths } from "./deaths.ts";
import { LoneServer, Remains } from "./lone-server.ts";
import { MemoryBus } from "./memory-bus.ts";
import { TestClock } from "./test-clock.ts";

export interface TestOptions {
  /** As `limits` in a server's settings (`handlerMs`, `maxRecordBytes` …). */
  readonly limits?: z.input<typeof Settings>["limits"];
  /** Told of handlers that fail, with their stacks. Default: silent. */
  readonly log?: Log;
}

/** `client`: who asks. Default: "test". */
export type TestRequestOptions = RequestOptions & { readonly client?: string };
export type TestQueryOptions = QueryOptions & { readonly client?: string };

export interface TestApplication<Body, Result, T extends Tables, Q extends Queues, V extends ViewDefinitions> {
  /** As a client's: rejects with RefusedError, FailedError or UnknownOutcomeError. */
  request(body: Body, options?: TestRequestOptions): Promise<Answer<Result>>;
  /** `{"query": "<name>", …}`. Rejects with RefusedError, FailedError or UnansweredError. */
  query<R = unknown>(body: unknown, options?: TestQueryOptions): Promise<Answer<R>>;
  /** Tables, queues and views as they are now: of requests that are answered, and of what others did so far. */
  readonly state: Reader<T, Q, V>;
  /** What time it is for a request that comes now (`nowMs`). */
  readonly nowMs: number;
  /** Timers that are set, the one that is due first before the others. */
  readonly timers: readonly { readonly id: string; readonly atMs: number; readonly body: unknown }[];
  /**
   * Moves time forward by so much, at once: what is due by then comes in its order, each at its time, and is done when this
   * resolves, unless a handler waits for something that no time brings.
   */
  advance(ms: number): Promise<void>;
  /** The same to a time, ms since 1970; where that is past, nothing is done. */
  advanceTo(atMs: number): Promise<void>;
  /** The server dies now, and the next one goes on with what was committed. Clients send again what is unanswered. */
  crash(): void;
  /** Ends what is unanswered. */
  close(): void;
}

const server = "alpha";
const silence: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};
/** As much as may be. */
const longestStepMs = 366 * 86_400_000;
const nobodyDies: Deaths = { diesAt: () => undefined };

/** The application on a server in memory. `deaths`: where that dies of itself. Throws a ZodError where a limit is none. */
export function startTest<
  Req extends z.ZodType,
  Res extends z.ZodType,
  T extends Tables,
  Q extends Queues,
  V extends ViewDefinitions,
>(
  machineClock: Clock,
  application: ApplicationDefinition<Req, Res, T, Q, V>,
  options: TestOptions = {},
  deaths: Deaths = nobodyDies,
): TestApplication<z.input<Req>, z.output<Res>, T, Q, V> {
  type OwnClient = Client<z.input<Req>, z.output<Res>>;
  const clock = new TestClock(machineClock);
  const service = application.name;
  const settings = Settings.parse({
    service,
    server,
    servers: [{ name: server, port: 1 }],
    dataDirectory: "memory",
    publishResults: false,
    // No caution after a start: a request is what it would be on a server that has stood for a while.
    // Nor is its clock doubted after a crash.
    limits: { cautionMs: 0, maxClockStepMs: longestStepMs, ...options.limits },
  });
  const bus = new MemoryBus(clock);
  const remains = new Remains(settings, clock);
  const clients = new Map<string, OwnClient>();
  let broken: Error | null = null;
  let running = begin();

  function begin(): LoneServer {
    const begun = new LoneServer({
      application: application as unknown as ApplicationDefinition,
      settings,
      clock,
      bus,
      log: options.log ?? silence,
      remains,
      deaths,
      onDeath: () => {
        running = begin();
      },
      onError: (error) => {
        broken = error;
        close();
      },
    });
    begun.start();
    return begun;
  }

  function clientOf(name: string): OwnClient {
    if (broken !== null) throw new Error(`the server ended: ${broken.message}`, { cause: broken });
    const known = clients.get(name);
    if (known !== undefined) return known;
    const made = createClient({ service, client: name, application, clock, bus }) as OwnClient;
    clients.set(name, made);
    return made;
  }

  function close(): void {
    for (const client of clients.values()) client.close();
    clients.clear();
    running.kill();
  }

  return {
    request: async (body, { client = "test", ...more } = {}) => await clientOf(client).request(body, more),
    query: async (body, { client = "test", ...more } = {}) => await clientOf(client).query(body, more),
    get state() {
      return new StateReader(running.state) as unknown as Reader<T, Q, V>;
    },
    get nowMs() {
      return running.nowMs;
    },
    get timers() {
      return running.timers;
    },
    async advance(ms) {
      await clock.advance(ms);
      if (broken !== null) throw new Error(`the server ended: ${broken.message}`, { cause: broken });
    },
    async advanceTo(atMs) {
      // Time may stand between two ms.
      await this.advance(Math.max(0, atMs + 1 - running.nowMs));
    },
    crash() {
      running.kill();
      running = begin();
    },
    close,
  };
}
