/**
 * Snapshots between servers (rule 7): the sender's whole store, as of one moment, into the receiver's side directory.
 * What always holds: the receiver asks for each chunk, so neither side holds more than the chunks in flight; the old
 * store is untouched until everything has come, matches the digest, and was read back and proved like any store at its
 * start; a snapshot that stops for any reason leaves nothing behind.
 */

import { isKey, LayoutError, metaKey, metaValue, readMeta } from "../../machines/checkpoint/layout.ts";
import type { Identity, Recovered, RecoveryVisitor } from "../../machines/checkpoint/scan.ts";
import { SnapshotDecoder, SnapshotEncoder, SnapshotError } from "../../machines/checkpoint/snapshot-codec.ts";
import type { KeyedHash } from "../../machines/codec/keyed-hash.ts";
import type { CheckpointMeta } from "../../schemas/checkpoint.ts";
import type { RegistryRecord } from "../../schemas/registry.ts";
import type { SideStore, StoreEntry, StoreWrite } from "../world/ports.ts";
import { scanEntries } from "./recovery.ts";

/** Received entries are written to the side store when they are this much. */
const writeBytes = 1024 * 1024;

/** Gives chunk after chunk of an image, each when it is asked for. */
export class SnapshotSender {
  readonly #entries: AsyncIterator<StoreEntry>;
  readonly #encoder: SnapshotEncoder;
  readonly #waiting: Buffer[] = [];
  #isBegun = false;
  #isDone = false;

  constructor(image: AsyncIterable<StoreEntry>, chunkBytes: number) {
    this.#entries = image[Symbol.asyncIterator]();
    this.#encoder = new SnapshotEncoder(chunkBytes);
  }

  /** All chunks were given. */
  get isDone(): boolean {
    return this.#isDone && this.#waiting.length === 0;
  }

  /** The next chunk, at most `chunkBytes` long; null after the last. One call at a time. Throws StoreError. */
  async next(): Promise<Buffer | null> {
    while (this.#waiting.length === 0 && !this.#isDone) {
      this.#isBegun = true;
      const step = await this.#entries.next();
      if (step.done === true) {
        this.#isDone = true;
        this.#waiting.push(...this.#encoder.finish());
      } else this.#waiting.push(...this.#encoder.add(...step.value));
    }
    return this.#waiting.shift() ?? null;
  }

  /** The receiver is gone: lets go of the image. */
  async stop(): Promise<void> {
    this.#isDone = true;
    this.#waiting.length = 0;
    // An image that nobody began to read has nothing to return from, and would be held for ever.
    if (!this.#isBegun) await this.#entries.next();
    await this.#entries.return?.();
  }
}

/**
 * What of the meta record is the server's own, not the sender's. Its epoch is kept if it is higher (invariant 8), and so is the
 * registry's record: it may be the last copy of it (situation 54).
 */
export type OwnMeta = Pick<CheckpointMeta, "server" | "incarnation" | "previousEnd" | "epoch" | "life"> &
  Required<Pick<CheckpointMeta, "memberEpoch" | "syncedEpoch" | "disk">> &
  Seen;

/** What a server knows of the registry: the highest epoch, and the newest record. */
export interface Seen {
  readonly epoch: number;
  readonly record: RegistryRecord | null;
}

/** taken, repeated: ask for `next`. early: a chunk before it is missing, ask for `next` again. complete: adopt now. */
export type ReceiveOutcome = "taken" | "repeated" | "early" | "complete";

/** Takes chunks in. Any error ends it: then only `drop` is left. */
export class SnapshotReceiver {
  readonly #side: SideStore;
  readonly #identity: Identity;
  readonly #hash: KeyedHash;
  readonly #decoder = new SnapshotDecoder();
  #meta: CheckpointMeta | null = null;
  #batch: StoreWrite[] = [];
  #batchBytes = 0;
  #writing: Promise<void> = Promise.resolve();
  #isComplete = false;

