/**
 * One seed: a pair, its clients, faults for a while, then all is mended, everybody asks once more, and the checker judges. What always
 * holds: it ends with a report; an error of a server is a violation.
 */
import { type CheckReport, checkHistory } from "../../../machines/checker/check.ts";
import type { SequentialModel, Violation } from "../../../machines/checker/history.ts";
import { Limits } from "../../../schemas/settings.ts";
import type { Application } from "../../application/define.ts";
import { Recorder } from "../recorder.ts";
import { SimWorld } from "../world/sim-world.ts";
import { shortStory } from "../world/story.ts";
import { SimulatedClient } from "./client.ts";
import { mend, type Occurrence, occurrencesOf, strike } from "./faults.ts";
import { SimPair } from "./pair.ts";
import { requestStory } from "./request-story.ts";
import type { SimulatedFault, SimulationOptions } from "./types.ts";

export interface SeedTask {
  readonly application: Application;
  readonly options: SimulationOptions<unknown, unknown, unknown>;
  readonly makeModel: () => SequentialModel;
  readonly clients: number;
  readonly requests: number;
  readonly faults: readonly SimulatedFault[];
  readonly seed: number;
  /** Of the faults, those with these numbers. */
  readonly only?: readonly number[];
}

export interface SeedReport {
  readonly occurrences: readonly Occurrence[];
  readonly violations: readonly Violation[];
  readonly check: Omit<CheckReport, "violations">;
  readonly takeovers: number;
  /** Equal where two runs were the same. */
  readonly trace: string;
  readonly story: string;
}

const servers = ["alpha", "beta"] as const;
const limits = { heartbeatMs: 50, suspicionMs: 300, flushMs: 100, cautionMs: 50, stalledBackupMs: 1_000 };
/** In the simulated world's time. */
const startWithinMs = 20_000;
const faultMs = 6_000;
const recoverWithinMs = 90_000;
const answerWithinMs = 60_000;
const quietMs = 500;
const maxStoryLines = 30;

export async function runSeed(task: SeedTask): Promise<SeedReport> {
  const { application, seed, options, only } = task;
  const sim = new SimWorld({ seed, service: application.name, servers, registryTimeoutMs: 400 });
  const { scheduler } = sim;
  const recorder = new Recorder(() => sim.nowMs);
  const errors: Violation[] = [];
  const fail = (of: string, text: string) => errors.push({ of, text, atMs: sim.nowMs });
  let takeovers = 0;
  let primary = "";
  sim.watcher = {
    onProcessError: (_, error) => fail("assertion", error instanceof Error ? error.message : String(error)),
    onRegistryWritten: ({ record }) => {
      if (primary !== "" && record.primary.server !== primary) takeovers += 1;
      primary = record.primary.server;
    },
  };
  const parsed = Limits.parse({ ...limits, ...options.limits });
  const pair = new SimPair({
    sim,
    application,
    limits: parsed,
    recorder,
    onError: (text) => fail("assertion", text),
  });
  const occurrences = occurrencesOf(sim.rng.stream("faults"), task.faults, faultMs, only);
  const isOver = () => errors.length > 0;
  pair.start();
  const clients = Array.from(
    { length: task.clients },
    (_, at) =>
      new SimulatedClient({
        sim,
        recorder,
        application,
        options,
        requests: task.requests,
        forMs: faultMs,
        number: at + 1,
      }),
  );
  await scheduler.run(startWithinMs, () => pair.isWhole || isOver());
  for (const occurrence of occurrences) strike(occurrence, sim, pair, parsed.suspicionMs);
  await scheduler.run(scheduler.nowMs + faultMs, isOver);
  mend(sim, pair);
  sim.tell("world", "the faults are over", "life");
  await scheduler.run(scheduler.nowMs + recoverWithinMs, () => pair.isWhole || isOver());
  if (!pair.isWhole) fail("invariant 10", "the servers are not in sync again long after the faults ended");
  recorder.record({ type: "healed" });
  for (const client of clients) client.askLast();
  await scheduler.run(
    scheduler.nowMs + answerWithinMs,
    () => isOver() || clients.every(({ unanswered }) => unanswered === 0),
  );
  await scheduler.run(scheduler.nowMs + quietMs, isOver);
  pair.stop();
  for (const client of clients) client.stop();
  const { violations: found, ...check } = checkHistory(recorder.events, {
    makeModel: task.makeModel,
    mayBeginHistory: false,
    mustRecover: true,
    resultsAreComplete: false,
  });
  // What a server died of explains what clients lack.
  const violations = [...errors, ...found];
  return {
    occurrences,
    violations,
    check,
    takeovers,
    trace: scheduler.traceHash,
    story: storyOf(sim, recorder, violations),
  };
}

function storyOf(sim: SimWorld, recorder: Recorder, violations: readonly Violation[]): string {
  const [first] = violations;
  if (first === undefined) return "";
  const atMs = first.atMs > 0 ? first.atMs : sim.nowMs;
  const text = first.text.split("\n", 1)[0] ?? "";
  const violation = { atMs, who: first.of, text, kind: "violation", fault: null } as const;
  return shortStory([...sim.story.lines, ...requestStory(recorder.events, [first]), violation], maxStoryLines, atMs);
}
