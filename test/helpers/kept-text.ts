/**
 * Text that is kept in a file beside the tests, for people to read and to see change as a diff. What always holds: the file is
 * exactly what the code makes of it now; `npm run rewrite` (TWINLOG_REWRITE=1) writes it anew instead of failing.
 */
import { readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { ExecutionContext } from "ava";

const rooms = new URL("../../../test/", import.meta.url);

/** Where a file of a test room is, in the sources. */
export const sourcePath = (path: string): string => fileURLToPath(new URL(path, rooms));

/** Holds the file against the text, or rewrites it when that is asked for. */
export function isAsKept(t: ExecutionContext, path: string, text: string): void {
  if (process.env.TWINLOG_REWRITE === "1") writeFileSync(path, text);
  t.is(readFileSync(path, "utf8"), text, `if this is meant: npm run rewrite, and read the diff of ${path}`);
}
