/**
 * A service and its application as an AsyncAPI 3 document: what clients and integrators may send and get, on which subjects. What always
 * holds: bodies and results are as the service announces them; all else comes from the schemas by which servers read and write it.
 */
import { z } from "zod";
import { AnnouncedSchema, type ApplicationSchemas, type JsonSchema } from "../schemas/announced.ts";
import { Envelope, headers, QueryEnvelope, ReadySignal, ReplayRequest, Reply } from "../schemas/envelope.ts";
import { ReplayEnd, replayHeaders } from "../schemas/replay.ts";
import { subjects } from "../schemas/subjects.ts";
import { traceparentHeader } from "../schemas/traceparent.ts";
import { componentFor, placed, withName } from "./schema-parts.ts";

export interface Documented {
  readonly service: string;
  readonly application: string;
  readonly digest: string;
  readonly schemas: ApplicationSchemas;
  /** Of the broker, without what is logged in with. */
  readonly hosts: readonly string[];
}

type Fields = Record<string, unknown>;

export function asyncApi({ service, application, digest, schemas, hosts }: Documented): Fields {
  const servers = hosts.map((host, at) => [at === 0 ? "nats" : `nats-${at + 1}`, { host, protocol: "nats" }]);
  return {
    asyncapi: "3.0.0",
    info: {
      title: `${service}: ${application} on Twinlog`,
      version: digest,
      description: `What clients and integrators of the service ${service} send and get. The version is the digest of its application's schemas. A key or a client's name is a token of a subject: letters, digits, - and _ stand for themselves, every other byte of UTF-8 is = and two hex digits.`,
    },
    defaultContentType: "application/json",
    servers: Object.fromEntries(servers),
    channels: channelsOf(service),
    operations,
    components: { schemas: componentsOf(schemas), messages },
  };
}

/** Subjects are built for these, and put together again with what stands for them. */
const places = { key: "KEY", client: "CLIENT" } as const;

function channelsOf(service: string): Fields {
  const of = (build: (service: string, key: string, client: string) => string) =>
    build(service, places.key, places.client)
      .replace(`.${places.key}.`, ".{key}.")
      .replace(/\.CLIENT$/, ".{client}");
  const parameters = {
    key: { description: "the partition key of the body, as the application defines it" },
    client: { description: "the client's name, as in the envelope" },
  };
  return {
    request: { address: of(subjects.request), parameters, messages: oneOf("request") },
    query: { address: of(subjects.query), parameters, messages: oneOf("query") },
    result: { address: of(subjects.result), parameters, messages: oneOf("result") },
    replay: { address: subjects.replay(service), messages: oneOf("replay") },
    ready: { address: subjects.signal(service), messages: oneOf("ready") },
    schema: { address: subjects.schema(service), messages: oneOf("ask") },
    reply: inbox("reply", "queryReply"),
    replayed: inbox("replayedResult", "replayEnd"),
    announced: inbox("announced"),
  };
}

/** Whoever asks names the subject of the answer, as NATS's reply subject. */
function inbox(...names: string[]): Fields {
  return { address: null, description: "the reply subject that the question names", messages: oneOf(...names) };
}

function oneOf(...names: string[]): Fields {
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/messages/${name}` }]));
}

const operations: Fields = {
  request: asked("request", "reply", ["reply"], "a request: executed once, however often it is sent under its id"),
  query: asked("query", "reply", ["queryReply"], "a read of committed state, never logged"),
  replay: asked("replay", "replayed", ["replayedResult", "replayEnd"], "results again, from a result number"),
  schema: asked(
    "schema",
    "announced",
    ["announced"],
    "what bodies look like; each server answers, the primary with `hot`",
  ),
  result: { action: "send", channel: { $ref: "#/channels/result" }, summary: "every result after commit, in sequence" },
  ready: {
    action: "send",
    channel: { $ref: "#/channels/ready" },
    summary: "a server has gone hot: send again at once",
  },
};

function asked(channel: string, answers: string, messages: readonly string[], summary: string): Fields {
  return {
    action: "receive",
    channel: { $ref: `#/channels/${channel}` },
    summary,
    reply: {
      channel: { $ref: `#/channels/${answers}` },
      messages: messages.map((name) => ({ $ref: `#/channels/${answers}/messages/${name}` })),
    },
  };
}

