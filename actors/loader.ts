/**
 * From a server's disk to its memory: the application's state, the table of requests and the log (rule 14: proved while it
 * is read). Used when a life begins and when a demoted server's state must be built again. What always holds: rows, queues
 * and requests end at the same record; records above it are in the log only, and so are those whose results NATS may not
 * have got.
 */

import type { Identity, RecoveryVisitor } from "../machines/checkpoint/scan.ts";
import { RecordReader } from "../machines/codec/record.ts";
import { type LogBatch, sliceFrom, sliceThrough } from "../machines/log/batch.ts";
import type { SavedFloors } from "../machines/log/floors.ts";
import { KeyHasher } from "../machines/log/key-index.ts";
import { type EpochEnd, MemoryLog } from "../machines/log/memory-log.ts";
import { RequestTable } from "../machines/replica/log/requests.ts";
import type { Rules } from "../machines/replica/rules.ts";
import type { Recovered } from "../machines/replica/types.ts";
import type { Catalog } from "../schemas/catalog.ts";
import type { CheckpointMeta } from "../schemas/checkpoint.ts";
import { catalogName, catalogOf, planFor } from "./application/catalog.ts";
import { type Application, schemaDigest } from "./application/define.ts";
import { ApplicationState } from "./application/state.ts";
import type { Checkpoint } from "./checkpoint/checkpoint.ts";
import type { Clock } from "./world/ports.ts";

export interface LoaderOptions {
  readonly identity: Identity;
  /** Of this program, for a store that is new. */
  readonly schema: string;
  readonly clock: Clock;
  readonly application: Application;
  readonly rules: Rules;
  /** Largest batch in memory: what lies on the disk in larger ones is cut. */
  readonly maxBatchBytes: number;
  /** How many clients have a floor of their own. */
  readonly rememberClients: number;
  /** How many bytes of remembered replies are in memory. */
  readonly maxRememberedBytes: number;
}

/** What a life begins with. */
export interface Loaded {
  readonly state: ApplicationState;
  readonly recovered: Recovered;
}

/** Collects one reading of the store. */
class Reading implements RecoveryVisitor {
  state: ApplicationState;
  requests: RequestTable;
  log = new MemoryLog();
  epochEnds: EpochEnd[] = [];
  #meta: CheckpointMeta | null = null;
  /** Memory holds the log above this: what is not in the tables, and what NATS may not have got (rule 13). */
  #below = 0;
  #tail: LogBatch[] = [];
  #items = new Map<number, number>();
  readonly #reader = new RecordReader(new Uint8Array(0));

  readonly isAsFlushed: Rules["isAsFlushed"];
  readonly #options: LoaderOptions;
  readonly #hasher: KeyHasher;

  constructor(options: LoaderOptions, secret: string) {
    // Of an empty store.
    this.state = new ApplicationState(options.application);
    this.isAsFlushed = options.rules.isAsFlushed;
    this.#options = options;
    this.#hasher = new KeyHasher(secret);
    const { rememberClients, maxRememberedBytes } = options;
    const catalog = catalogName(this.state.catalog);
    this.requests = new RequestTable({
      through: 0,
      resultNumber: 0,
      catalog,
      rememberClients,
      maxRememberedBytes,
      hasher: this.#hasher,
    });
  }

