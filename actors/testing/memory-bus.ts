/**
 * A broker in memory, for a service and its clients in one process. What always holds: messages come in the order in which they
 * were published, each in a later turn; a request that nobody listens for is answered "no responders", as NATS does.
 */
import { inboxes } from "../../schemas/subjects.ts";
import {
  type Bus,
  type BusFault,
  type BusHeaders,
  type BusMessage,
  type Clock,
  noRespondersStatus,
  type Subscription,
} from "../world/ports.ts";

/** NATS's own default. */
const payloadBytes = 1024 * 1024;
const noBytes = new Uint8Array(0);
const nothing: Subscription = { stop: () => undefined };

interface Interest {
  /** Tokens of the subject. */
  readonly wanted: readonly string[];
  readonly onMessage: (message: BusMessage) => void;
}

export class MemoryBus implements Bus {
  readonly #clock: Clock;
  readonly #interests = new Set<Interest>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  start(onState: (connected: boolean) => void): Promise<void> {
    this.#clock.soon(() => onState(true));
    return Promise.resolve();
  }

  connected(): boolean {
    return true;
  }

  subscribe(subject: string, onMessage: (message: BusMessage) => void): Subscription {
    const interest = { wanted: subject.split("."), onMessage };
    this.#interests.add(interest);
    return { stop: () => this.#interests.delete(interest) };
  }

  publish(subject: string, data: Uint8Array, headers?: BusHeaders, reply = ""): boolean {
    if (data.length > payloadBytes) return false;
    // The publisher may use its bytes again.
    const message = { subject, data: Uint8Array.from(data), reply, ...(headers === undefined ? {} : { headers }) };
    this.#clock.soon(() => {
      const listeners = this.#listeners(subject);
      for (const { onMessage } of listeners) onMessage(message);
      if (listeners.length > 0 || reply === "") return;
      const status: BusMessage = { subject: reply, data: noBytes, reply: "", status: noRespondersStatus };
      for (const { onMessage } of this.#listeners(reply)) onMessage(status);
    });
    return true;
  }

  maxPayloadBytes(): number {
    return payloadBytes;
  }

  room(): number {
    return payloadBytes;
  }

  flush(): Promise<boolean> {
    return Promise.resolve(true);
  }

  onFault(_listener: (fault: BusFault) => void): Subscription {
    return nothing;
  }

  inbox(): string {
    return `${inboxes.client("test")}.${this.#clock.randomId()}`;
  }

  announceService(): Promise<Subscription> {
    return Promise.resolve(nothing);
  }

  stop(): Promise<void> {
    this.#interests.clear();
    return Promise.resolve();
  }

  #listeners(subject: string): Interest[] {
    const tokens = subject.split(".");
    return [...this.#interests].filter(({ wanted }) => fits(wanted, tokens));
  }
}

function fits(wanted: readonly string[], tokens: readonly string[]): boolean {
  for (const [at, token] of wanted.entries()) {
    if (token === ">") return tokens.length > at;
    if (tokens[at] === undefined || (token !== "*" && token !== tokens[at])) return false;
  }
  return wanted.length === tokens.length;
}
