/**
 * One connection to NATS, dialled again for as long as somebody uses it; bus, failsafe link and registry stand on it. What carries it (TCP, a
 * WebSocket) is whoever's who makes the line; nothing here needs more than every JavaScript has.
 * What always holds:
 * 1. Each connection is a new one of the library's: nothing that was queued on an old one can leave on the next
 *    (situation 15). What is published while there is none is not taken.
 * 2. It counts as connected once the broker has confirmed all subscriptions, and no longer when the socket closes or a
 *    ping is not answered in time; a process that was itself paused measures again before it judges.
 * 3. Callbacks run in turns of their own, and their errors are never swallowed by the library: they end the process.
 * 4. What the broker takes (`maxPayload`, the length of a line) is read at each connection, and nothing that does not fit is
 *    ever sent: that would end the connection for everybody.
 * 5. What the broker forbids is told (`onFault`) before a `flush` of what came before resolves; a subscription that it
 *    forbids is asked for again now and then, for as long as it is wanted.
 */
import type { Msg, NatsConnection, Subscription as NatsSubscription, Service, ServiceConfig } from "nats";
import { utf8Length } from "../../schemas/utf8.ts";
import { Backoff } from "./backoff.ts";
import { type Dial, type Dialled, lineBytesTried, type Wire } from "./dialled-nats.ts";
import { encodedHeaders, LineMessage } from "./message-nats.ts";
import { type BrokerLimits, lineBytesOf, misfit, roomFor } from "./message-size.ts";
import { type PingPace, startPings } from "./pings.ts";
import type { BusFault, BusMessage, Clock, Log, Subscription, Timer } from "./ports.ts";

/** Messages that wait for the end of a turn, in the broker's protocol, in their order. */
export interface Outgoing {
  readonly length: number;
  /** True if it must be taken before a message of so many bytes can be put in. */
  isFullFor(bytes: number): boolean;
  /** `headers`: as `headerText` makes them. Nothing of `data` is kept. */
  put(subject: string, reply: string, headers: string, data: Uint8Array): void;
  /** All that waits; nothing waits afterwards. */
  take(): Uint8Array;
  drop(): void;
}

/** How patient a line is, which depends on how far the broker is. */
export interface LinePace extends PingPace {
  /** How long each step of a dial may take. */
  readonly dialWithinMs: number;
  /** How long a start waits for the first dial; the dial goes on behind it. */
  readonly readyWithinMs: number;
}

export interface LineOptions {
  readonly dial: Dial;
  readonly outgoing: Outgoing;
  readonly pace: LinePace;
  /** Shown by the broker's monitoring. */
  readonly name: string;
  /** What its inboxes begin with, those of the library included: where this log-in may listen. */
  readonly inboxPrefix: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Past this many bytes that wait for the broker, nothing more is taken. */
  readonly maxBufferedBytes?: number;
}

const redialMinMs = 50;
const redialMaxMs = 1_000;
/** How long the last user waits for what was published to leave. */
const lingerMs = 500;
const defaultMaxBufferedBytes = 64 * 1024 * 1024;
/** NATS's own defaults, until a broker has said otherwise. */
const defaultLimits: BrokerLimits = { payloadBytes: 1024 * 1024, lineBytes: lineBytesTried[0] };
/** Kinds of faults, by subject, that are told where nobody listens to them. */
const maxToldFaults = 1_000;
/** What the library puts behind the prefix: two ids of 22 characters, with a dot between. */
const libraryInboxBytes = 45;
/** How often a subscription that the broker forbids is asked for again. */
const askAgainMs = 5_000;

/** The same in order as it comes: `status()` of the library hands it out some turns later. */
interface StatusListener {
  push(status: { type: string; data: unknown; permissionContext?: { operation: string; subject: string } }): void;
  stop(): void;
}

/** What we use of the library beyond its types: the broker's errors as they come. */
interface Internals {
  readonly protocol: {
    readonly connected: boolean;
    readonly listeners: StatusListener[];
    /** What the broker said last, besides what it forbids: it ends the connection behind it. */
    readonly lastError?: Error;
  };
}

interface Interest {
  readonly subject: string;
  readonly onMessage: (message: BusMessage) => void;
  current: NatsSubscription | null;
  /** The broker forbids it: it is asked for again then. */
  again: Timer | null;
}

export class BrokerLine {
  readonly #options: LineOptions;
  readonly #interests = new Set<Interest>();
  readonly #listeners = new Set<(connected: boolean) => void>();
  readonly #faultListeners = new Set<(fault: BusFault) => void>();
  readonly #toldFaults = new Set<string>();
  readonly #outgoing: Outgoing;
  readonly #maxBufferedBytes: number;
  #users = 0;
  #running: Promise<void> | null = null;
  #connection: NatsConnection | null = null;
  #internals: Internals["protocol"] | null = null;
  #wire: Wire | null = null;
  #flushing = false;
  #limits = defaultLimits;
  /** What the listeners were last told; null before the first dial has ended. */
  #told: boolean | null = null;
  #wake: (() => void) | null = null;
  #lastReason = "";
  readonly #backoff: Backoff;
  /** As long as the reply subjects of the library's own requests. */
  readonly #libraryInbox: string;

