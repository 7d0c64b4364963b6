/**
 * The simulated failsafe link: frames over the simulated broker. Faults may lose, repeat and reorder them.
 *
 * What always holds: `noResponders` only when the broker knows of nobody listening for the peer; `disconnected` only
 * when this process's own connection is gone; a paused peer is neither.
 */
import { type BusMessage, type Link, type LinkHandlers, noRespondersStatus } from "../../actors/world/ports.ts";
import type { Rng } from "./rng.ts";
import { join } from "./sim-link-main.ts";
import type { SimNatsClient } from "./sim-nats-client.ts";
import type { SimProcess } from "./sim-process.ts";

const maxFrameBytes = 1024 * 1024;
const probeMs = 100;

/** Faults of all failsafe links of a world. */
export interface FailsafeFaults {
  lossChance: number;
  repeatChance: number;
  delayChance: number;
  maxDelayMs: number;
}

export class SimLinkFailsafe implements Link {
  readonly kind = "failsafe";
  readonly #process: SimProcess;
  readonly #service: string;
  readonly #server: string;
  readonly #peers: readonly string[];
  readonly #client: SimNatsClient;
  readonly #faults: FailsafeFaults;
  readonly #rng: Rng;
  readonly #up = new Set<string>();
  #handlers: LinkHandlers | null = null;

  constructor(options: {
    process: SimProcess;
    service: string;
    server: string;
    peers: readonly string[];
    client: SimNatsClient;
    faults: FailsafeFaults;
    rng: Rng;
  }) {
    this.#process = options.process;
    this.#service = options.service;
    this.#server = options.server;
    this.#peers = options.peers;
    this.#client = options.client;
    this.#faults = options.faults;
    this.#rng = options.rng;
  }

  start(handlers: LinkHandlers): Promise<void> {
    return this.#process.promise((settle) => {
      this.#handlers = handlers;
      this.#client.subscribe(this.#frames(this.#server), (message) => this.#onFrame(message));
      this.#client.subscribe(this.#probes(this.#server), (message) =>
        this.#client.publish(message.reply, new Uint8Array(0), {}),
      );
      for (const peer of this.#peers)
        this.#client.subscribe(this.#answers(this.#server, peer), (message) => this.#onAnswer(peer, message));
      this.#client.start((connected) => this.#onState(connected));
      settle(0.1, () => this.#probe());
    });
  }

  send(peer: string, parts: readonly Uint8Array[]): boolean {
    if (!this.#process.boundary("link.failsafe.send", "before")) return false;
    if (!this.#client.isConnected) return false;
    const frame = join(parts);
    if (frame.length > maxFrameBytes) return false;
    this.#sendFaulty(peer, frame);
    return this.#process.boundary("link.failsafe.send", "after");
  }

  bufferedBytes(): number {
    return 0;
  }

  maxFrameBytes(): number {
    return maxFrameBytes;
  }

  stop(): Promise<void> {
    return this.#process.promise((settle) => {
      this.#handlers = null;
      settle(0.1, () => undefined);
    });
  }

  #sendFaulty(peer: string, frame: Uint8Array): void {
    const { lossChance, repeatChance, delayChance, maxDelayMs } = this.#faults;
    if (lossChance > 0 && this.#rng.chance(lossChance)) return;
    const times = repeatChance > 0 && this.#rng.chance(repeatChance) ? 2 : 1;
    for (let time = 0; time < times; time += 1) {
      if (delayChance > 0 && this.#rng.chance(delayChance))
        this.#process.scheduler.after(this.#rng.between(0, maxDelayMs), null, "failsafe.late", () =>
          this.#publish(peer, frame),
        );
      else this.#publish(peer, frame);
    }
  }

  #publish(peer: string, frame: Uint8Array): void {
    const headers = { from: this.#server };
    this.#client.publish(this.#frames(peer), frame, { headers, reply: this.#answers(this.#server, peer) });
  }

  #onFrame(message: BusMessage): void {
    const from = message.headers?.from ?? "";
    this.#markUp(from);
    this.#handlers?.onFrame(from, message.data);
  }

  #onAnswer(peer: string, message: BusMessage): void {
    if (message.status !== noRespondersStatus) this.#markUp(peer);
    else if (this.#up.delete(peer)) this.#handlers?.onDown(peer, "noResponders");
  }

  #markUp(peer: string): void {
    if (this.#up.has(peer) || this.#handlers === null) return;
    this.#up.add(peer);
    this.#handlers.onUp(peer);
  }

  #onState(connected: boolean): void {
    if (connected) this.#probe();
    else this.#onDisconnected();
  }

  #onDisconnected(): void {
    for (const peer of this.#peers) {
      this.#up.delete(peer);
      this.#handlers?.onDown(peer, "disconnected");
    }
  }

  #probe(): void {
    if (this.#handlers === null) return;
    for (const peer of this.#peers) {
      if (this.#up.has(peer)) continue;
      this.#client.publish(this.#probes(peer), new Uint8Array(0), { reply: this.#answers(this.#server, peer) });
    }
    this.#process.later(probeMs * this.#rng.between(0.8, 1.2), "failsafe.probe", () => this.#probe());
  }

  #frames(server: string): string {
    return `${this.#service}.server.${server}.frames`;
  }

  #probes(server: string): string {
    return `${this.#service}.server.${server}.probe`;
  }

  #answers(server: string, peer: string): string {
    return `_INBOX.${server}.${peer}`;
  }
}
