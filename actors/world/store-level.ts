/**
 * The Store port on LevelDB: one server's directory with one database that counts, and at times one beside it that is
 * being filled to take its place (rule 7).
 * What always holds: only one process has the directory, from the first opening to the end, and opens each database in it
 * once; nothing in it is touched before it is this process's; writes happen in the order of the calls; after a disk error
 * the handle is dead and says why (rule 14); `adopt` is one durable step.
 */
import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { Database, type Snapshot, storeErrorOf } from "./database-level.ts";
import {
  type Clock,
  type SideStore,
  type Store,
  type StoreEntry,
  StoreError,
  type StoreRange,
  type StoreUsage,
  type StoreWrite,
} from "./ports.ts";
import { bytesIn, makeDirectory, StoreDirectory } from "./store-directory.ts";
import { DirectoryLock } from "./store-lock.ts";
import { threadMessages } from "./thread-messages.ts";
import { WriteQueue } from "./write-queue.ts";

const proofThread = new URL("../threads/proof-thread.js", import.meta.url);
/** A smaller store is read before a thread has begun. */
const usualThreadFromBytes = 16 * 1024 * 1024;

/** One database with the order of what happens to it; `database` changes when a side store is adopted. */
class Contents {
  database: Database;
  readonly queue: WriteQueue;
  #closed = false;

  constructor(database: Database) {
    this.database = database;
    this.queue = new WriteQueue(database);
  }

  /** Throws `closed`, or the error that ended this handle. */
  check(): void {
    if (this.#closed) throw new StoreError("closed", `${this.database.path} is closed`);
    if (this.queue.failure !== null) throw this.queue.failure;
  }

  /** Runs it unless the handle is dead; a disk error ends the handle. */
  async guard<T>(run: () => Promise<T>): Promise<T> {
    this.check();
    try {
      return await run();
    } catch (error) {
      throw this.#failed(error);
    }
  }

  async *entries(range: StoreRange): AsyncGenerator<StoreEntry> {
    this.check();
    try {
      yield* this.database.entries(range);
    } catch (error) {
      throw this.#failed(error);
    }
  }

  image(): AsyncIterable<StoreEntry> {
    const taken = this.queue.step(() => {
      this.check();
      return { database: this.database, snapshot: this.database.snapshot() };
    });
    // An error is told to whoever reads; nobody may be reading yet.
    taken.catch(() => undefined);
    return this.#readImage(taken);
  }

  /** Ends the handle when all writes before are done; the database stays open. */
  end(): Promise<void> {
    return this.queue.step(() => {
      this.#closed = true;
    });
  }

  /** Within a step of the queue: everything goes on in another database. */
  moveTo(database: Database): void {
    this.database = database;
    this.queue.retarget(database);
  }

  async *#readImage(taken: Promise<{ database: Database; snapshot: Snapshot }>): AsyncGenerator<StoreEntry> {
    try {
      const { database, snapshot } = await taken;
      yield* database.image(snapshot);
    } catch (error) {
      throw this.#failed(error);
    }
  }

  #failed(error: unknown): StoreError {
    const told = storeErrorOf(error, this.database.path);
    if (told.code !== "closed") this.queue.fail(told);
    return told;
  }
}

export class LevelStore implements Store {
  readonly #directory: string;
  readonly #clock: Clock;
  readonly #files: StoreDirectory;
  #lock: DirectoryLock | null = null;
  #contents: Contents | null = null;
  #side: LevelSide | null = null;

  readonly #threadFromBytes: number;

  constructor(directory: string, clock: Clock, { threadFromBytes = usualThreadFromBytes } = {}) {
    this.#directory = directory;
    this.#clock = clock;
    this.#threadFromBytes = threadFromBytes;
    this.#files = new StoreDirectory(directory);
  }

