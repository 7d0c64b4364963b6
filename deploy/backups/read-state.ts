/**
 * The application's state out of a backup's file or a stopped server's data directory, as a server has it that has just started: for
 * what is tried on it. What always holds: it is proved while it is read; what it is read from is not changed.
 */
import { statSync } from "node:fs";
import { readCatalog } from "../../actors/application/catalog.ts";
import type { Application } from "../../actors/application/define.ts";
import { ApplicationState } from "../../actors/application/state.ts";
import { storedCatalog, whyUnreadable } from "../../actors/loader.ts";
import type { Clock } from "../../actors/world/ports.ts";
import { everything, metaKey, readMeta } from "../../machines/checkpoint/layout.ts";
import { type RecoveryVisitor, Scan } from "../../machines/checkpoint/scan.ts";
import { SnapshotDecoder } from "../../machines/checkpoint/snapshot-codec.ts";
import { KeyedHash } from "../../machines/codec/keyed-hash.ts";
import { RecordReader, recordKinds } from "../../machines/codec/record.ts";
import type { LogBatch } from "../../machines/log/batch.ts";
import type { CheckpointMeta } from "../../schemas/checkpoint.ts";
import { withCopy } from "../inspect.ts";
import { readBackup } from "./file.ts";

/** The program can make nothing of it; one sentence. */
export class StateNotRead extends Error {
  override readonly name = "StateNotRead";
}

export interface ReadState {
  readonly state: ApplicationState;
  /** The last record whose effects are in it. */
  readonly sequence: number;
}

/** Throws StateNotRead, and what says that the source is no sound one. */
export async function readState(source: string, application: Application, clock: Clock): Promise<ReadState> {
  const reading = new Reading(application, new KeyedHash(clock.randomId()));
  if (statSync(source, { throwIfNoEntry: false })?.isDirectory() === true)
    await withCopy(source, clock, undefined, async (store) => {
      for await (const [key, value] of store.entries(everything)) reading.entry(key, value);
    });
  else {
    const decoder = new SnapshotDecoder();
    await readBackup(source, clock, async (chunk) => {
      const taken = decoder.take(chunk);
      if (taken.outcome === "taken") for (const [key, value] of taken.entries) reading.entry(key, value);
    });
  }
  return reading.finish();
}

class Reading implements RecoveryVisitor {
  readonly #application: Application;
  readonly #hash: KeyedHash;
  #scan: Scan | null = null;
  #state: ApplicationState | null = null;
  #committed = 0;
  #sequence = 0;
  readonly #items = new Map<number, number>();

  constructor(application: Application, hash: KeyedHash) {
    this.#application = application;
    this.#hash = hash;
  }

  entry(key: Uint8Array, value: Uint8Array): void {
    if (this.#scan === null && Buffer.compare(key, metaKey) === 0)
      this.#scan = new Scan(readMeta(value), this.#hash, this);
    this.#scan?.entry(key, value);
  }

  finish(): ReadState {
    this.#scan?.finish();
    if (this.#state === null) throw new StateNotRead("there is no state in it: its server has never flushed");
    return { state: this.#state, sequence: this.#sequence };
  }

  onMeta(meta: CheckpointMeta): void {
    const { queues, applied, committed } = meta;
    const why = whyUnreadable(meta, this.#application);
    if (why !== null) throw new StateNotRead(why);
    const state = new ApplicationState(this.#application, storedCatalog(meta, this.#application));
    for (const { part, head } of queues) {
      state.setQueueHead(part, head);
      this.#items.set(part, head);
    }
    this.#state = state;
    this.#sequence = applied.sequence;
    this.#committed = committed;
  }

  onRow(part: number, key: Buffer, value: Buffer): void {
    this.#state?.loadRow(part, key.toString("utf8"), value);
  }

  onItem(part: number, value: Buffer): void {
    const index = this.#items.get(part) ?? 0;
    this.#state?.loadQueueItem(part, index, value);
    this.#items.set(part, index + 1);
  }

  onBatch({ bytes }: LogBatch): void {
    const reader = new RecordReader(bytes);
    do {
      if (reader.sequence > this.#committed || reader.sequence <= this.#sequence || this.#state === null) continue;
      if (reader.effects.length > 0) this.#state.apply(reader.effects);
      if (reader.kind === recordKinds.catalog) {
        this.#state.adopt(readCatalog(reader.body));
        if (this.#state.whyUnreadable !== "") throw new StateNotRead(this.#state.whyUnreadable);
      }
      this.#sequence = reader.sequence;
    } while (reader.next());
  }
}
