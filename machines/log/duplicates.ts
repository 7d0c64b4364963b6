/**
 * Replies that are remembered, so that a duplicate gets the same bytes and is not run (rule 12, claims 22 and 32).
 *
 * A ring in log order: columns of numbers and one map, so that a million replies cost no million objects. Replies point
 * into the log's bytes until `compact` copies them out. Forgetting follows records only, and only committed ones, so
 * that all servers forget the same. What was forgotten of whom is in `floors`.
 */
import { ClientFloors, type FloorRules } from "./floors.ts";

const firstCapacity = 16;
const arenaBytes = 1024 * 1024;
/** How finely ages are counted: so many marks in the time for which replies are remembered. */
const marksEach = 64;

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
  /** Whose it is: a slot of `floors`. */
  #clients = new Uint32Array(firstCapacity);
  #sources: Uint8Array[] = Array.from({ length: firstCapacity });
  #starts = new Uint32Array(firstCapacity);
  #lengths = new Uint32Array(firstCapacity);
  /** Absolute positions in the ring: the oldest, the next to be written, the next to be copied out. */
  #head = 0;
  #tail = 0;
  #compacted = 0;
  /** What was remembered before `position` was so at `atMs` at the latest. Of this server's own monotonic clock. */
  #marks: { position: number; atMs: number }[] = [];
  /** What was remembered before it is too old. */
  #aged = 0;
  #arena = Buffer.alloc(0);
  #arenaEnd = 0;
  readonly floors: ClientFloors;

  constructor(floors: ClientFloors = new ClientFloors()) {
    this.floors = floors;
  }

  get count(): number {
    return this.#tail - this.#head;
  }
  /** Sequence and stamp of the oldest remembered reply. */
  get oldest(): { sequence: number; stampMs: number } | null {
    if (this.count === 0) return null;
    const at = this.#head & (this.#keys.length - 1);
    return { sequence: this.#sequences[at] ?? 0, stampMs: this.#stamps[at] ?? 0 };
  }

  /** Of the reply remembered last, ms since 1970; 0 where none is. */
  get newestStampMs(): number {
    return this.count === 0 ? 0 : Math.floor(this.#stamps[(this.#tail - 1) & (this.#keys.length - 1)] ?? 0);
  }

  /** Where the reply remembered last lies. */
  get newest(): { source: Uint8Array; start: number; end: number } {
    const at = (this.#tail - 1) & (this.#keys.length - 1);
    const start = this.#starts[at] ?? 0;
    return { source: this.#sources[at] as Uint8Array, start, end: start + (this.#lengths[at] ?? 0) };
  }

  /**
   * The sequence through which all but the newest `keep` replies, and all that this server has known for `rememberMs`, can be
   * forgotten. No wall clock has a say in it: one that is fast, or jumps, would forget what was done a moment ago.
   */
  forgettable(keep: number, rememberMs: number, nowMs: number, maxAtOnce: number): number {
    this.#age(rememberMs, nowMs);
    let through = 0;
    const most = Math.min(this.#tail, this.#head + maxAtOnce);
    for (let position = this.#head; position < most; position += 1) {
      const at = position & (this.#keys.length - 1);
      if (this.#tail - position <= keep && position >= this.#aged) break;
      through = this.#sequences[at] ?? 0;
    }
    return through;
  }

  #age(rememberMs: number, nowMs: number): void {
    for (let mark = this.#marks[0]; mark !== undefined && nowMs - mark.atMs >= rememberMs; mark = this.#marks[0]) {
      this.#aged = mark.position;
      this.#marks.shift();
    }
    const newest = this.#marks.at(-1);
    const before = this.#marks.at(-2);
    // The newest one moves on while it is near the one before it.
    if (newest !== undefined && before !== undefined && nowMs - before.atMs < rememberMs / marksEach) {
      newest.position = this.#tail;
      newest.atMs = nowMs;
    } else if (newest === undefined || newest.position < this.#tail)
      this.#marks.push({ position: this.#tail, atMs: nowMs });
  }

  /** Remembers the reply at `start` in `source`. Sequences must rise. */
  remember(
    key: string,
    client: string,
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
    this.#clients[at] = this.floors.remember(client);
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

  /** Forgets the replies of records up to `through`, and lifts the floors of those whose they were. */
  forget(through: number, rules: Pick<FloorRules, "floorAfter" | "commonAfter">): void {
    while (this.#head < this.#tail) {
      const at = this.#head & (this.#keys.length - 1);
      if ((this.#sequences[at] ?? 0) > through) break;
      this.floors.forget(this.#clients[at] ?? 0, this.#stamps[at] ?? 0, rules);
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

  /** Every stamp that is remembered, and every floor of a client's own: what a rare question needs. */
  eachStamp(visit: (client: string, stampMs: number) => void): void {
    for (let position = this.#head; position < this.#tail; position += 1) {
      const at = position & (this.#keys.length - 1);
      visit(this.floors.nameOf(this.#clients[at] ?? 0), this.#stamps[at] ?? 0);
    }
    for (const [client, floorMs] of this.floors.saved.clients) visit(client, floorMs);
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
    const clients = new Uint32Array(capacity);
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
      clients[to] = this.#clients[from] ?? 0;
      starts[to] = this.#starts[from] ?? 0;
      lengths[to] = this.#lengths[from] ?? 0;
    }
    this.#keys = keys;
    this.#sources = sources;
    this.#bodyHashes = bodyHashes;
    this.#stamps = stamps;
    this.#sequences = sequences;
    this.#clients = clients;
    this.#starts = starts;
    this.#lengths = lengths;
  }

  clone(): DuplicateTable {
    const copy = new DuplicateTable(this.floors.clone());
    copy.#slots = new Map(this.#slots);
    copy.#keys = [...this.#keys];
    copy.#sources = [...this.#sources];
    copy.#bodyHashes = this.#bodyHashes.slice();
    copy.#stamps = this.#stamps.slice();
    copy.#sequences = this.#sequences.slice();
    copy.#clients = this.#clients.slice();
    copy.#starts = this.#starts.slice();
    copy.#lengths = this.#lengths.slice();
    copy.#head = this.#head;
    copy.#tail = this.#tail;
    copy.#compacted = this.#compacted;
    copy.#marks = this.#marks.map((mark) => ({ ...mark }));
    copy.#aged = this.#aged;
    return copy;
  }
}
