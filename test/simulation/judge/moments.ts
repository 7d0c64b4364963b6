/** Interesting moments of a run, counted: what no seed ever met was not tested, and CI says so. */
import { type BoundaryName, boundaryNames } from "../../../actors/testing/world/boundaries.ts";

/** At each I/O boundary a server died, before the call had its effect and after it. */
type CrashMoment = `crash ${"before" | "after"} ${BoundaryName}`;

const crashMoments = boundaryNames.flatMap((name): CrashMoment[] => [`crash before ${name}`, `crash after ${name}`]);

export const momentNames = [
  "two servers",
  "three servers",
  "four servers",
  "exchange",
  "ledger",
  "client sent again",
  "client reused an id",
  "client sent late",
  "client went away",
  "server killed",
  "machine without power",
  "crash at an I/O boundary",
  ...crashMoments,
  "server paused",
  "server started twice",
  "disk failed",
  "disk full",
  "disk slow",
  "disk damaged",
  "old disk restored",
  "disk lost",
  "main link cut",
  "main link cut one way",
  "main link reset",
  "failsafe faulty",
  "NATS cut from one server",
  "broker crashed",
  "burst of requests",
  "JetStream away",
  "registry full",
  "broker takes less",
  "result stood in for",
  "reply stood in for",
  "result replayed in pieces",
  "result forbidden",
  "reply or status forbidden",
  "subscription forbidden",
  "wall clock jumped",
  "client's clock jumped",
  "NATS split in two",
  "stale registry read",
  "integrator slow",
  "another version started",
  "newer version started",
  "state migrated",
  "old program went hot",
  "operator: roles switched",
  "operator: intake paused",
  "operator: intake goes on",
  "operator: flushed",
  "operator: recovered by force",
  "operator: clock taken for right",
  "status: a failover would work",
  "name used twice",
  "handler threw",
  "handler rejected",
  "handler never settled",
  "handler returned what is forbidden",
  "request too large",
  "record too large",
  "refused as busy",
  "refused as expired",
  "refused as out of order",
  "reused id refused",
  "request poisoned",
  "registry rolled back",
  "registry deleted",
  "registry restored",
  "backup far from applied",
  "commits wait for a joiner",
  "reply read again",
  "compare-and-set landed late",
  "compare-and-set answer lost",
  "compare-and-set won",
  "both race a compare-and-set",
  "crash between sync and compare-and-set",
  "takeover",
  "alone on disk",
  "joined",
  "new history",
  "store set aside",
  "backup restored",
  "three failures in a chain",
  "both links cut",
  "server stopped on purpose",
  "killed on a join",
  "request that kills",
  "request that does not come back",
  "duplicate answered",
  "request refused",
  "query answered",
  "timer came",
  "clean stop of all",
  "clean stop while one joins",
  "duplicate of a pending request",
  "both links deliver",
  "mirror changed links",
  "snapshot asked for",
  "snapshot interrupted",
  "inherited tail",
  "uncommitted tail dropped",
] as const;

export type Moment = (typeof momentNames)[number];

export class Moments {
  readonly counts = new Map<string, number>();
  readonly #listeners = new Map<Moment, Set<() => void>>();

  count(moment: Moment, times = 1): void {
    if (times === 0) return;
    this.counts.set(moment, (this.counts.get(moment) ?? 0) + times);
    for (const run of this.#listeners.get(moment) ?? []) run();
  }

  /** Returns what ends it. */
  whenCounted(moment: Moment, run: () => void): () => void {
    const listeners = this.#listeners.get(moment) ?? new Set();
    this.#listeners.set(moment, listeners.add(run));
    return () => listeners.delete(run);
  }

  forgetListeners(): void {
    this.#listeners.clear();
  }

  add(other: Readonly<Record<string, number>>): void {
    for (const [name, times] of Object.entries(other)) this.counts.set(name, (this.counts.get(name) ?? 0) + times);
  }

  toJSON(): Record<string, number> {
    return Object.fromEntries(this.counts);
  }
}
