/**
 * One seed: a whole service with its clients in a simulated world, faults for a while, then healing, then the checker.
 *
 * What always holds: everything follows from the seed and the plan, so that a run can be told again exactly; a run ends
 * with a report, never with an exception: an error of a server is a violation.
 */

import { Recorder, RecordingBus } from "../../deploy/drill/recorder.ts";
import { type CheckReport, checkHistory } from "../../machines/checker/check.ts";
import type { Violation } from "../../machines/checker/history.ts";
import type { Limits } from "../../schemas/settings.ts";
import { Cluster, type StartServer } from "./cluster.ts";
import type { FaultClass } from "./fault-context.ts";
import { FaultPlan } from "./faults.ts";
import { Integrator } from "./integrator.ts";
import { LibraryClient } from "./library-client.ts";
import { Moments } from "./moments.ts";
import { Oracle } from "./oracle.ts";
import { type ClientStyle, RawClient } from "./raw-client.ts";
import { Rng } from "./rng.ts";
import { SimBus } from "./sim-bus.ts";
import { lanProfile } from "./sim-network.ts";
import type { SimProcess } from "./sim-process.ts";
import { SimWorld } from "./sim-world.ts";
import { type Workload, workloads } from "./workloads.ts";

/** What a seed decides before anything runs. */
export interface SeedPlan {
  readonly seed: number;
  readonly faultClass: FaultClass;
  readonly servers: readonly string[];
  readonly workload: "exchange" | "ledger";
  readonly heartbeatMs: number;
  readonly suspicionMs: number;
  readonly flushMs: number;
  readonly registryTimeoutMs: number;
  readonly rememberReplies: number;
  readonly retainedBytes: number;
  readonly confirm: "memory" | "written" | "synced";
  readonly faultMs: number;
  readonly clients: number;
  readonly isWide: boolean;
  readonly stopsAtEnd: boolean;
  readonly afterTotalLoss: "longest" | "wait";
  /** Limits that are not drawn. */
  readonly limits?: Partial<Limits>;
  /** These kinds of faults and no others; else the seed chooses. */
  readonly faults?: readonly string[];
}

/** Starts servers with what the plan says. */
export type MakeStart = (plan: SeedPlan, workload: Workload) => StartServer;
/** Writes the registry's first record, as `init` does. */
export type InitRegistry = (sim: SimWorld, plan: SeedPlan, workload: Workload) => void;

export interface SeedOptions {
  readonly makeStart: MakeStart;
  readonly init: InitRegistry;
  /** Fixed parts of the plan. */
  readonly fixed?: Partial<SeedPlan>;
}

export interface SeedReport {
  readonly seed: number;
  readonly plan: SeedPlan;
  readonly faults: readonly string[];
  readonly traceHash: string;
  readonly events: number;
  readonly virtualMs: number;
  readonly violations: readonly Violation[];
  readonly check: Omit<CheckReport, "violations">;
  readonly moments: Record<string, number>;
  readonly story: string;
  readonly history: string;
}

const names = ["alpha", "beta", "gamma", "delta"] as const;
/** Of one client. */
const maxRequests = 300;
const startWithinMs = 20_000;
const recoverWithinMs = 90_000;
const drainWithinMs = 60_000;

export function planOf(seed: number, fixed: Partial<SeedPlan> = {}): SeedPlan {
  const rng = new Rng(seed, "plan");
  const heartbeatMs = rng.pick([30, 50, 100]);
  const servers = rng.pick([2, 2, 2, 3, 3, 4]);
  return {
    seed,
    faultClass: rng.pick(["within", "within", "within", "within", "within", "within", "within", "beyond", "registry"]),
    servers: names.slice(0, servers),
    workload: rng.chance(0.6) ? "exchange" : "ledger",
    heartbeatMs,
    suspicionMs: heartbeatMs * rng.pick([4, 5, 8]),
    flushMs: rng.pick([20, 100, 200, 1_000]),
    registryTimeoutMs: rng.pick([200, 400, 1_000]),
    rememberReplies: rng.pick([20, 200, 10_000]),
    retainedBytes: rng.pick([0, 2_000, 1_000_000]),
    confirm: rng.pick(["memory", "memory", "memory", "memory", "written", "synced"]),
    faultMs: rng.int(2_000, 8_000),
    clients: rng.int(1, 4),
    isWide: rng.chance(0.15),
    stopsAtEnd: rng.chance(0.3),
    afterTotalLoss: "longest",
    ...fixed,
  };
}

class SeedRun {
  readonly #plan: SeedPlan;
  readonly #sim: SimWorld;
  readonly #recorder: Recorder;
  readonly #moments = new Moments();
  readonly #oracle: Oracle;
  readonly #cluster: Cluster;
  readonly #workload: Workload;
  readonly #rng: Rng;
  readonly #clients: (RawClient | LibraryClient)[] = [];
  readonly #clientProcesses: SimProcess[] = [];
  readonly #errors: Violation[] = [];
  #integrator: Integrator | null = null;
  #faults: readonly string[] = [];

