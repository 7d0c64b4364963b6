/**
 * A nats-server program on this machine: one that has shown, by running, that it is one and which version it is.
 */
import { complaint, runCommand } from "./command.ts";

export type NatsBinary = { path: string; version: string };

const versionTimeoutMs = 5_000;

/** Runs `path --version`. A string says why this is no nats-server that we can use. */
export async function inspectBinary(path: string): Promise<NatsBinary | string> {
  const result = await runCommand(path, ["--version"], { timeoutMs: versionTimeoutMs });
  if (result.status !== 0) {
    return complaint(result, path);
  }
  const version = /^nats-server: v(\d+\.\d+\.\d+\S*)/.exec(result.stdout)?.[1];
  if (version === undefined) {
    return `${path} does not say that it is nats-server`;
  }
  return isAtLeast(version, 2, 9) ? { path, version } : `${path} is nats-server ${version}, and 2.9 or newer is needed`;
}

/** Compares the first two numbers of a version such as `2.10.27` or `2.11.0-RC.1`. */
export function isAtLeast(version: string, major: number, minor: number): boolean {
  const [itsMajor = 0, itsMinor = 0] = version.split(".").map(Number);
  return itsMajor > major || (itsMajor === major && itsMinor >= minor);
}
