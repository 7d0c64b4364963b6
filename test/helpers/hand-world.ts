/**
 * A small world for tests of the client side: a clock that is driven by hand and a broker in memory that drops, repeats,
 * delays and reorders. One seed decides everything; the same seed gives the same run.
 */

import { headerText } from "../../actors/world/message-nats.ts";
import { type BrokerLimits, roomFor } from "../../actors/world/message-size.ts";
import {
  type Bus,
  type BusHeaders,
  type BusMessage,
  type Clock,
  noRespondersStatus,
  type Subscription,
  type Timer,
} from "../../actors/world/ports.ts";
import { inboxes } from "../../schemas/subjects.ts";

interface TimedEvent {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

export class TestClock implements Clock {
  /** How far the wall clock is off. */
  wallOffsetMs = 0;
  /** So much time passes with each look at it: what looks often in one turn sees that the turn takes long. */
  lookMs = 0;
  #nowMs = 0;
  #order = 0;
  #seed: number;
  #events: TimedEvent[] = [];

  constructor(seed = 1) {
    this.#seed = seed;
  }

  nowMs(): number {
    this.#nowMs += this.lookMs;
    return this.#nowMs;
  }
  wallMs(): number {
    return 1_764_000_000_000 + this.wallOffsetMs + this.#nowMs;
  }
  after(delayMs: number, run: () => void): Timer {
    const event = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order, run };
    this.#order += 1;
    this.#events.push(event);
    return {
      cancel: () => {
        this.#events = this.#events.filter((each) => each !== event);
      },
    };
  }
  soon(run: () => void): void {
    this.after(0, run);
  }
  randomId(): string {
    return Array.from({ length: 22 }, () => "abcdefghijklmnopqrstuvwxyz"[Math.floor(26 * this.random())]).join("");
  }
  random(): number {
    this.#seed = (Math.imul(this.#seed, 1_664_525) + 1_013_904_223) >>> 0;
    return this.#seed / 2 ** 32;
  }

  /** Runs everything that is due within the next `forMs`, in order, and what follows from it. */
  async run(forMs: number): Promise<void> {
    const untilMs = this.#nowMs + forMs;
    for (;;) {
      await settle();
      const next = this.#next();
      if (next === undefined || next.atMs > untilMs) break;
      this.#events = this.#events.filter((each) => each !== next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.run();
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs);
  }

  #next(): TimedEvent | undefined {
    let best: TimedEvent | undefined;
    for (const event of this.#events) {
      const isSooner = best === undefined || event.atMs < best.atMs;
      if (isSooner || (event.atMs === best?.atMs && event.order < best.order)) best = event;
    }
    return best;
  }
}

/** Lets every promise that can be settled now run its course. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 32; turn += 1) await Promise.resolve();
}

export interface Faults {
  /** Share of messages lost, and sent twice. */
  drop: number;
  repeat: number;
  /** Each delivery takes between these; when they differ, messages overtake each other. */
  delayMs: readonly [least: number, most: number];
}

export const noFaults: Faults = { drop: 0, repeat: 0, delayMs: [0.1, 0.1] };

export interface Published extends BusMessage {
  readonly atMs: number;
}

export class TestBus implements Bus {
  faults: Faults = noFaults;
  isConnected = true;
  limits: BrokerLimits = { payloadBytes: 1024 * 1024, lineBytes: 4096 };
  /** Everything that was published, in order. */
  readonly published: Published[] = [];
  readonly #clock: Clock;
  readonly #subscriptions = new Set<{ subject: string; onMessage: (message: BusMessage) => void }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  start(onState: (connected: boolean) => void): Promise<void> {
    this.#clock.soon(() => onState(this.isConnected));
    return Promise.resolve();
  }
  connected(): boolean {
    return this.isConnected;
  }
  subscribe(subject: string, onMessage: (message: BusMessage) => void): Subscription {
    const subscription = { subject, onMessage };
    this.#subscriptions.add(subscription);
    return { stop: () => this.#subscriptions.delete(subscription) };
  }
  publish(subject: string, data: Uint8Array, headers?: BusHeaders, reply = ""): boolean {
    if (!this.isConnected || data.length > this.room(subject, headers, reply)) return false;
    const message: BusMessage = { subject, data, reply, ...(headers === undefined ? {} : { headers }) };
    this.published.push({ ...message, atMs: this.#clock.nowMs() });
    if (reply !== "" && !this.#listeners(subject).some(() => true)) {
      this.#deliver({ subject: reply, data: new Uint8Array(0), reply: "", status: noRespondersStatus }, noFaults);
      return true;
    }
    this.#deliver(message, this.faults);
    return true;
  }
  maxPayloadBytes(): number {
    return this.limits.payloadBytes;
  }
  room(subject: string, headers?: BusHeaders, reply = ""): number {
    return roomFor(this.limits, subject, reply, headerText(headers).length);
  }
  onFault(): Subscription {
    return { stop: () => undefined };
  }
  flush(): Promise<boolean> {
    return Promise.resolve(this.isConnected);
  }
  inbox(): string {
    return `${inboxes.client("test")}.${this.#clock.randomId()}`;
  }
  announceService(): Promise<Subscription> {
    return Promise.resolve({ stop: () => undefined });
  }
  stop(): Promise<void> {
    this.#subscriptions.clear();
    return Promise.resolve();
  }

  #deliver(message: BusMessage, faults: Faults): void {
    const copies = 1 + (this.#clock.random() < faults.repeat ? 1 : 0);
    const [leastMs, mostMs] = faults.delayMs;
    for (let copy = 0; copy < copies; copy += 1) {
      if (this.#clock.random() < faults.drop) continue;
      this.#clock.after(leastMs + this.#clock.random() * (mostMs - leastMs), () => {
        for (const listener of this.#listeners(message.subject)) listener.onMessage(message);
      });
    }
  }

  #listeners(subject: string) {
    return [...this.#subscriptions].filter((subscription) => matches(subscription.subject, subject));
  }
}

function matches(pattern: string, subject: string): boolean {
  const wanted = pattern.split(".");
  const tokens = subject.split(".");
  for (const [at, token] of wanted.entries()) {
    if (token === ">") return tokens.length > at;
    if (tokens[at] === undefined || (token !== "*" && token !== tokens[at])) return false;
  }
  return wanted.length === tokens.length;
}

export function bytesOf(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}
