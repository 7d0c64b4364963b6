/**
 * One seed: a whole service with its clients in a simulated world, faults for a while, then healing, then the checker.
 *
 * What always holds: everything follows from the seed and the plan, so that a run can be told again exactly; a run ends
 * with a report, never with an exception: an error of a server is a violation.
 */

import { Recorder } from "../../../actors/testing/recorder.ts";
import { requestStory } from "../../../actors/testing/simulation/request-story.ts";
import type { Rng } from "../../../actors/testing/world/rng.ts";
import { maxDrift, wallOriginMs } from "../../../actors/testing/world/sim-clock.ts";
import { lanProfile } from "../../../actors/testing/world/sim-network.ts";
import { SimWorld } from "../../../actors/testing/world/sim-world.ts";
import { type StoryLine, shortStory } from "../../../actors/testing/world/story.ts";
import { type CheckReport, checkHistory } from "../../../machines/checker/check.ts";
import { readCommittedLogs } from "../../../machines/checker/committed-log.ts";
import type { Violation } from "../../../machines/checker/history.ts";
import type { Remembered } from "../../../machines/checker/runs.ts";
import type { StampFacts } from "../../../machines/checker/stamps.ts";
import type { TimeFacts } from "../../../machines/checker/times.ts";
import type { Rules } from "../../../machines/replica/rules.ts";
import { Limits } from "../../../schemas/settings.ts";
import { FaultPlan, type Occurrence } from "../faults/plan.ts";
import { Announcements } from "../judge/announcements.ts";
import { clientMoments } from "../judge/client-moments.ts";
import { deletedRecords } from "../judge/kept-records.ts";
import { Moments } from "../judge/moments.ts";
import { Oracle } from "../judge/oracle.ts";
import { watcherOf } from "../judge/watch.ts";
import { Cluster } from "../service/cluster.ts";
import { Participants } from "../service/participants.ts";
import { RegistryOperator } from "../service/registry-operator.ts";
import { incarnationOf, isLifeOf, type StartServer } from "../service/running-server.ts";
import { planOf, type SeedPlan } from "../service/seed-plan.ts";
import { type Workload, workloadOf } from "../service/workloads.ts";

/** Starts servers with what the plan says. */
export type MakeStart = (plan: SeedPlan, workload: Workload) => StartServer;
/** Writes the registry's first record, as `init` does. */
export type InitRegistry = (sim: SimWorld, plan: SeedPlan, workload: Workload) => void;

export interface SeedOptions {
  /** By which an operator restores the registry. */
  readonly rules: Rules;
  readonly makeStart: MakeStart;
  readonly init: InitRegistry;
  /** Fixed parts of the plan. */
  readonly fixed?: Partial<SeedPlan>;
  /** The report has the recorded history also where nothing was violated. */
  readonly keepsHistory?: boolean | undefined;
}

export interface SeedReport {
  readonly seed: number;
  readonly plan: SeedPlan;
  /** The kinds of faults that were chosen, and all that happened. */
  readonly faults: readonly string[];
  readonly occurrences: readonly Occurrence[];
  readonly traceHash: string;
  readonly events: number;
  readonly virtualMs: number;
  readonly violations: readonly Violation[];
  readonly check: Omit<CheckReport, "violations">;
  readonly moments: Record<string, number>;
  /** Distinct combinations of the states of all servers, in which their machines stood together. */
  readonly states: readonly string[];
  readonly story: string;
  readonly lines: readonly StoryLine[];
  readonly history: string;
}

/** Of a message between servers, besides records: less than a real main link allows, so that more is found out. */
const fieldsBytes = 16 * 1024;
const maxStoryLines = 34;
const serverCounts = ["two servers", "three servers", "four servers"] as const;
const startWithinMs = 20_000;
const recoverWithinMs = 90_000;
const drainWithinMs = 60_000;
const joinWithinMs = 20_000;
/** After the last answer: what is still on its way, late copies, a flush. */
const quietMs = 1_500;
/** A reader of results whose questions were in vain asks again after as much as 20 s. */
const resultsWithinMs = 30_000;
const lookEveryMs = 250;
/** How long an operator listens, and until when what he hears must be that all is well: some troubles are shown for a minute. */
const listenMs = 1_000;
const wellWithinMs = 75_000;

