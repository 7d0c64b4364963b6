/**
 * What a server says where the service's own record is in question: which copy of the log it has, what it knows of the
 * registry, and which of its lives it is. The answer to an empty question on `<service>.server.<server>.failover`, which
 * `recover` and `init` ask of every configured server. Read with unknown fields ignored.
 */
import { z } from "zod";
import { RegistryRecord } from "./registry.ts";

const whole = z.number().int().nonnegative();

export const Standing = z.object({
  server: z.string(),
  incarnation: z.string(),
  /** Which disk it runs on; two processes of one name are told apart by it. */
  disk: z.string(),
  /** Names of all servers that its settings know, its own included. */
  configured: z.array(z.string()),
  /** The lifecycle's, and whether it serves. */
  state: z.string(),
  hot: z.boolean(),
  epochSeen: whole,
  /** The highest epoch in which the registry counted on it. */
  memberEpoch: whole,
  /** Why it takes the registry for gone or older; empty where it does not. */
  frozen: z.string(),
  /** The newest registry record that it knows of, from this life or an earlier one. */
  record: RegistryRecord.nullable(),
  /** Under which revision it knows that record in this life; 0 where it does not. */
  revision: whole.default(0),
  /** Its copy of the log: history, then epoch, sequence and hash of its last record. */
  history: z.string(),
  lastEpoch: whole,
  last: whole,
  hash: whole,
  /** Number of the last result in that history, and the stamp of its request, ms since 1970; 0 where memory does not tell. */
  lastResult: whole,
  lastStampMs: z.number(),
});
export type Standing = z.infer<typeof Standing>;
