/**
 * A client of a simulation: the library that ships. It asks at random times, several requests at once, now and then again under an id
 * that was answered, and queries.
 */
import type { Application } from "../../application/define.ts";
import { type Client, createClient } from "../../client/client.ts";
import type { Bus, Clock } from "../../world/ports.ts";
import { type Recorder, RecordingBus } from "../recorder.ts";
import type { Rng } from "../world/rng.ts";
import { SimBus } from "../world/sim-bus.ts";
import type { SimProcess } from "../world/sim-process.ts";
import type { SimWorld } from "../world/sim-world.ts";
import type { SimulationOptions } from "./types.ts";

export interface SimulatedClientOptions {
  readonly sim: SimWorld;
  readonly recorder: Recorder;
  readonly application: Application;
  readonly options: SimulationOptions<unknown, unknown, unknown>;
  readonly requests: number;
  /** It spreads its requests over so long. */
  readonly forMs: number;
  readonly number: number;
}

const maxInFlight = 4;
const deadlineMs = 120_000;
const againShare = 0.1;
const queryShare = 0.2;

export class SimulatedClient {
  readonly #options: SimulatedClientOptions;
  readonly #name: string;
  readonly #process: SimProcess;
  readonly #clock: Clock;
  readonly #rng: Rng;
  readonly #client: Client<unknown, unknown>;
  #made = 0;
  #isLast = false;

  constructor(options: SimulatedClientOptions) {
    const { sim, recorder, application, number } = options;
    const { service } = sim.options;
    this.#options = options;
    this.#name = `client${number}`;
    this.#process = sim.startProcess(this.#name);
    this.#clock = sim.clock(this.#process);
    this.#rng = sim.rng.stream(this.#name);
    const bus: Bus = new RecordingBus(
      new SimBus(this.#process, sim.natsClient(this.#process), this.#clock),
      recorder,
      service,
    );
    this.#client = createClient({
      service,
      client: this.#name,
      application,
      clock: this.#clock,
      bus,
      deadlineMs,
      ordered: number % 2 === 0,
    });
    this.#process.later(0, "start", () => {
      bus
        .start((connected) => this.#client.onBusState(connected))
        .then(
          () => this.#nextLater(),
          (error: unknown) => this.#process.onError(error),
        );
    });
  }

  get unanswered(): number {
    return this.#client.counts().unanswered;
  }

  /** Once more, and nothing after that. */
  askLast(): void {
    this.#isLast = true;
    this.#ask();
  }

  stop(): void {
    this.#process.kill();
    this.#client.close();
  }

  #nextLater(): void {
    const { requests, forMs } = this.#options;
    this.#clock.after(this.#rng.exponential(forMs / requests), () => {
      if (this.#isLast || this.#made >= requests) return;
      this.#nextLater();
      const { query } = this.#options.options;
      if (query !== undefined && this.#rng.chance(queryShare)) ignore(this.#client.query(query(this.#rng)));
      else if (this.unanswered < maxInFlight) this.#ask();
    });
  }

  #ask(): void {
    const id = `${this.#name}-${this.#made + 1}`;
    const body = this.#options.options.request(this.#rng, this.#name, this.#made);
    this.#made += 1;
    const isAgain = this.#rng.chance(againShare);
    const asked = this.#client.request(body, { id }).then(() => {
      if (isAgain && !this.#isLast) ignore(this.#client.request(body, { id }));
    });
    ignore(asked);
  }
}

/** What it was told is in the history. */
function ignore(asked: Promise<unknown>): void {
  asked.catch(() => undefined);
}
