/**
 * One server in memory: the replica and the application's actor, as they ship, and what its disk and the registry would hold.
 * What always holds: the replica's outbox is performed in its order, and what it asks of disk and registry succeeds at once;
 * `Remains` outlive a server, and hold what was synced and no more; a server that was killed says and changes nothing.
 */

import { RecordReader, recordKinds } from "../../machines/codec/record.ts";
import { type LogBatch, sliceThrough } from "../../machines/log/batch.ts";
import { KeyHasher } from "../../machines/log/key-index.ts";
import { MemoryLog } from "../../machines/log/memory-log.ts";
import { RequestTable } from "../../machines/replica/log/requests.ts";
import type { Outbox } from "../../machines/replica/outbox.ts";
import { initialRecord } from "../../machines/replica/registry/initial-record.ts";
import { Replica } from "../../machines/replica/replica.ts";
import { shippedRules } from "../../machines/replica/rules.ts";
import type { Ancestor } from "../../schemas/checkpoint.ts";
import type { RegistryRecord } from "../../schemas/registry.ts";
import type { Settings } from "../../schemas/settings.ts";
import { subjects } from "../../schemas/subjects.ts";
import { Mailbox } from "../actor.ts";
import { ApplicationActor } from "../application/application-actor.ts";
import { type Application, schemaDigest } from "../application/define.ts";
import { ApplicationState } from "../application/state.ts";
import { Meters } from "../operator/meters.ts";
import { ReplyGate } from "../reply-gate.ts";
import type { Bus, Clock, Log } from "../world/ports.ts";
import type { Deaths, RecordMade } from "./deaths.ts";

export interface LoneServerOptions {
  readonly application: Application;
  readonly settings: Settings;
  readonly clock: Clock;
  readonly bus: Bus;
  readonly log: Log;
  readonly remains: Remains;
  readonly deaths: Deaths;
  /** It died of `deaths`. */
  readonly onDeath: () => void;
  /** A view threw, or an invariant is broken. */
  readonly onError: (error: Error) => void;
}

/** What outlives a server: the log on its disk, and the registry's record. */
export class Remains {
  batches: LogBatch[] = [];
  record: RegistryRecord;
  revision = 1;
  epochs = { epochSeen: 0, memberEpoch: 0, syncedEpoch: 0 };
  history: { history: string; ancestors: readonly Ancestor[] } = { history: "", ancestors: [] };
  starts = 0;
  readonly disk: string;

  constructor({ service, server }: Settings, clock: Clock) {
    this.record = initialRecord(service, server, clock.randomId());
    this.disk = clock.randomId();
  }

  /** Drops the records above this. */
  cut(through: number): void {
    const kept = this.batches.filter(({ first }) => first <= through);
    this.batches = kept.map((batch) => (batch.last <= through ? batch : sliceThrough(batch, through)));
  }
}

/** A state of its own for each server: it is built from the log's bytes, as on a server that was warm. */
export class LoneServer {
  readonly state: ApplicationState;
  readonly #options: LoneServerOptions;
  readonly #mailbox: Mailbox;
  readonly #replica: Replica;
  readonly #application: ApplicationActor;
  /** Records that the disk was given in this turn. */
  #made: RecordMade[] = [];

