/**
 * The failover agent (claims 17-19): the ticks by which silence is judged, and the registry's questions and answers. What
 * always holds: it decides nothing; each answer goes to the replica once, with the time at which it came.
 */

import type { Outbox } from "../../machines/replica/outbox.ts";
import type { Replica } from "../../machines/replica/replica.ts";
import type { Settings } from "../../schemas/settings.ts";
import type { Actor, Mailbox } from "../actor.ts";
import type { Timer, World } from "../world/ports.ts";
import { StopNotice } from "./stop-notice.ts";

export interface FailoverParts {
  readonly settings: Settings;
  readonly world: World;
  readonly mailbox: Mailbox;
  readonly replica: Replica;
  /** The other actors' share of a tick. */
  readonly onTick: () => void;
}

export class FailoverActor implements Actor {
  readonly name = "failover";
  readonly #parts: FailoverParts;
  #tick: Timer | null = null;
  #wake: Timer | null = null;
  #wakeAtMs = Number.POSITIVE_INFINITY;
  readonly #stopNotice: StopNotice;
  #reads = 0;
  #writes = 0;

  constructor(parts: FailoverParts) {
    this.#parts = parts;
    this.#stopNotice = new StopNotice(parts.world.log);
  }

  start(): void {
    this.#scheduleTick();
  }

  stop(): void {
    this.#tick?.cancel();
    this.#wake?.cancel();
  }

  #scheduleTick(): void {
    const { mailbox, settings } = this.#parts;
    this.#tick = mailbox.after(settings.limits.heartbeatMs, () => {
      this.#scheduleTick();
      this.#onTick();
      this.#parts.onTick();
    });
  }

  #onTick(): void {
    const { clock } = this.#parts.world;
    const replica = this.#parts.replica;
    replica.onTick(clock.nowMs(), clock.wallMs());
    this.#stopNotice.onTick(replica, clock.nowMs());
  }

  wake(afterMs: number): void {
    const { world, mailbox } = this.#parts;
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
    const { world, mailbox, replica } = this.#parts;
    this.#reads += 1;
    mailbox.watch(world.registry.read(), (answer) => replica.onRegistryRead(answer, world.clock.nowMs()));
  }

  compareAndSet({ record, expectedRevision }: Extract<Outbox, { type: "compareAndSet" }>): void {
    const { world, mailbox, replica } = this.#parts;
    this.#writes += 1;
    mailbox.watch(world.registry.compareAndSet(record, expectedRevision), (answer) =>
      replica.onCasAnswer(record.writeId, answer, world.clock.nowMs()),
    );
  }

  onBus(connected: boolean): void {
    this.#parts.replica.onBus(connected, this.#parts.world.clock.nowMs());
  }

  report(): Record<string, unknown> {
    const replica = this.#parts.replica;
    return { ...replica.standing(), why: replica.why, reads: this.#reads, writes: this.#writes };
  }
}
