/**
 * What a service announces of its application, as types of TypeScript: for programs in another repository than the application's module. What
 * always holds: nothing that a service says becomes anything but a type or a comment, and nothing is read that it names.
 */
import type { ApplicationSchemas, JsonSchema } from "../schemas/announced.ts";
import { componentFor, placed, withName } from "./schema-parts.ts";

export interface Typed {
  readonly service: string;
  readonly application: string;
  readonly digest: string;
  readonly schemas: ApplicationSchemas;
}

/** The library that writes types is not installed. */
export class NoGenerator extends Error {
  override readonly name = "NoGenerator";
}

/** A module: `RequestBody`, `Result`, `QueryBody`, and for each query its body and its answer, such as `QueryBook` and `AnswerBook`. Throws NoGenerator. */
export async function schemaTypes({ service, application, digest, schemas }: Typed): Promise<string> {
  const compile = await generator();
  const { request, result, queries, answers = {} } = schemas;
  const bodies = Object.entries(queries).map(([name, schema], at): [string, JsonSchema] => [
    componentFor("Query", name, at),
    withName(schema, name),
  ]);
  const results = Object.keys(queries).flatMap((name, at): [string, JsonSchema][] =>
    answers[name] === undefined ? [] : [[componentFor("Answer", name, at), answers[name]]],
  );
  const parts: [string, JsonSchema][] = [["RequestBody", request], ["Result", result], ...bodies, ...results];
  const definitions = parts.map(([name, schema]) => [name, typed(placed(`#/definitions/${name}`, schema))] as const);
  const anyQuery = bodies.length === 0 ? { not: {} } : { anyOf: bodies.map(([name]) => reference(name)) };
  const told = [service, application, digest].map((word) => word.replaceAll("*/", "* /"));
  return await compile(
    {
      title: "Service",
      type: "object",
      additionalProperties: false,
      required: ["request", "result", "query", "answer"],
      properties: {
        request: reference("RequestBody"),
        result: reference("Result"),
        query: reference("QueryBody"),
        // Of which query, the question says.
        answer: results.length === 0 ? {} : { anyOf: results.map(([name]) => reference(name)) },
      },
      definitions: { ...Object.fromEntries(definitions), QueryBody: anyQuery },
    } as Parameters<typeof compile>[0],
    "Service",
    {
      bannerComment: `/**\n * What the service ${told[0]} takes and answers: ${told[1]}, digest ${told[2]}.\n * Written by \`twinlog schema --format types\`: a change made here does not last.\n */`,
      additionalProperties: false,
      unknownAny: true,
      // A service's schema names no file and no address that is worth reading.
      $refOptions: { resolve: { external: false } },
      style: { printWidth: 120 },
    },
  );
}

async function generator() {
  try {
    return (await import("json-schema-to-typescript")).compile;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_MODULE_NOT_FOUND") throw error;
    throw new NoGenerator(
      "types are written by a library of their own: npm install --save-dev json-schema-to-typescript",
      {
        cause: error,
      },
    );
  }
}

const reference = (name: string) => ({ $ref: `#/definitions/${name}` });

/** Keywords with a schema, or schemas, in them. */
const ofSchemas: ReadonlySet<string> = new Set([
  "items",
  "additionalItems",
  "additionalProperties",
  "not",
  "allOf",
  "anyOf",
  "oneOf",
]);
/** Keywords whose fields are names, each with a schema. */
const ofNames: ReadonlySet<string> = new Set(["properties", "patternProperties", "definitions", "$defs"]);
/** Keywords that are values. All others say nothing about a type, or are the library's own, such as `tsType`, which is taken as it stands. */
const ofValues: ReadonlySet<string> = new Set([
  "description",
  "type",
  "const",
  "enum",
  "required",
  "minItems",
  "maxItems",
]);

function typed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(typed);
  if (typeof schema !== "object" || schema === null) return schema;
  const { $ref } = schema as { readonly $ref?: unknown };
  if ($ref !== undefined) return typeof $ref === "string" && $ref.startsWith("#/definitions/") ? { $ref } : {};
  return Object.fromEntries(Object.entries(schema).flatMap(([keyword, value]) => kept(keyword, value)));
}

function kept(keyword: string, value: unknown): [string, unknown][] {
  if (ofSchemas.has(keyword)) return [[keyword, typed(value)]];
  if (ofValues.has(keyword)) return [[keyword, value]];
  if (!ofNames.has(keyword) || typeof value !== "object" || value === null) return [];
  return [[keyword, Object.fromEntries(Object.entries(value).map(([name, schema]) => [name, typed(schema)]))]];
}
