/**
 * An empty folder for one test, removed when the test is over.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ExecutionContext } from "ava";

export async function temporaryDirectory(t: ExecutionContext): Promise<string> {
  const { path, remove } = await makeTemporaryDirectory();
  t.teardown(remove);
  return path;
}

/** For a folder that several tests share: whoever makes it removes it. */
export async function makeTemporaryDirectory(): Promise<{ path: string; remove: () => Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), "twinlog-test-"));
  // Repeated, since a program that is just ending may still write into the folder.
  return { path, remove: () => rm(path, { recursive: true, force: true, maxRetries: 5 }) };
}
