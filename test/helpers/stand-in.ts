/**
 * Stand-ins for programs that tests must not depend on: small shell scripts in a folder that is put on a PATH.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";

export async function standIn(path: string, script: string): Promise<string> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return path;
}

/** The script of a nats-server that can do nothing but say its version. */
export function versionScript(version: string): string {
  return `echo "nats-server: v${version}"`;
}
