/**
 * A simulated disk: what survives its processes. A directory of the store is a base, a journal of synced batches, and
 * batches that were written and are not synced.
 *
 * What always holds: batches are whole, in order, and only a suffix of the unsynced ones is lost by a crash (a torn
 * last batch counts as lost), unless a fault damages what was synced.
 */

import { metaKey, readMeta, readSegment, spaces } from "../../../machines/checkpoint/layout.ts";
import type { StoreEntry, StoreUsage, StoreWrite } from "../../world/ports.ts";
import type { Rng } from "./rng.ts";
import type { KillKind, SimProcess } from "./sim-process.ts";

export type Batch = readonly StoreWrite[];

/** How many synced batches stay apart, so that a fault can lose one from the middle. */
const maxJournal = 48;

export function keyText(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("latin1");
}

function applyTo(entries: Map<string, StoreEntry>, batch: Batch): void {
  for (const write of batch) {
    if (write.type === "put") entries.set(keyText(write.key), [write.key, write.value]);
    else entries.delete(keyText(write.key));
  }
}

export class SimDirectory {
  #base = new Map<string, StoreEntry>();
  #journal: Batch[] = [];
  #unsynced: Batch[] = [];
  #live = new Map<string, StoreEntry>();
  #sorted: string[] | null = [];
  /** What was synced is not what is there any more; a copy of it is no better. */
  isHarmed = false;
  /** What was cut off its log by whoever wrote to it. */
  readonly cut: StoreEntry[] = [];
  /** After a failed sync nobody knows what the disk holds: the next end of a process loses as a power loss does. */
  isLossy = false;

  get unsyncedBatches(): number {
    return this.#unsynced.length;
  }

  get size(): number {
    return this.#live.size;
  }

