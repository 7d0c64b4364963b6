/**
 * A new store in the place of whatever a stopped server's store directory holds, which may be too damaged to be opened (rule 7).
 * What always holds: the directory is this process's from `take` to `release`; what was there is not touched before the new
 * store is whole and on the disk; then it is set aside, whole, under a name and a date, and never removed.
 */
import { rm } from "node:fs/promises";
import { Database, storeErrorOf } from "./database-level.ts";
import type { Clock, SideStore, StoreEntry, StoreWrite } from "./ports.ts";
import { makeDirectory, StoreDirectory } from "./store-directory.ts";
import { DirectoryLock } from "./store-lock.ts";

export class StoreReplacement {
  readonly #directory: string;
  readonly #clock: Clock;
  readonly #lock: DirectoryLock;
  readonly #files: StoreDirectory;
  /** There is no store yet. */
  readonly isFirst: boolean;

  private constructor(directory: string, clock: Clock, lock: DirectoryLock, files: StoreDirectory, isFirst: boolean) {
    this.#directory = directory;
    this.#clock = clock;
    this.#lock = lock;
    this.#files = files;
    this.isFirst = isFirst;
  }

  /** Throws StoreError: `locked` while a server has it. */
  static async take(directory: string, clock: Clock): Promise<StoreReplacement> {
    let lock: DirectoryLock | null = null;
    try {
      await makeDirectory(directory);
      lock = await DirectoryLock.take(directory);
      const files = new StoreDirectory(directory);
      return new StoreReplacement(directory, clock, lock, files, await files.open());
    } catch (error) {
      await lock?.release();
      throw storeErrorOf(error, directory);
    }
  }

  /** A value of the store that is there; undefined where there is none, or where it is too damaged to be opened. */
  async present(key: Uint8Array): Promise<Uint8Array | undefined> {
    if (this.isFirst) return undefined;
    try {
      const database = await Database.open(this.#files.active, this.#clock, { create: false });
      return await database.get(key).finally(() => database.close());
    } catch {
      return undefined;
    }
  }

  async side(): Promise<SideStore> {
    const path = this.isFirst ? this.#files.active : this.#files.nextFolder();
    try {
      await rm(path, { recursive: true, force: true });
      return this.#sideOf(await Database.open(path, this.#clock, { create: true }), path);
    } catch (error) {
      throw storeErrorOf(error, this.#directory);
    }
  }

  #sideOf(database: Database, path: string): SideStore {
    return {
      write: (batch: readonly StoreWrite[]) => database.write([batch], false),
      image: (): AsyncIterable<StoreEntry> => database.image(database.snapshot()),
      adopt: async (asideAs) => {
        await database.syncAll();
        await database.close();
        if (this.isFirst) {
          await this.#files.made();
          return null;
        }
        const name = await this.#files.setAside(asideAs ?? "none", this.#clock.wallMs());
        await this.#files.switchOver();
        return name;
      },
      discard: async () => {
        await database.close();
        await rm(path, { recursive: true, force: true });
      },
    };
  }

  async release(): Promise<void> {
    await this.#lock.release();
  }
}
