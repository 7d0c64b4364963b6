/**
 * One process's connection to the simulated broker, shared by its Bus, its failsafe link and its Registry. It dials
 * again whenever it is disconnected, renews its subscriptions, and finds a silent broker by pings.
 *
 * What always holds: nothing published while disconnected is sent later (situation 15); what was on the way when the
 * connection ended may or may not arrive.
 */

import { headerText } from "../../world/message-nats.ts";
import { misfit, roomFor } from "../../world/message-size.ts";
import type { BusFault, BusHeaders, BusMessage } from "../../world/ports.ts";
import type { Rng } from "./rng.ts";
import {
  type BrokerConnection,
  type BrokerPeer,
  brokerHost,
  type SimBroker,
  type ToClient,
  usualLimits,
} from "./sim-broker.ts";
import type { SimProcess } from "./sim-process.ts";

const dialMs = 60;
const pingMs = 400;
const maxUnanswered = 3;
/** How often a subscription that the broker forbids is asked for again. */
const askAgainMs = 500;

export interface NatsSubscription {
  stop(): void;
}

export class SimNatsClient implements BrokerPeer {
  readonly process: SimProcess;
  /** Its name in the network: cutting `alpha>nats` leaves the main link alone. */
  readonly host: string;
  readonly broker: SimBroker;
  readonly #rng: Rng;
  readonly #subscriptions = new Map<number, { pattern: string; onMessage: (message: BusMessage) => void }>();
  readonly #watchers: ((connected: boolean) => void)[] = [];
  #connection: BrokerConnection | null = null;
  #sid = 0;
  #unanswered = 0;
  #isStarted = false;
  /** As the broker said when it was connected to. */
  #limits = usualLimits;
  readonly #faultListeners = new Set<(fault: BusFault) => void>();
  #flushNumber = 0;
  /** What waits until the broker has all that was sent before. */
  readonly #flushes = new Map<number, (isFlushed: boolean) => void>();
  /** Mutation: what does not fit is sent all the same. */
  isCareless = false;

  constructor(process: SimProcess, host: string, broker: SimBroker, rng: Rng) {
    this.process = process;
    this.host = host;
    this.broker = broker;
    this.#rng = rng;
    process.whenKilled((kind) => {
      const connection = this.#connection;
      if (connection === null) return;
      // Without power nothing is closed: the broker finds out later.
      const delayMs = kind === "machine" ? this.#rng.between(300, 3_000) : broker.network.latencyMs();
      process.scheduler.after(delayMs, null, "nats.close", () => broker.drop(connection));
    });
  }

  get isConnected(): boolean {
    return this.#connection !== null;
  }

  /** Bytes that the broker has not read yet, beyond what kernels hold. */
  get waitingBytes(): number {
    return this.#connection?.toBroker.waitingBytes ?? 0;
  }

