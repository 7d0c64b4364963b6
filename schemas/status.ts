/**
 * What operators see and say: the state that each server publishes a few times a second on `<service>.status.<server>`,
 * each transition with its reason on `<service>.event.<server>`, and the answers to `<service>.control.<server>.<verb>`.
 * Operators' tools read these with unknown fields ignored, so that fields may be added.
 */
import { z } from "zod";
import { Id, IdOrNone, maxIdLength, maxWallMs } from "./ranges.ts";
import { InSyncMember, Member, Mode, Pause } from "./registry.ts";
import { maxServers } from "./settings.ts";
import { Surroundings } from "./surroundings.ts";
import { Trouble } from "./troubles.ts";

/** none: the server is no member now (it starts, joins, was deposed, or refuses). */
export const Role = z.enum(["primary", "backup", "none"]);
export type Role = z.infer<typeof Role>;

/** Seconds: upper bounds of the buckets into which `load.answered` counts; the last one is beyond them. A commit takes a round trip between two servers, or a sync of the disk. */
export const answerBounds = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
] as const;
const maxBuckets = 64;

/** One server's state, as it sees itself. */
export const ServerStatus = z.object({
  service: z.string(),
  name: z.string(),
  pid: z.number().int(),
  /** Program version. */
  version: z.string(),
  role: Role,
  /** The lifecycle machine's state, as a dotted path. */
  state: z.string(),
  application: z.enum(["hot", "warm", "stopped"]),
  incarnation: z.string(),
  epoch: z.number().int().nonnegative(),
  /** Empty while it is not known. */
  history: z.string(),
  /** null while it is not known. */
  mode: Mode.nullable(),
  /** Last record in the memory log, last committed, last in LevelDB, last synced to the disk. */
  sequence: z.number().int().nonnegative(),
  committed: z.number().int().nonnegative(),
  flushed: z.number().int().nonnegative(),
  synced: z.number().int().nonnegative(),
  links: z.object({ main: z.enum(["up", "down"]), failsafe: z.enum(["up", "down"]) }),
  /** The reason of the last transition. */
  why: z.string(),
  /** What or whom it waits for, and what would help; empty when it waits for nothing. */
  waitingFor: z.string(),
  /** What is wrong now; empty where all is well. */
  troubles: z.array(Trouble).default([]),
  /** Whom the newest registry record that it knows counts on; null while it knows none. */
  record: z
    .object({ primary: Member, inSync: z.array(InSyncMember), failoverPause: Pause.optional() })
    .nullable()
    .default(null),
  /**
   * The other configured servers, for how long nothing has come from each on either link (null: not in this life), and how far
   * this server's clock is ahead of its (absent: not known).
   */
  peers: z
    .array(z.object({ name: z.string(), silentMs: z.number().nullable(), aheadMs: z.number().optional() }))
    .default([]),
  /** How often it says all this. */
  statusMs: z.number().default(250),
  /** Its other machines' states, as dotted paths (regions side by side: joined by ", "). `confirmed`: how far that follower's confirms go. */
  machines: z
    .object({
      application: z.string(),
      checkpoint: z.string(),
      links: z.array(z.object({ peer: z.string(), state: z.string() })),
      mirrors: z.array(z.object({ peer: z.string(), state: z.string(), confirmed: z.number().int().nonnegative() })),
    })
    .optional(),
  /** The application that it runs, of which version, and of which version the state is (0: not known); absent from older programs. */
  program: z.object({ application: z.string(), version: z.number(), state: z.number() }).optional(),
  /** Requests that were executed and committed in this history, as a primary counts them. */
  results: z.number().int().nonnegative().optional(),
  /**
   * Of a primary: the time by which requests and timers go, ms since 1970, and how far its wall clock is ahead of that (rule 20).
   * Absent from others, and from older programs.
   */
  time: z.object({ nowMs: z.number(), apartMs: z.number() }).optional(),
  /** Of an application that has timers: how many are set, and when the next is due, ms since 1970; null: none, or not known here. Absent from older programs. */
  timers: z.object({ count: z.number(), nextMs: z.number().nullable() }).optional(),
  /**
   * Of a primary that took over from one that was lost: from whom, when it was ready, and for how long clients were without answers, at most: from
   * the last word that it had heard of that one until it was ready. Absent from others, and from older programs.
   */
  failover: z.object({ from: z.string(), gapMs: z.number(), readyAtMs: z.number() }).optional(),
  /**
   * What its process takes of memory (resident, bytes), and its requests by the time from their arrival to their answer: how many
   * since it began, in each bucket of `answerBounds`. Absent from older programs.
   */
  load: z
    .object({
      residentBytes: z.number().nonnegative(),
      answered: z.array(z.number().int().nonnegative()).max(maxBuckets),
    })
    .optional(),
  /** Requests that run or wait to be committed. */
  inFlight: z.number().int().nonnegative(),
  /** As they were looked at last, at most half a minute ago; absent before that, and from older programs. */
  surroundings: Surroundings.optional(),
  /** `twinlog drill` may kill and cut here (settings.testService). */
  testService: z.boolean().default(false),
  /** Wall clock of the server, ms since 1970. */
  atMs: z.number(),
});
export type ServerStatus = z.infer<typeof ServerStatus>;

