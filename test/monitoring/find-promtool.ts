/**
 * Prometheus' promtool: the one that TWINLOG_PROMTOOL names, or one on the PATH, or Debian's, taken once from its package into `.twinlog/bin/`, never
 * installed. What needs it is not run where there is none, and says why; on a machine of continuous integration that is a failure.
 */
import { spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ExecutionContext } from "ava";
import { unpackDebianPackages } from "../../deploy/nats/debian.ts";

const dataFolder = fileURLToPath(new URL("../../../.twinlog/", import.meta.url));
/** The package has Prometheus too. */
const downloadMs = 60_000;

export type Found = { readonly path: string } | { readonly why: string };

export async function findPromtool(environment: NodeJS.ProcessEnv = process.env): Promise<Found> {
  const named = environment.TWINLOG_PROMTOOL ?? "";
  if (named !== "")
    return isProgram(named) ? { path: named } : { why: `TWINLOG_PROMTOOL names ${named}, which is no program` };
  const folders = (environment.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  const path = folders.map((folder) => join(folder, "promtool")).find(isProgram);
  return path === undefined ? bring() : { path };
}

async function bring(): Promise<Found> {
  const path = join(dataFolder, "bin", "promtool");
  if (isProgram(path)) return { path };
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const workFolder = await mkdtemp(join(dataFolder, "bring-"));
  try {
    const options = { workFolder, limits: { downloadMs, unpackMs: downloadMs } };
    const brought = await unpackDebianPackages(options, "prometheus", (name) => name === "prometheus");
    if (typeof brought === "string")
      return { why: `promtool is not on the PATH (or TWINLOG_PROMTOOL), and could not be brought: ${brought}` };
    await rename(join(brought.root, "usr/bin/promtool"), path);
    return { path };
  } finally {
    await rm(workFolder, { recursive: true, force: true });
  }
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export interface Ran {
  readonly status: number | null;
  /** Both outputs. */
  readonly said: string;
}

/** Runs it with these words; null where there is none, which the test has then told. */
export async function promtool(t: ExecutionContext, words: readonly string[], input = ""): Promise<Ran | null> {
  const found = await findPromtool();
  if ("path" in found) return run(found.path, words, input);
  if (process.env.CI === "true") t.fail(`not run, because ${found.why}`);
  t.log(`not run, because ${found.why}`);
  t.pass();
  return null;
}

function run(path: string, words: readonly string[], input: string): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(path, [...words], { stdio: ["pipe", "pipe", "pipe"] });
    let said = "";
    for (const output of [child.stdout, child.stderr]) output.on("data", (part: Buffer) => (said += part.toString()));
    // One that reads nothing ends before all of it was written.
    child.stdin.on("error", () => undefined);
    child.on("error", reject);
    child.on("close", (status) => resolve({ status, said }));
    child.stdin.end(input);
  });
}
