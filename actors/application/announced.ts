/**
 * The JSON Schemas that a service announces, from an application's zod schemas. What always holds: a body that the application
 * takes fits what is announced. Not the other way round: refinements, and what is done to a value before it is checked, are code and
 * have no JSON Schema; there it says less.
 */
import { z } from "zod";
import type { ApplicationSchemas, JsonSchema } from "../../schemas/announced.ts";
import type { Application } from "./define.ts";

/** What AsyncAPI takes as it stands, and most programs know. */
const target = "draft-7";

export function announcedSchemas({ request, result, queries }: Application): ApplicationSchemas {
  const answers = Object.entries(queries).flatMap(([name, query]) =>
    query.result === undefined ? [] : [[name, given(query.result)] as const],
  );
  return {
    request: sent(request),
    result: given(result),
    queries: Object.fromEntries(Object.entries(queries).map(([name, { body }]) => [name, sent(body)])),
    ...(answers.length === 0 ? {} : { answers: Object.fromEntries(answers) }),
  };
}

function given(schema: z.ZodType): JsonSchema {
  return z.toJSONSchema(schema, { target }) as JsonSchema;
}

/** Before defaults and transforms. */
function sent(schema: z.ZodType): JsonSchema {
  return z.toJSONSchema(schema, {
    target,
    io: "input",
    override: ({ zodSchema, jsonSchema }) => {
      relax(zodSchema, jsonSchema);
    },
  }) as JsonSchema;
}

type Keywords = Record<string, unknown>;

/** Takes out what zod says of a schema, and the schema does not hold a value to. */
function relax({ _zod }: z.core.$ZodType, json: Keywords): void {
  const def: Definition = _zod.def;
  const checks = (def.checks ?? []).map((check): Definition => check._zod.def);
  if (takesAnything(def)) keepOnly(json, []);
  // Trimmed, lowered and the like before the checks that come after it.
  else if (checks.some(({ check }) => check === "overwrite")) keepOnly(json, ["type"]);
  // JSON Schema's patterns have no flags.
  else if ([def, ...checks].some(({ pattern }) => (pattern?.flags ?? "") !== ""))
    keepOnly(json, ["type", "minLength", "maxLength"]);
  // The pattern may be the author's own, and then others hold to the format what it allows.
  else if (json.pattern !== undefined) delete json.format;
}

/** Of a schema or of one of its checks, as far as it is asked for here. */
interface Definition {
  readonly type?: string;
  readonly coerce?: boolean;
  readonly in?: z.core.$ZodType;
  readonly checks?: readonly z.core.$ZodCheck<never>[];
  readonly check?: string;
  readonly pattern?: RegExp;
}

function takesAnything({ type, coerce, in: first }: Definition): boolean {
  return coerce === true || type === "catch" || (type === "pipe" && first?._zod.def.type === "transform");
}

const words: ReadonlySet<string> = new Set(["title", "description", "default", "examples", "deprecated"]);

function keepOnly(json: Keywords, keywords: readonly string[]): void {
  for (const keyword of Object.keys(json)) if (!words.has(keyword) && !keywords.includes(keyword)) delete json[keyword];
}
