/**
 * `defineApplication`: an author's definition, its types inferred, checked once when the program is loaded. What always
 * holds of a defined application: its schemas are plain JSON (no dates, bigints, transforms of rows), requests and
 * queries refuse unknown fields, and its tables and queues have numbers that are the same on every server.
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import { maxParts } from "../../schemas/catalog.ts";
import { maxTimers, Timer, timersName } from "../../schemas/timers.ts";
import type {
  ApplicationDefinition,
  Migrations,
  QueryDefinition,
  Queues,
  Tables,
  ViewDefinitions,
  WhenFull,
} from "./contract.ts";

/** Any application, its types forgotten. */
export type Application = ApplicationDefinition;

type Nothing = Readonly<Record<never, never>>;

/** The author's input: version, migrations, tables, queues, views, timers and queries may be left out. */
interface Definition<
  Req extends z.ZodType,
  Res extends z.ZodType,
  T extends Tables,
  Q extends Queues,
  V extends ViewDefinitions,
  B extends Readonly<Record<string, z.ZodType>>,
> extends Omit<
    ApplicationDefinition<Req, Res, T, Q, V>,
    "storedAs" | "version" | "migrations" | "tables" | "queues" | "views" | "timers" | "queries"
  > {
  readonly storedAs?: string;
  readonly version?: number;
  readonly migrations?: Migrations;
  readonly tables?: T;
  readonly queues?: Q;
  readonly views?: V;
  readonly timers?: ApplicationDefinition["timers"];
  readonly queries?: { readonly [N in keyof B]: QueryDefinition<T, Q, V, B[N]> };
}

/** Throws an Error that says what is wrong with the definition: a programmer's mistake, found at start. */
export function defineApplication<
  Req extends z.ZodType,
  Res extends z.ZodType,
  T extends Tables = Nothing,
  Q extends Queues = Nothing,
  V extends ViewDefinitions = Nothing,
  B extends Readonly<Record<string, z.ZodType>> = Nothing,
>(definition: Definition<Req, Res, T, Q, V, B>): ApplicationDefinition<Req, Res, T, Q, V> {
  const {
    storedAs = definition.name,
    version = 1,
    migrations = {},
    tables = {},
    queues = {},
    views = {},
    queries = {},
    timers = null,
  } = definition;
  const whole = { ...definition, storedAs, version, migrations, tables, queues, views, timers, queries };
  const application = Object.freeze(whole) as ApplicationDefinition<Req, Res, T, Q, V>;
  check(application);
  return application;
}

function check(application: Application): void {
  const refuse = (what: string): never => {
    throw new Error(`application ${application.name}: ${what}`);
  };
  for (const name of [application.name, application.storedAs])
    if (!/^[a-z0-9][a-z0-9-]{0,31}$/.test(name)) refuse("a name is 1 to 32 of a-z, 0-9 and -");
  for (const [name, value] of functionsOf(application))
    if (typeof value !== "function") refuse(`${name} must be a function`);
  for (const [name, value] of schemasOf(application))
    if (!(value instanceof z.core.$ZodType)) refuse(`${name} must be a schema of zod 4`);
  const { version, migrations } = application;
  if (!Number.isSafeInteger(version) || version < 1) refuse("version must be a whole number from 1");
  for (const to of Object.keys(migrations)) {
    if (!/^[0-9]{1,15}$/.test(to) || Number(to) < 2 || Number(to) > version)
      refuse(`migration ${to}: a migration's number is the version that it makes, from 2 to ${version}`);
  }
  const { timers } = application;
  if (
    timers !== null &&
    !(Number.isSafeInteger(timers.maxTimers) && timers.maxTimers >= 1 && timers.maxTimers <= maxTimers)
  )
    refuse(`timers: maxTimers must be a whole number from 1 to ${maxTimers}`);
  if (Object.hasOwn(application.tables, timersName) || Object.hasOwn(application.queues, timersName))
    refuse(`${timersName} is the table of timers: give yours another name`);
  const parts = applicationParts(application);
  if (parts.length > maxParts) refuse(`${parts.length} tables and queues; at most ${maxParts} are allowed`);
  for (const part of parts) {
    if (part.kind === "queue" && !(Number.isSafeInteger(part.maxItems) && part.maxItems >= 1))
      refuse(`queue ${part.name}: maxItems must be a whole number from 1`);
  }
  if (new Set(parts.map((part) => part.name)).size !== parts.length) refuse("a table and a queue have the same name");
  if (hasLenientObject(z.toJSONSchema(application.request, { io: "input" })))
    refuse("request: use z.strictObject, so that unknown fields are refused");
  for (const [name, query] of Object.entries(application.queries)) {
    if (hasLenientObject(z.toJSONSchema(query.body, { io: "input" })))
      refuse(`query ${name}: use z.strictObject, so that unknown fields are refused`);
  }
  schemaDigest(application);
}

