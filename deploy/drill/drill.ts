/**
 * The proof that anyone can run: load on a pair, faults one after another, and then every answer that a client got held
 * against the log. What always holds: nothing is done to a service before it was found to be a test service, or force was
 * asked for, and that all that is asked for can be done from here; a drill that is interrupted judges what it has, and has
 * not passed.
 */
import { setTimeout as delay } from "node:timers/promises";
import { readResults } from "../../actors/client/results.ts";
import { Recorder } from "../../actors/testing/recorder.ts";
import type { Bus, Clock } from "../../actors/world/ports.ts";
import { type Cable, type DoneFault, DrillError, doFault, whyNotSignalled } from "./faults.ts";
import { acksSince, type Gap, gapOf } from "./gaps.ts";
import { Load } from "./load.ts";
import { lastResult, readLog } from "./log.ts";
import { type FaultKind, planFaults, randomFrom } from "./plan.ts";
import { type DrillReport, faultText, judge } from "./verdict.ts";
import { PairWatch } from "./watch.ts";
import type { Workload } from "./workload.ts";

export interface DrillOptions {
  readonly service: string;
  /** It was there before, and so it speaks. */
  readonly isRunning: boolean;
  readonly workload: Workload;
  readonly seed: number;
  readonly faults: readonly FaultKind[];
  /** Nobody chose the faults: those that cannot be done from here are left out. */
  readonly mayLeaveOut: boolean;
  readonly seconds: number;
  /** In a second. */
  readonly rate: number;
  readonly force: boolean;
  /** How long the service may take to be normal again after a fault, in seconds. */
  readonly patience: number;
}

export interface DrillWorld {
  readonly clock: Clock;
  connect(onState: (connected: boolean) => void): Promise<Bus>;
  readonly cable: Cable | null;
  /** In whose name commands are given. */
  readonly operator: string | undefined;
  readonly stopped: AbortSignal;
  tell(text: string): Promise<void>;
}

const startWithinMs = 30_000;
/** A service of which no server says anything for so long is not there. */
const speakWithinMs = 5_000;
/** Several statuses of each server. */
const listenMs = 1_000;
const clientCount = 4;
const perClient = 8;
/** Load after the last fault: service goes on. */
const calmMs = 1_000;
const resultsWithinMs = 10_000;
const answerAgainMs = 2_000;

/** Throws DrillError where nothing could be shown; a drill that shows a fault of the service returns its report. */
export async function drill(options: DrillOptions, world: DrillWorld): Promise<DrillReport> {
  const bus = await world.connect(() => undefined);
  const watch = new PairWatch(bus, options.service);
  try {
    return await new Drill(options, world, bus, watch).run();
  } finally {
    watch.stop();
    await bus.stop();
  }
}

class Drill {
  readonly #options: DrillOptions;
  readonly #world: DrillWorld;
  readonly #bus: Bus;
  readonly #watch: PairWatch;
  readonly #recorder = new Recorder(() => performance.now());
  readonly #faults: DoneFault[] = [];

  constructor(options: DrillOptions, world: DrillWorld, bus: Bus, watch: PairWatch) {
    this.#options = options;
    this.#world = world;
    this.#bus = bus;
    this.#watch = watch;
  }

