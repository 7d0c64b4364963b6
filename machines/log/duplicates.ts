/**
 * Replies that are remembered, so that a duplicate gets the same bytes and is not run (rule 12, claims 22 and 32).
 *
 * A ring in log order, in chunks, and an index of keys: a million replies are no million objects, and neither remembering nor forgetting
 * takes longer the more there are. Replies point into the log's bytes until `compact` copies them out; of those that were copied only
 * so many bytes stay, the newest, and the others are read from the disk again by who asks for them: their keys, hashes and sequences stay.
 * Forgetting follows records only, and only committed ones, so that all servers forget the same. What was forgotten of whom is in `floors`.
 */
import { ClientFloors, type FloorRules } from "./floors.ts";
import { type KeyHasher, KeyIndex } from "./key-index.ts";
import { ReplyChunk } from "./reply-chunk.ts";

const arenaBytes = 1024 * 1024;
/** How finely ages are counted: so many marks in the time for which replies are remembered. */
const marksEach = 64;
const inChunk = ReplyChunk.size - 1;

export interface Remembered {
  readonly bodyHash: number;
  readonly sequence: number;
  /** In bytes. */
  readonly length: number;
  /** null: only the record has it, on the disk. */
  readonly reply: Uint8Array | null;
}

export class DuplicateTable {
  readonly #hasher: KeyHasher;
  #index = new KeyIndex();
  /** The first one begins at the position `#base`. */
  #chunks: ReplyChunk[] = [];
  #base = 0;
  /** Absolute positions in the ring: the oldest, the first that was not chosen to be forgotten, the next to be written, the next to be copied out. */
  #head = 0;
  #chosen = 0;
  #tail = 0;
  #compacted = 0;
  /** The first whose reply is in memory; and how many bytes of replies, copied out, are. */
  #held = 0;
  #heldBytes = 0;
  /** What was remembered before `position` was so at `atMs` at the latest. Of this server's own monotonic clock. */
  #marks: { position: number; atMs: number }[] = [];
  /** What was remembered before it is too old. */
  #aged = 0;
  #arena = Buffer.alloc(0);
  #arenaEnd = 0;
  readonly floors: ClientFloors;
  readonly #maxHeldBytes: number;

  /** `maxHeldBytes`: of replies that were copied out of the log's bytes. */
  constructor(
    hasher: KeyHasher,
    floors: ClientFloors = new ClientFloors(),
    maxHeldBytes: number = Number.POSITIVE_INFINITY,
  ) {
    this.floors = floors;
    this.#hasher = hasher;
    this.#maxHeldBytes = maxHeldBytes;
  }

  get count(): number {
    return this.#tail - this.#head;
  }
  /** Of replies, beside those that lie in the log's bytes. */
  get heldBytes(): number {
    return this.#heldBytes;
  }
  /** Sequence and stamp of the oldest remembered reply. */
  get oldest(): { sequence: number; stampMs: number } | null {
    if (this.count === 0) return null;
    const at = this.#head & inChunk;
    const { sequences, stamps } = this.#chunkOf(this.#head);
    return { sequence: sequences[at] ?? 0, stampMs: stamps[at] ?? 0 };
  }

  /** Of the reply remembered last, ms since 1970; 0 where none is. */
  get newestStampMs(): number {
    const last = this.#tail - 1;
    return this.count === 0 ? 0 : Math.floor(this.#chunkOf(last).stamps[last & inChunk] ?? 0);
  }

  /** Where the reply remembered last lies. */
  get newest(): { source: Uint8Array; start: number; end: number } {
    const at = (this.#tail - 1) & inChunk;
    const { sources, starts, lengths } = this.#chunkOf(this.#tail - 1);
    const start = starts[at] ?? 0;
    return { source: sources[at] as Uint8Array, start, end: start + (lengths[at] ?? 0) };
  }

  #chunkOf(position: number): ReplyChunk {
    return this.#chunks[Math.floor((position - this.#base) / ReplyChunk.size)] as ReplyChunk;
  }

  #sequenceAt(position: number): number {
    return this.#chunkOf(position).sequences[position & inChunk] ?? 0;
  }

  /** Where the key's newest reply stands; -1: nowhere. */
  #positionOf(key: string): number {
    const hasher = this.#hasher;
    hasher.take(key);
    for (let low = this.#index.first(hasher.hash); low !== -1; low = this.#index.next()) {
      const position = this.#tail - ((this.#tail - low) >>> 0);
      if (this.#chunkOf(position).hasKey(position & inChunk, hasher.bytes, hasher.length)) return position;
    }
    return -1;
  }