  async open(): Promise<void> {
    assert(this.#contents === null, "a store is open once");
    try {
      await makeDirectory(this.#directory);
      this.#lock ??= await DirectoryLock.take(this.#directory);
      const create = await this.#files.open();
      const database = await Database.open(this.#files.active, this.#clock, { create });
      this.#contents = new Contents(database);
      if (create) {
        await database.syncAll();
        await this.#files.made();
      } else await this.#files.tidy();
    } catch (error) {
      await this.release();
      throw storeErrorOf(error, this.#directory);
    }
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    const contents = this.#needed();
    return contents.guard(() => contents.database.get(key));
  }

  entries(range: StoreRange): AsyncIterable<StoreEntry> {
    return this.#needed().entries(range);
  }

  async readElsewhere(data: unknown): Promise<AsyncIterable<unknown> | null> {
    const contents = this.#needed();
    const { path } = contents.database;
    return (await contents.guard(() => bytesIn(path))) < this.#threadFromBytes ? null : this.#lend(contents, data);
  }

  /** LevelDB lets one thread have a database at a time. */
  async *#lend(contents: Contents, data: unknown): AsyncGenerator<unknown> {
    const { path } = contents.database;
    await contents.guard(() => contents.database.close());
    yield* threadMessages(proofThread, { path, data });
    contents.moveTo(await contents.guard(() => Database.open(path, this.#clock, { create: false })));
  }

  async write(batch: readonly StoreWrite[], { sync }: { sync: boolean }): Promise<void> {
    const contents = this.#needed();
    return contents.guard(() => contents.queue.write(batch, sync));
  }

  image(): AsyncIterable<StoreEntry> {
    return this.#needed().image();
  }

  async side(): Promise<SideStore> {
    const contents = this.#needed();
    assert(this.#side === null, "a store has one side store at a time");
    const path = this.#files.nextFolder();
    return contents.guard(async () => {
      await rm(path, { recursive: true, force: true });
      const database = await Database.open(path, this.#clock, { create: true });
      this.#side = new LevelSide(new Contents(database), {
        adopt: (finish, asideAs) => this.#adopt(contents, finish, asideAs),
        over: () => {
          this.#side = null;
        },
      });
      return this.#side;
    });
  }

  async usage(): Promise<StoreUsage> {
    const contents = this.#needed();
    return contents.guard(async () => ({
      bytes: await bytesIn(contents.database.path),
      aside: await this.#files.asideCopies(),
    }));
  }

  async close(): Promise<void> {
    const contents = this.#contents;
    this.#contents = null;
    await this.#side?.leave();
    await contents?.end();
    await contents?.database.close();
  }

  async release(): Promise<void> {
    try {
      await this.close();
    } finally {
      const lock = this.#lock;
      this.#lock = null;
      await lock?.release();
    }
  }

  #needed(): Contents {
    if (this.#contents === null) throw new StoreError("closed", `${this.#directory} is not open`);
    return this.#contents;
  }

  /** Between two writes: what is called later is written to the new database. */
  #adopt(contents: Contents, finish: () => Promise<Database>, asideAs: string | null): Promise<string | null> {
    const swap = async () => {
      contents.check();
      const adopted = await finish();
      const old = contents.database;
      const name = asideAs === null ? null : await this.#setAside(old, asideAs);
      await this.#files.switchOver();
      contents.moveTo(adopted);
      if (name !== null) return name;
      await old.close();
      await rm(old.path, { recursive: true, force: true });
      return null;
    };
    return contents.guard(() => contents.queue.step(swap));
  }

  /** Whole, and on the disk. */
  async #setAside(old: Database, label: string): Promise<string> {
    await old.syncAll();
    await old.close();
    return await this.#files.setAside(label, this.#clock.wallMs());
  }
}

interface Owner {
  /** `finish`: the last writes of the side store, on the disk. */
  adopt(finish: () => Promise<Database>, asideAs: string | null): Promise<string | null>;
  over(): void;
}

class LevelSide implements SideStore {
  readonly #contents: Contents;
  readonly #owner: Owner;
  #over = false;

  constructor(contents: Contents, owner: Owner) {
    this.#contents = contents;
    this.#owner = owner;
  }

  async write(batch: readonly StoreWrite[]): Promise<void> {
    this.#check();
    return this.#contents.guard(() => this.#contents.queue.write(batch, false));
  }

  image(): AsyncIterable<StoreEntry> {
    this.#check();
    return this.#contents.image();
  }

  async adopt(asideAs: string | null): Promise<string | null> {
    this.#check();
    const contents = this.#contents;
    this.#over = true;
    const finish = async () => {
      await contents.guard(() => contents.queue.step(() => contents.database.syncAll()));
      contents.check();
      await contents.end();
      return contents.database;
    };
    try {
      return await this.#owner.adopt(finish, asideAs);
    } catch (error) {
      await contents.database.close().catch(() => undefined);
      throw error;
    } finally {
      this.#owner.over();
    }
  }

  async discard(): Promise<void> {
    if (this.#over) return;
    await this.leave();
    await rm(this.#contents.database.path, { recursive: true, force: true });
  }

  /** Closes it and leaves its folder to the next opening. */
  async leave(): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    await this.#contents.end();
    await this.#contents.database.close();
    this.#owner.over();
  }

  #check(): void {
    if (this.#over) throw new StoreError("closed", "the side store was adopted or discarded");
  }
}
