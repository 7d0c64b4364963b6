/**
 * A life that takes part: the replica and the actors, made when the disk was read, and the replica's outbox performed in its
 * order at the end of each turn. What always holds: nothing here is there before the replica is; what the world says is an
 * input like any other; it ends by `onEnd` alone.
 */

import type { Outbox, SavedEpochs } from "../machines/replica/outbox.ts";
import { Replica } from "../machines/replica/replica.ts";
import type { LastWords } from "../schemas/death.ts";
import type { LinkName } from "../schemas/link.ts";
import { subjects } from "../schemas/subjects.ts";
import type { Mailbox } from "./actor.ts";
import { ApplicationActor } from "./application/application-actor.ts";
import { ownProgram } from "./application/catalog.ts";
import { AsideWatch } from "./checkpoint/aside.ts";
import { Backups } from "./checkpoint/backups.ts";
import type { Checkpoint } from "./checkpoint/checkpoint.ts";
import { CheckpointActor } from "./checkpoint/checkpoint-actor.ts";
import { FailoverActor } from "./failover/failover-actor.ts";
import type { LifeEnd, LifeOptions } from "./life-options.ts";
import type { Loaded, Loader } from "./loader.ts";
import { Watcher } from "./observer.ts";
import { BrokerWatch } from "./operator/broker-watch.ts";
import { UnderWay } from "./operator/durations.ts";
import type { LifeFacts } from "./operator/health.ts";
import { Meters } from "./operator/meters.ts";
import type { LifeNumbers } from "./operator/metrics.ts";
import { OperatorActor } from "./operator/operator-actor.ts";
import { ReplicationActor } from "./replication/replication-actor.ts";
import { ReplyGate } from "./reply-gate.ts";
import { wholeLog } from "./stored-log.ts";
import { readReplies } from "./stored-replies.ts";
import { type BusFault, type LinkDownReason, StoreError } from "./world/ports.ts";

export interface RunningLifeOptions {
  readonly life: LifeOptions & Required<Pick<LifeOptions, "rules">>;
  readonly incarnation: string;
  readonly mailbox: Mailbox;
  readonly checkpoint: Checkpoint;
  readonly loader: Loader;
  readonly loaded: Loaded;
  readonly onEnd: (end: LifeEnd) => void;
}

export class RunningLife {
  readonly replica: Replica;
  readonly application: ApplicationActor;
  readonly checkpoint: Checkpoint;
  readonly #options: RunningLifeOptions;
  readonly #watcher: Watcher | null;
  readonly #flushes: CheckpointActor;
  readonly #replication: ReplicationActor;
  readonly #failover: FailoverActor;
  readonly #operator: OperatorActor;
  readonly #broker: BrokerWatch;
  readonly #aside: AsideWatch;
  readonly #backups: Backups;
  /** When it did last what it does every `heartbeatMs`. */
  #beatMs: number;
  readonly #meters: Meters;
  /** Records that are asked for on the disk. */
  readonly #syncing = new UnderWay();