  onMeta(meta: CheckpointMeta): void {
    this.#meta = meta;
    const { applied, published, resultNumber, takenMs = 0 } = meta;
    const catalog = storedCatalog(meta, this.#options.application);
    this.state = new ApplicationState(this.#options.application, catalog);
    this.#below = Math.min(applied.sequence, published);
    this.requests = new RequestTable({
      through: applied.sequence,
      resultNumber,
      takenMs,
      catalog: catalogName(catalog),
      floors: floorsOf(meta),
      rememberClients: this.#options.rememberClients,
      maxRememberedBytes: this.#options.maxRememberedBytes,
      hasher: this.#hasher,
    });
    for (const { part, head } of meta.queues) {
      this.state.setQueueHead(part, head);
      this.#items.set(part, head);
    }
  }

  onRow(part: number, key: Buffer, value: Buffer): void {
    this.state.loadRow(part, key.toString("utf8"), value);
  }

  onItem(part: number, value: Buffer): void {
    const index = this.#items.get(part) ?? 0;
    this.state.loadQueueItem(part, index, value);
    this.#items.set(part, index + 1);
  }

  onBatch(batch: LogBatch): void {
    const applied = this.#meta?.applied.sequence ?? 0;
    if (batch.first <= applied) this.#observe(batch.last <= applied ? batch : sliceThrough(batch, applied));
    // What memory does not hold the log of is not held for its replies either.
    this.requests.done.compact(Math.min(batch.last, this.#below));
    if (batch.last > this.#below)
      this.#tail.push(batch.first > this.#below ? batch : sliceFrom(batch, this.#below + 1));
  }

  #observe(batch: LogBatch): void {
    const bytes = Buffer.from(batch.bytes.buffer, batch.bytes.byteOffset, batch.bytes.byteLength);
    const reader = this.#reader;
    reader.over(bytes, 0);
    do {
      this.requests.observe(reader, bytes);
      if (reader.sequence > this.#below) continue;
      const end = { epoch: reader.epoch, last: reader.sequence };
      if (this.epochEnds.at(-1)?.epoch === end.epoch) this.epochEnds[this.epochEnds.length - 1] = end;
      else this.epochEnds.push(end);
    } while (reader.next());
  }

  finish(): CheckpointMeta | null {
    const meta = this.#meta;
    if (meta === null) return null;
    const { applied } = meta;
    this.requests.forget(meta.forgottenThrough, this.#options.rules);
    const [first] = this.#tail;
    const isBelow = first !== undefined && first.first <= applied.sequence;
    const base = isBelow ? { sequence: first.first - 1, hash: first.previousHash } : applied;
    if (!isBelow && applied.sequence > 0 && this.epochEnds.at(-1)?.last !== applied.sequence)
      this.epochEnds.push({ epoch: applied.epoch, last: applied.sequence });
    const limits = { maxBatchBytes: this.#options.maxBatchBytes };
    this.log = new MemoryLog({ sequence: base.sequence, hash: base.hash }, this.epochEnds, limits);
    for (const batch of this.#tail) {
      const fault = this.log.appendBatch(batch);
      if (fault !== null) throw new Error(`the log on disk does not fit at record ${batch.first}: ${fault}`);
    }
    return meta;
  }
}

/** A disk that an older program wrote has one floor, which is everybody's. */
function floorsOf({ floorMs, floors }: CheckpointMeta): SavedFloors {
  const highestMs = floorMs === 0 ? -1 : floorMs;
  return floors === undefined
    ? { commonMs: highestMs, highestMs, clients: [] }
    : { commonMs: floors.commonMs, highestMs, clients: floors.clients };
}

/** Of this disk's tables; one that an older program wrote has that of the program that began it, which is this one. */
export function storedCatalog({ catalog }: CheckpointMeta, application: Application): Catalog {
  return catalog ?? catalogOf(application);
}

/** Why this program can make nothing of a store, in one sentence for an operator; null where it can. */
export function whyUnreadable(meta: CheckpointMeta, application: Application): string | null {
  if (meta.catalog === undefined && meta.schema !== schemaDigest(application))
    return `this store was written by an earlier release of twinlog, by an application with other schemas (${meta.schema}, not ${schemaDigest(application)}): start it once with that program under this release, then change it`;
  const plan = planFor(storedCatalog(meta, application), application);
  return typeof plan === "string" ? plan : null;
}

export class Loader {
  readonly #options: LoaderOptions;
  #schema: string;

  constructor(options: LoaderOptions) {
    this.#options = options;
    this.#schema = options.schema;
  }

  /** With which program the log began, once the store is open. */
  get schema(): string {
    return this.#schema;
  }

  /** Opens the store for a new life; an empty one is made this server's. The life is on the disk when it resolves. */
  async open(checkpoint: Checkpoint, incarnation: string): Promise<Loaded> {
    const { identity, clock } = this.#options;
    const { service, server } = identity;
    const reading = new Reading(this.#options, checkpoint.secret);
    const found = await checkpoint.open(reading);
    const meta = reading.finish();
    const startCount = (meta?.life ?? 0) + 1;
    const disk = meta?.disk ?? clock.randomId();
    const memberEpoch = meta?.memberEpoch ?? meta?.epoch ?? 0;
    if (found === null || meta === null) {
      await checkpoint.create({
        service,
        server,
        schema: this.#schema,
        catalog: reading.state.catalog,
        history: "",
        ancestors: [],
        epoch: 0,
        memberEpoch: 0,
        syncedEpoch: 0,
        incarnation,
        disk,
        previousEnd: null,
        life: startCount,
        published: 0,
        committed: 0,
        resultNumber: 0,
        forgottenThrough: 0,
        floorMs: 0,
      });
    } else {
      this.#schema = meta.schema;
      const { catalog } = reading.state;
      const previousEnd = { ...found.end, incarnation: meta.incarnation };
      await checkpoint.saveMeta({ incarnation, disk, catalog, life: startCount, memberEpoch, previousEnd });
    }
    return {
      state: reading.state,
      recovered: {
        startCount,
        disk,
        record: meta?.record ?? null,
        history: meta?.history ?? "",
        ancestors: meta?.ancestors ?? [],
        epochSeen: meta?.epoch ?? 0,
        memberEpoch,
        syncedEpoch: meta?.syncedEpoch ?? 0,
        log: reading.log,
        requests: reading.requests,
        restored: meta?.restored ?? null,
        committed: Math.min(meta?.committed ?? 0, reading.log.last),
        published: meta?.published ?? 0,
        oldestOnDisk: meta?.firstRetained ?? 1,
      },
    };
  }

  /** Reads the open store again, as it is now. */
  async again(checkpoint: Checkpoint): Promise<{ state: ApplicationState; requests: RequestTable }> {
    const reading = new Reading(this.#options, checkpoint.secret);
    await checkpoint.reload(reading);
    reading.finish();
    return { state: reading.state, requests: reading.requests };
  }
}