  async run(): Promise<DrillReport> {
    const { service, seed, workload, rate } = this.#options;
    const { clock } = this.#world;
    const faults = await this.#check();
    const begin = await lastResult(this.#bus, clock, service);
    const names = Array.from({ length: clientCount }, (_, n) => `drill-${clock.randomId().slice(0, 8)}-${n + 1}`);
    const clients = new Set(names);
    const random = randomFrom(seed + 1);
    const load = new Load({
      service,
      recorder: this.#recorder,
      clock,
      connect: (onState) => this.#world.connect(onState),
      clients: names,
      perClient,
      rate,
      workload,
      random,
    });
    const startMs = performance.now();
    const integrator = await this.#integrate(begin, clients);
    await load.start();
    const trouble = await this.#doFaults(faults, startMs);
    this.#recorder.record({ type: "healed" });
    await delay(calmMs);
    await load.stop();
    const told = await this.#readLog(begin, clients, integrator);
    // The log stands first: it is what was true while the clients were answered, though it was read after them.
    const commits = told.map(({ history, records }) => {
      return { type: "commit", atMs: 0, server: "log", incarnation: "results", history, records } as const;
    });
    const events = [...commits, ...this.#recorder.events];
    return judge({ service, seed, startMs, events, faults: this.#faults, trouble });
  }

  /** What can be done. Throws DrillError unless this is a pair in normal service on which a drill is allowed. */
  async #check(): Promise<readonly FaultKind[]> {
    const { force, service } = this.#options;
    const { stopped } = this.#world;
    const isNormal = await this.#untilNormal();
    if (stopped.aborted) throw new DrillError("interrupted before anything was done");
    if (this.#watch.servers.length === 0)
      throw new DrillError(
        `no server of a service ${service} speaks there: is it started? --service and --nats say which is meant`,
      );
    if (!isNormal)
      throw new DrillError(`${service} is not in normal service, which a drill begins with: ${this.#watch.saying}`);
    // A third server may not have spoken yet.
    await delay(listenMs);
    const unmarked = this.#watch.servers.filter(({ testService }) => !testService).map(({ name }) => name);
    if (unmarked.length > 0 && !force)
      throw new DrillError(
        `${service} is not marked as a test service (${unmarked.join(", ")}: set testService in the settings, or \`twinlog up --test-service\`): a drill kills and cuts; --force does it all the same`,
      );
    return await this.#possible();
  }

  async #untilNormal(): Promise<boolean> {
    const { isRunning, service } = this.#options;
    const { stopped, tell } = this.#world;
    const firstMs = isRunning ? speakWithinMs : startWithinMs;
    if (await this.#watch.untilNormal(0, firstMs, stopped)) return true;
    if (this.#watch.servers.length === 0 || stopped.aborted) return false;
    await tell(`waits for ${service} to be in normal service: ${this.#watch.saying}\n`);
    return await this.#watch.untilNormal(0, startWithinMs - firstMs, stopped);
  }

  /** The faults that were asked for, as far as they can be done from here. */
  async #possible(): Promise<readonly FaultKind[]> {
    const { faults, mayLeaveOut } = this.#options;
    const obstacle = this.#watch.servers.map(whyNotSignalled).find((why) => why !== "");
    const impossible = faults.filter((kind) => obstacle !== undefined && (kind === "kill" || kind === "stop"));
    if (impossible.length === 0 || obstacle === undefined) return faults;
    const advice = "run the drill on the machine of the servers, or with --faults switch";
    if (!mayLeaveOut) throw new DrillError(`${obstacle}: ${advice}`);
    await this.#world.tell(`without ${impossible.join(", ")}: ${obstacle}\n`);
    return faults.filter((kind) => !impossible.includes(kind));
  }

  /** What keeps the drill from going on; empty when nothing does. */
  async #doFaults(faults: readonly FaultKind[], startMs: number): Promise<string> {
    const { seed, seconds, service, patience } = this.#options;
    const { stopped, clock, cable, operator, tell } = this.#world;
    const world = {
      service,
      operator,
      bus: this.#bus,
      clock,
      watch: this.#watch,
      stopped,
      recoverWithinMs: 1_000 * patience,
      cable,
    };
    let longestMs = 0;
    for (const planned of planFaults(seed, faults)) {
      const leftMs = seconds * 1_000 - (performance.now() - startMs);
      if (stopped.aborted) return "interrupted: the verdict is about what was done until then";
      if (this.#faults.length > 0 && leftMs < longestMs) return "";
      const fromMs = performance.now();
      await delay(planned.waitMs);
      try {
        const done = await doFault(planned, world);
        this.#faults.push(done);
        longestMs = Math.max(longestMs, performance.now() - fromMs);
        await tell(faultText(done, await this.#gapOf(done), startMs));
      } catch (error) {
        if (error instanceof DrillError) return error.message;
        throw error;
      }
    }
    return "";
  }

  /** Known once an answer has come after it. */
  async #gapOf(fault: DoneFault): Promise<Gap> {
    const { events } = this.#recorder;
    const { startMs, normalMs } = fault;
    const isAnswered = () => (acksSince(events, normalMs).at(-1)?.atMs ?? 0) > normalMs;
    while (!isAnswered() && performance.now() - normalMs < answerAgainMs) await delay(5);
    return gapOf(acksSince(events, startMs), fault);
  }

  /** A shipped reader of results, whose every result goes into the history. */
  async #integrate(begin: { history: string; last: number }, clients: ReadonlySet<string>): Promise<Integrator> {
    const bus = await this.#world.connect(() => undefined);
    const { clock } = this.#world;
    const { service } = this.#options;
    const { history, last } = begin;
    const reader = readResults({ service, bus, clock, history, from: last + 1 });
    const integrator: Integrator = { last, error: "", close: () => undefined };
    const reading = (async () => {
      for await (const event of reader) {
        if (event.type !== "result") continue;
        integrator.last = event.result;
        if (!clients.has(event.client)) continue;
        const { result: number, sequence, epoch } = event;
        const bytes = Buffer.from(event.bytes).toString();
        this.#recorder.record({
          type: "result",
          integrator: "reader",
          history: event.history,
          number,
          sequence,
          epoch,
          bytes,
        });
      }
    })().catch((error: Error) => {
      integrator.error = error.message;
    });
    integrator.close = async () => {
      reader.close();
      await reading;
      await bus.stop();
    };
    return integrator;
  }

  async #readLog(begin: { history: string; last: number }, clients: ReadonlySet<string>, integrator: Integrator) {
    const { clock } = this.#world;
    const { service } = this.#options;
    try {
      const end = await lastResult(this.#bus, clock, service);
      const fromMs = performance.now();
      while (integrator.last < end.last && performance.now() - fromMs < resultsWithinMs) await delay(10);
      if (integrator.error !== "") throw new DrillError(`the results could not be read: ${integrator.error}`);
      return await readLog(this.#bus, clock, { service, from: begin.last + 1, history: begin.history, clients });
    } finally {
      await integrator.close();
    }
  }
}

interface Integrator {
  last: number;
  error: string;
  close(): Promise<void> | undefined;
}