  constructor(options: RunningLifeOptions) {
    const { life, incarnation, mailbox, checkpoint, loader, loaded } = options;
    const { settings, world, application, process, troubles, rules, meters = new Meters() } = life;
    this.#options = options;
    this.#meters = meters;
    meters.lives += 1;
    this.#beatMs = world.clock.nowMs();
    this.checkpoint = checkpoint;
    const replica = new Replica(
      {
        self: { server: settings.server, incarnation },
        service: settings.service,
        servers: settings.servers.map(({ name }) => name),
        schema: loader.schema,
        program: ownProgram(application),
        limits: settings.limits,
        confirm: settings.confirm,
        afterTotalLoss: settings.afterTotalLoss,
        rules,
        tally: meters.tally,
      },
      loaded.recovered,
      world.clock.nowMs(),
    );
    this.replica = replica;
    this.#watcher = life.observer === undefined ? null : new Watcher(life.observer, replica);
    const gate = new ReplyGate(settings, world);
    this.application = new ApplicationActor({
      application,
      gate,
      settings,
      world,
      mailbox,
      replica,
      rules,
      meters,
      loaded: { state: loaded.state, applied: loaded.recovered.requests.through },
      committedLog: (from) => wholeLog(checkpoint, replica.log, from, replica.committed),
      loadState: () => this.#reload(),
    });
    const onFlushed = (sequence: number, digest: string) => this.#watcher?.onFlushed(replica.history, sequence, digest);
    this.#flushes = new CheckpointActor({
      settings,
      world,
      mailbox,
      replica,
      checkpoint,
      durations: meters.flushes,
      onFlushed,
    });
    const flush = () => this.#flushes.flush();
    const onAdopted = () => options.onEnd({ reason: "restart" });
    this.#replication = new ReplicationActor({
      settings,
      world,
      mailbox,
      replica,
      checkpoint,
      flush,
      troubles,
      durations: meters.mirrors,
      rules,
      onAdopted,
    });
    this.#failover = new FailoverActor({
      settings,
      world,
      mailbox,
      replica,
      checkpoint,
      meters,
      onTick: () => this.#onTick(),
    });
    const delivery = () => this.application.delivery;
    this.#aside = new AsideWatch({ settings, world, mailbox, troubles });
    this.#backups = new Backups({ settings, world, mailbox, replica, checkpoint, flush });
    this.#broker = new BrokerWatch({ settings, world, mailbox, troubles, delivery });
    this.#operator = new OperatorActor({
      settings,
      world,
      mailbox,
      replica,
      application,
      process,
      troubles,
      meters,
      recentEvents: life.recentEvents ?? [],
      gate,
      actors: [this.application, this.#replication, this.#flushes, this.#failover],
      flush,
      backups: this.#backups,
      facts: () => ({
        machines: {
          application: this.application.machineState,
          checkpoint: checkpoint.state,
          ...replica.machines(),
        },
        application: this.application.process,
        ...(this.application.timers === undefined ? {} : { timers: this.application.timers }),
        flushed: checkpoint.applied,
        synced: Math.max(checkpoint.synced, replica.synced),
        links: {
          main: replica.isAnyUp("main") ? "up" : "down",
          failsafe: replica.isAnyUp("failsafe") ? "up" : "down",
        },
      }),
    });
  }

  get #nowMs(): number {
    return this.#options.life.world.clock.nowMs();
  }

  /** As it stands now, for machines that ask. */
  get facts(): LifeFacts {
    const { world } = this.#options.life;
    const { takesRequests, lag } = this.replica;
    const beatAgeMs = this.#nowMs - this.#beatMs;
    return { status: this.#operator.status(), beatAgeMs, takesRequests, isConnected: world.bus.connected(), lag };
  }

  get numbers(): LifeNumbers {
    const { settings } = this.#options.life;
    const { memory, committed, published, hot } = this.replica;
    return {
      memory,
      registry: this.replica.registryFacts(this.#nowMs),
      load: this.application.load,
      unpublished: hot && settings.publishResults ? Math.max(0, committed - published) : null,
    };
  }

  start(): void {
    const { world, lastWords } = this.#options.life;
    for (const words of lastWords?.values() ?? []) this.replica.onLastWords(words, this.#nowMs);
    this.#input(() => {
      this.application.start();
      this.#replication.start();
      this.#failover.start();
      this.#operator.start();
      this.#failover.onBus(world.bus.connected());
      this.#broker.onBus(world.bus.connected());
      this.#aside.start();
      this.replica.start(this.#nowMs);
    });
  }

  /** No callback of an actor does anything afterwards. */
  tearDown(): void {
    this.#operator.stop();
    this.#backups.stop();
    this.#options.mailbox.close();
    for (const actor of [this.application, this.#replication, this.#failover]) actor.stop();
  }

  /** At a clean stop, before the store is closed. */
  flushLast(): Promise<void> {
    return this.#flushes.last();
  }

  #input(handle: () => void): void {
    this.#options.mailbox.input(handle);
  }

  // --- turns ------------------------------------------------------------------------------------------------------

  #onTick(): void {
    this.#beatMs = this.#nowMs;
    this.application.onTick();
    this.#replication.onTick();
    this.#broker.onTick();
    this.#aside.onTick();
    this.#backups.onTick();
    this.#operator.onTick();
  }

  onTurnEnd(goesOn: boolean): void {
    const { clock } = this.#options.life.world;
    this.application.beforeTurnEnd(goesOn);
    this.replica.endTurn(clock.nowMs(), clock.wallMs());
    this.#watcher?.onTurn(this.replica);
    this.#drain();
    if (!this.#options.mailbox.isOpen) return;
    this.application.afterTurnEnd();
    if (!goesOn) this.#flushes.consider();
    if (this.replica.mustGoOn) this.#options.mailbox.touch();
  }

  #drain(): void {
    const { outbox } = this.replica;
    for (let at = 0; at < outbox.length && this.#options.mailbox.isOpen; at += 1) {
      const entry = outbox[at] as Outbox;
      this.#watcher?.onEntry(entry, this.replica);
      this.#perform(entry);
    }
    outbox.length = 0;
  }

  #perform(entry: Outbox): void {
    const { world } = this.#options.life;
    const mailbox = this.#options.mailbox;
    const checkpoint = this.checkpoint;
    switch (entry.type) {
      case "send":
        this.#replication.send(entry);
        return;
      case "append":
        checkpoint.append(entry.batches);
        return;
      case "sync":
        this.#onSyncAsked(entry.through);
        checkpoint.sync(entry.through);
        return;
      case "write":
        checkpoint.write(entry.through);
        return;
      case "saveEpoch":
        this.#saveEpoch(entry);
        return;
      case "saveHistory":
        mailbox.watch(saveHistory(checkpoint, entry), ignore, ignore);
        return;
      case "truncate":
        this.#syncing.clear();
        mailbox.watch(checkpoint.truncate(entry.after), ignore, ignore);
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
        this.application.apply(entry);
        return;
      case "reload":
        this.application.outdated();
        return;
      case "readLog":
        this.#replication.readLog(entry);
        return;
      case "recall":
        this.#recall(entry.sequences);
        return;
      case "sendSnapshot":
        this.#replication.sendSnapshot(entry.peer, entry.session);
        return;
      case "receiveSnapshot":
        this.#replication.receiveSnapshot(entry.peer, entry.session);
        return;
      case "hot":
        this.application.goHot(entry.publishAfter);
        this.#flushes.onHot();
        mailbox.touch();
        return;
      case "cold":
        this.application.goCold();
        return;
      case "ready":
        world.bus.publish(
          subjects.signal(this.#options.life.settings.service),
          Buffer.from(JSON.stringify(entry.signal)),
        );
        this.#operator.onReady();
        return;
      case "event":
        this.#meters.onEvent(entry.from, entry.to);
        this.#operator.onEvent(entry);
        return;
      case "restart":
        this.#options.onEnd({ reason: "restart" });
        return;
      case "exit":
        this.#options.onEnd({ reason: "exit" });
        return;
      case "fail":
        // The disk's failure is the only one that the replica is told.
        this.#options.onEnd({ reason: "failed", error: new StoreError("failed", entry.why) });
        return;
    }
  }

  #onSyncAsked(through: number): void {
    if (through > this.checkpoint.synced && through > this.#syncing.last) this.#syncing.begin(through, this.#nowMs);
  }

  /** The state in memory holds what was not committed: it is built again from this server's own disk and log. */
  #reload(): void {
    this.#options.mailbox.watch(this.#options.loader.again(this.checkpoint), ({ state, requests }) => {
      this.application.loaded(state, requests.through);
      this.replica.onReloaded(requests, this.#nowMs);
    });
  }

  #recall(sequences: readonly number[]): void {
    this.#options.mailbox.watch(readReplies(this.checkpoint, sequences), (replies) =>
      this.replica.onRecalled(replies, this.#nowMs),
    );
  }

  #saveEpoch(epochs: SavedEpochs): void {
    const { epoch, memberEpoch, syncedEpoch, record } = epochs;
    const onSaved = () => {
      this.#watcher?.onEpoch(epoch);
      this.replica.onEpochSaved(epochs, this.#nowMs);
    };
    const patch = { epoch, memberEpoch, syncedEpoch, ...(record === undefined ? {} : { record }) };
    this.#options.mailbox.watch(this.checkpoint.saveMeta(patch), onSaved, ignore);
  }

  // --- what the world says ----------------------------------------------------------------------------------------

  onLongRun(): void {
    this.application.onLongRun();
    this.replica.onLongRun(this.#nowMs);
  }
  stop(): void {
    this.#input(() => this.replica.onStop(this.#nowMs));
  }
  onSynced(sequence: number): void {
    this.#syncing.end(sequence, this.#nowMs, this.#meters.syncs);
    this.#input(() => this.replica.onSynced(sequence, this.#nowMs));
  }
  onWritten(sequence: number): void {
    this.#input(() => this.replica.onWritten(sequence, this.#nowMs));
  }
  onDiskFailed(why: string): void {
    this.#input(() => this.replica.onDiskFailed(why, this.#nowMs));
  }
  onBus(connected: boolean): void {
    this.#input(() => {
      this.#failover.onBus(connected);
      this.application.onBus(connected);
      this.#broker.onBus(connected);
    });
  }
  onFault(fault: BusFault): void {
    this.#meters.onFault(fault);
    this.#input(() => {
      this.application.onFault(fault);
      this.#broker.onFault(fault);
    });
  }
  onFrame(kind: LinkName, peer: string, frame: Uint8Array): void {
    this.#input(() => this.#replication.onFrame(kind, peer, frame));
  }
  onUp(kind: LinkName, peer: string): void {
    this.#input(() => this.#replication.onUp(kind, peer));
  }
  onDown(kind: LinkName, peer: string, reason: LinkDownReason): void {
    this.#input(() => this.#replication.onDown(kind, peer, reason));
  }
  onUnproven(kind: LinkName, peer: string, why: string): void {
    this.#input(() => this.#replication.onUnproven(kind, peer, why));
  }
  onLastWords(words: LastWords): void {
    this.#input(() => this.replica.onLastWords(words, this.#nowMs));
  }
}

function saveHistory(
  checkpoint: Checkpoint,
  { history, ancestors }: Extract<Outbox, { type: "saveHistory" }>,
): Promise<void> {
  return checkpoint.saveMeta({ history, ancestors: [...ancestors] });
}

function ignore(): void {}
