/** A simulated client that uses the shipped client library, so that its promises are held to the same checker. */
import { type Client, createClient } from "../../../actors/client/client.ts";
import type { Rng } from "../../../actors/testing/world/rng.ts";
import type { Bus, Clock } from "../../../actors/world/ports.ts";
import type { ClientStyle } from "./raw-client.ts";
import type { Workload } from "./workloads.ts";

export class LibraryClient {
  readonly #clock: Clock;
  readonly #rng: Rng;
  readonly #workload: Workload;
  readonly #style: ClientStyle;
  readonly #bus: Bus;
  readonly #name: string;
  readonly #client: Client<unknown, unknown>;
  #isStopping = false;
  made = 0;
  /** Told to the caller: results, failures, refusals, unknown outcomes. */
  readonly outcomes = { answered: 0, failed: 0, refused: 0, unknown: 0 };

  constructor(options: {
    service: string;
    name: string;
    bus: Bus;
    clock: Clock;
    rng: Rng;
    workload: Workload;
    style: ClientStyle;
  }) {
    this.#clock = options.clock;
    this.#rng = options.rng;
    this.#workload = options.workload;
    this.#style = options.style;
    this.#bus = options.bus;
    this.#name = options.name;
    this.#client = createClient({
      service: options.service,
      client: options.name,
      clock: options.clock,
      bus: options.bus,
      ordered: options.style.ordered,
      deadlineMs: 60_000,
    });
  }

  async start(): Promise<void> {
    await this.#bus.start((connected) => this.#client.onBusState(connected));
    this.#nextLater();
  }

  get unanswered(): number {
    return this.#client.counts().unanswered;
  }

  finish(): void {
    this.#isStopping = true;
  }

  #nextLater(): void {
    this.#clock.after(this.#rng.exponential(this.#style.meanGapMs), () => {
      if (this.#isStopping || this.made >= this.#style.requests) return;
      this.#nextLater();
      if (this.#rng.chance(this.#style.queryChance)) this.#query();
      else if (this.unanswered < this.#style.maxInFlight) this.ask();
    });
  }

  ask(): void {
    this.made += 1;
    const body = this.#workload.body(this.#rng, this.#name, `${this.#name}-${this.made}`, this.#clock.wallMs());
    this.#client.request(body, { key: this.#workload.key(body) }).then(
      () => {
        this.outcomes.answered += 1;
      },
      (error: Error) => {
        if (error.name === "FailedError") this.outcomes.failed += 1;
        else if (error.name === "RefusedError") this.outcomes.refused += 1;
        else this.outcomes.unknown += 1;
      },
    );
  }

  #query(): void {
    this.#client.query(this.#workload.query(this.#rng), { deadlineMs: 2_000 }).catch(() => undefined);
  }
}
