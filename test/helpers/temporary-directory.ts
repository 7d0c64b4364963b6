/**
 * An empty folder for one test, removed when the test is over, or at the latest when the process is.
 */
import { rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ExecutionContext } from "ava";
import { atEnd } from "./at-end.ts";

// Repeated, since a program that is just ending may still write into the folder.
const removal = { recursive: true, force: true, maxRetries: 5 };
const folders = new Set<string>();
atEnd(() => {
  for (const folder of folders) rmSync(folder, removal);
});

export async function temporaryDirectory(t: ExecutionContext): Promise<string> {
  const { path, remove } = await makeTemporaryDirectory();
  t.teardown(remove);
  return path;
}

/** For a folder that several tests share: whoever makes it removes it. */
export async function makeTemporaryDirectory(): Promise<{ path: string; remove: () => Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), "twinlog-test-"));
  folders.add(path);
  const remove = async () => {
    await rm(path, removal);
    folders.delete(path);
  };
  return { path, remove };
}
