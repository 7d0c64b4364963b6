/**
 * The Bus port on NATS: what clients, integrators and operators send and get.
 * What always holds: publishing is a copy into a buffer and one write a turn; what is not taken at once is never sent;
 * subscriptions outlive connections. Where results have a line of their own nothing else goes over it, and it is no part of whether
 * the bus is connected: a broker that waits for a reader of results reads meanwhile nothing of who publishes them.
 */
import type { Service, ServiceMsg } from "nats";
import { subjects } from "../../schemas/subjects.ts";
import { utf8Bytes } from "../../schemas/utf8.ts";
import type { BrokerLine } from "./line-nats.ts";
import { headerText } from "./message-nats.ts";
import { must } from "./must.ts";
import type { Bus, BusFault, BusHeaders, BusMessage, Subscription } from "./ports.ts";

type Announcement = Parameters<Bus["announceService"]>[0];

/** Besides the line for all that has none. */
export interface MoreLines {
  /** For results of this service, and nothing else. */
  readonly results?: { readonly service: string; readonly line: BrokerLine };
  /** Other lines of this process, whose faults are told too. */
  readonly others?: readonly BrokerLine[];
}

export class NatsBus implements Bus {
  readonly #line: BrokerLine;
  readonly #resultsLine: BrokerLine | null;
  readonly #others: readonly BrokerLine[];
  /** All results. */
  readonly #results: string;
  readonly #resultsPrefix: string;
  readonly #announcements = new Set<{ info: Announcement; current: Service | null }>();
  #onState: ((connected: boolean) => void) | null = null;
  #listening: Subscription | null = null;

  constructor(line: BrokerLine, { results, others = [] }: MoreLines = {}) {
    this.#line = line;
    this.#others = others;
    this.#resultsLine = results?.line ?? null;
    this.#results = subjects.results(results?.service ?? "");
    this.#resultsPrefix = this.#results.slice(0, -1);
  }

  /** Resolves when connected, or when the first dial has failed: dialling goes on, and `onState` tells. */
  async start(onState: (connected: boolean) => void): Promise<void> {
    must(this.#onState === null, "a bus is started once");
    this.#onState = onState;
    this.#listening = this.#line.onState((connected) => this.#told(connected));
    this.#line.acquire();
    // Not waited for: requests can be answered without.
    this.#resultsLine?.acquire();
    await this.#line.ready();
  }

  connected(): boolean {
    return this.#onState !== null && this.#line.connected();
  }

  subscribe(subject: string, onMessage: (message: BusMessage) => void): Subscription {
    return this.#line.subscribe(subject, onMessage);
  }

  publish(subject: string, data: Uint8Array, headers?: BusHeaders, reply = ""): boolean {
    return this.#onState !== null && this.#lineOf(subject).publish(subject, data, reply, headerText(headers));
  }

  maxPayloadBytes(): number {
    return this.#line.maxPayloadBytes();
  }

  room(subject: string, headers?: BusHeaders, reply = ""): number {
    return this.#lineOf(subject).room(subject, reply, headerText(headers));
  }

  #lineOf(subject: string): BrokerLine {
    return this.#resultsLine !== null && subject.startsWith(this.#resultsPrefix) ? this.#resultsLine : this.#line;
  }

  onFault(listener: (fault: BusFault) => void): Subscription {
    const held = [this.#line, ...this.#others].map((line) => line.onFault(listener));
    const ofResults = (fault: BusFault) =>
      listener(fault.subject === "" ? { ...fault, subject: this.#results } : fault);
    if (this.#resultsLine !== null) held.push(this.#resultsLine.onFault(ofResults));
    return { stop: () => held.forEach((each) => void each.stop()) };
  }

  inbox(): string {
    return this.#line.inbox();
  }

  async flush(): Promise<boolean> {
    if (this.#onState === null) return false;
    const flushed = await Promise.all([this.#line.flush(), this.#resultsLine?.flush() ?? true]);
    return flushed.every(Boolean);
  }

  async announceService(info: Announcement): Promise<Subscription> {
    const announcement = { info, current: null };
    this.#announcements.add(announcement);
    await this.#announce(announcement);
    return {
      stop: () => {
        if (!this.#announcements.delete(announcement)) return;
        const current: Service | null = announcement.current;
        if (current !== null) void stopService(current);
      },
    };
  }

  async stop(): Promise<void> {
    if (this.#onState === null) return;
    this.#onState = null;
    this.#listening?.stop();
    await Promise.all([...this.#announcements].map(({ current }) => current && stopService(current)));
    this.#announcements.clear();
    await Promise.all([this.#line.release(), this.#resultsLine?.release()]);
  }

  #told(connected: boolean): void {
    for (const announcement of this.#announcements) {
      announcement.current = null;
      if (connected) void this.#announce(announcement);
    }
    this.#onState?.(connected);
  }

  /** On the present connection; the next one does it again. */
  async #announce(announcement: { info: Announcement; current: Service | null }): Promise<void> {
    const { info } = announcement;
    const service = await this.#line.announce(
      {
        name: info.name,
        version: info.version,
        description: info.description,
        metadata: info.metadata,
        statsHandler: () => Promise.resolve(info.stats()),
      },
      info.mayAnswer,
      (added) => {
        // The API reports figures for each endpoint, so there has to be one; requests do not pass through it.
        const answer = (error: Error | null, message: ServiceMsg) => {
          if (error === null) message.respond(utf8Bytes(JSON.stringify(info.stats())));
        };
        added.addEndpoint("about", { subject: `${info.name}.about`, handler: answer });
      },
    );
    if (service === null) return;
    if (this.#announcements.has(announcement)) announcement.current = service;
    else await stopService(service);
  }
}

/** It may be gone with its connection already. */
async function stopService(service: Service): Promise<void> {
  await service.stop().catch(() => null);
}
