/**
 * A server of the small world: a replica and a disk, and what of it is under way. What always holds: the disk has what was
 * written to it, one job after another, and nothing else; a crash takes the memory and the jobs that are not done.
 */

import { cloneOf } from "../../../machines/clone.ts";
import { MemoryLog } from "../../../machines/log/memory-log.ts";
import type { SavedEpochs } from "../../../machines/replica/outbox.ts";
import type { Replica } from "../../../machines/replica/replica.ts";
import { inside } from "../../helpers/inside.ts";
import { factsOf } from "./facts.ts";

export type DiskJob =
  | { readonly type: "sync"; readonly through: number }
  | { readonly type: "truncate"; readonly after: number }
  | ({ readonly type: "saveEpoch" } & SavedEpochs)
  | { readonly type: "saveHistory"; readonly history: string };

/** Records are small here, and logs many. */
const arenaBytes = 1024;

export function emptyLog(): MemoryLog {
  return new MemoryLog(undefined, undefined, { arenaBytes });
}

export class SmallServer {
  readonly name: string;
  /** Starts so far. */
  lives = 0;
  nowMs = 0;
  /** Of the heartbeats that came; they are numbered as they come. */
  beats = 1_000;
  replica: Replica | null = null;
  /** It ended by itself, after it was told to stop. */
  hasStopped = false;
  epoch = 0;
  memberEpoch = 0;
  history = "";
  disk = emptyLog();
  jobs: readonly DiskJob[] = [];
  snapshot: { readonly peer: string; readonly session: string } | null = null;

  constructor(name: string) {
    this.name = name;
  }

  clone(): SmallServer {
    const copy = new SmallServer(this.name);
    copy.lives = this.lives;
    copy.nowMs = this.nowMs;
    copy.beats = this.beats;
    copy.replica = this.replica === null ? null : cloneOf(this.replica);
    copy.hasStopped = this.hasStopped;
    copy.epoch = this.epoch;
    copy.memberEpoch = this.memberEpoch;
    copy.history = this.history;
    copy.disk = this.disk;
    copy.jobs = this.jobs;
    copy.snapshot = this.snapshot;
    return copy;
  }

  /** All that decides how it goes on, but for the names that it will give. */
  get facts(): string {
    return JSON.stringify([
      [this.lives, this.hasStopped, this.epoch, this.memberEpoch, this.history],
      [this.disk.last, this.disk.closed, this.jobs],
      this.snapshot,
      this.replica && factsOf(this.replica, this.nowMs),
    ]);
  }
  /** How many names it has given: with equal ones and equal facts, it gives the same names. */
  get names(): string {
    const { replica } = this;
    return replica === null ? "" : `${inside(replica).core.given} ${inside(replica).core.membership.facts.writes}`;
  }

  // --- the disk ---------------------------------------------------------------------------------------------------

  addJob(job: DiskJob): void {
    const last = this.jobs.at(-1);
    if (job.type === "sync" && last?.type === "sync")
      this.jobs = [...this.jobs.slice(0, -1), { type: "sync", through: Math.max(job.through, last.through) }];
    else this.jobs = [...this.jobs, job];
  }

  /** Does the oldest job. */
  doJob(): DiskJob | undefined {
    const [job, ...rest] = this.jobs;
    this.jobs = rest;
    if (job !== undefined) this.#do(job);
    return job;
  }

  /** Does all that are not a sync, as if they took no time. */
  doQuickJobs(onEpochSaved: (saved: SavedEpochs) => void): void {
    for (const job of this.jobs) {
      if (job.type === "sync") continue;
      this.#do(job);
      if (job.type === "saveEpoch") onEpochSaved(job);
    }
    this.jobs = this.jobs.filter(({ type }) => type === "sync");
  }

  #do(job: DiskJob): void {
    switch (job.type) {
      case "sync":
        this.write(Math.min(job.through, this.replica?.log.closed.sequence ?? 0));
        return;
      case "truncate":
        this.truncate(job.after);
        return;
      case "saveEpoch":
        this.epoch = Math.max(this.epoch, job.epoch);
        this.memberEpoch = Math.max(this.memberEpoch, job.memberEpoch);
        return;
      case "saveHistory":
        this.history = job.history;
        return;
    }
  }

  /** Records that are in memory and not on the disk, if the disk's log is a part of memory's. */
  get unsynced(): number {
    const log = this.replica?.log;
    if (log === undefined || log.closed.sequence <= this.disk.last) return 0;
    return log.hashAt(this.disk.last) === this.disk.closed.hash ? log.closed.sequence - this.disk.last : 0;
  }

  write(through: number): void {
    const log = this.replica?.log;
    if (log === undefined || through <= this.disk.last || this.unsynced === 0) return;
    this.disk = this.disk.clone();
    for (const batch of log.batches(this.disk.last + 1, through)) this.disk.appendBatch(batch);
  }

  truncate(after: number): void {
    if (after >= this.disk.last) return;
    this.disk = this.disk.clone();
    this.disk.truncate(after);
  }

  /** Another server's committed log instead of its own. */
  adopt(log: MemoryLog, through: number, history: string): void {
    this.disk = emptyLog();
    if (through > 0) for (const batch of log.batches(1, through)) this.disk.appendBatch(batch);
    this.history = history;
  }

  /** The process ends; what is not on the disk is gone. */
  end(): void {
    this.replica = null;
    this.jobs = [];
    this.snapshot = null;
  }
}

/** From record 1 on. */
export function hashesOf(log: MemoryLog | null): readonly number[] {
  return Array.from({ length: log?.last ?? 0 }, (_, index) => log?.hashAt(index + 1) ?? 0);
}
