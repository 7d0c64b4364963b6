/**
 * What a server says where the service's own record is in question: which copy of the log it has, what it knows of the
 * registry, and which of its lives it is. The answer to an empty question on `<service>.server.<server>.failover`, which
 * `recover` and `init` ask of every configured server. Read with unknown fields ignored.
 */
import { z } from "zod";
import { Count, Epoch, Hash, Id, IdOrNone, maxStateLength, Sequence } from "./ranges.ts";
import { RegistryRecord } from "./registry.ts";
import { maxServers, ServerName } from "./settings.ts";

/** A sentence, in UTF-16 units. */
const maxSentenceLength = 1024;

export const Standing = z.object({
  server: ServerName,
  incarnation: Id,
  /** Which disk it runs on; two processes of one name are told apart by it. */
  disk: IdOrNone,
  /** Names of all servers that its settings know, its own included. */
  configured: z.array(ServerName).max(maxServers),
  /** The lifecycle's, and whether it serves. */
  state: z.string().max(maxStateLength),
  hot: z.boolean(),
  epochSeen: Epoch,
  /** The highest epoch in which the registry counted on it. */
  memberEpoch: Epoch,
  /** Why it takes the registry for gone or older; empty where it does not. */
  frozen: z.string().max(maxSentenceLength),
  /** The newest registry record that it knows of, from this life or an earlier one. */
  record: RegistryRecord.nullable(),
  /** Under which revision it knows that record in this life; 0 where it does not. */
  revision: Count.default(0),
  /** Its copy of the log: history, then epoch, sequence and hash of its last record. */
  history: IdOrNone,
  lastEpoch: Epoch,
  last: Sequence,
  hash: Hash,
  /** Number of the last result in that history, and the stamp of its request, ms since 1970; 0 where memory does not tell. */
  lastResult: Count,
  lastStampMs: z.number(),
});
export type Standing = z.infer<typeof Standing>;
