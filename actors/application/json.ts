/**
 * Values as JSON. What always holds: a value that `freezeJson` let through is equal to what JSON.parse makes of its
 * JSON, and cannot change any more; so a hot server that keeps the value and a warm one that parses the bytes have the same.
 */
import type { z } from "zod";
import { TransactionError } from "./errors.ts";

/** Deepest nesting of a value. */
const maxDepth = 64;

/** Checks that `value` is plain JSON and freezes it, in place and all the way down. Throws TransactionError `json`. */
export function freezeJson(value: unknown, depth = 0): void {
  switch (typeof value) {
    case "string":
    case "boolean":
      return;
    case "number":
      if (!Number.isFinite(value) || Object.is(value, -0)) throw notJson(value === 0 ? "minus zero" : String(value));
      return;
    case "object":
      if (value !== null) freezeObject(value, depth);
      return;
    default:
      throw notJson(typeof value);
  }
}

function freezeObject(value: object, depth: number): void {
  if (depth === maxDepth)
    throw new TransactionError("json", `a value may be nested ${maxDepth} deep, and may not contain itself`);
  if (Array.isArray(value)) {
    for (const item of value) freezeJson(item, depth + 1);
  } else {
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype !== Object.prototype && prototype !== null) throw notJson("an object of a class");
    for (const name in value) freezeJson((value as Record<string, unknown>)[name], depth + 1);
  }
  Object.freeze(value);
}

function notJson(what: string): TransactionError {
  return new TransactionError(
    "json",
    `${what} is not JSON: use plain objects, arrays, strings, finite numbers, booleans and null`,
  );
}

/** One line that says what is wrong with a value, of bounded length. */
export function describeIssues(error: z.ZodError): string {
  const lines = error.issues.slice(0, 4).map((issue) => {
    const path = issue.path.map(String).join(".");
    return path === "" ? issue.message : `${path}: ${issue.message}`;
  });
  const text = lines.join("; ");
  return text.length <= 300 ? text : `${text.slice(0, 299)}…`;
}