  constructor(options: LineOptions) {
    this.#options = options;
    this.#outgoing = options.outgoing;
    this.#libraryInbox = `${options.inboxPrefix}.${"x".repeat(libraryInboxBytes)}`;
    this.#backoff = new Backoff(options.clock, redialMinMs, redialMaxMs);
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
    const [connection, wire] = [this.#connection, this.#wire];
    if (connection !== null) await this.#within(lingerMs, connection.flush());
    if (this.#users > 0) return;
    const running = this.#running;
    this.#wake?.();
    await wire?.close();
    await running;
  }

  /** A new subject for answers. */
  inbox(): string {
    return `${this.#options.inboxPrefix}.${this.#options.clock.randomId()}`;
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
  async ready(withinMs = this.#options.pace.readyWithinMs): Promise<boolean> {
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

  /** Registers with the services API, on this connection only; null while there is none. `mayAnswer`: others hear nothing. */
  async announce(
    config: ServiceConfig,
    mayAnswer: (reply: string) => boolean,
    endpoint: (service: Service) => void,
  ): Promise<Service | null> {
    const [connection, wire] = [this.connected() ? this.#connection : null, this.#wire];
    if (connection === null || wire === null) return null;
    const added = answeringOnly(connection, mayAnswer)
      .services.add(config)
      .then(
        (service) => {
          endpoint(service);
          return service;
        },
        () => null,
      );
    // The library waits for an answer that a lost connection never gives.
    return Promise.race([added, wire.closed().then(() => null)]);
  }

  maxPayloadBytes(): number {
    return this.#limits.payloadBytes;
  }

  /** `headers`: as `headerText` makes them. */
  room(subject: string, reply = "", headers = ""): number {
    return roomFor(this.#limits, subject, reply, utf8Length(headers));
  }

  /** Told of what the broker did not take, on any connection of this line. */
  onFault(listener: (fault: BusFault) => void): Subscription {
    this.#faultListeners.add(listener);
    return { stop: () => this.#faultListeners.delete(listener) };
  }

  bufferedBytes(): number {
    return this.#outgoing.length + (this.#wire?.waitingBytes() ?? 0);
  }

  /** Held over all connections, and asked for again where the broker forbids it (`onFault`). */
  subscribe(subject: string, onMessage: (message: BusMessage) => void): Subscription {
    const interest: Interest = { subject, onMessage, current: null, again: null };
    this.#interests.add(interest);
    if (this.#connection !== null && !this.#connection.isClosed()) this.#listen(this.#connection, interest);
    return {
      stop: () => {
        if (!this.#interests.delete(interest)) return;
        interest.again?.cancel();
        interest.current?.unsubscribe();
      },
    };
  }

  /** False: not taken. `headers`: as `headerText` makes them. Data is not kept. */
  publish(subject: string, data: Uint8Array, reply = "", headers = ""): boolean {
    const bytes = data.length + headers.length;
    if (!this.connected() || this.bufferedBytes() + bytes > this.#maxBufferedBytes) return false;
    const why = misfit(this.#limits, subject, reply, bytes);
    if (why !== "") {
      this.#onFault({ kind: "size", subject, reason: why });
      return false;
    }
    if (this.#outgoing.isFullFor(bytes)) this.#flush();
    this.#outgoing.put(subject, reply, headers, data);
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
    const [connection, wire] = [this.connected() ? this.#connection : null, this.#wire];
    if (connection === null || wire === null) return false;
    this.#flush();
    const flushed = connection.flush().then(
      () => true,
      () => false,
    );
    // The library waits for an answer that a lost connection never gives.
    return Promise.race([flushed, wire.closed().then(() => false)]);
  }

  /** One message, once; its answer. Rejects when there is none in time, for whatever reason. */
  async request(subject: string, data: Uint8Array, timeoutMs: number, headers = ""): Promise<Msg> {
    const connection = this.connected() ? this.#connection : null;
    if (connection === null) throw new Error(`not connected to NATS: ${this.#lastReason}`);
    const why = misfit(this.#limits, subject, this.#libraryInbox, data.length + headers.length);
    if (why !== "") throw new Error(why);
    const encoded = headers === "" ? {} : { headers: encodedHeaders(headers) };
    return connection.request(subject, data, { timeout: timeoutMs, ...encoded });
  }

  #flush(): void {
    if (this.#outgoing.length === 0) return;
    if (this.connected()) this.#wire?.send(this.#outgoing.take());
    else this.#outgoing.drop();
  }

  #listen(connection: NatsConnection, interest: Interest): void {
    const { subject } = interest;
    if (lineBytesOf(subject, "") > this.#limits.lineBytes) {
      this.#onFault({ kind: "size", subject, reason: "a subscription whose subject is longer than the broker takes" });
      return;
    }
    interest.current = connection.subscribe(subject, {
      callback: (error, message) => {
        if (error !== null) {
          interest.current = null;
          this.#onForbidden(connection, interest, error.message);
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

  #onForbidden(connection: NatsConnection, interest: Interest, reason: string): void {
    this.#onFault({ kind: "subscribe", subject: interest.subject, reason });
    interest.again?.cancel();
    interest.again = this.#options.clock.after(askAgainMs, () => {
      if (this.#connection === connection && !connection.isClosed()) this.#listen(connection, interest);
    });
  }

  #onFault(fault: BusFault): void {
    this.#tellOnce(fault);
    for (const listener of this.#faultListeners) listener(fault);
  }

  /** Whoever listens to faults tells them his own way: here each is told once. */
  #tellOnce({ kind, subject, reason }: BusFault): void {
    if (this.#faultListeners.size > 0 || this.#toldFaults.size >= maxToldFaults) return;
    const what = `${kind} ${subject}`;
    if (this.#toldFaults.has(what)) return;
    this.#toldFaults.add(what);
    this.#options.log.warn({ subject, kind }, `nats: ${reason}`);
  }

  /** The broker's errors, in their place among its answers. Those of subscriptions come to their own callbacks. */
  #readErrors(protocol: Internals["protocol"]): void {
    protocol.listeners.push({
      push: ({ type, permissionContext }) => {
        if (type !== "error" || permissionContext === undefined) return;
        const { operation, subject } = permissionContext;
        const isOwn = [...this.#interests].some((interest) => interest.subject === subject);
        if (operation === "subscription" && isOwn) return;
        const kind = operation === "subscription" ? "subscribe" : "publish";
        this.#onFault({ kind, subject, reason: `NATS forbids to ${kind} there` });
      },
      stop: () => undefined,
    });
  }

  async #run(): Promise<void> {
    while (this.#users > 0) {
      const dialled = await this.#options.dial(() => this.#users > 0);
      if (typeof dialled === "string") this.#lastReason = dialled;
      else await this.#serve(dialled);
      this.#tell(false);
      if (this.#users === 0) break;
      this.#onFault({ kind: "lost", subject: "", reason: this.#lastReason });
      await this.#pause(this.#backoff.next());
    }
    this.#running = null;
    this.#told = null;
    if (this.#users > 0) this.#running = this.#run();
  }

  /** From a new connection to its end. */
  async #serve({ connection, wire, lineBytes }: Dialled): Promise<void> {
    const { clock, pace } = this.#options;
    const internals = (connection as unknown as Internals).protocol;
    if (this.#users > 0) {
      this.#connection = connection;
      this.#wire = wire;
      this.#limits = { payloadBytes: connection.info?.max_payload ?? defaultLimits.payloadBytes, lineBytes };
      this.#readErrors(internals);
      for (const interest of this.#interests) this.#listen(connection, interest);
      const confirmed = await this.#within(pace.dialWithinMs, connection.flush());
      if (confirmed && !connection.isClosed() && this.#users > 0) {
        this.#internals = internals;
        this.#backoff.onWorks();
        this.#tell(true);
        const pings = startPings(clock, pace, {
          ping: () => connection.flush(),
          progress: () => wire.progress(),
          onSilence: () => wire.cut(new Error("the broker does not answer")),
        });
        const reason = await wire.closed();
        const said = internals.lastError?.message ?? "";
        const seen = (reason instanceof Error ? reason.message : "") || "the connection was closed";
        this.#lastReason = said === "" ? seen : said;
        if (said !== "") this.#onFault({ kind: "cutOff", subject: "", reason: said });
        pings.cancel();
      }
    }
    this.#internals = null;
    this.#connection = null;
    this.#wire = null;
    this.#outgoing.drop();
    for (const interest of this.#interests) {
      interest.current = null;
      interest.again?.cancel();
    }
    await wire.close();
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

/** The same connection, on which messages are not heard whose reply subject may not be answered: the library answers each. */
function answeringOnly(connection: NatsConnection, mayAnswer: (reply: string) => boolean): NatsConnection {
  const subscribe: NatsConnection["subscribe"] = (subject, { callback, ...options } = {}) =>
    connection.subscribe(subject, {
      ...options,
      callback: (error, message) => {
        if (error !== null || mayAnswer(message.reply ?? "")) callback?.(error, message);
      },
    });
  return Object.create(connection, { subscribe: { value: subscribe } }) as NatsConnection;
}
