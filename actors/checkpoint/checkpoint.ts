/**
 * The checkpoint agent (claims 2, 5, 6; rules 6, 7, 14): everything between the replica's log in memory and the store.
 * It never reads the application's memory, which runs ahead of the commit point, nor the replica's: it is given the log, in
 * order, and folds the effects of committed records, bytes only.
 *
 * What always holds: one writer (writer.ts); tables on disk stop at the commit point that the caller gives; one flush
 * at a time; the machine says what is allowed when, and everything else is refused with a CheckpointError; a failure is
 * reported once, and afterwards the store's handle is never used again but to close it.
 */
import {
  type CheckpointAction,
  type CheckpointEvent,
  type CheckpointState,
  checkpointNext,
  checkpointStart,
} from "../../machines/checkpoint/checkpoint-machine.ts";
import { HeldCheck, type OldLog } from "../../machines/checkpoint/held.ts";
import { LogTail } from "../../machines/checkpoint/log-tail.ts";
import { RowLedger } from "../../machines/checkpoint/row-ledger.ts";
import type { Identity, Recovered, RecoveryVisitor } from "../../machines/checkpoint/scan.ts";
import { SegmentIndex } from "../../machines/checkpoint/segments.ts";
import { KeyedHash } from "../../machines/codec/keyed-hash.ts";
import type { LogBatch } from "../../machines/log/batch.ts";
import { type Rules, shippedRules } from "../../machines/replica/rules.ts";
import type { CheckpointMeta, OwnerMeta } from "../../schemas/checkpoint.ts";
import { type Clock, type Store, StoreError } from "../world/ports.ts";
import { AsideFullError, type AsideLimits, whyNoRoom } from "./aside.ts";
import { CheckpointError } from "./checkpoint-error.ts";
import { committedOnly } from "./committed-image.ts";
import { type FlushRequest, prepareFlush } from "./flush.ts";
import { readBatch, readLog, recover, scanEntries } from "./recovery.ts";
import { type OwnMeta, type ReceiveOutcome, type Seen, SnapshotReceiver, SnapshotSender } from "./snapshot.ts";
import { type MetaPatch, Writer, type WriterHandlers } from "./writer.ts";

export interface CheckpointOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly identity: Identity;
  readonly handlers: WriterHandlers;
  /** Without them there is always room. */
  readonly asideLimits?: AsideLimits;
  /** Only for those who break a rule on purpose. */
  readonly rules?: Pick<Rules, "isHeldBy" | "isOvertaken">;
}

/** What a flush did. */
export interface FlushReport {
  readonly records: number;
  readonly writes: number;
  /** Where tables and queues on disk stand now. */
  readonly applied: number;
}

/** What a snapshot is adopted with. */
export interface WantedSnapshot {
  readonly own: OwnMeta;
  /** The one that this server has, in memory. */
  readonly log: Omit<OldLog, "history"> & { readonly differs: boolean };
}

/** States in which the log may be written. */
const writable: ReadonlySet<CheckpointState> = new Set(["idle", "flushing", "receiving"]);

/** States from which nothing but the end comes. */
const isClosing: ReadonlySet<CheckpointState> = new Set(["closed", "stopping", "abandoning"]);

export class Checkpoint {
  readonly #options: CheckpointOptions;
  /** What keys are hashed with in this life: nobody outside can guess it. */
  readonly secret: string;
  readonly #hash: KeyedHash;
  #machine = checkpointStart();
  #ledger = new RowLedger();
  #applied = 0;
  /** What the tables do not hold, or no segment has. */
  #tail = new LogTail(0);
  #writer: Writer | null = null;
  #receiver: SnapshotReceiver | null = null;
  #working: Promise<unknown> = Promise.resolve();
  #failure: Error | null = null;
  /** The failure, where it came when nobody was told of one any more. */
  #untold: Error | null = null;

  constructor(options: CheckpointOptions) {
    this.#options = options;
    this.secret = options.clock.randomId();
    this.#hash = new KeyedHash(this.secret);
  }

  get state(): CheckpointState {
    return this.#machine.value;
  }
  /** As of the newest write that was begun; null where there is no store to speak of. */
  get meta(): CheckpointMeta | null {
    return this.#writer?.meta ?? null;
  }
  /** Through here the log is on the disk, synced. After `open`, the log above `applied` counts once something was synced. */
  get synced(): number {
    return this.#writer?.synced ?? 0;
  }
  /** Through here the log was given to the operating system. */
  get written(): number {
    return this.#writer?.written ?? 0;
  }
  /** Through here tables and queues are on the disk. */
  get applied(): number {
    return this.#applied;
  }

