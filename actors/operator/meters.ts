/**
 * What a server counts and measures for operators, from one life to the next. What always holds: it is fed where the thing happens,
 * a plain number or a place in an array each, and read when somebody asks; nothing is decided by it.
 */
import { Tally } from "../../machines/replica/tally.ts";
import type { RegistryRead, RegistryWrite } from "../../schemas/registry.ts";
import { answerBounds } from "../../schemas/status.ts";
import type { BusFault } from "../world/ports.ts";
import { Durations } from "./durations.ts";

/** Seconds. */
const mirrorBounds = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1];
const failoverBounds = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const diskBounds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** lost: from a primary that was lost. switch: a planned one. start: nobody was the primary. */
export const takeoverReasons = ["lost", "switch", "start"] as const;
export type TakeoverReason = (typeof takeoverReasons)[number];

export const registryOutcomes = ["found", "missing", "unavailable", "won", "lost", "unknown"] as const;
export const faultKinds = [
  "publish",
  "subscribe",
  "size",
  "cutOff",
  "lost",
] as const satisfies readonly BusFault["kind"][];

export class Meters {
  readonly tally = new Tally();
  /** From the arrival of a request at this server to its answer. */
  readonly requests = new Durations(answerBounds);
  /** From a batch's way to a backup to its confirm. */
  readonly mirrors = new Durations(mirrorBounds);
  /** Of tables and queues, with the log, to the disk. */
  readonly flushes = new Durations(diskBounds);
  /** From the wish to have records on the disk to their being there. */
  readonly syncs = new Durations(diskBounds);
  /** From a lost primary's last word to this server's being ready in its place. */
  readonly failoverGaps = new Durations(failoverBounds);
  readonly takeovers: Record<TakeoverReason, number> = { lost: 0, switch: 0, start: 0 };
  readonly registry = { found: 0, missing: 0, unavailable: 0, won: 0, lost: 0, unknown: 0 };
  readonly faults: Record<BusFault["kind"], number> = { publish: 0, subscribe: 0, size: 0, cutOff: 0, lost: 0 };
  /** When it gave no answer the last time, ms since 1970; 0: it always did. */
  registryErrorMs = 0;
  /** Requests that came, refused ones and duplicates too. */
  received = 0;
  queries = 0;
  handlerFailures = 0;
  lives = 0;

  onEvent(from: string, to: string): void {
    if (!to.startsWith("hot.") || from.startsWith("hot.")) return;
    this.takeovers[reasonOf(from)] += 1;
  }
  onRegistry({ outcome }: RegistryRead | RegistryWrite, wallMs: number): void {
    this.registry[outcome] += 1;
    if (outcome === "unavailable" || outcome === "unknown") this.registryErrorMs = wallMs;
  }
  onFault({ kind }: BusFault): void {
    this.faults[kind] += 1;
  }
}

export function reasonOf(from: string): TakeoverReason {
  if (from.startsWith("candidate")) return "lost";
  return from === "receiving" || from === "following.unsettled" ? "switch" : "start";
}
