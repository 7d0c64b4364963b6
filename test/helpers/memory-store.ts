/**
 * A Store in memory that remembers every batch, so that a test can start again from any moment: what a crash leaves is
 * the batches up to the last synced one, and any number of those after it. A batch is whole or not there, as LevelDB
 * recovers it. It can fail a write, be full, lose batches from the middle and change bytes.
 */
import {
  type SideStore,
  type Store,
  type StoreEntry,
  StoreError,
  type StoreRange,
  type StoreUsage,
  type StoreWrite,
} from "../../actors/world/ports.ts";

type Entries = Map<string, StoreEntry>;

const order = (key: Uint8Array) => Buffer.from(key).toString("latin1");

function apply(entries: Entries, batch: readonly StoreWrite[]): void {
  for (const write of batch) {
    if (write.type === "put") entries.set(order(write.key), [Buffer.from(write.key), Buffer.from(write.value)]);
    else entries.delete(order(write.key));
  }
}

function sorted(entries: Entries, from = "", to = "\u00ff\u00ff"): StoreEntry[] {
  return [...entries]
    .filter(([key]) => key >= from && key < to)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, entry]) => entry);
}

function sizeOf(entries: readonly StoreEntry[]): number {
  return entries.reduce((sum, [key, value]) => sum + key.length + value.length, 0);
}

export interface StoredBatch {
  readonly writes: readonly StoreWrite[];
  readonly sync: boolean;
}

/** What outlives a process. */
export class MemoryDisk {
  readonly batches: StoredBatch[] = [];
  base: Entries = new Map();
  isOpen = false;
  /** Earlier contents, by the names under which they were set aside. */
  readonly aside: { readonly name: string; readonly entries: readonly StoreEntry[] }[] = [];

  /** The disk as it was when `count` batches were on it. */
  after(count: number): MemoryDisk {
    const disk = new MemoryDisk();
    disk.base = new Map(this.base);
    for (const batch of this.batches.slice(0, count)) apply(disk.base, batch.writes);
    return disk;
  }

  /** The disk without one of its batches: LevelDB may lose synced writes from the middle. */
  without(index: number): MemoryDisk {
    const disk = new MemoryDisk();
    disk.base = new Map(this.base);
    for (const batch of this.batches.toSpliced(index, 1)) apply(disk.base, batch.writes);
    return disk;
  }

  entries(): StoreEntry[] {
    return sorted(this.after(this.batches.length).base);
  }

  /** Changes the stored entries in place. */
  edit(change: (entries: Entries) => void): MemoryDisk {
    const disk = this.after(this.batches.length);
    change(disk.base);
    return disk;
  }
}

export class MemoryStore implements Store {
  readonly disk: MemoryDisk;
  #entries: Entries = new Map();
  #isOpen = false;
  /** Batches that may still be written before the next one fails; null: no fault. */
  failAfter: number | null = null;
  failure: StoreError["code"] = "failed";
  /** Each write waits for this. */
  gate: Promise<void> = Promise.resolve();
  /** Each write to a side store waits for this. */
  sideGate: Promise<void> = Promise.resolve();
  /** What a side store holds is read after this; and how often reading it has begun. */
  readGate: Promise<void> = Promise.resolve();
  sideReads = 0;
  /** A side store waits for this before it takes the store's place. */
  adoptGate: Promise<void> = Promise.resolve();
  /** A side store waits for this before it is made. */
  makingGate: Promise<void> = Promise.resolve();
  #hasSide = false;
  discarded = 0;

  constructor(disk: MemoryDisk = new MemoryDisk()) {
    this.disk = disk;
  }

  async open(): Promise<void> {
    if (this.disk.isOpen) throw new StoreError("locked", "another process has it");
    this.disk.isOpen = true;
    this.#isOpen = true;
    this.#entries = this.disk.after(this.disk.batches.length).base;
  }

  #check(): void {
    if (!this.#isOpen) throw new StoreError("closed", "the store is closed");
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    this.#check();
    return this.#entries.get(order(key))?.[1];
  }

  async *entries(range: StoreRange): AsyncIterable<StoreEntry> {
    this.#check();
    const { from, to, reverse = false, limit = Number.POSITIVE_INFINITY } = range;
    const found = sorted(this.#entries, order(from), order(to));
    yield* (reverse ? found.reverse() : found).slice(0, limit);
  }

  async write(batch: readonly StoreWrite[], { sync }: { sync: boolean }): Promise<void> {
    this.#check();
    const kept = batch.map((write) => ({ ...write }));
    await this.gate;
    this.#check();
    if (this.failAfter === 0) throw new StoreError(this.failure, "the disk does not take it");
    if (this.failAfter !== null) this.failAfter -= 1;
    this.disk.batches.push({ writes: kept, sync });
    apply(this.#entries, kept);
  }

  async *image(): AsyncIterable<StoreEntry> {
    this.#check();
    yield* sorted(new Map(this.#entries));
  }

  async side(): Promise<SideStore> {
    this.#check();
    if (this.#hasSide) throw new Error("a store has one side store at a time");
    this.#hasSide = true;
    await this.makingGate;
    this.#check();
    const entries: Entries = new Map();
    let isOpen = true;
    const check = () => {
      if (!isOpen) throw new StoreError("closed", "the side store is closed");
    };
    const beginReading = (): Promise<void> => {
      check();
      this.sideReads += 1;
      return this.readGate;
    };
    return {
      write: async (batch) => {
        check();
        await this.sideGate;
        check();
        if (this.failAfter === 0) throw new StoreError(this.failure, "the disk does not take it");
        apply(entries, batch);
      },
      image: async function* () {
        await beginReading();
        check();
        yield* sorted(new Map(entries));
      },
      adopt: async (asideAs) => {
        check();
        await this.adoptGate;
        this.#check();
        isOpen = false;
        this.#hasSide = false;
        if (asideAs !== null) this.disk.aside.push({ name: asideAs, entries: sorted(this.#entries) });
        this.#entries = entries;
        this.disk.base = new Map(entries);
        this.disk.batches.length = 0;
        return asideAs;
      },
      discard: async () => {
        check();
        isOpen = false;
        this.#hasSide = false;
        this.discarded += 1;
      },
    };
  }

  async usage(): Promise<StoreUsage> {
    this.#check();
    return {
      bytes: sizeOf(sorted(this.#entries)),
      aside: this.disk.aside.map(({ name, entries }) => ({ name, bytes: sizeOf(entries) })),
    };
  }

  async close(): Promise<void> {
    this.#check();
    this.#hasSide = false;
    this.#isOpen = false;
    this.disk.isOpen = false;
  }

  async release(): Promise<void> {
    if (this.#isOpen) await this.close();
  }
}