  constructor(options: LoneServerOptions) {
    const { application, settings, clock, bus, log, remains } = options;
    this.#options = options;
    this.#mailbox = new Mailbox(clock, { onTurnEnd: () => this.#onTurnEnd(), onError: options.onError });
    this.#replica = makeReplica(options);
    this.state = new ApplicationState(application);
    this.#application = new ApplicationActor({
      application,
      settings,
      world: { clock, bus, log },
      mailbox: this.#mailbox,
      replica: this.#replica,
      rules: shippedRules,
      meters: new Meters(),
      gate: new ReplyGate(settings, { clock, log }),
      loaded: { state: this.state, applied: 0 },
      committedLog: (from) => batchesFrom(remains.batches, from),
      // The role is never lost but with the server.
      loadState: () => undefined,
    });
  }

  get nowMs(): number {
    const { clock } = this.#options;
    return this.#replica.timeNow(clock.nowMs(), clock.wallMs());
  }
  get timers(): { id: string; atMs: number; body: unknown }[] {
    return this.state.timers.all.map(({ id, timer }) => ({ id, atMs: timer.atMs, body: timer.body }));
  }

  start(): void {
    const { clock } = this.#options;
    this.#mailbox.input(() => {
      this.#application.start();
      this.#replica.onBus(true, clock.nowMs());
      this.#replica.start(clock.nowMs());
    });
  }

  /** As `kill -9` would: nobody is told, and handlers that still wait can change nothing any more. */
  kill(): void {
    this.#mailbox.close();
    this.#application.stop();
  }

  #onTurnEnd(): void {
    const { clock, remains } = this.#options;
    this.#made = [];
    this.#application.beforeTurnEnd();
    this.#replica.endTurn(clock.nowMs(), clock.wallMs());
    for (const entry of this.#replica.outbox.splice(0)) {
      if (!this.#mailbox.isOpen) return;
      this.#perform(entry);
    }
    if (!this.#mailbox.isOpen) return;
    this.#application.afterTurnEnd();
    // All is on the disk; nobody waits for results.
    const { committed } = this.#replica;
    this.#replica.onPublished(committed, clock.nowMs());
    this.#replica.onFlushed(committed, remains.batches[0]?.first ?? 1, clock.nowMs());
  }

  #perform(entry: Outbox): void {
    const { remains, clock, bus, settings } = this.#options;
    const replica = this.#replica;
    switch (entry.type) {
      case "append":
        for (const batch of entry.batches) this.#append(batch);
        return;
      case "sync":
        if (!this.#dies()) this.#answer(() => replica.onSynced(entry.through, clock.nowMs()));
        return;
      case "write":
        this.#answer(() => replica.onWritten(entry.through, clock.nowMs()));
        return;
      case "saveEpoch":
        remains.epochs = {
          epochSeen: entry.epoch,
          memberEpoch: entry.memberEpoch,
          syncedEpoch: entry.syncedEpoch,
        };
        this.#answer(() => replica.onEpochSaved(entry, clock.nowMs()));
        return;
      case "saveHistory":
        remains.history = { history: entry.history, ancestors: [...entry.ancestors] };
        return;
      case "truncate":
        remains.cut(entry.after);
        return;
      case "readRegistry": {
        const { record, revision } = remains;
        this.#answer(() => replica.onRegistryRead({ outcome: "found", record, revision }, clock.nowMs()));
        return;
      }
      case "compareAndSet": {
        remains.record = entry.record;
        remains.revision = entry.expectedRevision + 1;
        const { revision } = remains;
        this.#answer(() => replica.onCasAnswer(entry.record.writeId, { outcome: "won", revision }, clock.nowMs()));
        return;
      }
      case "wake":
        this.#mailbox.after(entry.afterMs, () => replica.onTick(clock.nowMs(), clock.wallMs()));
        return;
      case "apply":
        this.#application.apply(entry);
        return;
      case "hot":
        this.#application.goHot(entry.publishAfter);
        this.#mailbox.touch();
        return;
      case "ready":
        bus.publish(subjects.signal(settings.service), Buffer.from(JSON.stringify(entry.signal)));
        return;
      case "fail":
        throw new Error(entry.why);
      default:
      // It has no peers, no operator, and its role until it dies.
    }
  }

  /** In a turn of its own, as an answer of the world's would come. */
  #answer(report: () => void): void {
    this.#options.clock.soon(() => this.#mailbox.input(report));
  }

  #append(batch: LogBatch): void {
    // It is kept beyond the memory in which the log made it.
    const kept = { ...batch, bytes: Uint8Array.from(batch.bytes) };
    this.#options.remains.batches.push(kept);
    const reader = new RecordReader(kept.bytes);
    do {
      const { kind, sequence, client, id, name } = reader;
      if (kind === recordKinds.transaction || kind === recordKinds.final)
        this.#made.push({ sequence, client, id, name });
    } while (reader.next());
  }

  #dies(): boolean {
    const { deaths, remains, onDeath } = this.#options;
    const made = this.#made;
    this.#made = [];
    const through = made.length === 0 ? undefined : deaths.diesAt(made);
    if (through === undefined) return false;
    remains.cut(through);
    this.kill();
    onDeath();
    return true;
  }
}

/** Reads what remains of the server before. */
function makeReplica({ application, settings, clock, remains }: LoneServerOptions): Replica {
  const { service, server, servers, limits, confirm, afterTotalLoss } = settings;
  const log = new MemoryLog({ sequence: 0, hash: 0 }, [], { maxBatchBytes: limits.maxBatchBytes });
  for (const batch of remains.batches) {
    const fault = log.appendBatch(batch);
    if (fault !== null) throw new Error(`the log does not fit at record ${batch.first}: ${fault}`);
  }
  remains.starts += 1;
  const { record, disk, starts, history, epochs } = remains;
  return new Replica(
    {
      self: { server, incarnation: clock.randomId() },
      service,
      servers: servers.map(({ name }) => name),
      schema: schemaDigest(application),
      limits,
      confirm,
      afterTotalLoss,
    },
    {
      startCount: starts,
      disk,
      record: starts === 1 ? null : record,
      ...history,
      ...epochs,
      log,
      requests: new RequestTable({
        through: 0,
        resultNumber: 0,
        rememberClients: limits.rememberClients,
        maxRememberedBytes: Number.POSITIVE_INFINITY,
        hasher: new KeyHasher("test"),
      }),
      committed: log.last,
      published: log.last,
      oldestOnDisk: 1,
    },
    clock.nowMs(),
  );
}

async function* batchesFrom(batches: readonly LogBatch[], from: number): AsyncGenerator<LogBatch> {
  for (const batch of batches) if (batch.last >= from) yield batch;
}
