/**
 * One connection to NATS, dialled again for as long as somebody uses it; bus, failsafe link and registry stand on it.
 * What always holds:
 * 1. Each connection is a new one of the library's: nothing that was queued on an old one can leave on the next
 *    (situation 15). What is published while there is none is not taken.
 * 2. It counts as connected once the broker has confirmed all subscriptions, and no longer when the socket closes or a
 *    ping is not answered in time; a process that was itself paused measures again before it judges.
 * 3. Callbacks run in turns of their own, and their errors are never swallowed by the library: they end the process.
 */
import type { Socket } from "node:net";
import type { Msg, NatsConnection, Subscription as NatsSubscription, Service, ServiceConfig } from "nats";
import type { Settings } from "../../schemas/settings.ts";
import { dialNats, dialWithinMs } from "./dial-nats.ts";
import { encodedHeaders, LineMessage } from "./message-nats.ts";
import { progressOf, startPings } from "./pings.ts";
import type { BusMessage, Clock, Log, Subscription } from "./ports.ts";
import { PublishBuffer } from "./publish-buffer.ts";

export interface NatsLineOptions {
  readonly nats: Settings["nats"];
  /** Shown by the broker's monitoring. */
  readonly name: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Past this many bytes that wait for the broker, nothing more is taken. */
  readonly maxBufferedBytes?: number;
}

const redialMs = 50;
/** How long a start waits for the first dial; the dial goes on behind it. */
const readyWithinMs = 2_000;
/** How long the last user waits for what was published to leave. */
const lingerMs = 500;
const defaultMaxBufferedBytes = 64 * 1024 * 1024;
/** NATS's own default, until a broker has said otherwise. */
const defaultMaxPayloadBytes = 1024 * 1024;

/** What we use of the library beyond its types: its ordered output, and the socket. */
interface Internals {
  readonly protocol: {
    readonly connected: boolean;
    sendCommand(bytes: Uint8Array): void;
    readonly transport?: { readonly socket?: Socket };
  };
}

interface Interest {
  readonly subject: string;
  readonly onMessage: (message: BusMessage) => void;
  current: NatsSubscription | null;
}

export class NatsLine {
  readonly #options: NatsLineOptions;
  readonly #interests = new Set<Interest>();
  readonly #listeners = new Set<(connected: boolean) => void>();
  readonly #buffer = new PublishBuffer();
  readonly #maxBufferedBytes: number;
  #users = 0;
  #running: Promise<void> | null = null;
  #connection: NatsConnection | null = null;
  #internals: Internals["protocol"] | null = null;
  #flushing = false;
  #maxPayloadBytes = defaultMaxPayloadBytes;
  /** What the listeners were last told; null before the first dial has ended. */
  #told: boolean | null = null;
  #wake: (() => void) | null = null;
  #lastReason = "";

  constructor(options: NatsLineOptions) {
    this.#options = options;
    this.#maxBufferedBytes = options.maxBufferedBytes ?? defaultMaxBufferedBytes;
  }

  /** Dials, if nobody else uses the line yet. Each `acquire` needs one `release`. */
  acquire(): void {
    this.#users += 1;
    this.#running ??= this.#run();
  }

