/**
 * Some thousands of remembered replies, in log order: columns of numbers, the keys' bytes one behind the other, and where each reply lies.
 * What always holds: it grows by copying no more than itself; what is full never changes but for where its replies lie.
 */
const firstCapacity = 16;
const firstKeyBytes = 512;
const noBytes = new Uint8Array(0);

export class ReplyChunk {
  static readonly size = 4096;

  bodyHashes = new Float64Array(firstCapacity);
  stamps = new Float64Array(firstCapacity);
  sequences = new Float64Array(firstCapacity);
  /** Whose it is: a slot of `floors`. */
  clients = new Uint32Array(firstCapacity);
  keyHashes = new Int32Array(firstCapacity);
  starts = new Uint32Array(firstCapacity);
  lengths = new Uint32Array(firstCapacity);
  sources: Uint8Array[] = [];
  #keyEnds = new Uint32Array(firstCapacity);
  #keys = Buffer.allocUnsafeSlow(firstKeyBytes);
  count = 0;

  /** Makes room for one more, with this key; the other columns are the caller's to fill, at the index that comes back. */
  add(key: Buffer, length: number): number {
    const at = this.count;
    if (at === this.starts.length) this.#grow();
    const start = this.#keyStart(at);
    if (start + length > this.#keys.length) this.#growKeys(start + length);
    key.copy(this.#keys, start, 0, length);
    this.#keyEnds[at] = start + length;
    this.count += 1;
    return at;
  }

  hasKey(at: number, key: Buffer, length: number): boolean {
    const start = this.#keyStart(at);
    if ((this.#keyEnds[at] ?? 0) - start !== length) return false;
    const keys = this.#keys;
    for (let offset = 0; offset < length; offset += 1) if (keys[start + offset] !== key[offset]) return false;
    return true;
  }

  /** Its reply is not needed any more. */
  drop(at: number): void {
    this.sources[at] = noBytes;
  }

  #keyStart(at: number): number {
    return at === 0 ? 0 : (this.#keyEnds[at - 1] ?? 0);
  }

  #growKeys(needed: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#keys.length));
    this.#keys.copy(grown);
    this.#keys = grown;
  }

  #grow(): void {
    this.#resize(Math.min(2 * this.starts.length, ReplyChunk.size));
  }

  #resize(capacity: number): void {
    this.bodyHashes = resized(this.bodyHashes, new Float64Array(capacity));
    this.stamps = resized(this.stamps, new Float64Array(capacity));
    this.sequences = resized(this.sequences, new Float64Array(capacity));
    this.clients = resized(this.clients, new Uint32Array(capacity));
    this.keyHashes = resized(this.keyHashes, new Int32Array(capacity));
    this.starts = resized(this.starts, new Uint32Array(capacity));
    this.lengths = resized(this.lengths, new Uint32Array(capacity));
    this.#keyEnds = resized(this.#keyEnds, new Uint32Array(capacity));
  }

  clone(): ReplyChunk {
    const copy = new ReplyChunk();
    copy.bodyHashes = this.bodyHashes.slice();
    copy.stamps = this.stamps.slice();
    copy.sequences = this.sequences.slice();
    copy.clients = this.clients.slice();
    copy.keyHashes = this.keyHashes.slice();
    copy.starts = this.starts.slice();
    copy.lengths = this.lengths.slice();
    copy.sources = [...this.sources];
    copy.#keyEnds = this.#keyEnds.slice();
    copy.#keys = Buffer.from(this.#keys);
    copy.count = this.count;
    return copy;
  }
}

function resized<A extends Float64Array | Uint32Array | Int32Array>(from: A, to: A): A {
  to.set(from);
  return to;
}
