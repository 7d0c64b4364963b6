/**
 * Takes what another thread reads and proves of a store (`actors/threads/proof-thread.ts`), and gives it to a visitor here. What always
 * holds: the visitor hears what it would hear from a scan in this thread, and nothing counts before the thread said that all is proved.
 */
import { readBlock } from "../../machines/checkpoint/blocks.ts";
import { type LedgerParts, RowLedger } from "../../machines/checkpoint/row-ledger.ts";
import {
  type Identity,
  proveReadable,
  type Recovered,
  RecoveryError,
  type RecoveryVisitor,
} from "../../machines/checkpoint/scan.ts";
import { SegmentIndex } from "../../machines/checkpoint/segments.ts";
import type { LogBatch } from "../../machines/log/batch.ts";
import type { CheckpointMeta, LogEnd } from "../../schemas/checkpoint.ts";
import { StoreError } from "../world/ports.ts";

/** `secret`: what rows' keys are hashed with. */
export interface ToProve extends Pick<Identity, "service" | "server"> {
  readonly secret: string;
}

/** In this order; refused or failed in the place of whatever would come. Of an empty store nothing is said. */
export type ProofMessage =
  | { readonly type: "meta"; readonly meta: CheckpointMeta }
  | { readonly type: "block"; readonly block: Uint8Array }
  | { readonly type: "proved"; readonly end: LogEnd; readonly ledger: LedgerParts }
  | { readonly type: "refused"; readonly code: RecoveryError["code"]; readonly message: string }
  | { readonly type: "failed"; readonly code: StoreError["code"]; readonly message: string };

/** Null: the store is empty. Throws as `scanEntries` does. */
export async function takeProved(
  messages: AsyncIterable<unknown>,
  identity: Identity,
  visitor: RecoveryVisitor,
): Promise<Recovered | null> {
  const taking = new Taking(identity, visitor);
  for await (const message of messages) taking.take(message as ProofMessage);
  return taking.finish();
}

class Taking {
  readonly #identity: Identity;
  readonly #visitor: RecoveryVisitor;
  #meta: CheckpointMeta | null = null;
  #index = new SegmentIndex(0);
  readonly #tail: LogBatch[] = [];
  #found: Recovered | null = null;
  readonly #blocks: RecoveryVisitor;

  constructor(identity: Identity, visitor: RecoveryVisitor) {
    this.#identity = identity;
    this.#visitor = visitor;
    this.#blocks = {
      onRow: (part, key, value) => visitor.onRow?.(part, key, value),
      onItem: (part, value) => visitor.onItem?.(part, value),
      onBatch: (batch) => this.#onBatch(batch),
    };
  }

  take(message: ProofMessage): void {
    if (message.type === "refused") throw new RecoveryError(message.code, message.message);
    if (message.type === "failed") throw new StoreError(message.code, message.message);
    if (message.type === "meta") this.#onMeta(message.meta);
    else if (message.type === "block") readBlock(message.block, this.#blocks);
    else if (this.#meta !== null) {
      const { end, ledger } = message;
      this.#found = { meta: this.#meta, end, ledger: RowLedger.of(ledger), index: this.#index, tail: this.#tail };
    }
  }

  #onMeta(meta: CheckpointMeta): void {
    proveReadable(this.#identity, meta);
    this.#meta = meta;
    this.#index = new SegmentIndex(meta.firstRetained - 1);
    this.#visitor.onMeta?.(meta);
  }

  #onBatch(batch: LogBatch): void {
    this.#index.add(batch.first, batch.last);
    if (batch.last > (this.#meta?.applied.sequence ?? 0)) this.#tail.push(batch);
    this.#visitor.onBatch?.(batch);
  }

  finish(): Recovered | null {
    if (this.#meta !== null && this.#found === null)
      throw new StoreError("failed", "the thread that reads the store has ended before it had proved it");
    return this.#found;
  }
}
