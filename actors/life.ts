/**
 * One life of a server: from reading its disk to its end, under one incarnation (rule 1). It composes the actors and
 * performs the replica's outbox, in its order. What always holds: whatever ends a life (an exit, a restart, a failure)
 * tears down all its actors; what was said to the world before that is all that was said.
 */

import type { Outbox, SavedEpochs } from "../machines/replica/outbox.ts";
import { Replica } from "../machines/replica/replica.ts";
import { type Rules, shippedRules } from "../machines/replica/rules.ts";
import type { LastWords } from "../schemas/death.ts";
import type { Settings } from "../schemas/settings.ts";
import { subjects } from "../schemas/subjects.ts";
import { Stage } from "./actor.ts";
import { ApplicationActor } from "./application/application-actor.ts";
import type { Application } from "./application/define.ts";
import { schemaDigest } from "./application/define.ts";
import { AsideWatch } from "./checkpoint/aside.ts";
import { Checkpoint } from "./checkpoint/checkpoint.ts";
import { CheckpointActor } from "./checkpoint/checkpoint-actor.ts";
import { FailoverActor } from "./failover/failover-actor.ts";
import { Loader } from "./loader.ts";
import { type Observer, Watcher } from "./observer.ts";
import { BrokerWatch } from "./operator/broker-watch.ts";
import { OperatorActor } from "./operator/operator-actor.ts";
import type { Troubles } from "./operator/troubles.ts";
import { ReplicationActor } from "./replication/replication-actor.ts";
import { wholeLog } from "./stored-log.ts";
import type { BusFault, LinkKind, World } from "./world/ports.ts";

export interface LifeOptions {
  readonly settings: Settings;
  readonly application: Application;
  readonly world: World;
  readonly process: { pid: number; version: string };
  /** The server's, from one life to the next. */
  readonly troubles: Troubles;
  /** Only for those who break a rule on purpose. */
  readonly rules?: Rules;
  readonly observer?: Observer;
  /** What ended servers of this service, as far as this process was told. */
  readonly lastWords?: readonly LastWords[];
  /** Names each life; a random id if it is not given. */
  readonly nameIncarnation?: () => string;
}

export type LifeEnd = { reason: "restart" } | { reason: "exit" } | { reason: "failed"; error: Error };

export class Life {
  readonly ended: Promise<LifeEnd>;
  readonly incarnation: string;
  readonly #options: LifeOptions;
  readonly #rules: Rules;
  readonly #stage: Stage;
  readonly #loader: Loader;
  readonly #checkpoint: Checkpoint;
  readonly #application: ApplicationActor;
  readonly #flushes: CheckpointActor;
  readonly #replication: ReplicationActor;
  readonly #failover: FailoverActor;
  readonly #operator: OperatorActor;
  readonly #broker: BrokerWatch;
  readonly #aside: AsideWatch;
  #replica: Replica | null = null;
  #watcher: Watcher | null = null;
  #end: (end: LifeEnd) => void = () => {};
  #isEnding = false;

