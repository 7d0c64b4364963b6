/**
 * What each kind of user of a service may publish and hear on NATS, subject by subject, each with what it is for. What always
 * holds: a list is all that the role's programs need and nothing else, so that a broker which lets a user do just that serves him
 * whole; every subject is built by schemas/subjects.ts; no role may speak in another's name.
 */

import { backupVerb } from "./backup.ts";
import { resultsStreamName } from "./results-stream.ts";
import { ServerName } from "./settings.ts";
import { type ControlVerb, controlVerbs } from "./status.ts";
import { encodeToken, inboxes, maxTokenBytes, subjects } from "./subjects.ts";

export const roles = {
  client: "sends requests and queries in its own name, and gets its own results",
  integrator: "reads every result, as they come and again",
  viewer: "sees status and events, and says nothing: dashboards, the console, monitoring",
  operator:
    "sees what a viewer sees, and in its own name switches, pauses, resumes, flushes, accepts the time and takes backups, and asks the servers what they hold",
  administrator: "does what an operator does, creates and restores the registry's record, and recovers by force",
  server: "is one server of the service",
} as const;

export type Role = keyof typeof roles;
export const roleNames = Object.keys(roles) as Role[];

/** One subject, or a pattern of them, and what it is for. */
export interface Grant {
  readonly subject: string;
  readonly purpose: string;
}

/** What is not listed is forbidden. */
export interface Permissions {
  readonly publish: readonly Grant[];
  readonly subscribe: readonly Grant[];
}

export interface RoleUser {
  readonly role: Role;
  /** The client's, the server's, or whoever's: answers come to inboxes of this name. `anyone`: all names, but a server's. */
  readonly name: string;
  readonly service: string;
  /** The registry's. */
  readonly bucket: string;
}

/** Any one token. */
const each = "*";
/** As a user's name: whatever he calls himself, for a broker that is one person's. */
export const anyone = "*";
const grant = (subject: string, purpose: string): Grant => ({ subject, purpose });

/** Beginnings of reply subjects that a server of this role may answer on: for the setting `replyPrefixes`. */
export const answeredPrefixes = ["_INBOX.client.", "_INBOX.operator."] as const;

/** Why there is no such user; "" where there is. */
export function whyNoUser({ role, name, service, bucket }: RoleUser): string {
  for (const [what, text] of [
    ["service", service],
    ["bucket", bucket],
    ...(role === "server" ? ([["server", name]] as const) : []),
  ] as const) {
    const { error } = ServerName.safeParse(text);
    if (error !== undefined) return `${what} ${text}: ${error.issues[0]?.message ?? "no name"}`;
  }
  const bytes = encodeToken(name).length;
  return bytes > maxTokenBytes ? `the name takes ${bytes} bytes as a token of a subject; at most ${maxTokenBytes}` : "";
}

export function permissionsOf(user: RoleUser): Permissions {
  const permissions = lists[user.role](user);
  if (user.name !== anyone || user.role === "server") return permissions;
  const named = encodeToken(anyone);
  const ofAll = (grants: readonly Grant[]) =>
    grants.map(({ subject, purpose }) => {
      const tokens = subject.split(".").map((token) => (token === named ? each : token));
      return grant(tokens.join("."), purpose);
    });
  return { publish: ofAll(permissions.publish), subscribe: ofAll(permissions.subscribe) };
}

