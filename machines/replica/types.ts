/**
 * What a replica is made with and answered with: its options, what its disk gave, what the registry said. What always
 * holds: values only; nothing here knows the replica.
 */
import type { Ancestor, CheckpointMeta } from "../../schemas/checkpoint.ts";
import type { Member, RegistryRecord } from "../../schemas/registry.ts";
import type { Limits, Settings } from "../../schemas/settings.ts";
import type { SavedFloors } from "../log/floors.ts";
import type { MemoryLog } from "../log/memory-log.ts";
import type { RequestTable } from "./log/requests.ts";
import type { Rules } from "./rules.ts";
import type { Tally } from "./tally.ts";

export interface ReplicaOptions {
  readonly self: Member;
  readonly service: string;
  /** Names of all configured servers, this one included. */
  readonly servers: readonly string[];
  /** Digest of application and schemas with which this log began (claim 12). */
  readonly schema: string;
  /** The program of this server; where none is given, it takes the state as it is. */
  readonly program?: OwnProgram;
  readonly limits: Limits;
  readonly confirm: Settings["confirm"];
  readonly afterTotalLoss: Settings["afterTotalLoss"];
  readonly rules?: Rules;
  /** One that goes on counting; without it the replica begins at nothing. */
  readonly tally?: Tally;
}

/** What the replica knows of the application (rule 19). */
export interface OwnProgram {
  readonly application: string;
  readonly version: number;
  /** Name of the catalog that it wants: 'version:digest'. */
  readonly catalog: string;
}

/** What this server's disk gave. */
export interface Recovered {
  /** How often this disk was started with, this time with it. */
  readonly startCount: number;
  /** Which disk it is. */
  readonly disk: string;
  /** The newest registry record that an earlier life of this server saw. */
  readonly record: RegistryRecord | null;
  readonly history: string;
  /** The histories before it whose log it goes on with, the oldest first. */
  readonly ancestors: readonly Ancestor[];
  readonly epochSeen: number;
  /** The highest epoch in which the registry counted on this disk, or on this server's memory. */
  readonly memberEpoch: number;
  /** The highest epoch in which everything that was acknowledged was on this disk by then. */
  readonly syncedEpoch: number;
  readonly log: MemoryLog;
  /** Applied through the same record as the tables. */
  readonly requests: RequestTable;
  readonly committed: number;
  /** Results of records up to here reached NATS, as far as the disk knows. */
  readonly published: number;
  readonly oldestOnDisk: number;
  /** All that it began with came from a backup, which ends with this record. */
  readonly restored?: CheckpointMeta["restored"] | null;
}

/** What a flush takes to the disk beside tables and queues. */
export interface FlushPoint {
  readonly committed: number;
  /** The oldest record that must stay in the log on disk: for remembered replies, requests to resume, results not yet published. */
  readonly retainFrom: number;
  readonly meta: {
    readonly committed: number;
    readonly published: number;
    readonly forgottenThrough: number;
    readonly floorMs: number;
    readonly floors: Omit<SavedFloors, "highestMs">;
  };
}
