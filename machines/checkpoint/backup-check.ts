/**
 * Proves a backup while its chunks pass: their numbers and hashes, the digest of all of them, and what is in them as a server
 * proves its store when it loads it (scan.ts). What always holds: nothing is kept of rows and items; a backup counts as sound
 * only when its last chunk has come and `finish` has returned.
 */
import type { CheckpointMeta, LogEnd } from "../../schemas/checkpoint.ts";
import type { KeyedHash } from "../codec/keyed-hash.ts";
import { BackupError } from "./backup-format.ts";
import { LayoutError, metaKey, readMeta } from "./layout.ts";
import { RecoveryError, type RecoveryVisitor, Scan } from "./scan.ts";
import { SnapshotDecoder, SnapshotError } from "./snapshot-codec.ts";

export interface BackupSummary {
  readonly meta: CheckpointMeta;
  /** The last record. */
  readonly end: LogEnd;
  readonly entries: number;
  /** Rows and items, by the number of their part. */
  readonly counts: ReadonlyMap<number, number>;
}

export class BackupCheck {
  readonly #hash: KeyedHash;
  readonly #decoder = new SnapshotDecoder();
  readonly #counts = new Map<number, number>();
  #scan: Scan | null = null;
  #meta: CheckpointMeta | null = null;
  #entries = 0;
  #isComplete = false;

  constructor(hash: KeyedHash) {
    this.#hash = hash;
  }

  /** The last chunk has come. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** The next chunk. Throws BackupError. */
  take(chunk: Uint8Array): void {
    prove(() => {
      const taken = this.#decoder.take(chunk);
      if (taken.outcome === "complete") this.#isComplete = true;
      else if (taken.outcome === "taken") for (const [key, value] of taken.entries) this.#onEntry(key, value);
      else throw new BackupError("damaged", "its chunks are not in their order");
    });
  }

  #onEntry(key: Buffer, value: Buffer): void {
    this.#scan ??= this.#begin(key, value);
    this.#scan.entry(key, value);
    this.#entries += 1;
  }

  /** Whose it is, it says itself: it is no server's yet. */
  #begin(key: Buffer, value: Buffer): Scan {
    if (Buffer.compare(key, metaKey) !== 0) throw new BackupError("damaged", "its meta record is missing");
    this.#meta = readMeta(value);
    const count = (part: number) => void this.#counts.set(part, (this.#counts.get(part) ?? 0) + 1);
    const visitor: RecoveryVisitor = { onRow: count, onItem: count };
    return new Scan(this.#meta, this.#hash, visitor);
  }

  /** Throws BackupError. */
  finish(): BackupSummary {
    if (!this.#isComplete) throw new BackupError("damaged", "it ends before its last chunk");
    const recovered = prove(() => this.#scan?.finish() ?? null);
    const meta = this.#meta;
    if (recovered === null || meta === null) throw new BackupError("damaged", "there is no store in it");
    return { meta, end: recovered.end, entries: this.#entries, counts: this.#counts };
  }
}

/** What is found stands in words of its own: a store's speak of "this server". */
function prove<T>(step: () => T): T {
  try {
    return step();
  } catch (error) {
    if (error instanceof RecoveryError) {
      const message = error.message.replace(/^this server's store is damaged: /, "").replace(/^this server's/, "the");
      throw new BackupError(error.code === "format" ? "version" : "damaged", message, { cause: error });
    }
    if (error instanceof SnapshotError)
      throw new BackupError(error.code === "version" ? "version" : "damaged", error.message, { cause: error });
    if (error instanceof LayoutError)
      throw new BackupError(error.code === "format" ? "version" : "damaged", error.message, { cause: error });
    throw error;
  }
}