/** Types say the same; whoever writes JavaScript hears it when the program is loaded, and no client does. */
function functionsOf({ key, handle, views, queries }: Application): [string, unknown][] {
  return [
    ["key", key],
    ["handle", handle],
    ...Object.entries(views).map(([name, view]): [string, unknown] => [`view ${name}`, view]),
    ...Object.entries(queries).map(([name, { answer }]): [string, unknown] => [`query ${name}: answer`, answer]),
  ];
}

function schemasOf({ request, result, tables, queues, queries }: Application): [string, unknown][] {
  return [
    ["request", request],
    ["result", result],
    ...Object.entries(tables).map(([name, schema]): [string, unknown] => [`table ${name}`, schema]),
    ...Object.entries(queues).map(([name, { item }]): [string, unknown] => [`queue ${name}: item`, item]),
    ...Object.entries(queries).map(([name, { body }]): [string, unknown] => [`query ${name}: body`, body]),
  ];
}

/** True if some object of the JSON Schema says nothing about other fields: that is a z.object, which drops them silently. */
function hasLenientObject(schema: unknown): boolean {
  if (typeof schema !== "object" || schema === null) return false;
  if (Array.isArray(schema)) return schema.some(hasLenientObject);
  if ("properties" in schema && !("additionalProperties" in schema)) return true;
  return Object.values(schema).some(hasLenientObject);
}

/** A table or queue, and the number that it has in a new state. */
export type Part =
  | { readonly kind: "table"; readonly part: number; readonly name: string; readonly schema: z.ZodType }
  | {
      readonly kind: "queue";
      readonly part: number;
      readonly name: string;
      readonly schema: z.ZodType;
      readonly maxItems: number;
      readonly whenFull: WhenFull;
    };

/** Tables by name, then queues by name, then the timers' table where there are timers; `part` is the index. */
export function applicationParts(application: Application): readonly Part[] {
  const byName = <X>(record: Readonly<Record<string, X>>): [string, X][] =>
    Object.entries(record).sort(([left], [right]) => (left < right ? -1 : 1));
  const parts: Part[] = [];
  for (const [name, schema] of byName(application.tables))
    parts.push({ kind: "table", part: parts.length, name, schema });
  for (const [name, { item, maxItems, whenFull }] of byName(application.queues))
    parts.push({ kind: "queue", part: parts.length, name, schema: item, maxItems, whenFull });
  if (application.timers !== null) parts.push({ kind: "table", part: parts.length, name: timersName, schema: Timer });
  return parts;
}

/**
 * 16 hex digits over the name, the version (from the second on) and the JSON Schemas of request, result, tables and queues:
 * with which program a log began. Two logs that began otherwise have no record in common. Throws when a schema has no JSON
 * Schema (dates, bigints, transforms of rows and results).
 */
export function schemaDigest(application: Application): string {
  const described = {
    name: application.storedAs,
    ...(application.version > 1 ? { version: application.version } : {}),
    request: z.toJSONSchema(application.request, { io: "input" }),
    // A body is parsed again when its request is resumed: what comes out of the schema must be able to go in.
    parsed: z.toJSONSchema(application.request),
    result: z.toJSONSchema(application.result),
    parts: applicationParts(application).map(({ schema, ...part }) => ({ ...part, schema: z.toJSONSchema(schema) })),
  };
  return createHash("sha256").update(JSON.stringify(described)).digest("hex").slice(0, 16);
}