  /**
   * Opens the store (or, after a snapshot, the adopted one) and hands all of it to the visitor. Null: the store is
   * empty; `create` or a snapshot comes next. Throws RecoveryError or StoreError; the agent has then failed.
   */
  async open(visitor: RecoveryVisitor): Promise<Recovered | null> {
    const actions = this.#send("open");
    const work = this.#open(actions, visitor);
    this.#working = work.catch(() => undefined);
    return work;
  }

  async #open(actions: readonly CheckpointAction[], visitor: RecoveryVisitor): Promise<Recovered | null> {
    const { store, identity } = this.#options;
    try {
      if (actions.includes("openStore")) await store.open();
      const recovered = await recover(store, identity, this.secret, visitor);
      if (recovered !== null) {
        this.#ledger = recovered.ledger;
        this.#applied = recovered.meta.applied.sequence;
        this.#tail = tailOf(recovered);
        this.#writer = this.#makeWriter(recovered.meta, recovered.index);
      }
      this.#send(recovered === null ? "found.nothing" : "found.state");
      return recovered;
    } catch (error) {
      throw this.#fail(error);
    }
  }

  /** Makes an empty store this server's: a first start. Resolves when it is on the disk. */
  async create(owner: OwnerMeta): Promise<void> {
    this.#send("created");
    this.#ledger = new RowLedger();
    this.#applied = 0;
    this.#tail = new LogTail(0);
    const applied = { sequence: 0, hash: 0, epoch: 0 };
    const empty = { applied, firstRetained: 1, digest: this.#ledger.digest, queues: [], flushes: 0 };
    this.#writer = this.#makeWriter({ ...owner, ...empty }, new SegmentIndex(0));
    await this.#writer.saveMeta(owner);
  }

  /** What was added to the log in memory, in its order. */
  append(batches: readonly LogBatch[]): void {
    for (const batch of batches) this.#tail.append(batch);
  }

  /** Makes the log durable through this sequence; `onSynced` tells. False: refused, the store is closed or dead. */
  sync(through: number): boolean {
    if (this.#writer === null || !writable.has(this.state)) return false;
    this.#writer.sync(through);
    return true;
  }

  /** The same at confirm level `written`; `onWritten` tells. */
  write(through: number): boolean {
    if (this.#writer === null || !writable.has(this.state)) return false;
    this.#writer.write(through);
    return true;
  }

  /** Resolves when it is on the disk. The epoch must not fall (invariant 8). */
  async saveMeta(patch: MetaPatch): Promise<void> {
    await this.#writable().saveMeta(patch);
  }

  /** Drops the log above `after` (rule 7): what is given next goes on from there. */
  async truncate(after: number): Promise<void> {
    this.#tail.truncate(after);
    await this.#writable().truncate(after);
  }

  /** Resolves when tables, queues, log and meta are on the disk, in one atomic write. One at a time. */
  async flush(request: FlushRequest): Promise<FlushReport> {
    const writer = this.#writable();
    this.#send("flush.begun");
    const work = this.#flush(writer, request);
    this.#working = work.catch(() => undefined);
    return work;
  }

  async #flush(writer: Writer, request: FlushRequest): Promise<FlushReport> {
    try {
      const before = writer.meta.applied.sequence;
      writer.beginFlush(request.committed);
      const { clock } = this.#options;
      const options = { source: this.#tail, clock, hash: this.#hash, ledger: this.#ledger };
      const flush = await prepareFlush(options, writer.meta, request);
      await writer.flush(flush);
      this.#applied = flush.applied.sequence;
      this.#tail.dropThrough(this.#applied);
      this.#send("flush.ended");
      return { records: this.#applied - before, writes: flush.rows.length, applied: this.#applied };
    } catch (error) {
      throw this.#fail(error);
    }
  }

  /**
   * All of the store once more, as it is at this moment, for an application whose memory holds what was not committed: what is
   * written meanwhile is not in it. Throws as `open` does.
   */
  async reload(visitor: RecoveryVisitor): Promise<void> {
    this.#writable();
    // Whether this program can make something of it is for the visitor to see: the server goes on either way.
    const { service, server } = this.#options.identity;
    try {
      await scanEntries(this.#options.store.image(), { service, server }, this.#hash, visitor);
    } catch (error) {
      throw this.#fail(error);
    }
  }

  /** The log on disk from record `from` on (recovery.ts): for joiners that memory does not reach, and for replay. */
  async *readLog(from: number): AsyncGenerator<LogBatch> {
    this.#writable();
    try {
      yield* readLog(this.#options.store, from);
    } catch (error) {
      throw this.#fail(error);
    }
  }

  /** The batch of the log on disk that holds this record; null: there is none. */
  async readBatch(sequence: number): Promise<LogBatch | null> {
    this.#writable();
    try {
      return await readBatch(this.#options.store, sequence);
    } catch (error) {
      throw this.#fail(error);
    }
  }

  /** The store as of this call, for another server. Flush first: the receiver gets the tables as they stand on this disk. */
  sendSnapshot(chunkBytes: number): SnapshotSender {
    this.#writable();
    return new SnapshotSender(this.#options.store.image(), chunkBytes);
  }

  /** The same for an operator: of the log what is committed, by the store's own word. Flush first. */
  sendBackup(chunkBytes: number): SnapshotSender {
    this.#writable();
    return new SnapshotSender(committedOnly(this.#options.store.image()), chunkBytes);
  }

  /**
   * Makes ready for a snapshot (rule 7), after the flush that may be under way: it ends by itself, on a slow disk later.
   * Until `adoptSnapshot` the store goes on as it is.
   */
  async beginSnapshot(): Promise<void> {
    while (this.state === "flushing") await this.#working;
    this.#send("snapshot.begun");
    const work = this.#makeSide();
    this.#working = work.catch(() => undefined);
    await work;
  }

  async #makeSide(): Promise<void> {
    const { store, identity } = this.#options;
    try {
      const receiver = new SnapshotReceiver(await store.side(), identity, this.#hash);
      if (this.state === "receiving") this.#receiver = receiver;
      // Closed meanwhile: the next life makes one of its own.
      else await receiver.drop();
    } catch (error) {
      throw this.#fail(error);
    }
  }

  /** Number of the chunk that is wanted next; null when no snapshot is being received. */
  get nextChunk(): number | null {
    return this.#receiver?.next ?? null;
  }

  /** One call at a time. A SnapshotError has dropped the snapshot, the store is as it was; a StoreError is the end of both. */
  takeChunk(chunk: Uint8Array): Promise<ReceiveOutcome> {
    return this.#receiving((receiver) => receiver.take(chunk));
  }

  /**
   * After the last chunk: proves what came, puts the server's own meta in and switches over. Then the agent is
   * `adopted`, and `open` reads it. Where the snapshot does not hold all of this server's log, that goes to the disk as far as
   * it goes, and the store is set aside; what that is called comes back. `wanted` is asked before the proof, which may be long,
   * and once more in the turn after which the old store takes nothing: null, or a log that moved meanwhile, and the snapshot
   * is overtaken. A SnapshotError, RecoveryError, AsideFullError or `overtaken` has dropped it; the store is as it was.
   */
  async adoptSnapshot(wanted: () => WantedSnapshot | null): Promise<string | null> {
    return await this.#receiving(async (receiver) => {
      const first = wanted();
      if (first === null) throw overtaken();
      const { own, log } = first;
      const { history = "" } = this.meta ?? {};
      // One that differs is no part of the history whose name it has, whatever it holds.
      const old = { ...log, history: log.differs ? "" : history };
      const check = new HeldCheck(old);
      const proved = await receiver.verify(own, check);
      const { isHeldBy, isOvertaken } = this.#options.rules ?? shippedRules;
      const asideAs = isHeldBy(old, check.found(proved)) ? null : history || "none";
      const full = asideAs === null ? null : await this.whyNoRoomAside();
      this.#mustReceive(receiver);
      if (full !== null) throw new AsideFullError(full);
      if (asideAs !== null) this.#writer?.sync(Math.min(old.end.sequence, this.#tail.end));
      // What the old store was asked for is on its disk, and told, while it can still go on.
      while (this.#writer?.isBusy === true) {
        await this.#writer.drained();
        this.#mustReceive(receiver);
      }
      if (this.#failure !== null) throw this.#failure;
      const last = wanted();
      const isOther = (this.meta?.history ?? "") !== history;
      if (last === null || isOvertaken(hasMoved(first, last)) || isOther) throw overtaken();
      this.#send("snapshot.verified");
      const epoch = Math.max(last.own.epoch, this.meta?.epoch ?? 0);
      const work = this.#adopt(receiver, { ...last.own, epoch }, asideAs);
      this.#working = work.catch(() => undefined);
      return await work;
    });
  }

  #mustReceive(receiver: SnapshotReceiver): void {
    if (this.#receiver !== receiver) throw new CheckpointError("busy", "the snapshot was dropped");
  }

  async #adopt(receiver: SnapshotReceiver, seen: Seen, asideAs: string | null): Promise<string | null> {
    const name = await receiver.adopt(seen, asideAs);
    this.#receiver = null;
    this.#writer = null;
    this.#send("snapshot.adopted");
    return name;
  }

  /** A snapshot takes the store's place, or has taken it: this store takes nothing more, and is no member's any more. */
  get givesWay(): boolean {
    return this.state === "adopting" || this.state === "adopted";
  }

  /** Null: this store could be set aside. */
  async whyNoRoomAside(): Promise<string | null> {
    const { store, asideLimits } = this.#options;
    return asideLimits === undefined ? null : whyNoRoom(await store.usage(), asideLimits);
  }

  /** Gives a snapshot up, for instance because its sender is gone. Does nothing when there is none. */
  async dropSnapshot(): Promise<void> {
    const receiver = this.#receiver;
    if (receiver === null) return;
    this.#receiver = null;
    this.#send("snapshot.dropped");
    try {
      await receiver.drop();
    } catch (error) {
      throw this.#fail(error);
    }
  }

  async #receiving<T>(step: (receiver: SnapshotReceiver) => Promise<T>): Promise<T> {
    const receiver = this.#receiver;
    if (receiver === null) throw new CheckpointError("busy", "no snapshot is being received");
    try {
      return await step(receiver);
    } catch (error) {
      if (this.#receiver !== receiver) throw new CheckpointError("busy", "the snapshot was dropped", { cause: error });
      if (error instanceof StoreError || this.state !== "receiving") throw this.#fail(error);
      await this.dropSnapshot();
      throw error;
    }
  }

  /** Lets what is under way end, drops a snapshot that is not being adopted, and closes the store. A failure of which nobody was told; null: there was none. */
  async close(): Promise<Error | null> {
    if (isClosing.has(this.state)) return null;
    const receiver = this.state === "adopting" ? null : this.#receiver;
    if (receiver !== null) this.#receiver = null;
    this.#send("close");
    await this.#working;
    await this.#writer?.drained();
    await receiver?.drop().catch(() => undefined);
    const hasFailed = this.#failure !== null;
    this.#writer = null;
    try {
      await this.#options.store.close();
    } catch (error) {
      // A dead store has nothing more to say (rule 14).
      if (!hasFailed) throw error;
    }
    return this.#untold;
  }

  #makeWriter(meta: CheckpointMeta, index: SegmentIndex): Writer {
    const { store, handlers } = this.#options;
    const onFailure = (error: Error) => void this.#fail(error);
    return new Writer(store, this.#tail, meta, index, { ...handlers, onFailure });
  }

  #writable(): Writer {
    const writer = this.#writer;
    if (writer !== null && writable.has(this.state)) return writer;
    throw this.#refusal();
  }

  /** The store has failed, and this is how a caller hears of it: `handlers.onFailure` was told (rule 14). */
  isFailure(error: unknown): boolean {
    if (this.#failure === null) return false;
    return error === this.#failure || (error instanceof CheckpointError && error.code === "failed");
  }

  #refusal(): CheckpointError {
    const cause = this.#failure;
    if (cause !== null) return new CheckpointError("failed", `the store failed: ${cause.message}`, { cause });
    const { state } = this;
    return isClosing.has(state)
      ? new CheckpointError("closed", "the store is closed")
      : new CheckpointError("busy", `the checkpoint agent is ${state}`);
  }

  /** Throws CheckpointError where the machine does not allow the event. */
  #send(type: CheckpointEvent["type"]): CheckpointAction[] {
    const next = checkpointNext(this.#machine, { type });
    if (next === null) throw this.#refusal();
    this.#machine = next.snapshot;
    return next.actions;
  }

  /** The first failure is the one that counts; every later caller is told of it as well. */
  #fail(error: unknown): Error {
    if (error instanceof CheckpointError) return error;
    if (this.#failure !== null) return this.#failure;
    const failure = error instanceof Error ? error : new Error("the checkpoint agent failed", { cause: error });
    this.#failure = failure;
    const next = checkpointNext(this.#machine, { type: "store.failed" });
    if (next?.actions.includes("reportFailure") !== true) this.#untold = failure;
    if (next === null) return failure;
    this.#machine = next.snapshot;
    this.#writer?.fail(failure);
    if (next.actions.includes("reportFailure")) this.#options.handlers.onFailure(failure);
    return failure;
  }
}

function tailOf({ meta, tail }: Recovered): LogTail {
  const start = Math.min(meta.applied.sequence, (tail[0]?.first ?? Number.POSITIVE_INFINITY) - 1);
  const given = new LogTail(start);
  for (const batch of tail) given.append(batch);
  return given;
}

function overtaken(): CheckpointError {
  return new CheckpointError("overtaken", "the snapshot is not wanted any more");
}

/** Others may have come to count on the old store since: on more records, or on it as a member's. */
function hasMoved(first: WantedSnapshot, last: WantedSnapshot): boolean {
  const [before, now] = [first.log, last.log];
  return (
    now.end.sequence !== before.end.sequence ||
    now.end.hash !== before.end.hash ||
    now.committed !== before.committed ||
    now.differs !== before.differs ||
    last.own.memberEpoch !== first.own.memberEpoch
  );
}
