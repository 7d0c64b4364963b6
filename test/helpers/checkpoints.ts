/**
 * What the checkpoint's tests share: a log in memory, transactions in plain words, a plain model that applies them one
 * by one, and what a store holds, read back through recovery into the same form.
 */
import { Checkpoint, type CheckpointOptions } from "../../actors/checkpoint/checkpoint.ts";
import type { Clock, Store } from "../../actors/world/ports.ts";
import type { Identity, Recovered } from "../../machines/checkpoint/scan.ts";
import { EffectWriter } from "../../machines/codec/effects.ts";
import { chainHash } from "../../machines/codec/record.ts";
import { hashAt, type LogBatch, sliceFrom, sliceThrough } from "../../machines/log/batch.ts";
import type { OwnerMeta } from "../../schemas/checkpoint.ts";
import { bytesOf, fieldsOf } from "./records.ts";

export type Change =
  | { kind: "put"; part: number; key: string; value: string }
  | { kind: "delete"; part: number; key: string }
  | { kind: "push"; part: number; value: string }
  | { kind: "shift"; part: number; count: number };

export const put = (key: string, value: string, part = 0): Change => ({ kind: "put", part, key, value });
export const remove = (key: string, part = 0): Change => ({ kind: "delete", part, key });
export const push = (value: string, part = 9): Change => ({ kind: "push", part, value });
export const shift = (count: number, part = 9): Change => ({ kind: "shift", part, count });

export function effectsOf(changes: readonly Change[]): Uint8Array {
  const writer = new EffectWriter();
  for (const change of changes) {
    if (change.kind === "put") writer.put(change.part, change.key, change.value);
    else if (change.kind === "delete") writer.delete(change.part, change.key);
    else if (change.kind === "push") writer.push(change.part, change.value);
    else writer.shift(change.part, change.count);
  }
  return Uint8Array.from(writer.view());
}

export function recordOf(sequence: number, changes: readonly Change[], epoch = 1, takenMs = 0): Buffer {
  return bytesOf(fieldsOf({ sequence, epoch, takenMs, effects: effectsOf(changes), reply: '{"ok":true}' }));
}

/** Tables and queues applied effect by effect: what the store must be equal to. */
export class Model {
  readonly rows = new Map<string, string>();
  readonly queues = new Map<number, string[]>();

  apply(changes: readonly Change[]): void {
    for (const change of changes) {
      const queue = this.queues.get(change.part) ?? [];
      if (change.kind === "put") this.rows.set(`${change.part}/${change.key}`, change.value);
      else if (change.kind === "delete") this.rows.delete(`${change.part}/${change.key}`);
      else if (change.kind === "push") this.queues.set(change.part, [...queue, change.value]);
      else this.queues.set(change.part, queue.slice(change.count));
    }
  }

  plain(): { rows: Record<string, string>; queues: Record<string, string[]> } {
    const byKey = (a: [string | number, unknown], b: [string | number, unknown]) =>
      String(a[0]) < String(b[0]) ? -1 : 1;
    return {
      rows: Object.fromEntries([...this.rows].sort(byKey)),
      queues: Object.fromEntries([...this.queues].filter(([, items]) => items.length > 0).sort(byKey)),
    };
  }
}

/** A replica's log, without the replica. What is added is given to the agent at once. */
export class TestLog {
  #all: LogBatch[] = [];
  agent: Checkpoint | null = null;
  readonly changes: (readonly Change[])[] = [];

  get end(): number {
    return this.#all.at(-1)?.last ?? 0;
  }
  get hash(): number {
    return this.#all.at(-1)?.lastHash ?? 0;
  }

  append(transactions: readonly (readonly Change[])[], epoch = 1, takenMs = 0): LogBatch {
    const first = this.end + 1;
    const bytes = Buffer.concat(transactions.map((changes, at) => recordOf(first + at, changes, epoch, takenMs)));
    const previousHash = this.hash;
    const last = first + transactions.length - 1;
    const batch = { first, last, previousHash, lastHash: chainHash(bytes, previousHash), bytes };
    this.#all.push(batch);
    this.changes.push(...transactions);
    this.agent?.append([batch]);
    return batch;
  }