  constructor(plan: SeedPlan, options: SeedOptions) {
    this.#plan = plan;
    this.#workload = workloads[plan.workload];
    this.#sim = new SimWorld({
      seed: plan.seed,
      service: "sim",
      servers: plan.servers,
      registryTimeoutMs: plan.registryTimeoutMs,
    });
    if (plan.isWide) this.#sim.network.profile = { ...lanProfile, baseMs: 8, tailMs: 4 };
    this.#rng = this.#sim.rng.stream("run");
    this.#recorder = new Recorder(() => this.#sim.nowMs);
    const start = options.makeStart(plan, this.#workload);
    this.#oracle = new Oracle(
      () => this.#sim.registry.newest,
      // Beyond the promise a copy of a disk may be put in place that nobody can tell from the right one.
      (of, text) => this.#mustRecover && this.#fail(of, text),
    );
    this.#cluster = new Cluster(this.#sim, start, this.#recorder, this.#moments, this.#oracle);
    this.#cluster.onViolation = (of, text) => this.#fail(of, text);
    this.#watch();
    options.init(this.#sim, plan, this.#workload);
  }

  get #mustRecover(): boolean {
    return this.#plan.faultClass !== "beyond";
  }

  async run(): Promise<SeedReport> {
    const onRejection = (error: unknown) => this.#onRejection(error);
    process.on("unhandledRejection", onRejection);
    try {
      await this.#phases();
    } catch (error) {
      this.#fail("simulation", String(error instanceof Error ? error.stack : error));
    } finally {
      process.off("unhandledRejection", onRejection);
    }
    return this.#report();
  }

  async #phases(): Promise<void> {
    const { scheduler } = this.#sim;
    this.#cluster.startAll();
    this.#startClients();
    await scheduler.run(startWithinMs, () => this.#cluster.isWhole());
    const faults = new FaultPlan({
      sim: this.#sim,
      cluster: this.#cluster,
      moments: this.#moments,
      rng: this.#sim.rng.stream("faults"),
      faultClass: this.#plan.faultClass,
      suspicionMs: this.#plan.suspicionMs,
      only: this.#plan.faults,
    });
    this.#faults = faults.chosen;
    await scheduler.run(scheduler.nowMs + this.#plan.faultMs);
    faults.healAll();
    this.#sim.tell("world", "the faults are over");
    await scheduler.run(scheduler.nowMs + recoverWithinMs, () => this.#cluster.isWhole());
    if (!this.#cluster.isWhole() && this.#mustRecover)
      this.#fail("invariant 10", "not all servers are in sync again long after the faults ended");
    await this.#drain();
    if (this.#plan.stopsAtEnd) await this.#stopAndStart();
  }

  /** Everybody asks once more, then waits for all answers; integrators for all results. */
  async #drain(): Promise<void> {
    const { scheduler } = this.#sim;
    this.#recorder.record({ type: "healed" });
    for (const client of this.#clients) {
      client.finish();
      client.ask();
    }
    const isQuiet = () => this.#clients.every((client) => client.unanswered === 0);
    await scheduler.run(scheduler.nowMs + drainWithinMs, isQuiet);
    if (!isQuiet() && this.#mustRecover)
      this.#fail("invariant 10", "a client still waits for an answer long after the faults ended");
    await scheduler.run(scheduler.nowMs + 4_000);
  }

  /** A clean stop of all, in any order, then a start: nothing is lost (situation 24). */
  async #stopAndStart(): Promise<void> {
    const { scheduler } = this.#sim;
    this.#moments.count("clean stop of all");
    for (const name of this.#rng.shuffle([...this.#cluster.names])) {
      this.#sim.tell(name, "is told to stop");
      this.#cluster.stop(name);
      if (this.#rng.chance(0.5)) await scheduler.run(scheduler.nowMs + this.#rng.between(0, 2_000));
    }
    await scheduler.run(scheduler.nowMs + recoverWithinMs, () => this.#cluster.allEnded());
    if (!this.#cluster.allEnded()) this.#fail("clean stop", "a server that was told to stop still runs");
    this.#cluster.startAll();
    await scheduler.run(scheduler.nowMs + recoverWithinMs, () => this.#cluster.isWhole());
    await this.#drain();
  }

  #startClients(): void {
    const { service } = this.#sim.options;
    const rng = this.#sim.rng.stream("clients");
    for (let number = 1; number <= this.#plan.clients; number += 1) {
      const name = `client${number}`;
      const world = this.#clientWorld(name);
      const options = {
        service,
        name,
        workload: this.#workload,
        style: styleOf(rng, this.#plan.faultMs),
        rng: rng.stream(name),
        clock: world.clock,
        bus: new RecordingBus(world.bus, this.#recorder, service),
      };
      const client = number % 2 === 0 ? new LibraryClient(options) : new RawClient(options);
      this.#clients.push(client);
      world.process.later(0, "start", () => {
        client.start().catch((error: unknown) => world.process.onError(error));
      });
      // Some go away in the middle: their last requests stay unknown. The first stays, to see that the system serves.
      if (rng.chance(0.15) && number > 1)
        this.#sim.scheduler.after(rng.between(2_000, 12_000), null, "fault", () => {
          world.process.kill();
          this.#clients.splice(this.#clients.indexOf(client), 1);
        });
    }
    const { process, clock, bus } = this.#clientWorld("integrator");
    const integrator = new Integrator({ service, name: "integrator", clock, bus, recorder: this.#recorder });
    this.#integrator = integrator;
    process.later(0, "start", () => {
      integrator.start().catch((error: unknown) => process.onError(error));
    });
  }

  #clientWorld(name: string) {
    const process = this.#sim.startProcess(name);
    this.#clientProcesses.push(process);
    return { process, clock: this.#sim.clock(process), bus: new SimBus(process, this.#sim.natsClient(process)) };
  }

  #watch(): void {
    const moments = this.#moments;
    const sent = new Map<number, string>();
    let primary = "";
    let history = "";
    let inSync = 0;
    this.#sim.watcher = {
      onProcessError: (process, error) =>
        this.#fail("assertion", `${process.name}: ${error instanceof Error ? error.message : String(error)}`),
      onPlannedCrash: (_, plan) => {
        moments.count("crash at an I/O boundary");
        if (plan.what === "registry.cas" && plan.when === "before")
          moments.count("crash between sync and compare-and-set");
        if (plan.what.startsWith("side")) moments.count("snapshot interrupted");
      },
      onCompareAndSetSent: (by, expectedRevision) => {
        const other = sent.get(expectedRevision);
        if (other !== undefined && other !== by) moments.count("both race a compare-and-set");
        sent.set(expectedRevision, by);
      },
      onRegistryWritten: ({ record }, _, late) => {
        moments.count(late ? "compare-and-set landed late" : "compare-and-set won");
        if (primary !== "" && record.primary.server !== primary) moments.count("takeover");
        if (record.durability === "disk") moments.count("alone on disk");
        if (record.inSync.length > inSync) moments.count("joined");
        if (history !== "" && record.history !== history) moments.count("new history");
        primary = record.primary.server;
        history = record.history;
        inSync = record.inSync.length;
        this.#oracle.onRecord(record);
      },
      onRegistryAnswerLost: () => moments.count("compare-and-set answer lost"),
    };
  }

  #onRejection(error: unknown): void {
    const owner = this.#sim.scheduler.current;
    if (owner !== null) owner.onError(error);
    else this.#fail("assertion", `a promise that nobody waits for: ${String(error)}`);
  }

  #fail(of: string, text: string): void {
    this.#errors.push({ of, text, atMs: this.#sim.nowMs });
  }

  /** Answered copies that were sent before any copy was answered. */
  #pendingDuplicates(): number {
    const sentAtMs = new Map<string, number>();
    const answeredAtMs = new Map<string, number>();
    let count = 0;
    for (const event of this.#recorder.events) {
      if (event.type === "invoke") sentAtMs.set(`${event.client} ${event.id} ${event.copy}`, event.atMs);
      if (event.type !== "reply") continue;
      const request = `${event.client} ${event.id}`;
      const first = answeredAtMs.get(request);
      if (first === undefined) answeredAtMs.set(request, event.atMs);
      else if (event.duplicate && (sentAtMs.get(`${request} ${event.copy}`) ?? first) < first) count += 1;
    }
    return count;
  }

  #report(): SeedReport {
    const isWithin = this.#plan.faultClass === "within";
    const { violations, ...check } = checkHistory(this.#recorder.events, {
      makeModel: this.#workload.makeModel,
      mayBeginHistory: !isWithin && this.#plan.afterTotalLoss === "longest",
      mustRecover: this.#mustRecover,
      resultsAreComplete: isWithin && this.#integrator?.forgotten === 0,
    });
    this.#moments.count("duplicate answered", check.duplicates);
    this.#moments.count("duplicate of a pending request", this.#pendingDuplicates());
    this.#moments.count("request refused", check.refused);
    this.#moments.count("query answered", this.#recorder.events.filter((event) => event.type === "answer").length);
    const { scheduler } = this.#sim;
    return {
      seed: this.#plan.seed,
      plan: this.#plan,
      faults: this.#faults,
      traceHash: scheduler.traceHash,
      events: scheduler.events,
      virtualMs: scheduler.nowMs,
      violations: [...this.#errors, ...violations],
      check,
      moments: this.#moments.toJSON(),
      story: this.#sim.story.text(),
      history: this.#errors.length + violations.length > 0 ? this.#recorder.lines() : "",
    };
  }
}

/** Requests come as long as faults do: what happens in silence shows nothing. */
function styleOf(rng: Rng, faultMs: number): ClientStyle {
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
    requests: Math.min(maxRequests, 20 + Math.ceil(faultMs / meanGapMs)),
  };
}

export function runSeed(seed: number, options: SeedOptions): Promise<SeedReport> {
  return new SeedRun(planOf(seed, options.fixed), options).run();
}
