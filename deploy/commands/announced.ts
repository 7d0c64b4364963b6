/**
 * What a service announces of its application (`<service>.schema`), for commands that check bodies by it. What always holds: a body is
 * held to the schemas of the service that gets it, never to those of another; where they are not known, that is told, and the
 * service alone checks it.
 */
import { z } from "zod";
import { describeIssues } from "../../actors/application/json.ts";
import type { Bus, Clock } from "../../actors/world/ports.ts";
import { AnnouncedSchema, type ApplicationSchemas, type JsonSchema } from "../../schemas/announced.ts";
import { subjects } from "../../schemas/subjects.ts";
import { ask } from "./ask.ts";
import { CommandError, NotAllowed } from "./world.ts";

/** How long a server may take to say it; they have it ready. */
export const schemaWithinMs = 2_000;

export type Known = Omit<AnnouncedSchema, "schemas"> & { readonly schemas: ApplicationSchemas };
/** `unknown`: why it is not known, for people. */
export type Announced = { readonly known: Known } | { readonly unknown: string };

/** The primary's word where there is one, else another server's. */
export async function askSchema(bus: Bus, clock: Clock, service: string, withinMs: number): Promise<Announced> {
  const subject = subjects.schema(service);
  try {
    const asked = await ask(
      bus,
      clock,
      subject,
      {},
      withinMs,
      (data) => AnnouncedSchema.safeParse(data).data?.hot === true,
    );
    if (asked.outcome === "nobody")
      return { unknown: `no server of ${service} announces its schema (an older program does not)` };
    if (asked.outcome === "silence")
      return { unknown: `no server of ${service} told its schema within ${withinMs} ms` };
    const said = AnnouncedSchema.safeParse(asked.data).data;
    if (said?.service !== service) return { unknown: `what came from ${subject} is no schema` };
    const { schemas, ...about } = said;
    if (schemas === undefined) return { unknown: `server ${said.server}: ${said.omitted ?? "it tells no schemas"}` };
    return { known: { ...about, schemas } };
  } catch (error) {
    if (error instanceof NotAllowed) return { unknown: error.message };
    throw error;
  }
}

/** Of whom the body is, and to whom it goes. */
export interface Sent {
  readonly kind: "request" | "query";
  readonly body: unknown;
  readonly service: string;
  readonly timeout: number;
}

/** `known`: by what the body was checked, and fits; `note`: why nothing here has checked it. */
export interface Checked {
  readonly known?: Known;
  readonly note?: string;
}

/** Throws CommandError where the body does not fit. */
export async function checkBody(bus: Bus, clock: Clock, { kind, body, service, timeout }: Sent): Promise<Checked> {
  const announced = await askSchema(bus, clock, service, Math.min(timeout, schemaWithinMs));
  if ("unknown" in announced) return { note: announced.unknown };
  const { known } = announced;
  try {
    const why = kind === "request" ? whyNot(known.schemas.request, body) : whyNoQuery(known.schemas, body);
    if (why === null) return { known };
    throw new CommandError(`INVALID_REQUEST: ${why} (by the schema that ${service} announces: nothing was sent)`);
  } catch (error) {
    if (error instanceof SchemaNotUnderstood) return { note: error.message };
    throw error;
  }
}

function whyNoQuery({ queries }: ApplicationSchemas, body: unknown): string | null {
  if (typeof body !== "object" || body === null || !("query" in body)) return "a query's body names the query";
  const { query: name, ...fields } = body;
  const schema = typeof name === "string" && Object.hasOwn(queries, name) ? queries[name] : undefined;
  if (schema === undefined) return `there is no such query; there are: ${Object.keys(queries).join(", ") || "none"}`;
  return whyNot(schema, fields);
}

/** The service's program made it with a later zod than this one's. */
class SchemaNotUnderstood extends Error {
  override readonly name = "SchemaNotUnderstood";
}

function whyNot(schema: JsonSchema, body: unknown): string | null {
  const { error } = understood(schema).safeParse(body);
  return error === undefined ? null : describeIssues(new z.ZodError(error.issues.flatMap(closest)));
}

function understood(schema: JsonSchema): z.ZodType {
  try {
    return z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0], { registry: z.registry() });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new SchemaNotUnderstood(`the schema that the service announces is not understood here (${why})`, { cause });
  }
}

type Issue = z.core.$ZodIssue;

/** Of a union, what the variant says that is meant: one whose tag fits, and of several the one that lacks least. */
function closest(issue: Issue): Issue[] {
  if (issue.code !== "invalid_union" || issue.errors.length === 0) return [issue];
  const tags = issue.errors.map((issues) => issues.find(isTag));
  const meant = issue.errors.filter((_, at) => tags[at] === undefined);
  const [tag] = tags;
  if (meant.length === 0 && tag !== undefined) {
    const values = tags.flatMap((one) => (one?.path.join() === tag.path.join() ? one.values : []));
    return [{ ...tag, path: [...issue.path, ...tag.path], message: `Invalid input: expected ${shown(values)}` }];
  }
  const [best = []] = meant.toSorted((left, right) => left.length - right.length);
  return best.flatMap((one) => closest({ ...one, path: [...issue.path, ...one.path] }));
}

type Tag = Extract<Issue, { code: "invalid_value" }>;

/** A field that has one value in each variant. */
function isTag(issue: Issue): issue is Tag {
  return issue.code === "invalid_value" && issue.values.length === 1 && issue.path.length === 1;
}

function shown(values: readonly unknown[]): string {
  return [...new Set(values)].map((value) => JSON.stringify(value)).join(" | ");
}
