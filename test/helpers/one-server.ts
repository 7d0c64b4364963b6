/**
 * One life of a real server in a world that moves only when a test says so: a clock and a bus driven by hand, a store in
 * memory, a registry that answers at once, and peers that say what the test puts into their mouths.
 */

import type { Application } from "../../actors/application/define.ts";
import { Life } from "../../actors/life.ts";
import type { LifeEnd } from "../../actors/life-options.ts";
import type { Meters } from "../../actors/operator/meters.ts";
import { Troubles } from "../../actors/operator/troubles.ts";
import type { RunningLife } from "../../actors/running-life.ts";
import type { Link, LogFields, Registry, Watchdog, World } from "../../actors/world/ports.ts";
import { decodeMessage, encodeMessage } from "../../machines/codec/message.ts";
import { initialRecord } from "../../machines/replica/registry/initial-record.ts";
import type { LastWords } from "../../schemas/death.ts";
import type { LinkName } from "../../schemas/link.ts";
import type { PeerMessage } from "../../schemas/peer-message.ts";
import type { RegistryRecord } from "../../schemas/registry.ts";
import { mainFrameBytes, Settings } from "../../schemas/settings.ts";
import type { LastBackup } from "../../schemas/surroundings.ts";
import { TestBus, TestClock } from "./hand-world.ts";
import { MemoryDisk, MemoryStore } from "./memory-store.ts";

export const service = "exchange";

export class MemoryRegistry implements Registry {
  record: RegistryRecord;
  revision = 1;
  reads = 0;
  constructor(primary: string) {
    this.record = initialRecord(service, primary, "h1");
  }
  async read() {
    this.reads += 1;
    return { outcome: "found", record: this.record, revision: this.revision } as const;
  }
  async compareAndSet(record: RegistryRecord, expectedRevision: number) {
    if (expectedRevision !== this.revision) return { outcome: "lost" } as const;
    this.record = record;
    this.revision += 1;
    return { outcome: "won", revision: this.revision } as const;
  }
  async create() {
    return { outcome: "lost" } as const;
  }
  async warnings() {
    return [];
  }
  async streamsOver() {
    return [];
  }
}

export class OneServer {
  readonly clock = new TestClock(1);
  readonly bus = new TestBus(this.clock);
  readonly store: MemoryStore;
  readonly registry: MemoryRegistry;
  /** What was sent to peers, oldest first; the same message over both links stands there twice. */
  readonly sent: PeerMessage[] = [];
  /** What was refused because it is larger than what both links take. */
  readonly refused: PeerMessage[] = [];
  maxFrameBytes: number;
  readonly warnings: string[] = [];
  /** What it kept of backups that were read to their end. */
  readonly backups: LastBackup[] = [];
  /** Fields and line of each error in the log. */
  readonly errors: { readonly fields: LogFields; readonly line: string }[] = [];
  end: LifeEnd | null = null;
  /** Of both links. */
  readonly isProven: boolean;
  readonly #life: Life;

  constructor(options: {
    application: Application;
    server?: string;
    disk?: MemoryDisk;
    registry?: MemoryRegistry;
    settings?: Record<string, unknown>;
    incarnation?: string;
    lastWords?: ReadonlyMap<string, LastWords>;
    isProven?: boolean;
    meters?: Meters;
    watchdog?: Watchdog;
    residentBytes?: () => number;
  }) {
    const { server = "alpha", incarnation = `${server}-1`, residentBytes } = options;
    this.isProven = options.isProven ?? true;
    this.store = new MemoryStore(options.disk ?? new MemoryDisk());
    this.registry = options.registry ?? new MemoryRegistry("alpha");
    const say = () => {};
    const warn = (_: unknown, line: string) => this.warnings.push(line);
    const error = (fields: LogFields, line: string) => this.errors.push({ fields, line });
    const world: World = {
      clock: this.clock,
      bus: this.bus,
      registry: this.registry,
      store: this.store,
      main: this.#link("main"),
      failsafe: this.#link("failsafe"),
      log: { debug: say, info: say, warn, error },
      noteBackup: (backup) => {
        this.backups.push(backup);
        return Promise.resolve();
      },
      ...(options.watchdog === undefined ? {} : { watchdog: options.watchdog }),
    };
    const settings = Settings.parse({
      service,
      server,
      servers: [
        { name: "alpha", port: 1 },
        { name: "beta", port: 2 },
      ],
      dataDirectory: "/nowhere",
      ...options.settings,
    });
    this.maxFrameBytes = mainFrameBytes(settings.limits);
    const life = new Life({
      troubles: new Troubles(world.clock, world.log),
      settings,
      application: options.application,
      world,
      process: { pid: 1, version: "0.0.0", ...(residentBytes === undefined ? {} : { residentBytes }) },
      nameIncarnation: () => incarnation,
      ...(options.meters === undefined ? {} : { meters: options.meters }),
      ...(options.lastWords === undefined ? {} : { lastWords: options.lastWords }),
    });
    void this.bus.start((connected) => life.running?.onBus(connected));
    void life.begin().then((end) => {
      this.end = end;
    });
    this.#life = life;
  }

  get life(): RunningLife {
    const { running } = this.#life;
    if (running === null) throw new Error("its disk was not read yet");
    return running;
  }

  #link(kind: LinkName): Link {
    const { isProven } = this;
    return {
      kind,
      isProven,
      start: async () => {},
      stop: async () => {},
      send: (_peer, [header, ...payload]) => {
        if (header === undefined) return false;
        const { message } = decodeMessage(header);
        const isTaken = payload.reduce((sum, part) => sum + part.length, header.length) <= this.maxFrameBytes;
        (isTaken ? this.sent : this.refused).push(message);
        return isTaken;
      },
      bufferedBytes: () => 0,
      maxFrameBytes: () => this.maxFrameBytes,
    };
  }

  /** Lets time pass, and the store's promises with it. */
  async run(forMs: number): Promise<void> {
    for (let leftMs = forMs; leftMs > 0; leftMs -= 10) {
      await new Promise((resolve) => setImmediate(resolve));
      await this.clock.run(Math.min(10, leftMs));
    }
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** A message from a peer, over the main link. */
  hear(peer: string, message: PeerMessage, payload: readonly Uint8Array[] = []): void {
    this.life.onFrame("main", peer, Buffer.concat([encodeMessage(message), ...payload]));
  }

  /** The newest message of a kind that was sent. */
  lastSent<T extends PeerMessage["type"]>(type: T): Extract<PeerMessage, { type: T }> {
    const found = this.sent.findLast((message) => message.type === type);
    if (found === undefined) throw new Error(`${type} was never sent`);
    return found as Extract<PeerMessage, { type: T }>;
  }

  /** Texts published to a subject. */
  published(subject: string): string[] {
    return this.bus.published.filter((one) => one.subject === subject).map(({ data }) => Buffer.from(data).toString());
  }
}
