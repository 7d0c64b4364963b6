/**
 * What a server has on its disk right now: its store is copied while the server is paused, and read as a starting server would read
 * it, proofs included. The server itself is not disturbed.
 */
import { cp } from "node:fs/promises";
import { join } from "node:path";
import type { ApplicationDefinition } from "../../../actors/application/contract.ts";
import { applicationParts } from "../../../actors/application/define.ts";
import { scanEntries } from "../../../actors/checkpoint/recovery.ts";
import { openNodeClock } from "../../../actors/world/clock-node.ts";
import { LevelStore } from "../../../actors/world/store-level.ts";
import { everything, metaKey, readMeta } from "../../../machines/checkpoint/layout.ts";
import { KeyedHash } from "../../../machines/codec/keyed-hash.ts";
import { RecordReader, recordKinds } from "../../../machines/codec/record.ts";
import type { CheckpointMeta } from "../../../schemas/checkpoint.ts";
import { makeTemporaryDirectory } from "../temporary-directory.ts";
import type { Pair } from "./pair.ts";

export interface DiskRecord {
  readonly sequence: number;
  readonly epoch: number;
  readonly kind: keyof typeof recordKinds;
  readonly client: string;
  readonly id: string;
  /** Of the transaction. */
  readonly name: string;
  readonly reply: string;
  /** The whole record. */
  readonly bytes: Buffer;
}

export interface Disk {
  readonly meta: CheckpointMeta;
  readonly records: readonly DiskRecord[];
  /** Sequence of the last record. */
  readonly last: number;
  /** As of `meta.applied`, by name; values are JSON. */
  readonly tables: ReadonlyMap<string, ReadonlyMap<string, unknown>>;
  readonly queues: ReadonlyMap<string, readonly unknown[]>;
}

export async function readDisk(pair: Pair, server: string, application: ApplicationDefinition): Promise<Disk> {
  const copy = await makeTemporaryDirectory();
  try {
    const process = pair.server(server);
    process.signal("SIGSTOP");
    try {
      await cp(join(pair.folder, server, "store"), copy.path, { recursive: true });
    } finally {
      process.signal("SIGCONT");
    }
    return await readStore(copy.path, application);
  } finally {
    await copy.remove();
  }
}

async function readStore(path: string, application: ApplicationDefinition): Promise<Disk> {
  const clock = openNodeClock();
  const store = new LevelStore(path, clock);
  await store.open();
  try {
    let meta: CheckpointMeta | undefined;
    for await (const [, value] of store.entries({ from: metaKey, to: Uint8Array.of((metaKey[0] ?? 0) + 1) }))
      meta = readMeta(value);
    if (meta === undefined) throw new Error("the store is empty");
    const parts = applicationParts(application);
    const name = (part: number) => parts[part]?.name ?? String(part);
    const records: DiskRecord[] = [];
    const tables = new Map<string, Map<string, unknown>>();
    const queues = new Map<string, unknown[]>();
    for (const part of parts)
      if (part.kind === "table") tables.set(part.name, new Map());
      else queues.set(part.name, []);
    await scanEntries(store.entries(everything), meta, new KeyedHash("disk"), {
      onRow: (part, key, value) => tables.get(name(part))?.set(key.toString(), JSON.parse(value.toString())),
      onItem: (part, value) => queues.get(name(part))?.push(JSON.parse(value.toString())),
      onBatch: (batch) => {
        const reader = new RecordReader(batch.bytes);
        do records.push(copyRecord(reader));
        while (reader.next());
      },
    });
    return { meta, records, last: records.at(-1)?.sequence ?? meta.applied.sequence, tables, queues };
  } finally {
    await store.release();
  }
}

function copyRecord(reader: RecordReader): DiskRecord {
  const { sequence, epoch, client, id, name } = reader;
  const kinds = Object.keys(recordKinds) as DiskRecord["kind"][];
  const kind = kinds.find((one) => recordKinds[one] === reader.kind) ?? "final";
  return {
    sequence,
    epoch,
    kind,
    client,
    id,
    name,
    reply: Buffer.from(reader.reply).toString(),
    bytes: Buffer.from(reader.bytes),
  };
}