/** What a server reads of a status or standing that came under its own name. */
export const OwnName = z.object({ incarnation: Id, hot: z.boolean().optional(), role: Role.optional() });

/** `status --json`: the service as a whole. */
export interface ServiceStatus {
  readonly service: string;
  /** These three are those of the newest registry record that a server which speaks knows of. */
  readonly mode: Mode | null;
  readonly epoch: number;
  readonly history: string;
  /** A primary speaks, and processes requests. */
  readonly serving: boolean;
  /** The service would go on if the primary died now. */
  readonly failoverReady: boolean;
  /** Why it is not so, for both; empty where all is well. `code`: schemas/troubles.ts; `server`: empty where it is nobody's own. */
  readonly reasons: readonly { readonly server: string; readonly code: string; readonly message: string }[];
  /** Those that speak. */
  readonly servers: readonly ServerStatus[];
  /** Configured ones that do not; null: none that speaks has heard of it. */
  readonly silent: readonly { readonly name: string; readonly silentMs: number | null }[];
}

/** One transition of one machine of a server. */
export const ServerEvent = z.object({
  service: z.string(),
  server: z.string(),
  incarnation: z.string(),
  /** Which machine: lifecycle, link, mirror, checkpoint, application; `operator`, `failover`: it is no transition, but a command that was obeyed, or that this server is ready in the place of one that was lost. */
  machine: z.string(),
  /** The event that caused it, a dotted fact. */
  event: z.string(),
  from: z.string(),
  to: z.string(),
  why: z.string(),
  epoch: z.number().int().nonnegative(),
  sequence: z.number().int().nonnegative(),
  atMs: z.number(),
  /** Of `failover`: for how long clients were without answers, at most. */
  gapMs: z.number().optional(),
});
export type ServerEvent = z.infer<typeof ServerEvent>;

/** Of the answer to an empty question on `<service>.server.<server>.failover`: the server's last transitions since its process began, the newest last. */
export const RecentEvents = z.object({ events: z.array(ServerEvent) });

/** recover: go on by force with what this server has (rule 18). switch: hand the primary's role over. flush: write and sync the log now. pause, resume: intake of requests. accept-time: requests and timers go by the primary's wall clock from now on, however far ahead it is (rule 20). pause-failover, resume-failover: whether a server takes over by itself (rule 21). */
export const controlVerbs = [
  "switch",
  "flush",
  "pause",
  "resume",
  "pause-failover",
  "resume-failover",
  "accept-time",
  "recover",
] as const;
export type ControlVerb = (typeof controlVerbs)[number];

/** Whoever gives a command: the last token of its subject, which a broker's permissions hold him to; without that, what he says himself. */
export const OperatorName = z
  .string()
  .regex(/^[\p{L}\p{N}][\p{L}\p{N} ._@+-]{0,63}$/u, "give a name of up to 64 letters, digits and ._@+-");

/** A copy's name, `SERVER@HISTORY/EPOCH/SEQUENCE`, in UTF-16 units. */
const maxCopyName = 2 * maxIdLength;

/**
 * What a command says beside its verb. `incarnation`: the one that is meant, as its asker saw it; `recover` names it always, and
 * any command where two servers have one name. `by`: who gives it. `forMs`: how long a pause lasts. `despite`: copies, as `recover` names them, that are newer and set aside.
 */
export const ControlRequest = z.object({
  incarnation: IdOrNone.optional(),
  by: OperatorName.optional(),
  /** `pause`, `pause-failover`: it ends by itself after so long. */
  forMs: z.number().int().positive().max(maxWallMs).optional(),
  despite: z.array(z.string().max(maxCopyName)).max(maxServers).default([]),
});
export type ControlRequest = z.infer<typeof ControlRequest>;

/** `message`: one line for a person; when `ok` is false it says what to do. `incarnation`: who answers. */
export const ControlReply = z.object({ ok: z.boolean(), message: z.string(), incarnation: z.string().optional() });
export type ControlReply = z.infer<typeof ControlReply>;
