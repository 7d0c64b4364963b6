/**
 * Who is at a simulated service beside its servers: clients of both kinds, an integrator who reads all results, and an
 * operator. What always holds: each is a process with a bus of its own, and what clients send and are told is recorded.
 */
import { type Recorder, RecordingBus } from "../../../actors/testing/recorder.ts";
import type { Rng } from "../../../actors/testing/world/rng.ts";
import { SimBus } from "../../../actors/testing/world/sim-bus.ts";
import type { SimProcess } from "../../../actors/testing/world/sim-process.ts";
import type { SimWorld } from "../../../actors/testing/world/sim-world.ts";
import type { Moments } from "../judge/moments.ts";
import { Integrator } from "./integrator.ts";
import { LibraryClient } from "./library-client.ts";
import { Operator } from "./operator.ts";
import { type OnTold, PoliteClient } from "./polite-client.ts";
import { type ClientStyle, RawClient } from "./raw-client.ts";
import type { SeedPlan } from "./seed-plan.ts";
import type { Workload } from "./workloads.ts";

export class Participants {
  /** Those who have not gone away. */
  readonly clients: (RawClient | LibraryClient)[] = [];
  /** Of all, with those that went away. */
  readonly names: string[] = [];
  readonly integrator: Integrator;
  readonly integratorProcess: SimProcess;
  readonly operator: Operator;
  readonly #sim: SimWorld;
  readonly #recorder: Recorder;
  readonly #moments: Moments;
  readonly #workload: Workload;
  readonly #largestBurst: number;
  /** There from its first request on. */
  #polite: PoliteClient | null = null;

  constructor(sim: SimWorld, plan: SeedPlan, workload: Workload, recorder: Recorder, moments: Moments) {
    this.#sim = sim;
    this.#recorder = recorder;
    this.#moments = moments;
    this.#workload = workload;
    this.#largestBurst = largestBurst(plan.limits);
    this.#startClients(plan);
    [this.integrator, this.integratorProcess] = this.#startIntegrator();
    this.operator = this.#startOperator();
  }

  /** All have their answers. */
  get isQuiet(): boolean {
    return this.clients.every((client) => client.unanswered === 0);
  }

  /** One client sends so many at once, whatever it has sent already; fewer where few are taken, or refused, at once. */
  burst(requests: number): void {
    const client = this.clients.find((one) => one instanceof RawClient);
    if (client instanceof RawClient) client.burst(Math.min(requests, this.#largestBurst));
  }

  /** A client of its own, with nothing else in flight, asks once. */
  ask(onTold: OnTold): void {
    if (this.#polite !== null) {
      this.#polite.ask(onTold);
      return;
    }
    const name = "polite";
    const { process, clock, bus } = this.#clientWorld(name);
    const { service } = this.#sim.options;
    const client = new PoliteClient({
      service,
      name,
      workload: this.#workload,
      rng: this.#sim.rng.stream(name),
      clock,
      bus: new RecordingBus(bus, this.#recorder, service),
    });
    this.#polite = client;
    client.ask(onTold);
    process.later(0, "start", () => {
      client.start().catch((error: unknown) => process.onError(error));
    });
  }

  /** Everybody asks once more, and nothing after that. */
  askOnceMore(): void {
    for (const client of this.clients) {
      client.finish();
      client.ask();
    }
  }

  #startClients(plan: SeedPlan): void {
    const { service } = this.#sim.options;
    const rng = this.#sim.rng.stream("clients");
    for (let number = 1; number <= plan.clients; number += 1) {
      const name = `client${number}`;
      const world = this.#clientWorld(name);
      const options = {
        service,
        name,
        workload: this.#workload,
        style: styleOf(rng.stream(`${name} style`), plan),
        rng: rng.stream(name),
        clock: world.clock,
        bus: new RecordingBus(world.bus, this.#recorder, service),
      };
      const client = number % 2 === 0 ? new LibraryClient(options) : new RawClient(options);
      this.clients.push(client);
      this.names.push(name);
      world.process.later(0, "start", () => {
        client.start().catch((error: unknown) => world.process.onError(error));
      });
      // Some go away in the middle: their last requests stay unknown. The first stays, to see that the system serves.
      const leaving = rng.stream(`${name} leaves`);
      if (leaving.chance(0.15) && number > 1)
        this.#sim.scheduler.after(leaving.between(2_000, 12_000), null, "fault", () => {
          this.#sim.tell(name, "goes away", "life");
          this.#moments.count("client went away");
          world.process.kill();
          this.clients.splice(this.clients.indexOf(client), 1);
        });
    }
  }

  #startIntegrator(): [Integrator, SimProcess] {
    const { service } = this.#sim.options;
    const { process, clock, bus } = this.#clientWorld("integrator");
    const integrator = new Integrator({ service, name: "integrator", clock, bus, recorder: this.#recorder });
    process.later(0, "start", () => {
      integrator.start().catch((error: unknown) => process.onError(error));
    });
    return [integrator, process];
  }

  #startOperator(): Operator {
    const { service, servers } = this.#sim.options;
    const { process, clock, bus } = this.#clientWorld("operator");
    const operator = new Operator({ service, servers, bus, clock, moments: this.#moments });
    process.later(0, "start", () => {
      operator.start().catch((error: unknown) => process.onError(error));
    });
    return operator;
  }

  #clientWorld(name: string) {
    const process = this.#sim.startProcess(name);
    const clock = this.#sim.clock(process);
    return { process, clock, bus: new SimBus(process, this.#sim.natsClient(process), clock) };
  }
}

/** All are to be answered in time, though each round, in which all are sent again, has only so many answers or refusals. */
export function largestBurst({ maxInFlight, maxWaitingRefusals }: SeedPlan["limits"]): number {
  const { POSITIVE_INFINITY: all } = Number;
  return Math.min(4 * (maxInFlight ?? all), 8 * (maxWaitingRefusals ?? all));
}

/** Requests come as long as faults do: what happens in silence shows nothing. */
function styleOf(rng: Rng, { faultMs, requests, limits }: SeedPlan): ClientStyle {
  const meanGapMs = rng.pick([10, 40, 150]);
  return {
    ordered: rng.chance(0.5),
    stamps: true,
    meanGapMs,
    maxInFlight: rng.pick([1, 4, 32]),
    resendMs: rng.pick([80, 250, 800]),
    twiceChance: rng.pick([0, 0.05, 0.2]),
    lateChance: rng.pick([0, 0.05]),
    reuseChance: rng.pick([0, 0.03]),
    queryChance: rng.pick([0, 0.1, 0.3]),
    // Only where a little is too much.
    largeBytes: limits.maxRequestBytes ?? 0,
    largeChance: limits.maxRequestBytes === undefined ? 0 : rng.pick([0, 0.05]),
    requests: Math.min(requests, 20 + Math.ceil(faultMs / meanGapMs)),
  };
}
