/** The simulated Bus: a thin adapter over the process's connection to the simulated broker, with I/O boundaries. */
import type { Bus, BusHeaders, BusMessage, Subscription } from "../../actors/world/ports.ts";
import { headerText } from "../../actors/world/publish-buffer.ts";
import type { SimNatsClient } from "./sim-nats-client.ts";
import type { SimProcess } from "./sim-process.ts";

const maxPayloadBytes = 1024 * 1024;

export class SimBus implements Bus {
  readonly #process: SimProcess;
  readonly #client: SimNatsClient;

  constructor(process: SimProcess, client: SimNatsClient) {
    this.#process = process;
    this.#client = client;
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
    const text = headerText(headers);
    if (data.length + text.length > maxPayloadBytes) return false;
    const sent = this.#client.publish(subject, data, { headers: text === "" ? undefined : headers, reply });
    return this.#process.boundary("bus.publish", "after") && sent;
  }

  maxPayloadBytes(): number {
    return maxPayloadBytes;
  }

  flush(): Promise<boolean> {
    const was = this.#client.isConnected;
    return this.#process.promise((settle) => settle(0.2, () => was && this.#client.isConnected));
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
