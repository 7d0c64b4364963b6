/**
 * The simulated nats-server: connections, subscriptions with wildcards, at-most-once delivery, and the word that
 * nobody listens. It queues nothing for those who are not connected and remembers no subscription across its restarts.
 *
 * What always holds: messages of one publisher reach one subscriber in the order in which they were published; those of
 * different publishers come in any order.
 */

import { headerText } from "../../world/message-nats.ts";
import { type BrokerLimits, misfit } from "../../world/message-size.ts";
import { type BusMessage, noRespondersStatus } from "../../world/ports.ts";
import type { Rng } from "./rng.ts";
import { Pipe, type SimNetwork } from "./sim-network.ts";
import type { SimProcess } from "./sim-process.ts";

export const brokerHost = "nats";

export type ToBroker =
  | { type: "subscribe"; sid: number; pattern: string }
  | { type: "unsubscribe"; sid: number }
  | { type: "publish"; message: BusMessage }
  | { type: "ping"; number: number };

export type ToClient =
  | { type: "message"; sid: number; message: BusMessage }
  | { type: "pong"; number: number }
  | { type: "forbidden"; kind: "publish" | "subscribe"; subject: string; sid: number };

/** What one client may not do, for now. */
export interface Forbidden {
  readonly host: string;
  readonly kind: "publish" | "subscribe";
  /** A prefix of subjects. */
  readonly prefix: string;
}

/** As nats-server has it. */
export const usualLimits: BrokerLimits = { payloadBytes: 1024 * 1024, lineBytes: 4096 };

interface Subscriber {
  readonly connection: BrokerConnection;
  readonly sid: number;
  readonly pattern: string;
}

const noBytes = new Uint8Array(0);
/** The broker drops a connection whose reader has fallen this far behind. */
const maxPendingBytes = 8 * 1024 * 1024;

/** The other end of a connection: one process's client. */
export interface BrokerPeer {
  readonly process: SimProcess;
  readonly host: string;
  onOp(connection: BrokerConnection, op: ToClient): void;
  onConnectionClosed(connection: BrokerConnection): void;
}

/** One client's connection, as the broker sees it. */
export class BrokerConnection {
  readonly client: BrokerPeer;
  readonly toBroker: Pipe<ToBroker>;
  readonly toClient: Pipe<ToClient>;
  isOpen = true;

  constructor(broker: SimBroker, network: SimNetwork, client: BrokerPeer) {
    this.client = client;
    const host = client.host;
    this.toBroker = new Pipe({
      network,
      from: host,
      to: brokerHost,
      receiver: null,
      label: "nats.in",
      deliver: (op) => broker.onOp(this, op),
    });
    this.toClient = new Pipe({
      network,
      from: brokerHost,
      to: host,
      receiver: client.process,
      label: "nats",
      deliver: (op) => client.onOp(this, op),
    });
  }
}

export class SimBroker {
  readonly network: SimNetwork;
  readonly #rng: Rng;
  readonly #connections = new Set<BrokerConnection>();
  #subscribers: Subscriber[] = [];
  readonly #routes = new Map<string, readonly Subscriber[]>();
  isUp = true;
  /** Fault: hosts whose connections are to the smaller part of a cluster that is split (situation 38). */
  minority: ReadonlySet<string> = new Set();
  /** Fault: the broker drops a connection of this host that has so many bytes to read. */
  readonly maxUnread = new Map<string, number>();
  readonly #onJoined = new Set<() => void>();
  #limits = usualLimits;
  /** Told of what it takes from now on. */
  onLimits: ((limits: BrokerLimits) => void) | null = null;
  /** Fault: a permission that is lacking for a time. */
  readonly forbidden = new Set<Forbidden>();
  onForbidden: ((kind: Forbidden["kind"], subject: string) => void) | null = null;
  /** Told of every message that it takes, before anybody gets it. */
  onTaken: ((host: string, message: BusMessage) => void) | null = null;
  /** Told of a client whose message is larger than the broker takes: it is cut off. */
  onCutOff: ((host: string, why: string) => void) | null = null;
  /** Fault: how often the broker loses a message on its way to one subscriber. */
  lossChance = 0;

  constructor(network: SimNetwork, rng: Rng) {
    this.network = network;
    this.#rng = rng;
  }

  accept(client: BrokerPeer): BrokerConnection {
    const connection = new BrokerConnection(this, this.network, client);
    this.#connections.add(connection);
    return connection;
  }