  constructor(side: SideStore, identity: Identity, hash: KeyedHash) {
    this.#side = side;
    this.#identity = identity;
    this.#hash = hash;
  }

  /** Number of the next chunk that is wanted, from 1. */
  get next(): number {
    return this.#decoder.next;
  }

  /** Throws SnapshotError or StoreError. */
  async take(chunk: Uint8Array): Promise<ReceiveOutcome> {
    const taken = this.#decoder.take(chunk);
    if (taken.outcome === "complete") {
      await this.#writeOut();
      this.#isComplete = true;
    }
    if (taken.outcome !== "taken") return taken.outcome;
    for (const [key, value] of taken.entries) {
      if (!isKey(key)) throw new SnapshotError("damaged", "the snapshot has an entry that no store has");
      if (Buffer.compare(key, metaKey) === 0) this.#meta = metaOf(value);
      else {
        this.#batch.push({ type: "put", key, value });
        this.#batchBytes += key.length + value.length;
      }
    }
    if (this.#batchBytes >= writeBytes) await this.#writeOut();
    return "taken";
  }

  #writeOut(): Promise<void> {
    const batch = this.#batch;
    this.#batch = [];
    this.#batchBytes = 0;
    if (batch.length > 0) this.#writing = this.#writing.then(() => this.#side.write(batch));
    return this.#writing;
  }

  /** Puts the server's own meta in, and reads all of it back, to the visitor. Throws RecoveryError, SnapshotError or StoreError. */
  verify(own: OwnMeta, visitor: RecoveryVisitor): Promise<Recovered> {
    const { record: _, ...rest } = own;
    return this.verifyAs(
      ({ restored: _restored, logEnd: _logEnd, ...sent }) => ({ ...sent, ...rest, ...newest(sent, own) }),
      visitor,
    );
  }

  /** The same with any meta that is made from the sender's. */
  async verifyAs(made: (sent: CheckpointMeta) => CheckpointMeta, visitor: RecoveryVisitor): Promise<Recovered> {
    if (!this.#isComplete) throw new RangeError("a snapshot was verified before its last chunk came");
    if (this.#meta === null) throw new SnapshotError("damaged", "the snapshot has no meta record");
    await this.#sign(made(this.#meta));
    const recovered = await scanEntries(this.#side.image(), this.#identity, this.#hash, visitor);
    if (recovered === null) throw new SnapshotError("damaged", "the snapshot is empty");
    return recovered;
  }

  async #sign(meta: CheckpointMeta): Promise<void> {
    this.#meta = meta;
    await this.#side.write([{ type: "put", key: metaKey, value: metaValue(meta) }]);
  }

  /**
   * `seen`: what this server knows by now; it may have learned more while this was proved (invariant 8). `asideAs`: the old
   * store is set aside, not dropped; what it is called comes back.
   */
  async adopt(seen: Seen, asideAs: string | null): Promise<string | null> {
    const meta = this.#meta;
    if (meta !== null && seen.epoch > meta.epoch) await this.#sign({ ...meta, ...newest(meta, seen) });
    return await this.#side.adopt(asideAs);
  }

  async drop(): Promise<void> {
    await this.#writing.catch(() => undefined);
    await this.#side.discard();
  }
}

/** Throws SnapshotError. */
function metaOf(value: Buffer): CheckpointMeta {
  try {
    return readMeta(value);
  } catch (error) {
    if (!(error instanceof LayoutError)) throw error;
    throw new SnapshotError(error.code === "format" ? "version" : "damaged", `the snapshot: ${error.message}`);
  }
}

/** The higher epoch of the two, and the newer record. */
function newest(sent: CheckpointMeta, seen: Seen): Partial<CheckpointMeta> {
  const { record } = seen;
  const isNewer = record !== null && record.epoch > (sent.record?.epoch ?? 0);
  return { epoch: Math.max(sent.epoch, seen.epoch), ...(isNewer ? { record } : {}) };
}
