/**
 * One life of a server: from reading its disk to its end, under one incarnation (rule 1). What always holds: the actors are
 * made when the disk was read, and before that there is nobody to tell (running-life.ts); whatever ends a life (an exit, a
 * restart, a failure) tears down all its actors; what was said to the world before that is all that was said.
 */

import { shippedRules } from "../machines/replica/rules.ts";
import type { CheckpointMeta } from "../schemas/checkpoint.ts";
import { Mailbox } from "./actor.ts";
import { schemaDigest } from "./application/define.ts";
import { messageOf } from "./application/errors.ts";
import { stackOf } from "./bounded-lines.ts";
import { Checkpoint } from "./checkpoint/checkpoint.ts";
import type { LifeEnd, LifeOptions } from "./life-options.ts";
import { Loader, whyUnreadable } from "./loader.ts";
import { RunningLife, type RunningLifeOptions } from "./running-life.ts";

/**
 * What a turn may hold. A socket gives some 250 requests at a time: in turns of this size the backup confirms the first of them while
 * the next are run. Smaller ones cost more in messages than they gain.
 */
const maxTurnInputs = 64;
const maxTurnMs = 5;

export class Life {
  readonly ended: Promise<LifeEnd>;
  readonly incarnation: string;
  readonly #options: RunningLifeOptions["life"];
  readonly #mailbox: Mailbox;
  readonly #loader: Loader;
  readonly #checkpoint: Checkpoint;
  #running: RunningLife | null = null;
  #end: (end: LifeEnd) => void = () => {};
  #isEnding = false;

  constructor(options: LifeOptions) {
    const { settings, world, application, rules = shippedRules } = options;
    this.#options = { ...options, rules };
    this.incarnation = options.nameIncarnation?.() ?? world.clock.randomId();
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    const handlers = {
      onTurnEnd: (goesOn: boolean) => this.#running?.onTurnEnd(goesOn),
      onError: (error: Error) => {
        // Whoever reads a store that has failed may hear it before the replica does: the same end, told once (rule 14).
        if (this.#checkpoint.isFailure(error)) {
          this.#finish({ reason: "failed", error: new Error(diskFailed(error.cause ?? error)) });
          return;
        }
        const { cause = error } = error;
        world.log.error({ error: error.message, stack: stackOf(cause) }, "an error ends this life");
        this.#finish({ reason: "failed", error });
      },
    };
    this.#mailbox = new Mailbox(world.clock, handlers, {
      maxTurnInputs,
      maxTurnMs,
      maxRunMs: settings.limits.heartbeatMs / 2,
      onLongRun: () => this.#running?.onLongRun(),
    });
    const identity = {
      service: settings.service,
      server: settings.server,
      whyUnreadable: (meta: CheckpointMeta) => whyUnreadable(meta, application),
    };
    this.#checkpoint = new Checkpoint({
      store: world.store,
      clock: world.clock,
      identity,
      handlers: {
        onSynced: (sequence) => this.#running?.onSynced(sequence),
        onWritten: (sequence) => this.#running?.onWritten(sequence),
        onFailure: (error) => {
          world.log.error({ error: error.message }, "the disk failed");
          this.#running?.onDiskFailed(diskFailed(error));
        },
      },
      asideLimits: settings.limits,
      rules,
    });
    this.#loader = new Loader({
      identity,
      schema: schemaDigest(application),
      clock: world.clock,
      application,
      rules,
      maxBatchBytes: settings.limits.maxBatchBytes,
      rememberClients: settings.limits.rememberClients,
      maxRememberedBytes: settings.limits.maxRememberedBytes,
    });
  }

  /** Null until the disk was read. */
  get running(): RunningLife | null {
    return this.#running;
  }

  /** Reads the disk, then takes part. Errors end the life. */
  async begin(): Promise<LifeEnd> {
    try {
      const loaded = await this.#loader.open(this.#checkpoint, this.incarnation);
      if (this.#isEnding) return await this.ended;
      this.#running = new RunningLife({
        life: this.#options,
        incarnation: this.incarnation,
        mailbox: this.#mailbox,
        checkpoint: this.#checkpoint,
        loader: this.#loader,
        loaded,
        onEnd: (end) => this.#finish(end),
      });
      this.#running.start();
    } catch (error) {
      this.#finish({ reason: "failed", error: error instanceof Error ? error : new Error(String(error)) });
    }
    return await this.ended;
  }

  /** A clean stop: it exits once nothing counts on this server (PROTOCOL.md, clean stop). */
  stop(): void {
    if (this.#running === null) this.#finish({ reason: "exit" });
    else this.#running.stop();
  }

  #finish(end: LifeEnd): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    void this.#tearDown(end).then(this.#end, (error: unknown) =>
      this.#end({ reason: "failed", error: error as Error }),
    );
  }

  async #tearDown(end: LifeEnd): Promise<LifeEnd> {
    this.#running?.tearDown();
    this.#mailbox.close();
    this.#options.troubles.onLifeEnded();
    if (end.reason === "exit") await this.#running?.flushLast();
    const late = await this.#checkpoint.close();
    if (late !== null)
      this.#options.world.log.error(
        { error: late.message },
        "the disk failed when this life was over: what it still had to write is not there",
      );
    return end;
  }
}

function diskFailed(why: unknown): string {
  return `the disk failed: ${messageOf(why)}`;
}