  /** A batch that recovery found; its changes are not known again. */
  take(batch: LogBatch): void {
    this.#all.push(batch);
    for (let sequence = batch.first; sequence <= batch.last; sequence += 1) this.changes.push([]);
  }

  truncate(after: number): void {
    this.#all = this.#all
      .filter((batch) => batch.first <= after)
      .map((batch) => (batch.last > after ? sliceThrough(batch, after) : batch));
    this.changes.length = after;
  }

  hashAt(sequence: number): number {
    const batch = this.#all.find(({ last }) => last >= sequence);
    return batch === undefined || sequence === 0 ? 0 : hashAt(batch, sequence);
  }

  *batches(from: number, through: number): Iterable<LogBatch> {
    for (const batch of this.#all) {
      if (batch.last < from || batch.first > through) continue;
      const tail = batch.first < from ? sliceFrom(batch, from) : batch;
      yield tail.last > through ? sliceThrough(tail, through) : tail;
    }
  }

  /** State after the records through `sequence`. */
  modelAt(sequence: number): Model {
    const model = new Model();
    for (const changes of this.changes.slice(0, sequence)) model.apply(changes);
    return model;
  }
}

export const identity: Identity = { service: "shop", server: "alpha" };

export const owner: OwnerMeta = {
  ...identity,
  schema: "s1",
  history: "h1",
  epoch: 1,
  incarnation: "i1",
  previousEnd: null,
  life: 1,
  published: 0,
  committed: 0,
  resultNumber: 0,
  forgottenThrough: 0,
  floorMs: 0,
};

export const clock: Clock = {
  nowMs: () => 0,
  wallMs: () => 0,
  after: () => ({ cancel: () => undefined }),
  soon: (run) => void setImmediate(run),
  randomId: () => "a-secret-of-the-test",
  random: () => 0.5,
};

export interface Agent {
  readonly checkpoint: Checkpoint;
  readonly synced: number[];
  readonly written: number[];
  readonly failures: Error[];
}

export function agentOn(store: Store, log: TestLog, options: Partial<CheckpointOptions> = {}): Agent {
  const synced: number[] = [];
  const written: number[] = [];
  const failures: Error[] = [];
  const checkpoint = new Checkpoint({
    store,
    clock,
    identity,
    handlers: {
      onSynced: (sequence) => void synced.push(sequence),
      onWritten: (sequence) => void written.push(sequence),
      onFailure: (error) => void failures.push(error),
    },
    ...options,
  });
  log.agent = checkpoint;
  return { checkpoint, synced, written, failures };
}

/** An agent on a store that was empty. */
export async function freshAgent(store: Store, log: TestLog): Promise<Agent> {
  const agent = agentOn(store, log);
  if ((await agent.checkpoint.open({})) === null) await agent.checkpoint.create(owner);
  return agent;
}

export interface Reading {
  readonly recovered: Recovered;
  readonly state: ReturnType<Model["plain"]>;
  readonly batches: LogBatch[];
}

/** Everything that a server would find at its start. */
export async function readBack(store: Store, who: Identity = identity): Promise<Reading | null> {
  const model = new Model();
  const batches: LogBatch[] = [];
  const { checkpoint } = agentOn(store, new TestLog(), { identity: who });
  try {
    const recovered = await checkpoint.open({
      onRow: (part, key, value) => model.apply([put(key.toString(), value.toString(), part)]),
      onItem: (part, value) => model.apply([push(value.toString(), part)]),
      onBatch: (batch) => batches.push(batch),
    });
    return recovered === null ? null : { recovered, state: model.plain(), batches };
  } finally {
    await checkpoint.close();
    await store.release();
  }
}

/** All batches of a log that is read. */
export async function collect(batches: AsyncIterable<LogBatch>): Promise<LogBatch[]> {
  const all: LogBatch[] = [];
  for await (const batch of batches) all.push(batch);
  return all;
}