  constructor(options: LifeOptions) {
    const { settings, world, application, process } = options;
    this.#options = options;
    this.#rules = options.rules ?? shippedRules;
    const rules = this.#rules;
    this.incarnation = options.nameIncarnation?.() ?? world.clock.randomId();
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    const handlers = {
      onTurnEnd: () => this.#onTurnEnd(),
      onError: (error: Error) => this.#finish({ reason: "failed", error }),
    };
    this.#stage = new Stage(world.clock, handlers, {
      maxTurnMs: settings.limits.heartbeatMs / 2,
      onLongTurn: () => this.#replica?.onLongTurn(world.clock.nowMs()),
    });
    const stage = this.#stage;
    const replica = () => this.replica;
    const identity = { service: settings.service, server: settings.server, schema: schemaDigest(application) };
    this.#checkpoint = new Checkpoint({
      store: world.store,
      clock: world.clock,
      identity,
      handlers: {
        onSynced: (sequence) => this.#input((replica) => replica.onSynced(sequence, world.clock.nowMs())),
        onWritten: (sequence) => this.#input((replica) => replica.onWritten(sequence, world.clock.nowMs())),
        onFailure: (error) => this.#onDiskFailed(error),
      },
      asideLimits: settings.limits,
      rules,
    });
    const checkpoint = this.#checkpoint;
    this.#application = new ApplicationActor({
      application,
      settings,
      world,
      stage,
      replica,
      rules,
      committedLog: (from) => wholeLog(checkpoint, this.replica.log, from, this.replica.committed),
      loadState: () => this.#reload(),
    });
    this.#flushes = new CheckpointActor({
      settings,
      world,
      stage,
      replica,
      checkpoint,
      onFlushed: (sequence, digest) => this.#watcher?.onFlushed(this.replica.history, sequence, digest),
    });
    this.#replication = new ReplicationActor({
      settings,
      world,
      stage,
      replica,
      checkpoint,
      flush: () => this.#flushes.flush(),
      troubles: options.troubles,
      onAdopted: () => this.#finish({ reason: "restart" }),
    });
    this.#failover = new FailoverActor({ settings, world, stage, replica, onTick: () => this.#onTick() });
    this.#loader = new Loader({
      identity,
      clock: world.clock,
      application: this.#application,
      rules,
      maxBatchBytes: settings.limits.maxBatchBytes,
      rememberClients: settings.limits.rememberClients,
    });
    const delivery = () => this.#application.delivery;
    this.#aside = new AsideWatch({ settings, world, stage, troubles: options.troubles });
    this.#broker = new BrokerWatch({ settings, world, stage, troubles: options.troubles, delivery });
    this.#operator = new OperatorActor({
      settings,
      world,
      stage,
      replica,
      process,
      troubles: options.troubles,
      actors: [this.#application, this.#replication, this.#flushes, this.#failover],
      flush: () => this.#flushes.flush(),
      facts: () => ({
        application: this.#application.process,
        flushed: checkpoint.applied,
        synced: Math.max(checkpoint.synced, this.replica.synced),
        links: {
          main: this.replica.isAnyUp("main") ? "up" : "down",
          failsafe: this.replica.isAnyUp("failsafe") ? "up" : "down",
        },
      }),
    });
  }

  get replica(): Replica {
    if (this.#replica === null) throw new Error("this life has not begun");
    return this.#replica;
  }
  get hasBegun(): boolean {
    return this.#replica !== null;
  }
  get application(): ApplicationActor {
    return this.#application;
  }
  get checkpoint(): Checkpoint {
    return this.#checkpoint;
  }

  /** Reads the disk, then takes part. Errors end the life. */
  async begin(): Promise<LifeEnd> {
    const { settings, world } = this.#options;
    try {
      const loaded = await this.#loader.open(this.#checkpoint, this.incarnation);
      if (this.#isEnding) return await this.ended;
      this.#application.loaded(loaded.state, loaded.recovered.requests.through);
      this.#replica = new Replica(
        {
          self: { server: settings.server, incarnation: this.incarnation },
          service: settings.service,
          servers: settings.servers.map(({ name }) => name),
          schema: this.#loader.schema,
          limits: settings.limits,
          confirm: settings.confirm,
          afterTotalLoss: settings.afterTotalLoss,
          rules: this.#rules,
        },
        loaded.recovered,
        world.clock.nowMs(),
      );
      for (const words of this.#options.lastWords ?? []) this.replica.onLastWords(words, world.clock.nowMs());
      if (this.#options.observer !== undefined) this.#watcher = new Watcher(this.#options.observer, this.#replica);
      this.#stage.input(() => this.#start());
    } catch (error) {
      this.#finish({ reason: "failed", error: error instanceof Error ? error : new Error(String(error)) });
    }
    return await this.ended;
  }

  #start(): void {
    const { world } = this.#options;
    this.#application.start();
    this.#replication.start();
    this.#failover.start();
    this.#operator.start();
    this.#failover.onBus(world.bus.connected());
    this.#broker.onBus(world.bus.connected());
    this.#aside.start();
    this.replica.start(world.clock.nowMs());
  }

  /** A clean stop: it exits once nothing counts on this server (PROTOCOL.md, clean stop). */
  stop(): void {
    if (this.#replica === null) this.#finish({ reason: "exit" });
    else this.#stage.input(() => this.replica.onStop(this.#options.world.clock.nowMs()));
  }

  #onTick(): void {
    this.#application.onTick();
    this.#replication.onTick();
    this.#broker.onTick();
    this.#aside.onTick();
    this.#operator.onTick();
  }

  #onTurnEnd(): void {
    const { clock } = this.#options.world;
    if (this.#replica === null) return;
    this.#application.beforeTurnEnd();
    this.replica.endTurn(clock.nowMs(), clock.wallMs());
    this.#watcher?.onTurn(this.replica);
    this.#drain();
    if (!this.#stage.isOpen) return;
    this.#application.afterTurnEnd();
    this.#flushes.consider();
  }

  #drain(): void {
    const { outbox } = this.replica;
    for (let at = 0; at < outbox.length && this.#stage.isOpen; at += 1) {
      const entry = outbox[at] as Outbox;
      this.#watcher?.onEntry(entry, this.replica);
      this.#perform(entry);
    }
    outbox.length = 0;
  }

  #perform(entry: Outbox): void {
    const { world } = this.#options;
    const stage = this.#stage;
    const checkpoint = this.#checkpoint;
    switch (entry.type) {
      case "send":
        this.#replication.send(entry);
        return;
      case "append":
        checkpoint.append(entry.batches);
        return;
      case "sync":
        checkpoint.sync(entry.through);
        return;
      case "write":
        checkpoint.write(entry.through);
        return;
      case "saveEpoch":
        this.#saveEpoch(entry);
        return;
      case "saveHistory":
        stage.watch(saveHistory(checkpoint, entry), ignore, ignore);
        return;
      case "truncate":
        stage.watch(checkpoint.truncate(entry.after), ignore, ignore);
        return;
      case "compareAndSet":
        this.#failover.compareAndSet(entry);
        return;
      case "readRegistry":
        this.#failover.readRegistry();
        return;
      case "wake":
        this.#failover.wake(entry.afterMs);
        return;
      case "apply":
        this.#application.apply(entry);
        return;
      case "reload":
        this.#application.outdated();
        return;
      case "readLog":
        this.#replication.readLog(entry);
        return;
      case "sendSnapshot":
        this.#replication.sendSnapshot(entry.peer, entry.session);
        return;
      case "receiveSnapshot":
        this.#replication.receiveSnapshot(entry.peer, entry.session);
        return;
      case "hot":
        this.#application.goHot(entry.publishAfter);
        this.#flushes.onHot();
        stage.touch();
        return;
      case "cold":
        this.#application.goCold();
        return;
      case "ready":
        world.bus.publish(subjects.signal(this.#options.settings.service), Buffer.from(JSON.stringify(entry.signal)));
        return;
      case "event":
        this.#operator.onEvent(entry);
        return;
      case "restart":
        this.#finish({ reason: "restart" });
        return;
      case "exit":
        this.#finish({ reason: "exit" });
        return;
      case "fail":
        this.#finish({ reason: "failed", error: new Error(entry.why) });
        return;
    }
  }

  /** The state in memory holds what was not committed: it is built again from this server's own disk and log. */
  #reload(): void {
    this.#stage.watch(this.#loader.again(this.#checkpoint), ({ state, requests }) => {
      this.#application.loaded(state, requests.through);
      this.replica.onReloaded(requests, this.#options.world.clock.nowMs());
    });
  }

  #saveEpoch(epochs: SavedEpochs): void {
    const { epoch, memberEpoch, syncedEpoch, record } = epochs;
    const onSaved = () => {
      this.#watcher?.onEpoch(epoch);
      this.replica.onEpochSaved(epochs, this.#options.world.clock.nowMs());
    };
    const patch = { epoch, memberEpoch, syncedEpoch, ...(record === undefined ? {} : { record }) };
    this.#stage.watch(this.#checkpoint.saveMeta(patch), onSaved, ignore);
  }

  #onDiskFailed(error: Error): void {
    const { log, clock } = this.#options.world;
    log.error({ error: error.message }, "the disk failed");
    this.#input((replica) => replica.onDiskFailed(`the disk failed: ${error.message}`, clock.nowMs()));
  }

  #finish(end: LifeEnd): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    void this.#tearDown(end).then(this.#end, (error: unknown) =>
      this.#end({ reason: "failed", error: error as Error }),
    );
  }

  async #tearDown(end: LifeEnd): Promise<LifeEnd> {
    if (this.#replica !== null) this.#operator.stop();
    this.#stage.close();
    this.#options.troubles.onLifeEnded();
    for (const actor of [this.#application, this.#replication, this.#failover]) actor.stop();
    if (end.reason === "exit" && this.#replica !== null) await this.#flushes.last();
    await this.#checkpoint.close();
    return end;
  }

  /** Before the disk was read there is nobody to tell. */
  #input(handle: (replica: Replica) => void): void {
    const replica = this.#replica;
    if (replica !== null) this.#stage.input(() => handle(replica));
  }

  // --- what the world says ----------------------------------------------------------------------------------------

  onBus(connected: boolean): void {
    this.#input(() => {
      this.#failover.onBus(connected);
      this.#application.onBus(connected);
      this.#broker.onBus(connected);
    });
  }
  onFault(fault: BusFault): void {
    this.#input(() => {
      this.#application.onFault(fault);
      this.#broker.onFault(fault);
    });
  }
  onFrame(kind: LinkKind, peer: string, frame: Uint8Array): void {
    this.#input(() => this.#replication.onFrame(kind, peer, frame));
  }
  onUp(kind: LinkKind, peer: string): void {
    this.#input(() => this.#replication.onUp(kind, peer));
  }
  onLastWords(words: LastWords): void {
    this.#input((replica) => replica.onLastWords(words, this.#options.world.clock.nowMs()));
  }
  onDown(kind: LinkKind, peer: string, reason: Parameters<ReplicationActor["onDown"]>[2]): void {
    this.#input(() => this.#replication.onDown(kind, peer, reason));
  }
}

function saveHistory(
  checkpoint: Checkpoint,
  { history, ancestors }: Extract<Outbox, { type: "saveHistory" }>,
): Promise<void> {
  return checkpoint.saveMeta({ history, ancestors: [...ancestors] });
}

function ignore(): void {}
