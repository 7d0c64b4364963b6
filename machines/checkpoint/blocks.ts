/**
 * What a scan has proved, put together in blocks of bytes for another thread, and there given to a visitor. What always holds: the
 * visitor hears the same, in the same order; whatever is one entry is whole in one block, and its bytes may be kept.
 *
 *   0 u8 kind   1 u8 part   4 u32 head's length   8 u32 body's length   12 head, body
 *
 * row: key and value. item: none, and the value. batch: f64 first, f64 last, u32 previous hash, u32 last hash; and the records.
 */
import type { LogBatch } from "../log/batch.ts";
import type { RecoveryVisitor } from "./scan.ts";

const blockBytes = 256 * 1024;
const headerBytes = 12;
const kinds = { row: 1, item: 2, batch: 3 } as const;
const batchHeadBytes = 24;
const nothing = Buffer.alloc(0);

/** `onBlock` is given each block when it is full, and owns it. */
export class BlockWriter implements Pick<RecoveryVisitor, "onRow" | "onItem" | "onBatch"> {
  readonly #onBlock: (block: Uint8Array<ArrayBuffer>) => void;
  readonly #batchHead = Buffer.alloc(batchHeadBytes);
  #block = Buffer.allocUnsafeSlow(0);
  #end = 0;

  constructor(onBlock: (block: Uint8Array<ArrayBuffer>) => void) {
    this.#onBlock = onBlock;
  }

  onRow(part: number, key: Buffer, value: Buffer): void {
    this.#add(kinds.row, part, key, value);
  }

  onItem(part: number, value: Buffer): void {
    this.#add(kinds.item, part, nothing, value);
  }

  onBatch({ first, last, previousHash, lastHash, bytes }: LogBatch): void {
    const head = this.#batchHead;
    head.writeDoubleLE(first, 0);
    head.writeDoubleLE(last, 8);
    head.writeUInt32LE(previousHash, 16);
    head.writeUInt32LE(lastHash, 20);
    this.#add(kinds.batch, 0, head, bytes);
  }

  #add(kind: number, part: number, head: Buffer, body: Uint8Array): void {
    const size = headerBytes + head.length + body.length;
    if (this.#end + size > this.#block.length) {
      this.flush();
      this.#block = Buffer.allocUnsafeSlow(Math.max(blockBytes, size));
    }
    const at = this.#end;
    const block = this.#block;
    block.writeUInt32LE(kind | (part << 8), at);
    block.writeUInt32LE(head.length, at + 4);
    block.writeUInt32LE(body.length, at + 8);
    block.set(head, at + headerBytes);
    block.set(body, at + headerBytes + head.length);
    this.#end = at + size;
  }

  /** What is left, at the end. */
  flush(): void {
    if (this.#end > 0) this.#onBlock(new Uint8Array(this.#block.buffer, 0, this.#end));
    this.#block = Buffer.allocUnsafeSlow(0);
    this.#end = 0;
  }
}

export function readBlock(bytes: Uint8Array, visitor: RecoveryVisitor): void {
  const block = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < block.length; ) {
    const kind = block[at];
    const part = block[at + 1] as number;
    const headAt = at + headerBytes;
    const bodyAt = headAt + block.readUInt32LE(at + 4);
    at = bodyAt + block.readUInt32LE(at + 8);
    const body = block.subarray(bodyAt, at);
    if (kind === kinds.row) visitor.onRow?.(part, block.subarray(headAt, bodyAt), body);
    else if (kind === kinds.item) visitor.onItem?.(part, body);
    else visitor.onBatch?.(batchOf(block, headAt, body));
  }
}

function batchOf(block: Buffer, headAt: number, bytes: Uint8Array): LogBatch {
  return {
    first: block.readDoubleLE(headAt),
    last: block.readDoubleLE(headAt + 8),
    previousHash: block.readUInt32LE(headAt + 16),
    lastHash: block.readUInt32LE(headAt + 20),
    bytes,
  };
}
