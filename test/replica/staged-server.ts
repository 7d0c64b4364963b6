/**
 * One server on the stage: its disk, the replica of its present life, and what the test holds back.
 */
import { MemoryLog } from "../../machines/log/memory-log.ts";
import type { RunningRequest } from "../../machines/replica/log/requests.ts";
import type { Outbox } from "../../machines/replica/outbox.ts";
import type { Replica } from "../../machines/replica/replica.ts";
import type { Ancestor } from "../../schemas/checkpoint.ts";
import type { RegistryRecord } from "../../schemas/registry.ts";

interface Disk {
  name: string;
  record: RegistryRecord | null;
  startCount: number;
  history: string;
  epochSeen: number;
  memberEpoch: number;
  syncedEpoch: number;
  ancestors: readonly Ancestor[];
  log: MemoryLog;
  committed: number;
  /** The tables have everything through here. */
  flushed: number;
}

/** A new disk; `name`: which one it is. */
export const emptyDisk = (name: string): Disk => ({
  name,
  record: null,
  startCount: 0,
  history: "",
  epochSeen: 0,
  memberEpoch: 0,
  syncedEpoch: 0,
  ancestors: [],
  log: new MemoryLog(),
  committed: 0,
  flushed: 0,
});

export class Server {
  readonly name: string;
  disk: Disk;
  /** Null while it is down. */
  replica: Replica | null = null;
  /** Kinds of entries that are not performed until the test says so, and those that wait. */
  readonly held = new Set<Outbox["type"]>();
  readonly waiting: Outbox[] = [];
  /** Requests that began and have not ended. */
  readonly slow = new Map<string, RunningRequest>();
  /** Handlers that start never end: the request kills, or is slow. */
  isStuck = false;
  hasInput = false;

  constructor(name: string) {
    this.name = name;
    this.disk = emptyDisk(`disk of ${name}`);
  }

  get up(): Replica {
    if (this.replica === null) throw new Error(`${this.name} is down`);
    return this.replica;
  }
}

/** One line: epoch, mode, primary, members. */
export function describeRecord({ epoch, mode, primary, inSync, durability, base, history }: RegistryRecord): string {
  const members = inSync.map(({ incarnation }) => incarnation).join(" ");
  const where = durability === "disk" ? ` on disk from ${base.sequence}` : "";
  const isNew = history === "h1" ? "" : ` in history ${history}`;
  return `${epoch} ${mode} ${primary.incarnation} of [${members}]${where}${isNew}`;
}
