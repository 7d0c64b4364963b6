/**
 * The simulated failsafe link: frames over the simulated broker. Faults may lose, repeat and reorder them.
 *
 * What always holds: `noResponders` only when the broker knows of nobody listening for the peer; `disconnected` only
 * when this process's own connection is gone; a paused peer is neither. A peer is up once it was heard.
 */

import { readDeathNotice } from "../../../schemas/death.ts";
import { subjects } from "../../../schemas/subjects.ts";
import {
  type BusMessage,
  type Link,
  type LinkDownReason,
  type LinkHandlers,
  noRespondersStatus,
} from "../../world/ports.ts";
import type { Rng } from "./rng.ts";
import { join } from "./sim-link-main.ts";
import type { NatsSubscription, SimNatsClient } from "./sim-nats-client.ts";
import type { SimProcess } from "./sim-process.ts";

/** A message has the sender's name besides the frame. */
const messageRoomBytes = 64;
/** Past this, `send` returns false. */
const maxWaitingBytes = 1024 * 1024;

/** Faults of all failsafe links of a world. */
export interface FailsafeFaults {
  lossChance: number;
  repeatChance: number;
  delayChance: number;
  maxDelayMs: number;
}

export class SimLinkFailsafe implements Link {
  readonly kind = "failsafe";
  readonly isProven = true;
  readonly #process: SimProcess;
  readonly #service: string;
  readonly #server: string;
  readonly #client: SimNatsClient;
  readonly #faults: FailsafeFaults;
  readonly #rng: Rng;
  /** What was last told of each peer. */
  readonly #told = new Map<string, "up" | LinkDownReason | null>();
  #held: NatsSubscription[] = [];
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
    for (const peer of options.peers) this.#told.set(peer, null);
    this.#client = options.client;
    this.#faults = options.faults;
    this.#rng = options.rng;
  }

  start(handlers: LinkHandlers): Promise<void> {
    return this.#process.promise((settle) => {
      this.#handlers = handlers;
      this.#held = [
        this.#client.subscribe(this.#subject(this.#server), (message) => this.#onFrame(message)),
        this.#client.subscribe(subjects.deaths(this.#service, this.#server), ({ data }) => this.#onDeath(data)),
        this.#client.subscribe(`_INBOX.failsafe.${this.#process.name}.*`, (message) => this.#onAnswer(message)),
      ];
      this.#client.start((connected) => {
        if (!connected) for (const peer of this.#told.keys()) this.#tell(peer, "disconnected");
      });
      settle(0.1, () => undefined);
    });
  }

  send(peer: string, parts: readonly Uint8Array[]): boolean {
    if (!this.#process.boundary("link.failsafe.send", "before")) return false;
    if (this.#handlers === null || !this.#told.has(peer) || !this.#client.isConnected) return false;
    const frame = join(parts);
    if (frame.length > this.maxFrameBytes(peer) || this.#client.waitingBytes > maxWaitingBytes) return false;
    this.#sendFaulty(peer, frame);
    return this.#process.boundary("link.failsafe.send", "after");
  }

  bufferedBytes(peer: string): number {
    return this.#told.has(peer) ? this.#client.waitingBytes : 0;
  }

  maxFrameBytes(_peer: string): number {
    return this.#client.payloadBytes - messageRoomBytes;
  }

  stop(): Promise<void> {
    return this.#process.promise((settle) => {
      this.#handlers = null;
      for (const held of this.#held.splice(0)) held.stop();
      for (const peer of this.#told.keys()) this.#told.set(peer, null);
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

  /** The reply subject is for the broker: it says there when nobody listens for the peer. */
  #publish(peer: string, frame: Uint8Array): void {
    const { broker } = this.#client;
    if (broker.network.isCut(`failsafe:${this.#server}`, `failsafe:${peer}`)) return;
    const headers = { from: this.#server };
    const reply = `_INBOX.failsafe.${this.#process.name}.${peer}`;
    const subject = this.#subject(peer);
    // What was delayed on its way arrives also when its sender is dead by then (situation 18).
    if (this.#process.isAlive) this.#client.publish(subject, frame, { headers, reply });
    else broker.deliverLate({ subject, data: frame, headers, reply: "" });
  }

  #onFrame(message: BusMessage): void {
    const from = message.headers?.from ?? "";
    this.#tell(from, "up");
    this.#process.input("link.failsafe.receive", () => this.#handlers?.onFrame(from, message.data));
  }

  /** Crash notifiers are not simulated but for the last words that they pass on. */
  #onDeath(data: Uint8Array): void {
    const words = readDeathNotice(data)?.lastWords;
    if (words !== undefined) this.#process.input("link.failsafe.receive", () => this.#handlers?.onLastWords?.(words));
  }

  #onAnswer(message: BusMessage): void {
    if (message.status === noRespondersStatus) this.#tell(message.subject.split(".")[3] ?? "", "noResponders");
  }

  #tell(peer: string, state: "up" | LinkDownReason): void {
    if (this.#handlers === null || this.#told.get(peer) === state) return;
    this.#told.set(peer, state);
    if (state === "up") this.#handlers.onUp(peer);
    else this.#handlers.onDown(peer, state);
  }

  #subject(server: string): string {
    return subjects.actor(this.#service, server, "replication");
  }
}