  /** The connection is gone: its subscriptions with it. */
  drop(connection: BrokerConnection): void {
    if (!this.#connections.delete(connection)) return;
    connection.isOpen = false;
    connection.toBroker.end();
    connection.toClient.end();
    this.#subscribers = this.#subscribers.filter((subscriber) => subscriber.connection !== connection);
    this.#routes.clear();
  }

  /** The server process dies: every connection is closed by its kernel. JetStream's files stay. */
  crash(): void {
    this.isUp = false;
    for (const connection of this.#connections) {
      this.drop(connection);
      connection.client.onConnectionClosed(connection);
    }
  }

  /** What it takes. Fault: it comes back with less. */
  get limits(): BrokerLimits {
    return this.#limits;
  }
  set limits(limits: BrokerLimits) {
    this.#limits = limits;
    this.onLimits?.(limits);
  }

  restart(): void {
    this.isUp = true;
  }

  /** It comes back with its usual configuration. */
  widen(): void {
    if (this.limits === usualLimits) return;
    this.limits = usualLimits;
    this.crash();
    this.restart();
  }

  /** Everybody who is connected. */
  get hosts(): readonly string[] {
    return [...new Set([...this.#connections].map(({ client }) => client.host))];
  }

  /** The two parts of the cluster find each other. */
  join(): void {
    if (this.minority.size === 0) return;
    this.minority = new Set();
    for (const run of this.#onJoined) run();
    this.#onJoined.clear();
  }

  whenJoined(run: () => void): void {
    this.#onJoined.add(run);
  }

  #isTogether(one: BrokerConnection, other: BrokerConnection): boolean {
    if (this.minority.size === 0) return true;
    return this.minority.has(one.client.host) === this.minority.has(other.client.host);
  }

  hasListener(subject: string): boolean {
    return this.#route(subject).length > 0;
  }

  onOp(connection: BrokerConnection, op: ToBroker): void {
    // What a client sent before it died or hung up is still read; it is not answered.
    if (!this.isUp) return;
    switch (op.type) {
      case "ping":
        connection.toClient.send({ type: "pong", number: op.number }, 6);
        return;
      case "subscribe":
        if (this.#forbids(connection, "subscribe", op.pattern, op.sid)) return;
        if (connection.isOpen) this.#subscribers.push({ connection, sid: op.sid, pattern: op.pattern });
        this.#routes.clear();
        return;
      case "unsubscribe":
        this.#subscribers = this.#subscribers.filter((s) => s.connection !== connection || s.sid !== op.sid);
        this.#routes.clear();
        return;
      case "publish":
        if (this.#isTooLarge(connection, op.message)) return;
        if (this.#forbids(connection, "publish", op.message.subject, 0)) return;
        this.onTaken?.(connection.client.host, op.message);
        this.#publish(connection, op.message);
    }
  }

  #forbids(connection: BrokerConnection, kind: Forbidden["kind"], subject: string, sid: number): boolean {
    const { host } = connection.client;
    for (const one of this.forbidden) {
      if (one.host !== host || one.kind !== kind || !subject.startsWith(one.prefix)) continue;
      this.onForbidden?.(kind, subject);
      connection.toClient.send({ type: "forbidden", kind, subject, sid }, subject.length + 50);
      return true;
    }
    return false;
  }

  /** Nothing else of that connection is read. */
  #isTooLarge(connection: BrokerConnection, { subject, reply, data, headers }: BusMessage): boolean {
    if (!connection.isOpen) return false;
    const why = misfit(this.limits, subject, reply, data.length + headerText(headers).length);
    if (why === "") return false;
    this.onCutOff?.(connection.client.host, why);
    this.drop(connection);
    connection.client.onConnectionClosed(connection);
    return true;
  }

  /** From one whose connection is gone by now. */
  deliverLate(message: BusMessage): void {
    if (this.isUp) for (const subscriber of this.#route(message.subject)) this.#send(subscriber, message);
  }

  #publish(from: BrokerConnection, message: BusMessage): void {
    const route = this.#route(message.subject).filter(({ connection }) => this.#isTogether(from, connection));
    for (const subscriber of route) this.#send(subscriber, message);
    if (route.length === 0 && message.reply !== "") {
      const answer = { subject: message.reply, data: noBytes, reply: "", status: noRespondersStatus };
      for (const subscriber of this.#route(message.reply)) {
        if (subscriber.connection === from) this.#send(subscriber, answer);
      }
    }
  }

  #send(subscriber: Subscriber, message: BusMessage): void {
    if (this.lossChance > 0 && this.#rng.chance(this.lossChance)) return;
    const { connection, sid } = subscriber;
    const unread = this.maxUnread.get(connection.client.host);
    const isSlow = unread !== undefined && connection.toClient.unreadBytes > unread;
    if (isSlow || connection.toClient.waitingBytes > maxPendingBytes) {
      this.drop(connection);
      connection.client.onConnectionClosed(connection);
      return;
    }
    connection.toClient.send({ type: "message", sid, message }, message.data.length + message.subject.length);
  }

  #route(subject: string): readonly Subscriber[] {
    const known = this.#routes.get(subject);
    if (known !== undefined) return known;
    const tokens = subject.split(".");
    const route = this.#subscribers.filter((subscriber) => matches(subscriber.pattern.split("."), tokens));
    if (this.#routes.size > 4096) this.#routes.clear();
    this.#routes.set(subject, route);
    return route;
  }
}

/** NATS subjects: `*` is one token, `>` is one or more at the end. */
export function matches(pattern: readonly string[], subject: readonly string[]): boolean {
  for (let at = 0; at < pattern.length; at += 1) {
    const token = pattern[at];
    if (token === ">") return subject.length > at;
    if (at >= subject.length || (token !== "*" && token !== subject[at])) return false;
  }
  return pattern.length === subject.length;
}
