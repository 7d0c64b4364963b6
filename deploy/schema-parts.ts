/**
 * The schemas that a service announces, as parts of a document. What always holds: what a schema refers to in itself is found in the document.
 */
import type { JsonSchema } from "../schemas/announced.ts";

type Fields = Record<string, unknown>;

/** A name that may stand in the document. */
export function componentFor(kind: string, name: string, at: number): string {
  return /^[\w-]+$/.test(name) ? `${kind}-${name}` : `${kind}-${at + 1}`;
}

/** A query's body with the field that names it; where it is no plain object, its other fields are left unsaid. */
export function withName(schema: JsonSchema, name: string): JsonSchema {
  const query = { const: name };
  const { type, properties, required, propertyNames } = schema as Fields;
  if (type !== "object" || propertyNames !== undefined)
    return { type: "object", properties: { query }, required: ["query"] };
  return {
    ...(schema as Fields),
    properties: { query, ...(properties as Fields | undefined) },
    required: ["query", ...((required as string[] | undefined) ?? [])],
  };
}

/** A schema that has become a part of a document, there: what it refers to in itself is there now. */
export function placed(place: string, schema: JsonSchema): JsonSchema {
  if (typeof schema === "boolean") return schema;
  const { $schema: _, ...rest } = schema;
  return referring(rest, place) as JsonSchema;
}

/** Values, which are no schemas, and may have any fields. */
const values: ReadonlySet<string> = new Set(["const", "enum", "default", "examples"]);

function referring(part: unknown, place: string): unknown {
  if (Array.isArray(part)) return part.map((one) => referring(one, place));
  if (typeof part !== "object" || part === null) return part;
  const moved = Object.entries(part).map(([field, value]): [string, unknown] => {
    if (field === "$ref" && typeof value === "string" && value.startsWith("#")) return [field, place + value.slice(1)];
    return [field, values.has(field) && !isMapOfSchemas(part) ? value : referring(value, place)];
  });
  return Object.fromEntries(moved);
}

/** `properties` may have any names, such as `default`. */
function isMapOfSchemas(part: object): boolean {
  return Object.values(part).every((value) => typeof value === "object" && value !== null && !Array.isArray(value));
}
