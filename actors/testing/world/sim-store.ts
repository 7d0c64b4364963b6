/**
 * The simulated Store: one process's handle on its host's disk. Calls take time and are done in their order; every one
 * is an I/O boundary.
 *
 * What always holds: as the port says; and after a failed write or sync the handle is dead, and what the disk holds of
 * the failed batch is unknown (rule 14).
 */

import { spaces } from "../../../machines/checkpoint/layout.ts";
import {
  type SideStore,
  type Store,
  type StoreEntry,
  StoreError,
  type StoreRange,
  type StoreUsage,
  type StoreWrite,
} from "../../world/ports.ts";
import type { Rng } from "./rng.ts";
import { type Batch, SimDirectory, type SimDisk } from "./sim-disk.ts";
import { SimProcess } from "./sim-process.ts";

const writeMs = 0.02;
const syncMs = 0.2;
const readMs = 0.01;
/** An iterator hands over so many entries before it reads again: crashes and pauses can come in between. */
const entriesPerRead = 64;

function copyOf(batch: readonly StoreWrite[]): Batch {
  return batch.map((write) =>
    write.type === "put"
      ? { type: "put", key: new Uint8Array(write.key), value: new Uint8Array(write.value) }
      : { type: "delete", key: new Uint8Array(write.key) },
  );
}

export class SimStore implements Store {
  readonly #process: SimProcess;
  readonly #disk: SimDisk;
  readonly #rng: Rng;
  #state: "new" | "open" | "failed" | "closed" = "new";
  #busyUntilMs = 0;
  #hasSide = false;
  /** Written by the process, not yet by the disk: a crash may still do a prefix of it. */
  readonly #issued: { directory: SimDirectory; batch: Batch }[] = [];

  constructor(process: SimProcess, disk: SimDisk, rng: Rng) {
    this.#process = process;
    this.#disk = disk;
    this.#rng = rng;
    process.whenKilled((kind) => {
      if (disk.lockedBy !== process) return;
      const done = this.#rng.int(0, this.#issued.length);
      for (const { directory, batch } of this.#issued.slice(0, done)) directory.write(batch);
      disk.crash(kind);
      disk.lockedBy = null;
    });
  }

  open(): Promise<void> {
    if (!this.#process.boundary("store.open", "before")) return SimProcess.never();
    return this.#process.promise((settle) => {
      settle(this.#takes(1), () => {
        if (this.#state === "open") throw new StoreError("closed", "the store is open already");
        const holder = this.#disk.lockedBy;
        if (holder?.isAlive === true && holder !== this.#process)
          throw new StoreError("locked", `the directory is locked by ${holder.name}`);
        if (this.#disk.isFull && this.#disk.mayFail()) throw new StoreError("full", "no space left on the device");
        this.#disk.lockedBy = this.#process;
        this.#disk.side = null;
        this.#hasSide = false;
        this.#state = "open";
        // A life of it that was over anyway had met the error, and its next one is not ended by that.
        if (this.#disk.failedProcess === this.#process.name) this.#disk.failedProcess = "";
        this.#process.boundary("store.open", "after");
      });
    });
  }

  get(key: Uint8Array): Promise<Uint8Array | undefined> {
    const copy = new Uint8Array(key);
    // Not in turn: writes that are under way are seen, or not.
    return this.#aside("store.get", readMs, () => {
      const found = this.#disk.main.get(copy);
      return found === undefined ? undefined : new Uint8Array(found);
    });
  }

  entries(range: StoreRange): AsyncIterable<StoreEntry> {
    const { from, to, reverse = false, limit = Number.MAX_SAFE_INTEGER } = range;
    // As of this call, and not in turn: writes that are under way are not seen.
    const found = this.#disk.main.range(from, to);
    if (reverse) found.reverse();
    const image = this.#aside("store.entries", readMs, () => found.slice(0, limit));
    return this.#iterate("store.entries", image);
  }

  image(): AsyncIterable<StoreEntry> {
    // In turn: it sees all writes called before it, and none called after.
    return this.#iterate(
      "store.image",
      this.#io("store.image", readMs, () => this.#disk.main.range()),
    );
  }

  write(batch: readonly StoreWrite[], options: { sync: boolean }): Promise<void> {
    return this.#write(() => this.#disk.main, batch, options.sync, options.sync ? "store.sync" : "store.write");
  }

