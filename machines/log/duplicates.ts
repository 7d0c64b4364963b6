/**
 * Replies that are remembered, so that a duplicate gets the same bytes and is not run (rule 12, claims 22 and 32).
 *
 * A ring in log order: columns of numbers and one map, so that a million replies cost no million objects. Replies point
 * into the log's bytes until `compact` copies them out. Forgetting follows records only, and only committed ones, so
 * that all servers forget the same. The floor never falls: it is the highest stamp ever forgotten.
 */

/** The floor when a reply with this stamp is forgotten, ms since 1970 both. */
export type FloorAfter = (floorMs: number, forgottenMs: number) => number;

const firstCapacity = 16;
const arenaBytes = 1024 * 1024;

export interface Remembered {
  readonly bodyHash: number;
  readonly sequence: number;
  readonly reply: Uint8Array;
}

export class DuplicateTable {
  #slots = new Map<string, number>();
  #keys: string[] = Array.from({ length: firstCapacity });
  #bodyHashes = new Float64Array(firstCapacity);
  #stamps = new Float64Array(firstCapacity);
  #sequences = new Float64Array(firstCapacity);
  #sources: Uint8Array[] = Array.from({ length: firstCapacity });
  #starts = new Uint32Array(firstCapacity);
  #lengths = new Uint32Array(firstCapacity);
  /** Absolute positions in the ring: the oldest, the next to be written, the next to be copied out. */
  #head = 0;
  #tail = 0;
  #compacted = 0;
  #arena = Buffer.alloc(0);
  #arenaEnd = 0;
  #floorMs: number;

  constructor(floorMs = -1) {
    this.#floorMs = floorMs;
  }