  get bytes(): number {
    return [...this.#live.values()].reduce((sum, [key, value]) => sum + key.length + value.length, 0);
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.#live.get(keyText(key))?.[1];
  }

  write(batch: Batch): void {
    this.#noteCuts(batch);
    this.#unsynced.push(batch);
    applyTo(this.#live, batch);
    this.#sorted = null;
  }

  /** Segments of the log that a batch drops or replaces, but for those that are dropped for their age. */
  #noteCuts(batch: Batch): void {
    for (const { key, type } of batch) {
      if (key[0] !== spaces.segment) continue;
      const entry = this.#live.get(keyText(key));
      if (entry === undefined) continue;
      const meta = this.#live.get(keyText(metaKey))?.[1];
      const applied = meta === undefined ? 0 : readMeta(meta).applied.sequence;
      if (type === "put" || readSegment(...entry).last > applied) this.cut.push(entry);
    }
  }

  sync(): void {
    for (const batch of this.#unsynced) this.#journal.push(batch);
    this.#unsynced = [];
    while (this.#journal.length > maxJournal) applyTo(this.#base, this.#journal.shift() as Batch);
  }

  /** All entries from `from` (inclusive) to `to` (exclusive), as of now, in key order. */
  range(from?: Uint8Array, to?: Uint8Array): StoreEntry[] {
    this.#sorted ??= [...this.#live.keys()].sort();
    const first = from === undefined ? 0 : lowerBound(this.#sorted, keyText(from));
    const end = to === undefined ? this.#sorted.length : lowerBound(this.#sorted, keyText(to));
    const found: StoreEntry[] = [];
    for (let at = first; at < end; at += 1) found.push(this.#live.get(this.#sorted[at] as string) as StoreEntry);
    return found;
  }

  /** The process ended: its kernel keeps what was written; a power loss keeps any prefix of what was not synced. */
  crash(kind: KillKind, rng: Rng): void {
    if (this.#unsynced.length > 0) {
      const kept = kind === "machine" || this.isLossy ? rng.int(0, this.#unsynced.length) : this.#unsynced.length;
      this.#unsynced.length = kept;
      this.sync();
    }
    this.isLossy = false;
    this.#rebuild();
  }

  /** Fault: a flipped byte in LevelDB's log loses synced batches from the middle, without a word (FACTS). */
  loseMiddle(rng: Rng): boolean {
    if (this.#journal.length < 3) return false;
    this.#journal.splice(rng.below(this.#journal.length - 1), 1);
    this.#rebuild();
    return true;
  }

  /** Fault: the file ends earlier than it did. */
  truncate(rng: Rng): boolean {
    if (this.#journal.length < 2) return false;
    this.#journal.length -= rng.int(1, Math.min(4, this.#journal.length - 1));
    this.#rebuild();
    return true;
  }

  /** Fault: one bit of one value is another. */
  flip(rng: Rng): boolean {
    const entries = this.range().filter((entry) => entry[1].length > 0);
    if (entries.length === 0) return false;
    const [key, value] = rng.pick(entries);
    const changed = new Uint8Array(value);
    const at = rng.below(changed.length);
    changed[at] = (changed[at] as number) ^ (1 << rng.below(8));
    this.#journal.push([{ type: "put", key, value: changed }]);
    this.#rebuild();
    return true;
  }

  /** Fault: one row of a table is gone; all that is left is sound in itself. */
  loseRow(rng: Rng): boolean {
    const rows = this.range(Uint8Array.of(spaces.row), Uint8Array.of(spaces.item));
    if (rows.length === 0) return false;
    const [key] = rng.pick(rows);
    this.#journal.push([{ type: "delete", key }]);
    this.#rebuild();
    return true;
  }

  copy(): SimDirectory {
    const copy = new SimDirectory();
    copy.#base = new Map(this.#base);
    copy.#journal = [...this.#journal];
    copy.isHarmed = this.isHarmed;
    copy.#rebuild();
    return copy;
  }

  #rebuild(): void {
    this.#live = new Map(this.#base);
    for (const batch of this.#journal) applyTo(this.#live, batch);
    for (const batch of this.#unsynced) applyTo(this.#live, batch);
    this.#sorted = null;
  }
}

function lowerBound(sorted: readonly string[], key: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] as string) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** What is lost or changed: a batch from the middle, the end, a bit. */
export type Damage = "middle" | "truncated" | "flipped";

/** One host's disk. */
export class SimDisk {
  main = new SimDirectory();
  side: SimDirectory | null = null;
  /** Earlier contents that were set aside, the oldest first, and those that were dropped when others took their place. */
  readonly aside: { readonly name: string; readonly directory: SimDirectory }[] = [];
  readonly dropped: SimDirectory[] = [];
  /** Another disk is in its place, an older copy of it, or less than was on it: told whoever keeps account of it. `wasKept`: beside that. */
  onOther: (wasKept: boolean) => void = () => {};
  lockedBy: SimProcess | null = null;
  /** Asked when one of the next three would be met: where it may not be any more, the call succeeds. */
  mayFail: () => boolean = () => true;
  /** Fault: no space; writes fail, and so does opening while it lasts (FACTS). */
  isFull = false;
  /** Fault: so many of the next syncs fail. */
  failingSyncs = 0;
  /** Fault: so many of the next writes fail. */
  failingWrites = 0;
  /** Fault: a row of the next snapshot that is written is lost. */
  losesSideRow = false;
  /** Fault: before a side directory is read back, so much time passes, in ms; the store goes on beside. */
  sideReadMs = 0;
  /** The process that met one of these errors: it will end of it, or its present life is over. */
  failedProcess = "";
  /** Fault: everything takes so many times longer (situation 41). */
  slowness = 1;
  readonly #rng: Rng;
  #oldCopy: SimDirectory | null = null;

  constructor(rng: Rng) {
    this.#rng = rng;
  }

  /** The side directory counts from now on. */
  adopt(adopted: SimDirectory, asideAs: string | null): string | null {
    const old = this.main;
    this.main = adopted;
    this.side = null;
    if (asideAs === null) {
      this.dropped.push(old);
      return null;
    }
    old.sync();
    const name = `aside-${this.aside.length + 1}-${asideAs}`;
    this.aside.push({ name, directory: old });
    return name;
  }

  get usage(): StoreUsage {
    return {
      bytes: this.main.bytes,
      aside: this.aside.map(({ name, directory }) => ({ name, bytes: directory.bytes })),
    };
  }

  /** Directories of a process that ended. */
  crash(kind: KillKind): void {
    this.main.crash(kind, this.#rng);
    this.side?.crash(kind, this.#rng);
  }

  saveCopy(): void {
    this.#oldCopy = this.main.copy();
  }

  /** Fault: an old copy of the directory is put in place (situation 28). */
  restoreCopy(): boolean {
    if (this.#oldCopy === null) return false;
    this.put(this.#oldCopy.copy());
    return true;
  }

  /** Fault: another directory is in its place. */
  put(directory: SimDirectory): void {
    this.main = directory;
    this.side = null;
    this.onOther(false);
  }

  /** An operator puts another directory in place, as `twinlog restore` does: what was there is set aside. */
  replace(directory: SimDirectory, asideAs: string): void {
    this.adopt(directory, asideAs);
    this.onOther(true);
  }

  /** Fault: the disk is lost and replaced by an empty one. */
  wipe(): void {
    this.put(new SimDirectory());
    this.aside.length = 0;
    this.dropped.length = 0;
  }

  loseRow(): boolean {
    return this.#harmed(this.main.loseRow(this.#rng));
  }

  damage(ways: readonly Damage[]): Damage | null {
    const how = this.#rng.pick(ways);
    const done =
      how === "middle"
        ? this.main.loseMiddle(this.#rng)
        : how === "truncated"
          ? this.main.truncate(this.#rng)
          : this.main.flip(this.#rng);
    return this.#harmed(done) ? how : null;
  }

  #harmed(isDone: boolean): boolean {
    this.main.isHarmed ||= isDone;
    if (isDone) this.onOther(false);
    return isDone;
  }
}
