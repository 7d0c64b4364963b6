/**
 * What is said of a server's death. A watcher beside it (actors/world/crash-notifier.ts) tells each other server, on `subjects.deaths`,
 * that the process is dead: a fact about one process, so a late notice says nothing about the next one. Where the
 * server's watchdog ended it, because application code did not return, the notice carries its last words: for what that code
 * ran. They also stay in the data folder (`lastWordsFile`), for the next process of the server. `life` is the id of the process (`processId`): 22 or fewer of A-Z a-z 0-9 - _.
 */
import { z } from "zod";
import { maxNameLength } from "./envelope.ts";
import { maxCount, maxIdLength } from "./ranges.ts";
import { ServerName } from "./settings.ts";

/**
 * Code of the application. body: its schema checks a request. handler: runs, up to its first await. handlers: go on after an await.
 * query: answers one. view: is fed with committed effects. loading: is fed from the disk. migration: makes the state another version's.
 */
export const applicationCodes = ["body", "handler", "handlers", "query", "view", "loading", "migration"] as const;
export type ApplicationCode = (typeof applicationCodes)[number];

export const LastWords = z.object({
  server: ServerName,
  life: z.string().min(1).max(maxIdLength),
  code: z.enum(applicationCodes),
  /** Of the request or query; empty where there is none, or it is one of several. */
  client: z.string().max(maxNameLength),
  id: z.string().max(maxNameLength),
  /** Of a query's body; 0 otherwise. */
  bodyHash: z.number().nonnegative().max(maxCount),
  /** The run had an attempt on record before it began (rule 17). */
  isRecorded: z.boolean(),
  /** How long the thread had been busy with it, in ms of its own time on a core. */
  busyMs: z.number().nonnegative().max(maxCount),
});
export type LastWords = z.infer<typeof LastWords>;

export const DeathNotice = z.object({
  server: ServerName,
  life: z.string().min(1).max(maxIdLength),
  lastWords: LastWords.optional(),
});
export type DeathNotice = z.infer<typeof DeathNotice>;

/** In a server's data folder. */
export const lastWordsFile = "last-words.json";

/** The notice, or null where these bytes are none. */
export const readDeathNotice = (data: Uint8Array): DeathNotice | null => read(DeathNotice, data);
export const readLastWords = (data: Uint8Array): LastWords | null => read(LastWords, data);

function read<T>(schema: z.ZodType<T>, data: Uint8Array): T | null {
  try {
    const parsed = schema.safeParse(JSON.parse(new TextDecoder().decode(data)));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}

/** For the log. */
export function describeLastWords({ code, client, id, busyMs }: LastWords): string {
  const what = {
    body: "the check of the body of request",
    handler: "the handler of request",
    handlers: "handlers that go on after an await",
    query: "query",
    view: "a view, fed with committed records",
    loading: "the application, fed from the disk",
    migration: "a migration of the state",
  }[code];
  const whose = id === "" ? "" : ` ${JSON.stringify(id)} of client ${JSON.stringify(client)}`;
  return `${what}${whose} kept the thread busy for ${Math.round(busyMs)} ms and did not return`;
}