class SeedRun {
  readonly #plan: SeedPlan;
  readonly #sim: SimWorld;
  readonly #recorder: Recorder;
  readonly #moments = new Moments();
  readonly #oracle: Oracle;
  readonly #cluster: Cluster;
  readonly #workload: Workload;
  readonly #rng: Rng;
  readonly #rules: Rules;
  readonly #keepsHistory: boolean;
  readonly #errors: Violation[] = [];
  readonly #announcements = new Announcements();
  #others: Participants | null = null;
  #faults: FaultPlan | null = null;
  /** The state of each server's machine. */
  readonly #states = new Map<string, string>();
  readonly #visited = new Set<string>();

  constructor(plan: SeedPlan, options: SeedOptions) {
    this.#plan = plan;
    this.#rules = options.rules;
    this.#keepsHistory = options.keepsHistory ?? false;
    this.#workload = workloadOf(plan);
    const { maxBatchBytes } = Limits.parse(plan.limits);
    this.#sim = new SimWorld({
      seed: plan.seed,
      maxFrameBytes: maxBatchBytes + fieldsBytes,
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
    this.#cluster.onState = (server, state) => this.#onState(server, state);
    this.#sim.watcher = watcherOf({
      sim: this.#sim,
      moments: this.#moments,
      oracle: this.#oracle,
      recorder: this.#recorder,
      announcements: this.#announcements,
      isLifeOf,
      onViolation: (of, text) => this.#fail(of, text),
    });
    options.init(this.#sim, plan, this.#workload);
  }

  get #isWithin(): boolean {
    return this.#plan.faultClass === "within";
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
    const others = new Participants(this.#sim, this.#plan, this.#workload, this.#recorder, this.#moments);
    this.#others = others;
    others.operator.seen = (server) => this.#cluster.incarnation(server);
    others.operator.onObeyed = (server, verb, message) => {
      const process = this.#cluster.process(server);
      if (verb === "recover" && process !== null)
        this.#announcements.onTold(incarnationOf(process), message, this.#sim.nowMs);
    };
    await scheduler.run(startWithinMs, () => this.#cluster.isWhole());
    const { faultClass, suspicionMs, faultMs: forMs, faults: kinds, only, crash } = this.#plan;
    const faults = new FaultPlan({
      sim: this.#sim,
      cluster: this.#cluster,
      moments: this.#moments,
      operator: others.operator,
      registryOperator: new RegistryOperator(this.#sim, this.#cluster, this.#moments, this.#rules),
      burst: (requests) => others.burst(requests),
      ask: (onTold) => others.ask(onTold),
      integrator: others.integratorProcess,
      clients: others.names,
      rng: this.#sim.rng.stream("faults"),
      faultClass,
      suspicionMs,
      forMs,
      kinds,
      only,
      crash,
    });
    this.#faults = faults;
    await scheduler.run(scheduler.nowMs + forMs);
    faults.healAll();
    this.#sim.tell("world", "the faults are over", "life");
    await scheduler.run(scheduler.nowMs + recoverWithinMs, () => this.#cluster.isWhole());
    if (!this.#cluster.isWhole() && this.#mustRecover)
      this.#fail("invariant 10", "not all servers are in sync again long after the faults ended");
    await this.#drain(others);
    if (this.#plan.stopsAtEnd) await this.#stopAndStart(others);
  }

  /** Everybody asks once more, then waits for all answers; integrators for all results. */
  async #drain(others: Participants): Promise<void> {
    const { scheduler } = this.#sim;
    this.#recorder.record({ type: "healed" });
    others.askOnceMore();
    await scheduler.run(scheduler.nowMs + drainWithinMs, () => others.isQuiet);
    if (!others.isQuiet && this.#mustRecover)
      this.#fail("invariant 10", "a client still waits for an answer long after the faults ended");
    await scheduler.run(scheduler.nowMs + quietMs);
    await this.#hearStatus(others);
    // Last of all: one that went away may have left a handler that takes its time, and nobody else waits for its result.
    const endMs = scheduler.nowMs + (this.#isWithin ? resultsWithinMs : quietMs);
    while (!this.#hasAllResults(others) && scheduler.nowMs < endMs) await scheduler.run(scheduler.nowMs + lookEveryMs);
  }

  /** Operators of a service that is whole hear that a failover would work, and nothing against it. */
  async #hearStatus({ operator }: Participants): Promise<void> {
    const { scheduler } = this.#sim;
    const endMs = scheduler.nowMs + wellWithinMs;
    for (;;) {
      const conclude = operator.gather();
      await scheduler.run(scheduler.nowMs + listenMs);
      const { serving, failoverReady, reasons } = conclude();
      if (!this.#mustRecover || !this.#cluster.isWhole()) return;
      if (serving && failoverReady && reasons.length === 0) break;
      if (scheduler.nowMs < endMs) continue;
      const said = reasons.map(({ server, code, message }) => `${server} ${code}: ${message}`);
      this.#fail("status", `all is well, and operators are told that it is not: ${said.join("; ")}`);
      return;
    }
    this.#moments.count("status: a failover would work");
  }

  /** The integrator has the last result of the newest history. */
  #hasAllResults({ integrator }: Participants): boolean {
    let history = "";
    let number = 0;
    for (const event of this.#recorder.events) {
      if (event.type !== "commit") continue;
      if (event.history !== history) number = 0;
      history = event.history;
      for (const record of event.records) number = Math.max(number, record.resultNumber);
    }
    return (integrator.last.get(history) ?? 0) >= number;
  }

  /** A clean stop of all, in any order, one perhaps while it joins, then a start: nothing is lost (situations 24, 65). */
  async #stopAndStart(others: Participants): Promise<void> {
    const { scheduler } = this.#sim;
    const rng = this.#rng.stream("stop while one joins");
    const isJoining = rng.chance(0.5) && (await this.#letOneJoin(rng));
    if (isJoining) this.#moments.count("clean stop while one joins");
    this.#moments.count("clean stop of all");
    for (const name of this.#rng.shuffle([...this.#cluster.names])) {
      this.#sim.tell(name, "is told to stop", "life");
      this.#cluster.stop(name);
      const waitMs = this.#rng.chance(0.5) ? this.#rng.between(0, 2_000) : 0;
      if (waitMs > 0) await scheduler.run(scheduler.nowMs + (isJoining ? waitMs / 100 : waitMs));
    }
    const name = rng.pick(this.#cluster.names);
    if (rng.chance(0.3) && this.#cluster.mayCrash(name)) this.#cluster.takeAway(name, "process");
    await scheduler.run(scheduler.nowMs + recoverWithinMs, () => this.#cluster.allEnded());
    if (!this.#cluster.allEnded()) this.#fail("clean stop", "a server that was told to stop still runs");
    this.#cluster.startAll();
    await scheduler.run(scheduler.nowMs + recoverWithinMs, () => this.#cluster.isWhole());
    await this.#drain(others);
  }

  /** One dies and comes back: true when it is about to be taken in. */
  async #letOneJoin(rng: Rng): Promise<boolean> {
    const { scheduler } = this.#sim;
    const name = rng.pick(this.#cluster.names);
    if (!this.#cluster.mayCrash(name)) return false;
    this.#cluster.kill(name, "process");
    const isJoining = () => this.#cluster.state(name) === "following.joining";
    await scheduler.run(scheduler.nowMs + joinWithinMs, isJoining);
    await scheduler.run(scheduler.nowMs + rng.between(0, 1.5));
    return isJoining();
  }

  #onState(server: string, state: string): void {
    this.#states.set(server, state);
    this.#visited.add([...this.#states.values()].sort().join(" "));
  }

  #onRejection(error: unknown): void {
    const owner = this.#sim.scheduler.current;
    if (owner !== null) owner.onError(error);
    else this.#fail("assertion", `a promise that nobody waits for: ${String(error)}`);
  }

  #fail(of: string, text: string): void {
    this.#errors.push({ of, text, atMs: this.#sim.nowMs });
  }

  /** A disk that a fault put in another's place holds what it holds. */
  #deletions(): Violation[] {
    const { events } = this.#recorder;
    if (events.some((event) => event.type === "disk" && !event.wasKept)) return [];
    const disks = new Map(this.#cluster.names.map((name) => [name, this.#sim.host(name).disk]));
    for (const { aside } of disks.values()) this.#moments.count("store set aside", aside.length);
    return deletedRecords(disks, readCommittedLogs(events));
  }

  #countPlan(): void {
    const { servers, workload } = this.#plan;
    const moment = serverCounts[servers.length - 2];
    if (moment !== undefined) this.#moments.count(moment);
    this.#moments.count(workload);
    for (const [name, times] of clientMoments(this.#recorder.events)) this.#moments.count(name, times);
  }

  #report(): SeedReport {
    const isWithin = this.#isWithin;
    const { violations: found, ...check } = checkHistory(this.#recorder.events, {
      makeModel: this.#workload.makeModel,
      mayBeginHistory: !isWithin && this.#plan.afterTotalLoss === "longest",
      mustRecover: this.#mustRecover,
      stamps: this.#stampFacts(),
      remembered: this.#remembered(),
      times: this.#timeFacts(),
      resultsAreComplete: isWithin && this.#others?.integrator.forgotten === 0,
    });
    this.#moments.count("duplicate answered", check.duplicates);
    this.#moments.count("request refused", check.refused);
    this.#countPlan();
    const { scheduler } = this.#sim;
    const violations = [...this.#errors, ...this.#announcements.violations(), ...found, ...this.#deletions()];
    const lines = this.#storyLines(violations);
    return {
      seed: this.#plan.seed,
      plan: this.#plan,
      faults: this.#faults?.chosen ?? [],
      occurrences: this.#faults?.occurrences ?? [],
      traceHash: scheduler.traceHash,
      events: scheduler.events,
      virtualMs: scheduler.nowMs,
      violations,
      check,
      moments: this.#moments.toJSON(),
      states: [...this.#visited],
      story: shortStory(lines, maxStoryLines, timeOf(violations) ?? scheduler.nowMs),
      lines,
      history: violations.length > 0 || this.#keepsHistory ? this.#recorder.lines() : "",
    };
  }

  #remembered(): Remembered {
    const { rememberReplies, limits } = this.#plan;
    // By servers' own clocks, which may run a little fast.
    return { replies: rememberReplies, ms: Limits.parse(limits).rememberMs * (1 - maxDrift) };
  }

  #stampFacts(): StampFacts {
    const { rememberClients, skewMs, maxFutureMs } = Limits.parse(this.#plan.limits);
    const serversAreRight = !this.#moments.counts.has("wall clock jumped");
    // The primary began with a clock that was right, and has heard of others that are.
    const isRightOneKnown = this.#faults?.chosen.every((name) => name === "slowPrimary") === true;
    const wallMs = (atMs: number) => wallOriginMs + atMs;
    return { wallMs, rememberClients, skewMs, maxFutureMs, serversAreRight, isRightOneKnown };
  }

  /** Of the servers' clocks that were ever ahead the second one: two that say the same are believed, and one that an operator takes for right. */
  #timeFacts(): TimeFacts {
    const { skewMs, maxClockStepMs } = Limits.parse(this.#plan.limits);
    const highestOf = (name: string) => this.#sim.host(name).wall.highestMs;
    const ahead = this.#plan.servers.map(highestOf).sort((a, b) => b - a);
    const accepted = [...(this.#others?.operator.acceptedClocks ?? [])].map(highestOf);
    const believedMs = Math.max(ahead[1] ?? 0, ...accepted);
    const latestMs = (atMs: number) => wallOriginMs + atMs * (1 + maxDrift) + believedMs + skewMs;
    return { latestMs, maxClockStepMs };
  }

  #storyLines(violations: readonly Violation[]): readonly StoryLine[] {
    const { lines } = this.#sim.story;
    const [first] = violations;
    if (first === undefined) return lines;
    const atMs = timeOf(violations) ?? this.#sim.nowMs;
    const violation = { atMs, who: first.of, text: firstLine(first.text), kind: "violation", fault: null } as const;
    return [...lines, ...requestStory(this.#recorder.events, violations.slice(0, 3)), violation];
  }
}

/** Of the first violation, where it has one. */
function timeOf([first]: readonly Violation[]): number | null {
  return first !== undefined && first.atMs > 0 ? first.atMs : null;
}

function firstLine(text: string): string {
  return text.split("\n", 1)[0] ?? "";
}

export function runSeed(seed: number, options: SeedOptions): Promise<SeedReport> {
  return new SeedRun(planOf(seed, options.fixed), options).run();
}