const text: JsonSchema = { type: "string" };
const { history, epoch, sequence, result, messageId } = headers;
const resultHeaders = [history, epoch, sequence, result, messageId, traceparentHeader];

const messages: Fields = {
  request: message("Request", [traceparentHeader]),
  reply: message("Reply", [headers.duplicate, headers.omitted]),
  query: message("Query"),
  queryReply: message("QueryReply"),
  result: message("Reply", resultHeaders),
  replayedResult: message("Reply", [...resultHeaders, replayHeaders.subject]),
  replay: message("ReplayRequest"),
  replayEnd: message("ReplayEnd", [replayHeaders.end]),
  ready: message("Ready"),
  ask: { name: "ask", summary: "anything, also nothing" },
  announced: message("Announced"),
};

function message(name: string, names: readonly string[] = []): Fields {
  const properties = Object.fromEntries(names.map((header) => [header, text]));
  const told = names.length === 0 ? {} : { headers: { type: "object", properties } };
  return { name, payload: { $ref: `#/components/schemas/${name}` }, ...told };
}

function componentsOf({ request, result, queries, answers = {} }: ApplicationSchemas): Fields {
  const bodies = Object.entries(queries).map(([name, schema], at): [string, JsonSchema] => {
    const component = componentFor("Query", name, at);
    return [component, placed(placeOf(component), withName(schema, name))];
  });
  const results = Object.keys(queries).flatMap((name, at): [string, JsonSchema][] => {
    const component = componentFor("Answer", name, at);
    return answers[name] === undefined ? [] : [[component, placed(placeOf(component), answers[name])]];
  });
  // Of which query an answer is, the question says: where one of them says nothing, it may be anything.
  const isSaid = results.length > 0 && results.length === bodies.length;
  const anyAnswer = isSaid ? { anyOf: results.map(([name]) => reference(name)) } : {};
  const anyQuery = bodies.length === 0 ? false : { oneOf: bodies.map(([name]) => reference(name)) };
  return {
    RequestBody: placed(placeOf("RequestBody"), request),
    Result: placed(placeOf("Result"), result),
    ...Object.fromEntries([...bodies, ...results]),
    Request: withField(own("Request", Envelope, "input"), "body", reference("RequestBody")),
    Query: withField(own("Query", QueryEnvelope, "input"), "body", anyQuery),
    Reply: withField(own("Reply", Reply), "result", reference("Result")),
    QueryReply: withField(own("QueryReply", Reply), "result", anyAnswer),
    ReplayRequest: own("ReplayRequest", ReplayRequest, "input"),
    ReplayEnd: own("ReplayEnd", ReplayEnd),
    Ready: own("Ready", ReadySignal),
    Announced: own("Announced", AnnouncedSchema),
  };
}

const placeOf = (name: string): string => `#/components/schemas/${name}`;

function reference(name: string): Fields {
  return { $ref: placeOf(name) };
}

function own(name: string, schema: z.ZodType, io: "input" | "output" = "output"): JsonSchema {
  return placed(placeOf(name), z.toJSONSchema(schema, { target: "draft-7", io }) as JsonSchema);
}

/** Where the schema, or a variant of it, has that field. */
function withField(schema: JsonSchema, field: string, value: unknown): JsonSchema {
  if (typeof schema === "boolean") return schema;
  const { properties, oneOf: variants } = schema as { properties?: Fields; oneOf?: JsonSchema[] };
  if (variants !== undefined) return { ...schema, oneOf: variants.map((variant) => withField(variant, field, value)) };
  return properties?.[field] === undefined ? schema : { ...schema, properties: { ...properties, [field]: value } };
}
