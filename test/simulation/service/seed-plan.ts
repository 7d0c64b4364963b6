/** What a seed decides before anything runs: who is there, their settings and limits, what clients do, how long. */

import type { AimedCrash } from "../../../actors/testing/world/boundaries.ts";
import { Rng } from "../../../actors/testing/world/rng.ts";
import type { Limits } from "../../../schemas/settings.ts";

/**
 * within: nothing is lost, and it recovers. beyond: it may stop or begin a new history, and never diverges.
 * registry: the registry goes backwards or is lost while no server is: nothing is lost, and an operator may be needed.
 */
export type FaultClass = "within" | "beyond" | "registry";

export interface SeedPlan {
  readonly seed: number;
  readonly faultClass: FaultClass;
  readonly servers: readonly string[];
  readonly workload: "exchange" | "ledger";
  /** Some of what clients ask for has a date. */
  readonly timers: boolean;
  readonly heartbeatMs: number;
  readonly suspicionMs: number;
  readonly flushMs: number;
  readonly registryTimeoutMs: number;
  readonly rememberReplies: number;
  readonly retainedBytes: number;
  readonly confirm: "memory" | "written" | "synced";
  /** What else is not as it is by default: small limits are reached. */
  readonly limits: Partial<Limits>;
  /** How many of a thousand requests have a handler that throws, rejects, never settles, or returns what it may not. */
  readonly misbehaving: number;
  readonly faultMs: number;
  readonly clients: number;
  /** Of one client, at most. */
  readonly requests: number;
  readonly isWide: boolean;
  readonly stopsAtEnd: boolean;
  readonly afterTotalLoss: "longest" | "wait";
  /** These kinds of faults and no others; else the seed chooses. */
  readonly faults?: readonly string[];
  /** Planned crashes are at this boundary; else each draws its own. */
  readonly crash?: AimedCrash;
  /** These occurrences of faults and no others. */
  readonly only?: readonly number[];
}

export const serverNames = ["alpha", "beta", "gamma", "delta"] as const;
const maxRequests = 300;
const KiB = 1024;

export function planOf(seed: number, fixed: Partial<SeedPlan> = {}): SeedPlan {
  const rng = new Rng(seed, "plan");
  const heartbeatMs = rng.pick([30, 50, 100]);
  const servers = rng.pick([2, 2, 2, 3, 3, 4]);
  const plan: SeedPlan = {
    seed,
    faultClass: rng.pick(["within", "within", "within", "within", "within", "within", "within", "beyond", "registry"]),
    servers: serverNames.slice(0, servers),
    workload: rng.chance(0.6) ? "exchange" : "ledger",
    timers: rng.stream("timers").chance(0.4),
    heartbeatMs,
    suspicionMs: heartbeatMs * rng.pick([4, 5, 8]),
    flushMs: rng.pick([20, 100, 200, 1_000]),
    registryTimeoutMs: rng.pick([200, 400, 1_000]),
    rememberReplies: rng.pick([20, 200, 10_000]),
    retainedBytes: rng.pick([0, 2_000, 1_000_000]),
    confirm: rng.pick(["memory", "memory", "memory", "memory", "written", "synced"]),
    limits: {},
    misbehaving: 0,
    faultMs: rng.int(2_000, 8_000),
    clients: rng.int(1, 4),
    requests: maxRequests,
    isWide: rng.chance(0.15),
    stopsAtEnd: rng.chance(0.3),
    afterTotalLoss: "longest",
  };
  const more = rng.stream("limits");
  return {
    ...plan,
    misbehaving: more.pick([0, 0, 0, 5, 30]),
    limits: { ...limitsOf(more, plan), ...asideOf(more, { ...plan, ...fixed }) },
    ...fixed,
  };
}

/** Where new histories begin, some seeds have no room for what they do not hold: who would have to set it aside stays out. */
function asideOf(rng: Rng, { faultClass }: SeedPlan): Partial<Limits> {
  return faultClass === "beyond" ? { maxAsideCopies: rng.stream("aside").pick([8, 8, 0]) } : {};
}

/** One time in three a limit is so small that it is reached. */
function limitsOf(rng: Rng, { suspicionMs }: SeedPlan): Partial<Limits> {
  const patient = Math.max(1_000, 2 * suspicionMs);
  const isNarrow = rng.chance(1 / 3);
  const isForgetful = rng.chance(1 / 4);
  const hasSmallBatches = isNarrow && rng.stream("batches").chance(1 / 4);
  return {
    maxInFlight: rng.pick([65_536, 65_536, 16, 3]),
    maxWaitingRefusals: rng.pick([4_096, 4_096, 4]),
    ...(isNarrow ? { maxRequestBytes: 512, maxRecordBytes: KiB } : {}),
    maxUnsyncedBytes: rng.pick([8 * KiB * KiB, 8 * KiB * KiB, 4 * KiB]),
    stalledBackupMs: rng.pick([patient, patient, suspicionMs]),
    cautionMs: rng.pick([50, 50, 0, 1_000]),
    ...(isForgetful ? { rememberMs: 10_000, maxFutureMs: 9_000 } : {}),
    handlerMs: rng.pick([5_000, 300]),
    ...(hasSmallBatches ? { maxBatchBytes: 8 * KiB } : {}),
    registryLostMs: rng.pick([15_000, 15_000, 2_000]),
    // What a joiner is sent is more than it applies in a turn.
    ...(rng.stream("unapplied").chance(1 / 3) ? { maxUnappliedRecords: 16 } : {}),
    // Most replies that are remembered are on the disk only.
    ...(rng.stream("remembered").chance(1 / 3) ? { maxRememberedBytes: KiB } : {}),
    // Fewer floors than clients: the common one is lifted.
    ...(rng.stream("clients").chance(1 / 3) ? { rememberClients: 2, skewMs: 0 } : {}),
  };
}
