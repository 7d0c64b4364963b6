/**
 * Every setting of a server, with its default and its range, validated as a set. A limit that is
 * not named here does not exist. Times are milliseconds, sizes are bytes.
 */
import { z } from "zod";

const whole = (normal: number, min: number, max: number, says: string) =>
  z.number().int().min(min).max(max).default(normal).describe(says);
const ms = whole;
const count = whole;
const bytes = whole;
const KiB = 1024;
const MiB = 1024 * KiB;

/** Besides records, a message between servers has fields of its own: at most so much, a list of epochs included. */
const messageRoomBytes = 64 * KiB;

/** The largest frame that a main link takes by these limits: every batch fits. */
export function mainFrameBytes({ maxBatchBytes }: Limits): number {
  return maxBatchBytes + messageRoomBytes;
}

/** Servers of one service, at most. */
export const maxServers = 7;

/** Service and server names are subject tokens and file names. */
export const ServerName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,31}$/, "use 1 to 32 of a-z, 0-9 and -, not starting with -");

export const Limits = z.strictObject({
  heartbeatMs: ms(100, 5, 10_000, "how often servers say on each link that they live"),
  suspicionMs: ms(
    500,
    20,
    60_000,
    'a server that is not heard for so long counts as lost; a closed connection and "no responders" are acted on at once',
  ),
  flushMs: ms(
    200,
    1,
    60_000,
    "the disk is written to at least so often; or when `flushRecords` or `flushBytes` is reached",
  ),
  flushRecords: count(10_000, 1, 1_000_000, "records that wait for the disk before it is written to"),
  flushBytes: bytes(64 * MiB, 4 * KiB, 1024 * MiB, "the same, in bytes"),
  rememberMs: ms(
    86_400_000,
    1_000,
    30 * 86_400_000,
    "how long a reply is remembered, counted from the last takeover; or until there are more than `rememberReplies`",
  ),
  rememberReplies: count(1_000_000, 10, 10_000_000, "how many replies are remembered"),
  maxRememberedBytes: bytes(
    256 * MiB,
    0,
    65_536 * MiB,
    "bytes of remembered replies that stay in memory; an older one is read from the disk again when it is asked for",
  ),
  rememberClients: count(
    1_024,
    2,
    65_536,
    "how many clients have a floor of their own: what is forgotten of one refuses no other's requests. Equal on all servers",
  ),
  maxRequestBytes: bytes(256 * KiB, 256, 8 * MiB, "a larger request is refused with `TOO_LARGE`"),
  maxRecordBytes: bytes(
    512 * KiB,
    1 * KiB,
    16 * MiB,
    "a transaction that makes a larger record fails with `APPLICATION_ERROR`. What is larger than the broker's `max_payload` needs the main link",
  ),
  maxInFlight: count(
    65_536,
    1,
    1_000_000,
    "requests that are run or wait for their commit, and as many that wait for their turn; past it `BUSY` to the clients that have most of them: an eighth more is kept for the others, here and in what waits or is unconfirmed (rule 15)",
  ),
  maxWaitingRefusals: count(
    4_096,
    1,
    1_000_000,
    "refusals, and answers of queries, that wait for their proof (rule 5); past it they are dropped",
  ),
  maxWaitingAnswerBytes: bytes(
    64 * MiB,
    64 * KiB,
    4096 * MiB,
    "the same, in bytes; past it a query is refused with `BUSY`, and where that has no room either, dropped. A larger answer waits alone",
  ),
  maxReplayBytesPerSecond: bytes(
    32 * MiB,
    64 * KiB,
    4096 * MiB,
    "bytes of records that all answers to `replay` together give in a second, those that are only passed over counted an eighth; past it answers come more slowly",
  ),
  maxUnconfirmedBytes: bytes(
    32 * MiB,
    64 * KiB,
    1024 * MiB,
    "records sent to one backup and not yet confirmed; past it `BUSY` (rule 10)",
  ),
  maxBatchBytes: bytes(512 * KiB, 4 * KiB, 16 * MiB, "largest batch of records in one message between servers"),
  maxRetainedBytes: bytes(64 * MiB, 0, 4096 * MiB, "records kept in memory after they are flushed, for who joins"),
  maxUnflushedBytes: bytes(
    256 * MiB,
    64 * KiB,
    4096 * MiB,
    "records in memory beyond those, which wait for the disk, or for NATS to get their results; past it `BUSY`, and a backup confirms nothing more (rule 15)",
  ),
  maxUnappliedRecords: count(
    2_048,
    1,
    1_000_000,
    "committed records that a backup has not applied to its state yet; past it it applies them before it confirms more. A takeover applies no more than that (rule 6)",
  ),
  maxUnappliedBytes: bytes(1 * MiB, 4 * KiB, 1024 * MiB, "the same, in bytes"),
  joinWaitMs: ms(
    250,
    0,
    10_000,
    "while a primary is written without a pause, its commits wait so long for the confirm of a server that joins and lacks nothing else; if that does not come, not again for ten times as long. 0: never (rule 8)",
  ),
  stalledBackupMs: ms(1_000, 50, 600_000, "a backup that confirms nothing for so long is removed (rule 10)"),
  maxUnsyncedBytes: bytes(
    8 * MiB,
    4 * KiB,
    1024 * MiB,
    "the disk is written to as soon as so much is in memory and not synced",
  ),
  handlerMs: ms(5_000, 10, 600_000, "a handler that has not settled by then fails with `APPLICATION_ERROR`"),
  maxBlockedMs: ms(
    5_000,
    100,
    600_000,
    "one call of the application's code may keep the thread busy for so long, in ms of the thread's own time on a core; then its process is ended, and the other server goes on (rule 17; Linux)",
  ),
  cautionMs: ms(
    1_000,
    0,
    600_000,
    "for so long after it says `ready`, a server makes an attempt record before it runs a request (rule 17)",
  ),
  maxFutureMs: ms(600_000, 0, 86_400_000, "a client's `issuedAt` may lie so far in the future"),
  skewMs: ms(
    5_000,
    0,
    600_000,
    "how far clocks usually differ: of clients whose `issuedAt` is further ahead only half of `rememberClients` are taken",
  ),
  maxClockStepMs: ms(
    3_600_000,
    1_000,
    366 * 86_400_000,
    "the time that requests are told (`nowMs`), and timers go by, rises at most by a primary's monotonic clock and so much: a wall clock that is further ahead is followed when another server's says the same, within `skewMs`, or on `twinlog accept-time` (rule 20)",
  ),
  registryTimeoutMs: ms(1_000, 20, 60_000, "an answer of the registry is waited for so long before it is unknown"),
  registryPollMs: ms(500, 10, 60_000, "how often the registry is read"),
  registryLostMs: ms(
    15_000,
    100,
    3_600_000,
    "a primary that the registry does not answer for so long hands its role to a backup that it answers; a backup without it is no longer counted on. Longer than a split NATS cluster takes to find out which side has the registry (about 10 s)",
  ),
  baseMs: ms(10_000, 100, 3_600_000, "how often a server that is alone moves the registry's `base` forward"),
  maxAsideCopies: count(
    8,
    0,
    1_000,
    "earlier stores that are set aside because the history that goes on does not hold all of them; past it a server does not join, and says so. Look with `inspect --copy NAME`; removing them is yours",
  ),
  maxAsideBytes: bytes(16 * 1024 * MiB, 0, 1024 * 1024 * MiB, "the same, in bytes"),
  restartMs: ms(500, 10, 60_000, "accepted from older settings files; nothing reads it any more"),
  statusMs: ms(250, 20, 60_000, "how often a server publishes its status"),
  drainMs: ms(
    1_000,
    0,
    60_000,
    "a planned switch lets handlers come to their end for so long before the role is offered",
  ),
  stopMs: ms(
    5_000,
    100,
    600_000,
    "a stopping primary waits so long for a backup that reaches NATS to take its role; then it has everything on its disk and exits, and the service waits for it",
  ),
});
export type Limits = z.infer<typeof Limits>;