  async side(): Promise<SideStore> {
    if (this.#hasSide) throw new Error("a store has one side store at a time");
    this.#hasSide = true;
    const directory = new SimDirectory();
    await this.#io("store.side", writeMs, () => {
      this.#disk.side = directory;
    });
    const current = () => {
      if (this.#disk.side !== directory) throw new StoreError("closed", "this side store is gone");
      return directory;
    };
    return {
      write: (batch) => this.#write(current, this.#lossyOf(batch), false, "side.write"),
      image: () => this.#iterate("side.image", this.#sideImage(current)),
      adopt: (asideAs) =>
        this.#io("side.adopt", 2 * syncMs, () => {
          const adopted = current();
          adopted.sync();
          this.#hasSide = false;
          return this.#disk.adopt(adopted, asideAs);
        }),
      discard: () =>
        this.#io("side.discard", writeMs, () => {
          if (this.#disk.side === directory) this.#disk.side = null;
          this.#hasSide = false;
        }),
    };
  }

  usage(): Promise<StoreUsage> {
    return this.#process.promise((settle) =>
      settle(this.#takes(readMs), () => {
        this.#check();
        return this.#disk.usage;
      }),
    );
  }

  #lossyOf(batch: readonly StoreWrite[]): readonly StoreWrite[] {
    const at = batch.findIndex(({ key }) => key[0] === spaces.row);
    if (!this.#disk.losesSideRow || at < 0) return batch;
    this.#disk.losesSideRow = false;
    return batch.toSpliced(at, 1);
  }

  close(): Promise<void> {
    if (this.#state !== "open" && this.#state !== "failed") return Promise.resolve();
    return this.#process.promise((settle) => {
      if (!this.#process.boundary("store.close", "before")) return;
      settle(Math.max(0, this.#busyUntilMs - this.#process.scheduler.nowMs) + this.#takes(writeMs), () => {
        this.#state = "closed";
        if (this.#disk.lockedBy === this.#process) this.#disk.crash("process");
        this.#process.boundary("store.close", "after");
      });
    });
  }

  async #sideImage(current: () => SimDirectory): Promise<StoreEntry[]> {
    const { sideReadMs } = this.#disk;
    if (sideReadMs > 0) await this.#aside("side.image", sideReadMs, () => undefined);
    return await this.#io("side.image", readMs, () => current().range());
  }

  async release(): Promise<void> {
    await this.close();
    if (this.#disk.lockedBy === this.#process && this.#process.isAlive) this.#disk.lockedBy = null;
  }

  #takes(ms: number): number {
    return ms * this.#disk.slowness * (0.7 + this.#rng.exponential(0.5));
  }

  #check(): void {
    if (this.#state === "open") return;
    if (this.#state === "failed") throw new StoreError("failed", "the store failed before");
    throw new StoreError("closed", "the store is not open");
  }

  /** Beside the writes that are under way. */
  #aside<T>(what: string, ms: number, effect: () => T): Promise<T> {
    if (!this.#process.boundary(what, "before")) return SimProcess.never();
    return this.#process.promise((settle) => {
      settle(this.#takes(ms), () => {
        this.#check();
        const outcome = effect();
        this.#process.boundary(what, "after");
        return outcome;
      });
    });
  }

  /** In turn with all other calls: done when those before it are done. */
  #io<T>(what: string, ms: number, effect: () => T): Promise<T> {
    const process = this.#process;
    if (!process.boundary(what, "before")) return SimProcess.never();
    return new Promise<T>((resolve, reject) => {
      this.#busyUntilMs = Math.max(this.#busyUntilMs, process.scheduler.nowMs) + this.#takes(ms);
      process.later(this.#busyUntilMs - process.scheduler.nowMs, "store", () => {
        try {
          this.#check();
          const outcome = effect();
          if (process.boundary(what, "after")) resolve(outcome);
        } catch (error) {
          reject(error);
        }
      });
    });
  }

  async #write(
    directory: () => SimDirectory,
    batch: readonly StoreWrite[],
    sync: boolean,
    what: string,
  ): Promise<void> {
    const issued = { directory: directory(), batch: copyOf(batch) };
    this.#issued.push(issued);
    const written = this.#io(sync ? "store.write" : what, writeMs, () => {
      this.#issued.splice(this.#issued.indexOf(issued), 1);
      this.#failIf(this.#disk.isFull && this.#disk.mayFail(), "full", "no space left on the device");
      const fails = this.#disk.failingWrites > 0 && this.#disk.failingWrites-- > 0;
      this.#failIf(fails && this.#disk.mayFail(), "failed", "a write failed");
      directory().write(issued.batch);
    });
    if (!sync) return written;
    const synced = this.#io(what, syncMs, () => {
      const fails = this.#disk.failingSyncs > 0 && this.#disk.failingSyncs-- > 0;
      if (fails && this.#disk.mayFail()) {
        this.#disk.main.isLossy = true;
        this.#failIf(true, "failed", "a sync failed");
      }
      this.#disk.main.sync();
    });
    await Promise.all([written, synced]);
  }

  #failIf(fails: boolean, code: StoreError["code"], message: string): void {
    if (!fails) return;
    this.#state = "failed";
    this.#disk.failedProcess = this.#process.name;
    this.#issued.length = 0;
    throw new StoreError(code, message);
  }

  #iterate(what: string, image: Promise<StoreEntry[]>): AsyncIterable<StoreEntry> {
    image.catch(() => undefined);
    const again = () => this.#aside(what, readMs, () => undefined);
    async function* entries(): AsyncGenerator<StoreEntry> {
      const found = await image;
      let count = 0;
      for (const [key, value] of found) {
        yield [new Uint8Array(key), new Uint8Array(value)];
        count += 1;
        if (count % entriesPerRead === 0) await again();
      }
    }
    return entries();
  }
}
