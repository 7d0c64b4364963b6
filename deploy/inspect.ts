/**
 * Looks at a stopped server's store. What always holds: the store itself is only read, never opened: a copy is opened in
 * a folder of its own and removed afterwards (opening a LevelDB database writes to it); every row, item and record is
 * proved on the way, as a server does at its start. A store that was set aside is looked at by its name.
 */
import { constants, existsSync, rmSync } from "node:fs";
import { cp, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { applicationParts, schemaDigest } from "../actors/application/define.ts";
import { type AsideCopy, type Clock, type StoreEntry, StoreError } from "../actors/world/ports.ts";
import { StoreDirectory } from "../actors/world/store-directory.ts";
import { LevelStore } from "../actors/world/store-level.ts";
import { DirectoryLock } from "../actors/world/store-lock.ts";
import { everything, metaKey, readMeta } from "../machines/checkpoint/layout.ts";
import { type RecoveryVisitor, Scan } from "../machines/checkpoint/scan.ts";
import { KeyedHash } from "../machines/codec/keyed-hash.ts";
import type { CheckpointMeta, LogEnd } from "../schemas/checkpoint.ts";
import { Timer, timersName } from "../schemas/timers.ts";
import { applications } from "./applications.ts";

/** Why there is nothing to look at; one line, with what to do. */
export class InspectError extends Error {
  override readonly name = "InspectError";
}

export interface PartCount {
  readonly name: string;
  readonly kind: "table" | "queue" | "part";
  count: number;
}

export interface Inspection {
  readonly meta: CheckpointMeta;
  /** Name of the application whose schemas the store has; undefined: none that this program knows. */
  readonly application: string | undefined;
  /** By number. */
  readonly parts: ReadonlyMap<number, PartCount>;
  /** When the next timer is due, ms since 1970; null: none is set. */
  readonly nextTimerMs: number | null;
  /** The last record on disk. */
  readonly end: LogEnd;
  /** Earlier stores that were set aside beside it, the oldest first. */
  readonly aside: readonly AsideCopy[];
}

/** Told of a part's name as well as of what is in it. */
export interface InspectVisitor {
  /** First of all: what the store says of itself, of which nothing is proved yet. */
  onMeta?(meta: CheckpointMeta): void;
  onRow?(table: string, key: Buffer, value: Buffer): void;
  onItem?(queue: string, value: Buffer): void;
  onBatch?: RecoveryVisitor["onBatch"];
  /** Between two entries: whoever writes what it was told may do it here. */
  drained?(): Promise<void>;
}

/**
 * `directory`: a server's data directory, or the store in it; `copy`: the name of one that was set aside there. Throws
 * InspectError, RecoveryError and StoreError.
 */
export async function inspect(
  directory: string,
  clock: Clock,
  visitor: InspectVisitor,
  copy?: string,
): Promise<Inspection> {
  return await withCopy(directory, clock, copy, async (store, aside) => ({
    ...(await look(store, clock, visitor)),
    aside,
  }));
}

/** A copy of the store, open in a folder of its own while `use` runs. Throws InspectError and StoreError. */
export async function withCopy<T>(
  directory: string,
  clock: Clock,
  copy: string | undefined,
  use: (store: LevelStore, aside: readonly AsideCopy[]) => Promise<T>,
): Promise<T> {
  const store = storeIn(directory);
  const aside = await new StoreDirectory(store).asideCopies();
  if (copy !== undefined && !aside.some(({ name }) => name === copy))
    throw new InspectError(
      `${store} has no copy ${copy}: it has ${aside.map(({ name }) => name).join(", ") || "none"}`,
    );
  // What was set aside is nobody's: its server may run.
  const lock = copy === undefined ? await lockOf(store) : null;
  const folder = await mkdtemp(join(tmpdir(), "twinlog-inspect-"));
  // Whoever reads the output may go away, and end this process with it.
  const remove = () => rmSync(folder, { recursive: true, force: true });
  process.once("exit", remove);
  try {
    await takeCopy(store, folder, copy).finally(() => lock?.release());
    const copied = new LevelStore(folder, clock);
    await copied.open();
    try {
      return await use(copied, aside);
    } finally {
      await copied.release();
    }
  } finally {
    process.off("exit", remove);
    remove();
  }
}

/** Throws InspectError. */
function storeIn(directory: string): string {
  const store = existsSync(join(directory, "store")) ? join(directory, "store") : directory;
  if (!existsSync(join(store, "active"))) throw new InspectError(`${directory} holds no server's store`);
  return store;
}

/** Stores that were set aside there, the oldest first. Throws InspectError. */
export async function asideIn(directory: string): Promise<AsideCopy[]> {
  return await new StoreDirectory(storeIn(directory)).asideCopies();
}

async function takeCopy(store: string, folder: string, copy: string | undefined): Promise<void> {
  const mode = constants.COPYFILE_FICLONE;
  if (copy === undefined) {
    const isAside = (path: string) => relative(store, path).startsWith("aside-");
    await cp(store, folder, { recursive: true, mode, filter: (path) => !isAside(path) });
    return;
  }
  await cp(join(store, copy), join(folder, "store-1"), { recursive: true, mode });
  await writeFile(join(folder, "active"), "store-1\n");
}

/** Held while the store is copied. */
async function lockOf(store: string): Promise<DirectoryLock | null> {
  try {
    return await DirectoryLock.takeIfUsed(store);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    throw new InspectError(`${error.message}: stop that server first, or ask it with \`twinlog status\``);
  }
}

async function look(store: LevelStore, clock: Clock, visitor: InspectVisitor): Promise<Omit<Inspection, "aside">> {
  const found = await store.get(metaKey);
  if (found === undefined) throw new InspectError("the store is empty: its server has never flushed");
  const meta = readMeta(found);
  visitor.onMeta?.(meta);
  const { application, parts } = partsOf(meta);
  const part = (number: number): PartCount => {
    const known = parts.get(number) ?? { name: `part ${number}`, kind: "part" as const, count: 0 };
    parts.set(number, known);
    return known;
  };
  let nextTimerMs: number | null = null;
  const scan = new Scan(meta, new KeyedHash(clock.randomId()), {
    onRow: (number, key, value) => {
      const table = part(number);
      table.count += 1;
      if (table.name === timersName) nextTimerMs = Math.min(nextTimerMs ?? Number.MAX_SAFE_INTEGER, dueOf(value));
      visitor.onRow?.(table.name, key, value);
    },
    onItem: (number, value) => {
      const queue = part(number);
      queue.count += 1;
      visitor.onItem?.(queue.name, value);
    },
    onBatch: (batch) => visitor.onBatch?.(batch),
  });
  await feed(scan, store.entries(everything), visitor);
  const recovered = scan.finish();
  if (recovered === null) throw new InspectError("the store is empty: its server has never flushed");
  return { meta, application, parts, nextTimerMs, end: recovered.end };
}

function dueOf(row: Buffer): number {
  return Timer.parse(JSON.parse(row.toString())).atMs;
}

async function feed(scan: Scan, entries: AsyncIterable<StoreEntry>, visitor: InspectVisitor): Promise<void> {
  for await (const [key, value] of entries) {
    scan.entry(key, value);
    await visitor.drained?.();
  }
  await visitor.drained?.();
}

/** The names that the application gave its tables and queues: its catalog has them, or else this program knows it. */
export function partsOf({ catalog, schema }: CheckpointMeta): {
  application: string | undefined;
  parts: Map<number, PartCount>;
} {
  const known = [...applications.values()].find((application) => schemaDigest(application) === schema);
  const stored = catalog?.parts ?? (known === undefined ? [] : applicationParts(known));
  const parts = new Map(stored.map(({ part, name, kind }): [number, PartCount] => [part, { name, kind, count: 0 }]));
  return { application: catalog?.application ?? known?.name, parts };
}