const Tls = z.strictObject({
  certFile: z.string().describe("PEM"),
  keyFile: z.string().describe("PEM"),
  caFile: z.string().describe("PEM: who is believed"),
});

/** As `Tls`; a certificate of one's own where the broker wants one, an authority where the system's are not to be believed. */
const NatsTls = z
  .strictObject({
    certFile: z.string().min(1).optional().describe("PEM: a certificate of one's own, where the broker wants one"),
    keyFile: z.string().min(1).optional().describe("PEM: its key"),
    caFile: z.string().min(1).optional().describe("PEM: who is believed; default: the system's authorities"),
  })
  .refine(({ certFile, keyFile }) => (certFile === undefined) === (keyFile === undefined), {
    message: "certFile and keyFile belong together",
  });

/** Ways to log in, each with the settings that it is made of. A certificate of TLS may be shown besides. */
const logIns = {
  user: ["user", "password", "passwordFile"],
  token: ["token", "tokenFile"],
  credsFile: ["credsFile"],
  nkeyFile: ["nkeyFile"],
} as const;

type LogIn = { readonly [K in (typeof logIns)[keyof typeof logIns][number]]?: string | undefined };

/** Why nobody can tell how to log in; "" where it is clear. An address that says it itself goes before all of this. */
export function whyNoLogIn(given: LogIn): string {
  const ways = Object.values(logIns).map((names) => names.filter((name) => given[name] !== undefined));
  const several = ways.filter((names) => names.length > 0).map(([name]) => name);
  if (several.length > 1) return `give one way to log in, not ${several.join(" and ")}`;
  for (const [one, other] of [
    ["password", "passwordFile"],
    ["token", "tokenFile"],
  ] as const)
    if (given[one] !== undefined && given[other] !== undefined) return `give ${one} or ${other}, not both`;
  const hasPassword = given.password !== undefined || given.passwordFile !== undefined;
  if (hasPassword && given.user === undefined) return "a password needs a user";
  if (given.user !== undefined && !hasPassword) return "a user needs a password or a passwordFile";
  return "";
}

