/**
 * The failover agent (claims 17-19): the ticks by which silence is judged, and the registry's questions and answers. What
 * always holds: it decides nothing; each answer goes to the replica once, with the time at which it came.
 */

import type { Outbox } from "../../machines/replica/outbox.ts";
import type { Replica } from "../../machines/replica/replica.ts";
import type { Settings } from "../../schemas/settings.ts";
import type { Actor, Mailbox } from "../actor.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import type { Meters } from "../operator/meters.ts";
import type { Timer, World } from "../world/ports.ts";
import { StopNotice } from "./stop-notice.ts";

export interface FailoverOptions {
  readonly settings: Settings;
  readonly world: World;
  readonly mailbox: Mailbox;
  readonly replica: Replica;
  readonly checkpoint: Pick<Checkpoint, "givesWay">;
  readonly meters: Meters;
  /** The other actors' share of a tick. */
  readonly onTick: () => void;
}

export class FailoverActor implements Actor {
  readonly name = "failover";
  readonly #options: FailoverOptions;
  #tick: Timer | null = null;
  #wake: Timer | null = null;
  #wakeAtMs = Number.POSITIVE_INFINITY;
  readonly #stopNotice: StopNotice;
  #reads = 0;
  #writes = 0;

  constructor(options: FailoverOptions) {
    this.#options = options;
    this.#stopNotice = new StopNotice(options.world.log);
  }

  start(): void {
    this.#scheduleTick();
  }

  stop(): void {
    this.#tick?.cancel();
    this.#wake?.cancel();
  }

  #scheduleTick(): void {
    const { mailbox, settings } = this.#options;
    this.#tick = mailbox.after(settings.limits.heartbeatMs, () => {
      this.#scheduleTick();
      this.#onTick();
      this.#options.onTick();
    });
  }

  #onTick(): void {
    const { clock } = this.#options.world;
    const replica = this.#options.replica;
    replica.onTick(clock.nowMs(), clock.wallMs());
    this.#stopNotice.onTick(replica, clock.nowMs());
  }

  wake(afterMs: number): void {
    const { world, mailbox } = this.#options;
    const atMs = world.clock.nowMs() + afterMs;
    if (atMs >= this.#wakeAtMs) return;
    this.#wake?.cancel();
    this.#wakeAtMs = atMs;
    this.#wake = mailbox.after(afterMs, () => {
      this.#wakeAtMs = Number.POSITIVE_INFINITY;
      this.#onTick();
    });
  }

  readRegistry(): void {
    const { world, mailbox, replica, meters } = this.#options;
    this.#reads += 1;
    mailbox.watch(world.registry.read(), (answer) => {
      meters.onRegistry(answer, world.clock.wallMs());
      replica.onRegistryRead(answer, world.clock.nowMs());
    });
  }

  compareAndSet({ record, expectedRevision }: Extract<Outbox, { type: "compareAndSet" }>): void {
    const { world, mailbox, replica, checkpoint, meters } = this.#options;
    // In a moment this is another incarnation, with what a snapshot brought: what this one asks for must not land.
    if (checkpoint.givesWay) return;
    this.#writes += 1;
    mailbox.watch(world.registry.compareAndSet(record, expectedRevision), (answer) => {
      meters.onRegistry(answer, world.clock.wallMs());
      replica.onCasAnswer(record.writeId, answer, world.clock.nowMs());
    });
  }

  onBus(connected: boolean): void {
    this.#options.replica.onBus(connected, this.#options.world.clock.nowMs());
  }

  report(): Record<string, unknown> {
    const replica = this.#options.replica;
    return { ...replica.standing(), why: replica.why, reads: this.#reads, writes: this.#writes };
  }
}
