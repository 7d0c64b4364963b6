/**
 * The load of a drill: a few clients, the shipped library, each with several requests in flight, every id used once and one
 * answered request in fifty sent again under its old id. What always holds: all that is sent and told is in the history.
 */
import { setTimeout as delay } from "node:timers/promises";
import { type Client, createClient } from "../../actors/client/client.ts";
import { type Recorder, RecordingBus } from "../../actors/testing/recorder.ts";
import type { Bus, Clock } from "../../actors/world/ports.ts";
import type { Workload } from "./workload.ts";

export interface LoadOptions {
  readonly service: string;
  readonly recorder: Recorder;
  readonly clock: Clock;
  connect(onState: (connected: boolean) => void): Promise<Bus>;
  readonly clients: readonly string[];
  /** In flight at once, of each client. */
  readonly perClient: number;
  /** Of all clients together, in a second. */
  readonly rate: number;
  readonly workload: Workload;
  readonly random: () => number;
}

const deadlineMs = 20_000;
const resendShare = 1 / 50;

interface OpenClient {
  readonly name: string;
  readonly client: Client<unknown, unknown>;
  readonly bus: Bus;
}

export class Load {
  readonly #options: LoadOptions;
  #clients: OpenClient[] = [];
  #workers: Promise<void>[] = [];
  #isStopping = false;
  #made = 0;

  constructor(options: LoadOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { service, recorder, clock, clients, perClient, workload } = this.#options;
    for (const name of clients) {
      let client: Client<unknown, unknown> | undefined;
      const bus = await this.#options.connect((connected) => client?.onBusState(connected));
      const recording = new RecordingBus(bus, recorder, service);
      const ordered = workload.isOrdered;
      client = createClient({ service, client: name, clock, bus: recording, deadlineMs, ordered });
      this.#clients.push({ name, client, bus });
    }
    for (const open of this.#clients)
      for (let worker = 0; worker < perClient; worker += 1) this.#workers.push(this.#work(open));
  }

  /** No more is sent; settles when all that was sent is answered or given up. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.#workers);
    for (const { client, bus } of this.#clients) {
      client.close();
      await bus.stop();
    }
    this.#clients = [];
  }

  async #work({ name, client }: OpenClient): Promise<void> {
    const { clients, perClient, rate, random, clock, workload } = this.#options;
    const pauseMs = (1_000 * clients.length * perClient) / rate;
    // Not all of them at once.
    await delay(random() * pauseMs);
    while (!this.#isStopping) {
      const sentMs = performance.now();
      this.#made += 1;
      const id = String(this.#made);
      const body = workload.makeBody(this.#made, `${name}-${id}`, name);
      const again = { id, key: workload.keyOf(body), issuedAt: Math.floor(clock.wallMs()) };
      const isAnswered = await client.request(body, again).then(isTrue, isFalse);
      if (isAnswered && random() < resendShare)
        await client.request(body, { ...again, resend: true, after: null }).then(isTrue, isFalse);
      await delay(Math.max(0, pauseMs * (0.5 + random()) - (performance.now() - sentMs)));
    }
  }
}

/** What became of a request is in the history. */
const isTrue = () => true;
const isFalse = () => false;