export const Settings = z
  .strictObject({
    service: ServerName.describe("the service's name: the first token of all its subjects"),
    server: ServerName.describe("this server's name: one of `servers`"),
    application: z
      .string()
      .default("exchange")
      .describe("`exchange`, `ledger`, or the path of a module that exports one application"),
    servers: z
      .array(
        z.strictObject({
          name: ServerName.describe("the server's name"),
          host: z.string().default("127.0.0.1").describe("where its main link listens"),
          port: z.number().int().min(1).max(65_535).describe("where its main link listens"),
        }),
      )
      .min(1)
      .max(maxServers)
      .describe("every configured server of the service, this one included"),
    dataDirectory: z.string().min(1).describe("where the store lives: one directory for each server"),
    nats: z
      .strictObject({
        servers: z
          .array(z.string())
          .min(1)
          .default(["nats://127.0.0.1:4222"])
          .describe(
            "the brokers, as URLs; `user:password@` or `token@` before the host is logged in with, and shown nowhere",
          ),
        user: z.string().min(1).optional().describe("to log in with, and a password"),
        password: z.string().min(1).optional().describe("the user's"),
        passwordFile: z.string().min(1).optional().describe("a file with the user's password on its only line"),
        token: z.string().min(1).optional().describe("to log in with"),
        tokenFile: z.string().min(1).optional().describe("to log in with: a file with a token on its only line"),
        credsFile: z.string().min(1).optional().describe("to log in with: a `.creds` file, a user's JWT and nkey seed"),
        nkeyFile: z.string().min(1).optional().describe("to log in with: a file with a user's nkey seed"),
        tls: NatsTls.optional().describe(
          "TLS towards the broker; with `tls://` URLs it is not needed, and the system's authorities are believed",
        ),
        allowPlaintext: z
          .boolean()
          .default(false)
          .describe("without TLS a server refuses to leave loopback to a broker, unless this is set"),
      })
      .superRefine((nats, context) => {
        const message = whyNoLogIn(nats);
        if (message !== "") context.addIssue({ code: "custom", message });
      })
      .prefault({}),
    registry: z
      .strictObject({
        bucket: ServerName.default("twinlog").describe("the JetStream key-value bucket"),
        replicas: z
          .number()
          .int()
          .min(1)
          .max(5)
          .default(1)
          .describe("of the bucket when it is made; three in production"),
      })
      .prefault({}),
    mainLink: z
      .strictObject({
        tls: Tls.optional().describe("mutual TLS between the servers"),
        allowPlaintext: z
          .boolean()
          .default(false)
          .describe("without TLS a server refuses to leave loopback, unless this is set"),
      })
      .prefault({}),
    peers: z
      .strictObject({
        keyFile: z
          .string()
          .min(1)
          .optional()
          .describe(
            "a file with the key that all servers of the service share, one line (`openssl rand -base64 32`): with it each proves on both links who speaks. While it is replaced, a second line: the first key signs, both are believed. Needed as soon as NATS, or the main link without TLS, leaves this machine",
          ),
        allowUnproven: z
          .boolean()
          .default(false)
          .describe(
            "believe who proves nothing too: while the servers get their key one after the other, or where everybody who may publish at NATS is trusted",
          ),
      })
      .prefault({}),
    confirm: z
      .enum(["memory", "written", "synced"])
      .default("memory")
      .describe("what a backup confirms: that a record is in its memory, given to LevelDB, or synced to the disk"),
    afterTotalLoss: z
      .enum(["longest", "wait"])
      .default("longest")
      .describe(
        "when all in-sync servers died at once: go on from the longest log that is left, or wait for an operator",
      ),
    replyPrefixes: z
      .array(z.string().min(1))
      .default([])
      .describe(
        "answers go only to reply subjects that begin with one of these (`_INBOX.`; `_R_.` is that of imports between accounts), and to a server that has this one's name and asks for another. None: anywhere but to the broker's and this service's own subjects",
      ),
    http: z
      .strictObject({
        host: z
          .string()
          .min(1)
          .default("127.0.0.1")
          .describe("where it listens. Whoever reaches it may read: beyond loopback that is yours to decide"),
        port: z.number().int().min(1).max(65_535).describe("where it listens"),
      })
      .optional()
      .describe(
        "answers machines by HTTP, read-only: `/livez`, `/readyz`, `/primary`, `/backup`, `/health`, and Prometheus by `/metrics`. Off unless set",
      ),
    publishResults: z.boolean().default(true).describe("publish every result on `<service>.result.>`"),
    witness: z
      .boolean()
      .default(true)
      .describe(
        "a small process beside the server (55 MB) that tells the others the moment it is dead, before the kernel does (Linux)",
      ),
    testService: z.boolean().default(false).describe("marks a service on which `twinlog drill` may kill and cut"),
    limits: Limits.prefault({}),
  })
  .superRefine((settings, context) => {
    const fail = (message: string) => context.addIssue({ code: "custom", message });
    const { limits } = settings;
    const names = settings.servers.map((server) => server.name);
    if (new Set(names).size !== names.length) fail("servers: two servers have the same name");
    if (!names.includes(settings.server)) fail(`servers: this server, ${settings.server}, is not in the list`);
    const own = settings.servers.find(({ name }) => name === settings.server);
    if (settings.http !== undefined && settings.http.port === own?.port)
      fail(`http: port ${own.port} is that of this server's main link; it needs one of its own`);
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