  get count(): number {
    return this.#tail - this.#head;
  }
  /** A request issued at or before it, ms since 1970, may have been forgotten. -1: nothing ever was. */
  get floorMs(): number {
    return this.#floorMs;
  }
  /** Sequence and stamp of the oldest remembered reply. */
  get oldest(): { sequence: number; stampMs: number } | null {
    if (this.count === 0) return null;
    const at = this.#head & (this.#keys.length - 1);
    return { sequence: this.#sequences[at] ?? 0, stampMs: this.#stamps[at] ?? 0 };
  }

  /** Of the reply remembered last, ms since 1970; 0 where none is. */
  get newestStampMs(): number {
    return this.count === 0 ? 0 : (this.#stamps[(this.#tail - 1) & (this.#keys.length - 1)] ?? 0);
  }

  /** Where the reply remembered last lies. */
  get newest(): { source: Uint8Array; start: number; end: number } {
    const at = (this.#tail - 1) & (this.#keys.length - 1);
    const start = this.#starts[at] ?? 0;
    return { source: this.#sources[at] as Uint8Array, start, end: start + (this.#lengths[at] ?? 0) };
  }

  /** The sequence through which all but the newest `keep` replies, and all with a stamp before `beforeMs`, can be forgotten. */
  forgettable(keep: number, beforeMs: number, maxAtOnce: number): number {
    let through = 0;
    const most = Math.min(this.#tail, this.#head + maxAtOnce);
    for (let position = this.#head; position < most; position += 1) {
      const at = position & (this.#keys.length - 1);
      if (this.#tail - position <= keep && (this.#stamps[at] ?? 0) >= beforeMs) break;
      through = this.#sequences[at] ?? 0;
    }
    return through;
  }

  /** Remembers the reply at `start` in `source`. Sequences must rise. */
  remember(
    key: string,
    bodyHash: number,
    stampMs: number,
    sequence: number,
    source: Uint8Array,
    start: number,
    length: number,
  ): void {
    if (this.count === this.#keys.length) this.#grow();
    const at = this.#tail & (this.#keys.length - 1);
    this.#keys[at] = key;
    this.#bodyHashes[at] = bodyHash;
    this.#stamps[at] = stampMs;
    this.#sequences[at] = sequence;
    this.#sources[at] = source;
    this.#starts[at] = start;
    this.#lengths[at] = length;
    this.#slots.set(key, this.#tail);
    this.#tail += 1;
  }

  /** Sequence of the remembered reply, 0 if there is none: the cheap question of the hot path. */
  sequenceOf(key: string): number {
    const position = this.#slots.get(key);
    return position === undefined ? 0 : (this.#sequences[position & (this.#keys.length - 1)] ?? 0);
  }

  find(key: string): Remembered | null {
    const position = this.#slots.get(key);
    if (position === undefined) return null;
    const at = position & (this.#keys.length - 1);
    const start = this.#starts[at] ?? 0;
    const source = this.#sources[at] as Uint8Array;
    return {
      bodyHash: this.#bodyHashes[at] ?? 0,
      sequence: this.#sequences[at] ?? 0,
      reply: source.subarray(start, start + (this.#lengths[at] ?? 0)),
    };
  }

  /** Forgets the replies of records up to `through`, and lifts the floor. */
  forget(through: number, floorAfter: FloorAfter = Math.max): void {
    while (this.#head < this.#tail) {
      const at = this.#head & (this.#keys.length - 1);
      if ((this.#sequences[at] ?? 0) > through) break;
      this.#floorMs = floorAfter(this.#floorMs, this.#stamps[at] ?? 0);
      this.#drop(this.#head);
      this.#head += 1;
    }
    this.#compacted = Math.max(this.#compacted, this.#head);
  }

  #drop(position: number): void {
    const at = position & (this.#keys.length - 1);
    const key = this.#keys[at] as string;
    if (this.#slots.get(key) === position) this.#slots.delete(key);
    this.#keys[at] = "";
    this.#sources[at] = this.#arena;
  }

  /** Copies replies of records up to `through` out of the log's bytes, so that those can be let go. */
  compact(through: number): void {
    while (this.#compacted < this.#tail) {
      const at = this.#compacted & (this.#keys.length - 1);
      if ((this.#sequences[at] ?? 0) > through) return;
      const length = this.#lengths[at] ?? 0;
      if (this.#arenaEnd + length > this.#arena.length) {
        this.#arena = Buffer.allocUnsafeSlow(Math.max(arenaBytes, length));
        this.#arenaEnd = 0;
      }
      const start = this.#starts[at] ?? 0;
      this.#arena.set((this.#sources[at] as Uint8Array).subarray(start, start + length), this.#arenaEnd);
      this.#sources[at] = this.#arena;
      this.#starts[at] = this.#arenaEnd;
      this.#arenaEnd += length;
      this.#compacted += 1;
    }
  }

  #grow(): void {
    const old = this.#keys.length;
    const capacity = old * 2;
    const keys: string[] = Array.from({ length: capacity });
    const sources: Uint8Array[] = Array.from({ length: capacity });
    const bodyHashes = new Float64Array(capacity);
    const stamps = new Float64Array(capacity);
    const sequences = new Float64Array(capacity);
    const starts = new Uint32Array(capacity);
    const lengths = new Uint32Array(capacity);
    for (let position = this.#head; position < this.#tail; position += 1) {
      const from = position & (old - 1);
      const to = position & (capacity - 1);
      keys[to] = this.#keys[from] as string;
      sources[to] = this.#sources[from] as Uint8Array;
      bodyHashes[to] = this.#bodyHashes[from] ?? 0;
      stamps[to] = this.#stamps[from] ?? 0;
      sequences[to] = this.#sequences[from] ?? 0;
      starts[to] = this.#starts[from] ?? 0;
      lengths[to] = this.#lengths[from] ?? 0;
    }
    this.#keys = keys;
    this.#sources = sources;
    this.#bodyHashes = bodyHashes;
    this.#stamps = stamps;
    this.#sequences = sequences;
    this.#starts = starts;
    this.#lengths = lengths;
  }

  clone(): DuplicateTable {
    const copy = new DuplicateTable(this.#floorMs);
    copy.#slots = new Map(this.#slots);
    copy.#keys = [...this.#keys];
    copy.#sources = [...this.#sources];
    copy.#bodyHashes = this.#bodyHashes.slice();
    copy.#stamps = this.#stamps.slice();
    copy.#sequences = this.#sequences.slice();
    copy.#starts = this.#starts.slice();
    copy.#lengths = this.#lengths.slice();
    copy.#head = this.#head;
    copy.#tail = this.#tail;
    copy.#compacted = this.#compacted;
    return copy;
  }
}
