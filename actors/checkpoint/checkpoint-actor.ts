/**
 * When to flush, and with what (claims 6, 28, 29; machines/checkpoint/flush-policy.ts decides). What always holds: tables
 * and queues on disk stop at the commit point; the replica says what goes with a flush and what of the log must stay on
 * disk; memory lets go only of what is on disk.
 */
import { flushReason } from "../../machines/checkpoint/flush-policy.ts";
import type { Replica } from "../../machines/replica/replica.ts";
import type { Settings } from "../../schemas/settings.ts";
import type { Actor, Mailbox } from "../actor.ts";
import type { Durations } from "../operator/durations.ts";
import type { World } from "../world/ports.ts";
import type { Checkpoint } from "./checkpoint.ts";

export interface CheckpointActorOptions {
  readonly settings: Settings;
  readonly world: World;
  readonly mailbox: Mailbox;
  readonly replica: Replica;
  readonly checkpoint: Checkpoint;
  readonly durations: Durations;
  readonly onFlushed: (applied: number, digest: string) => void;
}

export class CheckpointActor implements Actor {
  readonly name = "checkpoint";
  readonly #options: CheckpointActorOptions;
  #flushedMs: number;
  #flushing: Promise<void> | null = null;
  #asked: (() => void)[] = [];

  constructor(options: CheckpointActorOptions) {
    this.#options = options;
    this.#flushedMs = options.world.clock.nowMs();
  }

  start(): void {}
  stop(): void {}

  /** This server has gone hot: its clients' first requests need the disk now, the next flush can wait its usual time. */
  onHot(): void {
    this.#flushedMs = this.#options.world.clock.nowMs();
  }

  /** Resolves when a flush that began after this call is on the disk. */
  flush(): Promise<void> {
    return new Promise((done) => {
      this.#asked.push(done);
      this.#options.mailbox.touch();
    });
  }

  /** After each turn. */
  consider(): void {
    const { replica, checkpoint, settings, world } = this.#options;
    if (this.#flushing !== null || checkpoint.state !== "idle") return;
    const { log, flushable: through } = replica;
    // A state that was built again from an earlier flush comes to this one's end soon.
    if (through === null || through < checkpoint.applied) return;
    const records = through - checkpoint.applied;
    if (records <= 0 && this.#asked.length === 0) return;
    const { flushMs, flushRecords, flushBytes, maxUnsyncedBytes } = settings.limits;
    const unsynced = log.bytesAbove(checkpoint.synced);
    const reason = flushReason(
      {
        records,
        bytes: unsynced,
        sinceFlushMs: world.clock.nowMs() - this.#flushedMs,
        memoryPressure: unsynced >= maxUnsyncedBytes,
        isAsked: this.#asked.length > 0,
      },
      { flushMs, flushRecords, flushBytes },
    );
    if (reason !== null) this.#begin(through);
  }

  #begin(through: number): void {
    const { mailbox, world } = this.#options;
    const asked = this.#asked;
    this.#asked = [];
    this.#flushedMs = world.clock.nowMs();
    const work = this.#run(through);
    this.#flushing = work;
    mailbox.watch(
      work,
      () => {
        this.#flushing = null;
        for (const done of asked) done();
      },
      () => {
        // The checkpoint agent reports its own failure, once (rule 14).
        this.#flushing = null;
      },
    );
  }

  async #run(committed: number): Promise<void> {
    const { replica, checkpoint, world } = this.#options;
    const sinceMs = world.clock.nowMs();
    const report = await checkpoint.flush(replica.flushPoint(committed));
    this.#options.durations.observe(world.clock.nowMs() - sinceMs);
    const { digest, queues, floorMs, floors } = checkpoint.meta ?? {};
    this.#options.onFlushed(report.applied, JSON.stringify([digest, queues, floorMs, floors]));
    replica.onFlushed(report.applied, checkpoint.meta?.firstRetained ?? 1, world.clock.nowMs());
  }

  /** At a clean stop: all that is committed, before the store is closed. */
  async last(): Promise<void> {
    await this.#flushing?.catch(() => undefined);
    const { replica, checkpoint } = this.#options;
    const { flushable } = replica;
    if (checkpoint.state === "idle" && flushable !== null && flushable >= checkpoint.applied)
      await this.#run(flushable);
  }

  report(): Record<string, unknown> {
    const { checkpoint } = this.#options;
    const { state, applied, synced, written, meta } = checkpoint;
    return { state, applied, synced, written, flushes: meta?.flushes ?? 0 };
  }
}
