/**
 * What is around a server and may fail later: room on its disk, the broker under the registry, certificates. A server looks now
 * and then and tells it in its status; nothing is decided by it, `twinlog check` judges it.
 */
import { z } from "zod";
import { Sequence, WallMs } from "./ranges.ts";

/**
 * unsafe: two changes of the registry may both succeed, or nothing of it is kept. old: the broker's version has another known fault.
 * bucket: the bucket was made with other settings than are wanted. untold: the broker cannot be asked.
 */
export const RegistryWarning = z.object({ kind: z.enum(["unsafe", "old", "bucket", "untold"]), says: z.string() });
export type RegistryWarning = z.infer<typeof RegistryWarning>;

/** The last backup that was read from a server to its end: when, by its clock, and as of which record. */
export const LastBackup = z.object({ atMs: WallMs, sequence: Sequence });
export type LastBackup = z.infer<typeof LastBackup>;

/** The JetStream stream over the service's results (`init --results-stream`), as NATS tells it. */
export const StreamSeen = z.object({
  name: z.string(),
  subjects: z.array(z.string()),
  /** -1: no limit. */
  maxBytes: z.number(),
  /** 0: for ever. */
  maxAgeMs: z.number(),
  duplicateMs: z.number(),
  messages: z.number(),
  bytes: z.number(),
  /** Since it was made, what was dropped meanwhile included. */
  stored: z.number(),
  /** Of the results since this server looks: how many are not in it. */
  lacks: z.number().optional(),
});
export type StreamSeen = z.infer<typeof StreamSeen>;

export const Surroundings = z.object({
  /** Of the volume with the data directory, and how much of it the store takes; null: it could not be looked at. */
  disk: z.object({ freeBytes: z.number(), sizeBytes: z.number(), storeBytes: z.number() }).nullable(),
  /** The broker under the registry: its version, and what weakens it; null while there is no connection. */
  broker: z.object({ version: z.string(), warnings: z.array(RegistryWarning) }).nullable(),
  /** Of the settings: each file that is configured, once, and when the first of its certificates is over (ms since 1970); null: it cannot be read. */
  certificates: z.array(z.object({ file: z.string(), untilMs: z.number().nullable() })),
  /** Of this server, whatever process it was; null: none that it knows of. Absent from older programs. */
  backup: LastBackup.nullable().optional(),
  /** null: there is none. Absent where NATS does not say, and from older programs. */
  resultsStream: StreamSeen.nullable().optional(),
});
export type Surroundings = z.infer<typeof Surroundings>;
