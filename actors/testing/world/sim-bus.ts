/** The simulated Bus: a thin adapter over the process's connection to the simulated broker, with I/O boundaries. */

import { inboxes } from "../../../schemas/subjects.ts";
import { headerText } from "../../world/message-nats.ts";
import type { Bus, BusFault, BusHeaders, BusMessage, Clock, Subscription } from "../../world/ports.ts";
import type { SimNatsClient } from "./sim-nats-client.ts";
import type { SimProcess } from "./sim-process.ts";

export class SimBus implements Bus {
  readonly #process: SimProcess;
  readonly #client: SimNatsClient;
  readonly #clock: Clock;

  constructor(process: SimProcess, client: SimNatsClient, clock: Clock) {
    this.#process = process;
    this.#client = client;
    this.#clock = clock;
  }

  start(onState: (connected: boolean) => void): Promise<void> {
    return this.#process.promise((settle) => {
      this.#client.start(onState);
      settle(0.05, () => undefined);
    });
  }

  connected(): boolean {
    return this.#client.isConnected;
  }

  subscribe(subject: string, onMessage: (message: BusMessage) => void): Subscription {
    if (!this.#process.boundary("bus.subscribe", "before")) return { stop: () => undefined };
    const subscription = this.#client.subscribe(subject, (message) =>
      this.#process.input("bus.receive", () => onMessage(message)),
    );
    this.#process.boundary("bus.subscribe", "after");
    return subscription;
  }

  publish(subject: string, data: Uint8Array, headers?: BusHeaders, reply = ""): boolean {
    if (!this.#process.boundary("bus.publish", "before")) return false;
    const sent = this.#client.publish(subject, data, {
      headers: headerText(headers) === "" ? undefined : headers,
      reply,
    });
    return this.#process.boundary("bus.publish", "after") && sent;
  }

  maxPayloadBytes(): number {
    return this.#client.payloadBytes;
  }

  room(subject: string, headers?: BusHeaders, reply = ""): number {
    return this.#client.room(subject, headers, reply);
  }

  flush(): Promise<boolean> {
    return this.#process.promise((settle) => this.#client.flush((isFlushed) => settle(0, () => isFlushed)));
  }

  onFault(listener: (fault: BusFault) => void): Subscription {
    return this.#client.onFault(listener);
  }

  /** Mutation: what does not fit is sent all the same. */
  beCareless(): void {
    this.#client.isCareless = true;
  }

  inbox(): string {
    return `${inboxes.client(this.#process.name)}.${this.#clock.randomId()}`;
  }

  announceService(): Promise<Subscription> {
    return this.#process.promise((settle) => settle(0.1, () => ({ stop: () => undefined })));
  }

  stop(): Promise<void> {
    return this.#process.promise((settle) => {
      this.#client.stop();
      settle(0.5, () => undefined);
    });
  }
}