  /** Resolves when what was published has left; the last user closes the connection. */
  async release(): Promise<void> {
    this.#users -= 1;
    if (this.#users > 0) return;
    this.#flush();
    const connection = this.#connection;
    if (connection !== null) await this.#within(lingerMs, connection.flush());
    if (this.#users > 0) return;
    const running = this.#running;
    this.#wake?.();
    await connection?.close();
    await running;
  }

  /** Told of each change, and at the latest when the first dial has ended, in a later turn. */
  onState(listener: (connected: boolean) => void): Subscription {
    this.#listeners.add(listener);
    return { stop: () => this.#listeners.delete(listener) };
  }

  connected(): boolean {
    return this.#connection !== null && this.#internals?.connected === true;
  }

  /** True when connected; waits only for the very first dial, and at most so long. */
  async ready(withinMs = readyWithinMs): Promise<boolean> {
    if (this.#told !== null) return this.connected();
    let listening: Subscription | null = null;
    const told = new Promise<void>((resolve) => {
      listening = this.onState(() => resolve());
    });
    await this.#within(withinMs, told);
    (listening as Subscription | null)?.stop();
    return this.connected();
  }

  /** Why the last dial failed, for people. */
  get lastReason(): string {
    return this.#lastReason;
  }

  /** What the connected broker says of itself; undefined while there is none. */
  get info(): NatsConnection["info"] {
    return this.#connection?.info;
  }

  /** Registers with the services API, on this connection only; null while there is none. */
  async announce(config: ServiceConfig, endpoint: (service: Service) => void): Promise<Service | null> {
    const connection = this.connected() ? this.#connection : null;
    if (connection === null) return null;
    const added = connection.services.add(config).then(
      (service) => {
        endpoint(service);
        return service;
      },
      () => null,
    );
    // The library waits for an answer that a lost connection never gives.
    return Promise.race([added, connection.closed().then(() => null)]);
  }

  maxPayloadBytes(): number {
    return this.#maxPayloadBytes;
  }

  bufferedBytes(): number {
    return this.#buffer.length + (this.#internals?.transport?.socket?.writableLength ?? 0);
  }

  /** Held over all connections. An error of the broker (no permission) is logged. */
  subscribe(subject: string, onMessage: (message: BusMessage) => void): Subscription {
    const interest: Interest = { subject, onMessage, current: null };
    this.#interests.add(interest);
    if (this.#connection !== null && !this.#connection.isClosed()) this.#listen(this.#connection, interest);
    return {
      stop: () => {
        if (this.#interests.delete(interest)) interest.current?.unsubscribe();
      },
    };
  }

  /** False: not taken. `headers`: as `headerText` makes them. Data is not kept. */
  publish(subject: string, data: Uint8Array, reply = "", headers = ""): boolean {
    const bytes = data.length + headers.length;
    if (!this.connected() || this.bufferedBytes() + bytes > this.#maxBufferedBytes) return false;
    if (bytes > this.#maxPayloadBytes) {
      this.#options.log.error({ subject, bytes }, "nats: a message is larger than the broker takes, and was not sent");
      return false;
    }
    if (this.#buffer.isFullFor(bytes)) this.#flush();
    this.#buffer.put(subject, reply, headers, data);
    if (!this.#flushing) {
      this.#flushing = true;
      queueMicrotask(() => {
        this.#flushing = false;
        this.#flush();
      });
    }
    return true;
  }

  /** True once the broker has everything that was taken before; false if there is no connection, or it is lost meanwhile. */
  async flush(): Promise<boolean> {
    const connection = this.connected() ? this.#connection : null;
    if (connection === null) return false;
    this.#flush();
    const flushed = connection.flush().then(
      () => true,
      () => false,
    );
    // The library waits for an answer that a lost connection never gives.
    return Promise.race([flushed, connection.closed().then(() => false)]);
  }

  /** One message, once; its answer. Rejects when there is none in time, for whatever reason. */
  async request(subject: string, data: Uint8Array, timeoutMs: number, headers = ""): Promise<Msg> {
    const connection = this.connected() ? this.#connection : null;
    if (connection === null) throw new Error(`not connected to NATS: ${this.#lastReason}`);
    const encoded = headers === "" ? {} : { headers: encodedHeaders(headers) };
    return connection.request(subject, data, { timeout: timeoutMs, ...encoded });
  }

  #flush(): void {
    if (this.#buffer.length === 0) return;
    if (this.#internals?.connected === true) this.#internals.sendCommand(this.#buffer.take());
    else this.#buffer.drop();
  }

  #listen(connection: NatsConnection, interest: Interest): void {
    const { log } = this.#options;
    interest.current = connection.subscribe(interest.subject, {
      callback: (error, message) => {
        if (error !== null) {
          log.warn({ subject: interest.subject, error: error.message }, "nats: a subscription failed");
          return;
        }
        if (interest.current === null || !this.#interests.has(interest)) return;
        try {
          interest.onMessage(new LineMessage(message));
        } catch (thrown) {
          // The library would print it and stop reading.
          queueMicrotask(() => {
            throw thrown;
          });
        }
      },
    });
  }

  async #run(): Promise<void> {
    const { nats, name, clock } = this.#options;
    while (this.#users > 0) {
      const dialled = await dialNats({ nats, name, clock, isWanted: () => this.#users > 0 });
      if (typeof dialled === "string") this.#lastReason = dialled;
      else await this.#serve(dialled);
      this.#tell(false);
      if (this.#users > 0) await this.#pause(redialMs * (0.5 + clock.random()));
    }
    this.#running = null;
    this.#told = null;
    if (this.#users > 0) this.#running = this.#run();
  }

  /** From a new connection to its end. */
  async #serve(connection: NatsConnection): Promise<void> {
    const { clock, log } = this.#options;
    const internals = (connection as unknown as Internals).protocol;
    if (this.#users > 0) {
      this.#connection = connection;
      for (const interest of this.#interests) this.#listen(connection, interest);
      const confirmed = await this.#within(dialWithinMs, connection.flush());
      if (confirmed && !connection.isClosed() && this.#users > 0) {
        this.#internals = internals;
        this.#maxPayloadBytes = connection.info?.max_payload ?? defaultMaxPayloadBytes;
        this.#tell(true);
        const socket = internals.transport?.socket;
        const pings = startPings(clock, {
          ping: () => connection.flush(),
          progress: socket === undefined ? () => 0 : progressOf(socket),
          onSilence: () => {
            log.warn({ broker: connection.getServer() }, "nats: the broker does not answer; dialling again");
            socket?.destroy(new Error("the broker does not answer"));
          },
        });
        const reason = await connection.closed();
        this.#lastReason = reason instanceof Error ? reason.message : "the connection was closed";
        pings.cancel();
      }
    }
    this.#internals = null;
    this.#connection = null;
    this.#buffer.drop();
    for (const interest of this.#interests) interest.current = null;
    await connection.close();
  }

  #tell(connected: boolean): void {
    if (this.#told === connected) return;
    this.#told = connected;
    for (const listener of this.#listeners) listener(connected);
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#options.clock.after(delayMs, () => this.#wake?.());
      this.#wake = () => {
        timer.cancel();
        this.#wake = null;
        resolve();
      };
    });
  }

  /** True if the promise was fulfilled in time. */
  #within(limitMs: number, promise: Promise<unknown>): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = this.#options.clock.after(limitMs, () => resolve(false));
      const end = (outcome: boolean) => () => {
        timer.cancel();
        resolve(outcome);
      };
      promise.then(end(true), end(false));
    });
  }
}
