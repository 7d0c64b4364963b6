/**
 * Has every object within a schema parse once: zod makes it ready when it parses for the first time, which takes milliseconds, and a
 * backup would do that while clients wait for it. What always holds: nothing is kept; what a schema's own functions throw counts for nothing.
 */
import type { z } from "zod";

export function parseOnce(schema: z.ZodType): void {
  visit(schema, new Set());
}

function visit(schema: z.ZodType, seen: Set<z.ZodType>): void {
  if (seen.has(schema)) return;
  seen.add(schema);
  attempt(() => schema.safeParse({}));
  const parts: unknown[] = Object.values(schema.def);
  if ("unwrap" in schema) attempt(() => parts.push((schema as z.ZodLazy).unwrap()));
  for (const part of parts) for (const inner of schemasIn(part)) visit(inner, seen);
}

/** A schema, or a list or a record of such, as definitions have them. */
function schemasIn(part: unknown): z.ZodType[] {
  if (typeof part !== "object" || part === null) return [];
  return isSchema(part) ? [part] : Object.values(part).filter(isSchema);
}

function isSchema(part: unknown): part is z.ZodType {
  return typeof part === "object" && part !== null && "_zod" in part && "safeParse" in part;
}

function attempt(run: () => unknown): void {
  try {
    run();
  } catch {
    // An author's own check may not like what it is given.
  }
}
