/**
 * Every setting of a server, with its default and its range, validated as a set. A limit that is
 * not named here does not exist. Times are milliseconds, sizes are bytes.
 */
import { z } from "zod";

const ms = (normal: number, min: number, max: number) => z.number().int().min(min).max(max).default(normal);
const count = ms;
const KiB = 1024;
const MiB = 1024 * KiB;

/** Besides records, a message between servers has fields of its own: at most so much, a list of epochs included. */
const messageRoomBytes = 64 * KiB;

/** The largest frame that a main link takes by these limits: every batch fits. */
export function mainFrameBytes({ maxBatchBytes }: Limits): number {
  return maxBatchBytes + messageRoomBytes;
}

/** Service and server names are subject tokens and file names. */
export const ServerName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,31}$/, "use 1 to 32 of a-z, 0-9 and -, not starting with -");

export const Limits = z.strictObject({
  heartbeatMs: ms(100, 5, 10_000),
  suspicionMs: ms(500, 20, 60_000),
  flushMs: ms(200, 1, 60_000),
  flushRecords: count(10_000, 1, 1_000_000),
  flushBytes: count(64 * MiB, 4 * KiB, 1024 * MiB),
  rememberMs: ms(86_400_000, 1_000, 30 * 86_400_000),
  rememberReplies: count(1_000_000, 10, 10_000_000),
  /** How many clients have a floor of their own: what is forgotten of one refuses no other's requests. */
  rememberClients: count(1_024, 2, 65_536),
  maxRequestBytes: count(256 * KiB, 256, 8 * MiB),
  maxRecordBytes: count(512 * KiB, 1 * KiB, 16 * MiB),
  maxInFlight: count(65_536, 1, 1_000_000),
  maxWaitingRefusals: count(4_096, 1, 1_000_000),
  /** Bytes of records sent to one backup and not yet confirmed; past it, intake answers BUSY (rule 10). */
  maxUnconfirmedBytes: count(32 * MiB, 64 * KiB, 1024 * MiB),
  /** Largest batch of records in one message between servers. */
  maxBatchBytes: count(512 * KiB, 4 * KiB, 16 * MiB),
  /** Records kept in memory after they are flushed, for a joiner's catch-up. */
  maxRetainedBytes: count(64 * MiB, 0, 4096 * MiB),
  /** Records in memory beyond those that wait for the disk, or for NATS to get their results; past it, BUSY (rule 15). */
  maxUnflushedBytes: count(256 * MiB, 64 * KiB, 4096 * MiB),
  stalledBackupMs: ms(1_000, 50, 600_000),
  maxUnsyncedBytes: count(8 * MiB, 4 * KiB, 1024 * MiB),
  handlerMs: ms(5_000, 10, 600_000),
  /**
   * How long one call of the application's code may keep the thread busy, in ms of the thread's own time on a core. Then its
   * process is ended, and the other server goes on (rule 17).
   */
  maxBlockedMs: ms(5_000, 100, 600_000),
  /** How long after going hot a request gets an attempt record before it is run (rule 17). */
  cautionMs: ms(1_000, 0, 600_000),
  /** How far in the future a client's `issuedAt` may lie. */
  maxFutureMs: ms(600_000, 0, 86_400_000),
  /** How far clocks usually differ: of clients whose `issuedAt` is further ahead only half of `rememberClients` are taken. */
  skewMs: ms(5_000, 0, 600_000),
  /** How long an answer of the registry is waited for before it is unknown. */
  registryTimeoutMs: ms(1_000, 20, 60_000),
  registryPollMs: ms(500, 10, 60_000),
  /**
   * A primary that the registry does not answer for so long hands its role over to a backup that it answers. Longer than a
   * NATS cluster that is split takes to find out which side has the registry (about 10 s).
   */
  registryLostMs: ms(15_000, 100, 3_600_000),
  /** How often a sole member moves the registry's `base` forward. */
  baseMs: ms(10_000, 100, 3_600_000),
  /** Earlier stores that are set aside because the history that goes on does not hold all of them: in number, and in bytes. */
  maxAsideCopies: count(8, 0, 1_000),
  maxAsideBytes: count(16 * 1024 * MiB, 0, 1024 * 1024 * MiB),
  restartMs: ms(500, 10, 60_000),
  statusMs: ms(250, 20, 60_000),
  /** How long a planned switch lets handlers come to their end before the role is offered. */
  drainMs: ms(1_000, 0, 60_000),
  /**
   * How long a stopping primary waits for a backup that can take its role over (one that reaches NATS). Then it leaves the
   * backups out, has everything on its disk, and exits: the service waits for it to be started again.
   */
  stopMs: ms(5_000, 100, 600_000),
});
export type Limits = z.infer<typeof Limits>;

const Tls = z.strictObject({ certFile: z.string(), keyFile: z.string(), caFile: z.string() });

export const Settings = z
  .strictObject({
    service: ServerName,
    server: ServerName,
    application: z.string().default("exchange"),
    /** Every configured server of the service, this one included. `afterTotalLoss` needs all of them. */
    servers: z
      .array(
        z.strictObject({
          name: ServerName,
          host: z.string().default("127.0.0.1"),
          port: z.number().int().min(1).max(65_535),
        }),
      )
      .min(1)
      .max(7),
    dataDirectory: z.string().min(1),
    nats: z
      .strictObject({
        servers: z.array(z.string()).min(1).default(["nats://127.0.0.1:4222"]),
        user: z.string().optional(),
        password: z.string().optional(),
        token: z.string().optional(),
        tls: Tls.optional(),
      })
      .prefault({}),
    registry: z
      .strictObject({ bucket: ServerName.default("twinlog"), replicas: z.number().int().min(1).max(5).default(1) })
      .prefault({}),
    mainLink: z.strictObject({ tls: Tls.optional(), allowPlaintext: z.boolean().default(false) }).prefault({}),
    confirm: z.enum(["memory", "written", "synced"]).default("memory"),
    afterTotalLoss: z.enum(["longest", "wait"]).default("longest"),
    publishResults: z.boolean().default(true),
    /** A small process beside the server that tells the others the moment it is dead (Linux). */
    witness: z.boolean().default(true),
    /** Marks a service on which `twinlog drill` may kill and cut. */
    testService: z.boolean().default(false),
    limits: Limits.prefault({}),
  })
  .superRefine((settings, context) => {
    const fail = (message: string) => context.addIssue({ code: "custom", message });
    const { limits } = settings;
    const names = settings.servers.map((server) => server.name);
    if (new Set(names).size !== names.length) fail("servers: two servers have the same name");
    if (!names.includes(settings.server)) fail(`servers: this server, ${settings.server}, is not in the list`);
    if (limits.suspicionMs < 3 * limits.heartbeatMs)
      fail("limits: suspicionMs must be at least three times heartbeatMs");
    if (limits.maxRecordBytes < 2 * limits.maxRequestBytes)
      fail("limits: maxRecordBytes must be at least twice maxRequestBytes");
    if (limits.maxBatchBytes < limits.maxRecordBytes) fail("limits: maxBatchBytes must be at least maxRecordBytes");
    if (limits.maxUnconfirmedBytes < 2 * limits.maxBatchBytes)
      fail("limits: maxUnconfirmedBytes must be at least twice maxBatchBytes");
    if (limits.maxFutureMs >= limits.rememberMs) fail("limits: maxFutureMs must be less than rememberMs");
  });
export type Settings = z.infer<typeof Settings>;