const lists: Record<Role, (user: RoleUser) => Permissions> = {
  client: ({ service, name }) => ({
    publish: [
      grant(ofClient("request", service, name), "requests in its own name, of any key"),
      grant(ofClient("query", service, name), "queries in its own name"),
      askingSchema(service),
    ],
    subscribe: [
      grant(`${inboxes.client(name)}.>`, "answers"),
      grant(subjects.signal(service), "that another server serves: it sends again at once"),
      grant(ofClient("result", service, name), "results of its own requests"),
    ],
  }),
  integrator: ({ service, name }) => ({
    publish: [grant(subjects.replay(service), "asks for results again"), askingSchema(service)],
    subscribe: [
      grant(subjects.results(service), "every result as it comes"),
      grant(subjects.signal(service), "that another server serves: it asks again at once"),
      grant(`${inboxes.client(name)}.>`, "results again, for the library"),
      grant(`${inboxes.operator(name)}.>`, "results again, for `twinlog results`"),
    ],
  }),
  viewer: ({ service }) => ({ publish: [], subscribe: watching(service) }),
  operator: ({ service, name, bucket }) => ({
    publish: [
      ...commanding(service, name, [
        "switch",
        "flush",
        "pause",
        "resume",
        "pause-failover",
        "resume-failover",
        "accept-time",
      ]),
      ...asking(service),
      readingRecord(bucket),
    ],
    subscribe: [...watching(service), ...hearing(service, name)],
  }),
  administrator: ({ service, name, bucket }) => ({
    publish: [
      ...commanding(service, name, controlVerbs),
      ...asking(service),
      ...reading(bucket),
      grant(`$JS.API.STREAM.CREATE.KV_${bucket}`, "makes the registry's bucket: `init`"),
      grant(`$KV.${bucket}.${service}`, "writes the registry's record: `init`"),
      grant(
        `$JS.API.STREAM.CREATE.${resultsStreamName(service)}`,
        "makes the stream over results: `init --results-stream`",
      ),
    ],
    subscribe: [...watching(service), ...hearing(service, name)],
  }),
  server: ({ service, name, bucket }) => ({
    publish: [
      grant(subjects.status(service, name), "its own status"),
      grant(subjects.event(service, name), "its own transitions"),
      grant(subjects.signal(service), "that it serves"),
      grant(subjects.results(service), "results"),
      ...answeredPrefixes.map((prefix) => grant(`${prefix}>`, "answers")),
      grant(subjects.actor(service, each, "replication"), "the failsafe link: messages to the other servers"),
      grant(subjects.deaths(service, each), "its crash notifier: that it is dead"),
      grant(subjects.actor(service, name, "failover"), "asks whether another server has its name"),
      grant(`${inboxes.server(service, name)}.>`, "answers one that has its name"),
      ...reading(bucket),
      grant("$JS.API.STREAM.NAMES", "looks for streams that answer clients in its place"),
      grant(`$KV.${bucket}.${service}`, "writes the registry's record"),
    ],
    subscribe: [
      grant(subjects.requests(service), "requests"),
      grant(subjects.queries(service), "queries"),
      grant(subjects.replay(service), "who asks for results again"),
      grant(subjects.controls(service, name), "commands to it"),
      grant(`${service}.server.${name}.*`, "the failsafe link, deaths of other servers, questions to its actors"),
      grant(subjects.status(service, name), "whether another server has its name"),
      grant(`${inboxes.server(service, name)}.>`, "the registry's answers, and that nobody listens"),
      grant(subjects.schema(service), "what bodies look like"),
      grant(`${service}.about`, "questions to the services API"),
      ...servicesApi(service).map((subject) => grant(subject, "questions to the services API")),
    ],
  }),
};

function ofClient(kind: "request" | "query" | "result", service: string, name: string): string {
  return `${service}.${kind}.${each}.${encodeToken(name)}`;
}

function watching(service: string): Grant[] {
  return [grant(subjects.statuses(service), "status"), grant(subjects.events(service), "transitions")];
}

/** In its own name, and taking backups. */
function commanding(service: string, name: string, verbs: readonly ControlVerb[]): Grant[] {
  return [
    ...verbs.map((verb) => grant(subjects.control(service, each, verb, name), `\`twinlog ${commandOf(verb)}\``)),
    grant(subjects.control(service, each, backupVerb), "`twinlog backup`"),
  ];
}

/** `pause-failover` is `pause --failover`. */
const commandOf = (verb: string): string => verb.replace(/-(?=failover$)/, " --");

/** Never the subject of replication: what comes there is taken for another server's word. */
function asking(service: string): Grant[] {
  return [
    ...(["failover", "application", "checkpoint"] as const).map((actor) =>
      grant(subjects.actor(service, each, actor), "asks servers what they hold"),
    ),
    askingSchema(service),
    grant(`${service}.about`, "the services API"),
    ...servicesApi(service).map((subject) => grant(subject, "the services API")),
  ];
}

function askingSchema(service: string): Grant {
  return grant(subjects.schema(service), "what bodies look like: `twinlog schema`, `request`, `query`");
}

function hearing(service: string, name: string): Grant[] {
  return [
    grant(subjects.signal(service), "that a server serves, after `switch` and `recover`"),
    grant(`${inboxes.operator(name)}.>`, "answers"),
  ];
}

/** Settings of every stream can be read: what stands over the service's subjects is looked for. Messages of the bucket alone. */
function reading(bucket: string): Grant[] {
  return [
    grant("$JS.API.STREAM.INFO.*", "looks at the settings of the registry's bucket, and of streams over its subjects"),
    readingRecord(bucket),
  ];
}

function readingRecord(bucket: string): Grant {
  return grant(`$JS.API.STREAM.MSG.GET.KV_${bucket}`, "reads the registry's record");
}

/**
 * Of all services and of this one; the last token is an id. Not `$SRV.*`: nats-server takes a subscription to `$SRV.>` for one of
 * these (found in 2.9.10), and so it would be everybody's.
 */
function servicesApi(service: string): string[] {
  return ["$SRV.PING", "$SRV.INFO", "$SRV.STATS", `$SRV.*.${service}`, `$SRV.*.${service}.*`];
}