  /** Begins to dial; `onState` hears of every change. */
  start(onState: (connected: boolean) => void): void {
    this.#watchers.push(onState);
    if (this.#isStarted) {
      if (this.isConnected) this.process.later(0, "nats", () => this.isConnected && onState(true));
      return;
    }
    this.#isStarted = true;
    this.process.later(this.#rng.between(0, 2), "nats.dial", () => this.#dial());
    this.process.later(pingMs, "nats.ping", () => this.#ping());
  }

  stop(): void {
    this.#isStarted = false;
    this.#watchers.length = 0;
    const connection = this.#connection;
    this.#connection = null;
    this.#endFlushes();
    if (connection === null) return;
    // What was published before a clean stop is flushed first.
    const { broker, process } = this;
    process.scheduler.at(connection.toBroker.drainedAtMs + 0.01, null, "nats.close", () => broker.drop(connection));
  }

  subscribe(pattern: string, onMessage: (message: BusMessage) => void): NatsSubscription {
    this.#sid += 1;
    const sid = this.#sid;
    this.#subscriptions.set(sid, { pattern, onMessage });
    this.#connection?.toBroker.send({ type: "subscribe", sid, pattern }, pattern.length + 10);
    return {
      stop: () => {
        this.#subscriptions.delete(sid);
        this.#connection?.toBroker.send({ type: "unsubscribe", sid }, 10);
      },
    };
  }

  get payloadBytes(): number {
    return this.#limits.payloadBytes;
  }

  room(subject: string, headers: BusHeaders | undefined, reply: string): number {
    return roomFor(this.#limits, subject, reply, headerText(headers).length);
  }

  onFault(listener: (fault: BusFault) => void): NatsSubscription {
    this.#faultListeners.add(listener);
    return { stop: () => this.#faultListeners.delete(listener) };
  }

  #tellFault(fault: BusFault): void {
    for (const listener of this.#faultListeners) listener(fault);
  }

  /** Told once the broker has all that was sent before, or that the connection was lost. */
  flush(done: (isFlushed: boolean) => void): void {
    const connection = this.#connection;
    if (connection === null) {
      done(false);
      return;
    }
    this.#flushNumber += 1;
    this.#flushes.set(this.#flushNumber, done);
    connection.toBroker.send({ type: "ping", number: this.#flushNumber }, 6);
  }

  publish(subject: string, data: Uint8Array, options: { headers?: BusHeaders | undefined; reply?: string }): boolean {
    const connection = this.#connection;
    if (connection === null || this.process.state === "dead") return false;
    const bytes = data.length + headerText(options.headers).length;
    const why = misfit(this.#limits, subject, options.reply ?? "", bytes);
    if (why !== "" && !this.isCareless) {
      this.#tellFault({ kind: "size", subject, reason: why });
      return false;
    }
    const message = {
      subject,
      data: new Uint8Array(data),
      reply: options.reply ?? "",
      ...(options.headers === undefined ? {} : { headers: options.headers }),
    };
    this.process.scheduler.trace(data);
    connection.toBroker.send({ type: "publish", message }, data.length + subject.length);
    return true;
  }

  onOp(connection: BrokerConnection, op: ToClient): void {
    if (connection !== this.#connection) return;
    if (op.type === "pong") {
      this.#unanswered = 0;
      const done = this.#flushes.get(op.number);
      this.#flushes.delete(op.number);
      done?.(true);
      return;
    }
    if (op.type === "forbidden") {
      this.#onForbidden(connection, op);
      return;
    }
    this.#subscriptions.get(op.sid)?.onMessage(op.message);
  }

  #onForbidden(connection: BrokerConnection, { kind, subject, sid }: Extract<ToClient, { type: "forbidden" }>): void {
    this.#tellFault({ kind, subject, reason: `NATS forbids to ${kind} there` });
    if (kind === "publish") return;
    this.process.later(askAgainMs, "nats.again", () => {
      if (connection !== this.#connection || !this.#subscriptions.has(sid)) return;
      connection.toBroker.send({ type: "subscribe", sid, pattern: subject }, subject.length + 10);
    });
  }

  /** The broker's kernel closed the connection. */
  onConnectionClosed(connection: BrokerConnection): void {
    const { network } = this.broker;
    network.scheduler.after(network.latencyMs(), null, "nats.close", () => {
      // Behind a cut nobody hears of it: pings find it out.
      if (!network.isCut(brokerHost, this.host))
        this.process.later(0, "nats", () => connection === this.#connection && this.#onDisconnected());
    });
  }

  #onDisconnected(): void {
    const connection = this.#connection;
    this.#connection = null;
    if (connection === null) return;
    this.#endFlushes();
    const { network } = this.broker;
    network.scheduler.after(this.#rng.between(100, 3_000), null, "nats.close", () => this.broker.drop(connection));
    for (const watcher of this.#watchers) watcher(false);
    this.process.later(this.#rng.between(0, dialMs), "nats.dial", () => this.#dial());
  }

  #endFlushes(): void {
    for (const done of this.#flushes.values()) done(false);
    this.#flushes.clear();
  }

  #dial(): void {
    if (!this.#isStarted || this.#connection !== null) return;
    const { network } = this.broker;
    const again = () => this.process.later(this.#rng.between(dialMs / 2, dialMs), "nats.dial", () => this.#dial());
    network.scheduler.after(2 * network.latencyMs(), null, "nats.dial", () => {
      if (!this.process.isAlive || !this.broker.isUp || network.isCutEitherWay(this.host, brokerHost)) return again();
      const connection = this.broker.accept(this);
      return this.process.later(network.latencyMs(), "nats", () => this.#onConnected(connection));
    });
  }

  #onConnected(connection: BrokerConnection): void {
    if (!this.#isStarted || !connection.isOpen) {
      this.broker.drop(connection);
      if (this.#isStarted) this.process.later(dialMs, "nats.dial", () => this.#dial());
      return;
    }
    this.#connection = connection;
    this.#limits = this.broker.limits;
    this.#unanswered = 0;
    for (const [sid, { pattern }] of this.#subscriptions)
      connection.toBroker.send({ type: "subscribe", sid, pattern }, pattern.length + 10);
    for (const watcher of this.#watchers) watcher(true);
  }

  #ping(): void {
    if (!this.#isStarted) return;
    this.process.later(pingMs, "nats.ping", () => this.#ping());
    if (this.#connection === null) return;
    if (this.#unanswered >= maxUnanswered) {
      this.#onDisconnected();
      return;
    }
    this.#unanswered += 1;
    this.#connection.toBroker.send({ type: "ping", number: 0 }, 6);
  }
}