  /**
   * The sequence through which all but the newest `keep` replies, and all that this server has known for `rememberMs`, can be
   * forgotten; 0: none that was not chosen before. No wall clock has a say in it: one that is fast, or jumps, would forget what was done a moment ago.
   * It goes on where the last choice ended: what was chosen goes only when the record that says so is committed, and a primary whose
   * commits overlap would choose the same again and again, and remember ever more.
   */
  forgettable(keep: number, rememberMs: number, nowMs: number, maxAtOnce: number): number {
    this.#age(rememberMs, nowMs);
    this.#chosen = Math.max(this.#chosen, this.#head);
    let through = 0;
    const most = Math.min(this.#tail, this.#chosen + maxAtOnce);
    for (; this.#chosen < most; this.#chosen += 1) {
      if (this.#tail - this.#chosen <= keep && this.#chosen >= this.#aged) break;
      through = this.#sequenceAt(this.#chosen);
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
    const tail = this.#tail;
    // Leaves the place in the index that is to be replaced, and the key's bytes with the hasher.
    const before = this.#positionOf(key);
    const { hash, bytes, length: keyLength } = this.#hasher;
    if ((tail & inChunk) === 0) this.#chunks.push(new ReplyChunk());
    const chunk = this.#chunkOf(tail);
    const at = chunk.add(bytes, keyLength);
    chunk.bodyHashes[at] = bodyHash;
    chunk.stamps[at] = stampMs;
    chunk.sequences[at] = sequence;
    chunk.clients[at] = this.floors.remember(client);
    chunk.keyHashes[at] = hash;
    chunk.sources[at] = source;
    chunk.starts[at] = start;
    chunk.lengths[at] = length;
    if (before === -1) this.#index.add(hash, tail);
    else this.#index.replace(tail);
    this.#tail += 1;
  }

  /** Sequence of the remembered reply, 0 if there is none: the cheap question of the hot path. */
  sequenceOf(key: string): number {
    const position = this.#positionOf(key);
    return position === -1 ? 0 : this.#sequenceAt(position);
  }

  find(key: string): Remembered | null {
    const position = this.#positionOf(key);
    if (position === -1) return null;
    const at = position & inChunk;
    const { bodyHashes, sequences, sources, starts, lengths } = this.#chunkOf(position);
    const start = starts[at] ?? 0;
    const length = lengths[at] ?? 0;
    return {
      bodyHash: bodyHashes[at] ?? 0,
      sequence: sequences[at] ?? 0,
      length,
      reply: position < this.#held ? null : (sources[at] as Uint8Array).subarray(start, start + length),
    };
  }

  /** Forgets the replies of records up to `through`, and lifts the floors of those whose they were. */
  forget(through: number, rules: Pick<FloorRules, "floorAfter" | "commonAfter">): void {
    while (this.#head < this.#tail && this.#sequenceAt(this.#head) <= through) {
      const at = this.#head & inChunk;
      const chunk = this.#chunkOf(this.#head);
      this.floors.forget(chunk.clients[at] ?? 0, chunk.stamps[at] ?? 0, rules);
      this.#index.remove(chunk.keyHashes[at] ?? 0, this.#head);
      if (this.#held === this.#head) this.#release();
      this.#head += 1;
      if ((this.#head & inChunk) !== 0) continue;
      this.#chunks.shift();
      this.#base = this.#head;
    }
    this.#compacted = Math.max(this.#compacted, this.#head);
  }

  /** Every stamp that is remembered, and every floor of a client's own: what a rare question needs. */
  eachStamp(visit: (client: string, stampMs: number) => void): void {
    for (let position = this.#head; position < this.#tail; position += 1) {
      const { clients, stamps } = this.#chunkOf(position);
      visit(this.floors.nameOf(clients[position & inChunk] ?? 0), stamps[position & inChunk] ?? 0);
    }
    for (const [client, floorMs] of this.floors.saved.clients) visit(client, floorMs);
  }

  /** The oldest reply in memory is not held any more. */
  #release(): void {
    const at = this.#held & inChunk;
    const chunk = this.#chunkOf(this.#held);
    if (this.#held < this.#compacted) this.#heldBytes -= chunk.lengths[at] ?? 0;
    chunk.drop(at);
    this.#held += 1;
  }

  /** Copies replies of records up to `through`, which are on the disk, out of the log's bytes, so that those can be let go. */
  compact(through: number): void {
    while (this.#compacted < this.#tail) {
      const at = this.#compacted & inChunk;
      const { sequences, starts, lengths, sources } = this.#chunkOf(this.#compacted);
      if ((sequences[at] ?? 0) > through) return;
      const length = lengths[at] ?? 0;
      if (this.#arenaEnd + length > this.#arena.length) {
        this.#arena = Buffer.allocUnsafeSlow(Math.max(arenaBytes, length));
        this.#arenaEnd = 0;
      }
      const start = starts[at] ?? 0;
      this.#arena.set((sources[at] as Uint8Array).subarray(start, start + length), this.#arenaEnd);
      sources[at] = this.#arena;
      starts[at] = this.#arenaEnd;
      this.#arenaEnd += length;
      this.#compacted += 1;
      this.#heldBytes += length;
      while (this.#heldBytes > this.#maxHeldBytes) this.#release();
    }
  }

  clone(): DuplicateTable {
    const copy = new DuplicateTable(this.#hasher, this.floors.clone(), this.#maxHeldBytes);
    copy.#index = this.#index.clone();
    copy.#chunks = this.#chunks.map((chunk) => chunk.clone());
    copy.#base = this.#base;
    copy.#head = this.#head;
    copy.#chosen = this.#chosen;
    copy.#tail = this.#tail;
    copy.#compacted = this.#compacted;
    copy.#held = this.#held;
    copy.#heldBytes = this.#heldBytes;
    copy.#marks = this.#marks.map((mark) => ({ ...mark }));
    copy.#aged = this.#aged;
    return copy;
  }
}
