/**
 * One LevelDB database, keys and values as bytes. What always holds: every error comes out as a StoreError; a batch is
 * applied as a whole; a synced write resolves when it and every write before it are on the disk.
 *
 * LevelDB syncs only the log file that it writes to now. When it has begun a new one since the last sync, unsynced
 * writes at the end of the old one are not on the disk yet, so the older log files are synced here as well.
 */
import { open, readdir } from "node:fs/promises";
import { join } from "node:path";
import { type IteratorOptions, Level } from "level";
import { type Clock, type StoreEntry, StoreError, type StoreRange, type StoreWrite } from "./ports.ts";
import { syncDirectory } from "./store-directory.ts";

/** Larger ones mean fewer and larger rewrites in the background, and a longer opening after a crash. */
const writeBufferBytes = 16 * 1024 * 1024;
/** How much one round trip to an iterator fetches. */
const fetchEntries = 1000;
const fetchBytes = 1024 * 1024;
/** Adding to a batch takes about half a microsecond each: after so many, waiting input gets its turn. */
const operationsPerTurn = 2000;

type Bytes = Level<Uint8Array, Uint8Array>;
export type Snapshot = ReturnType<Bytes["snapshot"]>;

export class Database {
  readonly path: string;
  readonly #level: Bytes;
  readonly #clock: Clock;
  /** Something was written and not synced since the last sync. */
  #unsynced = false;

  private constructor(path: string, clock: Clock) {
    this.path = path;
    this.#clock = clock;
    this.#level = new Level(path, {
      keyEncoding: "view",
      valueEncoding: "view",
      writeBufferSize: writeBufferBytes,
    });
  }

  static async open(path: string, clock: Clock, { create }: { create: boolean }): Promise<Database> {
    const database = new Database(path, clock);
    await database.#guard(() => database.#level.open({ createIfMissing: create, errorIfExists: create }));
    return database;
  }

  get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return this.#guard(() => this.#level.get(key));
  }

  /** All batches as one, in order. */
  async write(batches: readonly (readonly StoreWrite[])[], sync: boolean): Promise<void> {
    await this.#guard(async () => {
      const chain = this.#level.batch();
      let operations = 0;
      for (const batch of batches) {
        for (const write of batch) {
          if (write.type === "put") chain.put(write.key, write.value);
          else chain.del(write.key);
          operations += 1;
          if (operations % operationsPerTurn === 0) await new Promise<void>((resolve) => this.#clock.soon(resolve));
        }
      }
      const older = sync && this.#unsynced;
      if (operations > 0) {
        this.#unsynced ||= !sync;
        await chain.write({ sync });
      } else await chain.close();
      // Without an operation LevelDB would not sync at all.
      if (older) await this.#syncLogs(operations > 0);
      if (sync) this.#unsynced = false;
    });
  }

  /** Makes everything durable, the names of the files too. */
  async syncAll(): Promise<void> {
    await this.#guard(async () => {
      await this.#syncLogs(false);
      await syncDirectory(this.path);
    });
  }

  async *entries(range: StoreRange): AsyncGenerator<StoreEntry> {
    const { from, to, reverse = false, limit = -1 } = range;
    for await (const some of this.#read({ gte: from, lt: to, reverse, limit })) yield* some;
  }

  /** The same, as many at once as are read at once; the next ones are read meanwhile. */
  some({ from, to }: Pick<StoreRange, "from" | "to">): AsyncGenerator<readonly StoreEntry[]> {
    return this.#read({ gte: from, lt: to });
  }

  snapshot(): Snapshot {
    return this.#level.snapshot();
  }

  /** All entries of the snapshot, which is given back at the end. */
  async *image(snapshot: Snapshot): AsyncGenerator<StoreEntry> {
    try {
      for await (const some of this.#read({ snapshot })) yield* some;
    } finally {
      await snapshot.close();
    }
  }

  close(): Promise<void> {
    return this.#guard(() => this.#level.close());
  }

  async *#read(options: IteratorOptions<Uint8Array, Uint8Array>): AsyncGenerator<readonly StoreEntry[]> {
    const iterator = await this.#guard(async () =>
      this.#level.iterator<Uint8Array, Uint8Array>({ ...options, fillCache: false, highWaterMarkBytes: fetchBytes }),
    );
    const next = () => {
      const entries = this.#guard(() => iterator.nextv(fetchEntries));
      // Whoever reads may have had enough.
      entries.catch(() => undefined);
      return entries;
    };
    const isWhole = (options.limit ?? -1) === -1;
    try {
      let ahead = next();
      for (;;) {
        const entries = await ahead;
        if (entries.length === 0) return;
        if (isWhole) ahead = next();
        yield entries;
        if (!isWhole) ahead = next();
      }
    } finally {
      await iterator.close();
    }
  }

  /** `newestIsSynced`: LevelDB has just synced the log file that it writes to. */
  async #syncLogs(newestIsSynced: boolean): Promise<void> {
    const logs = (await readdir(this.path)).filter((name) => name.endsWith(".log")).sort();
    if (newestIsSynced) logs.pop();
    for (const name of logs) {
      try {
        const log = await open(join(this.path, name), "r+");
        await log.datasync().finally(() => log.close());
      } catch (error) {
        // Gone since it was listed: LevelDB has put its content into a table, and syncs that before it removes the log.
        if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      }
    }
  }

  async #guard<T>(run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      throw storeErrorOf(error, this.path);
    }
  }
}

export interface HeldDatabase {
  close(): Promise<void>;
}

/** Opens a database, made if it is missing, only so that no other process can until this one closes it or has ended. */
export async function holdDatabase(path: string): Promise<HeldDatabase> {
  const level = new Level<Uint8Array, Uint8Array>(path, { keyEncoding: "view", valueEncoding: "view" });
  try {
    await level.open();
  } catch (error) {
    throw storeErrorOf(error, path);
  }
  return { close: () => level.close() };
}

const noLocks = /no locks available|not implemented|not supported|invalid argument/i;
const noRoom = /no space left|disk quota|file too large|ENOSPC|EDQUOT|EFBIG/i;
const damaged = /corruption|checksum|does not exist \(create_if_missing|missing files|no such file/i;

/** What LevelDB, or the file system, said, as one of our codes. */
export function storeErrorOf(error: unknown, path: string): StoreError {
  if (error instanceof StoreError) return error;
  const { code, cause, message } = error as Error & { code?: string };
  if (cause instanceof Error) return storeErrorOf(cause, path);
  const text = `${path}: ${message}`;
  const options = { cause: error };
  if (code === "LEVEL_LOCKED" && noLocks.test(message))
    return new StoreError(
      "failed",
      `${text} (this file system cannot lock files: a store needs one that can)`,
      options,
    );
  if (code === "LEVEL_LOCKED") return new StoreError("locked", `${text} (another process has it open)`, options);
  if (noRoom.test(message)) return new StoreError("full", text, options);
  if (code === "LEVEL_CORRUPTION" || damaged.test(message)) return new StoreError("damaged", text, options);
  if (code === "LEVEL_DATABASE_NOT_OPEN" || code === "LEVEL_ITERATOR_NOT_OPEN" || code === "LEVEL_SNAPSHOT_NOT_OPEN")
    return new StoreError("closed", text, options);
  return new StoreError("failed", text, options);
}
