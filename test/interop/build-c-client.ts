/**
 * The client in C, built as its first lines say: with the machine's own libnats, or with Debian's, unpacked into `.twinlog/libnats`. Nothing is
 * installed. What cannot be had is told.
 */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runCommand } from "../../deploy/nats/command.ts";
import { unpackDebianPackages } from "../../deploy/nats/debian.ts";
import { type ClientProgram, clientsFolder } from "./example-client.ts";

const compileMs = 120_000;
const dataFolder = fileURLToPath(new URL("../../../.twinlog/", import.meta.url));

export async function buildCClient(folder: string): Promise<ClientProgram | { why: string }> {
  const compiler = await runCommand("cc", ["--version"], { timeoutMs: compileMs });
  if (compiler.status !== 0) return { why: "there is no C compiler" };
  const program = join(folder, "count");
  const compile = (...options: string[]) =>
    runCommand("cc", ["-Wall", "-Wextra", "-o", program, join(clientsFolder, "count.c"), ...options], {
      timeoutMs: compileMs,
    });
  const installed = await compile("-lnats");
  if (installed.status === 0) return { command: program, args: [] };
  if (!/nats\/nats\.h|-lnats/.test(installed.stderr)) throw new Error(`count.c does not compile: ${installed.stderr}`);
  const root = await bringLibrary();
  if (typeof root !== "string") return root;
  const libraries = await libraryFolder(root);
  const headers = `-I${join(root, "usr/include")}`;
  const brought = await compile(headers, `-L${libraries}`, "-lnats", `-Wl,-rpath-link,${libraries}`);
  if (brought.status !== 0) throw new Error(`count.c does not compile: ${brought.stderr}`);
  return { command: program, args: [], environment: { LD_LIBRARY_PATH: libraries } };
}

/** Debian's packages, unpacked once; put in place by one rename. */
async function bringLibrary(): Promise<string | { why: string }> {
  const kept = join(dataFolder, "libnats");
  if (existsSync(kept)) return kept;
  await mkdir(dataFolder, { recursive: true, mode: 0o700 });
  const workFolder = await mkdtemp(join(dataFolder, "bring-"));
  try {
    const brought = await unpackDebianPackages({ workFolder }, "libnats-dev", (name) =>
      /^lib(nats|protobuf-c)/.test(name),
    );
    if (typeof brought === "string") return { why: `libnats is not installed, and could not be brought: ${brought}` };
    await rename(brought.root, kept);
    return kept;
  } finally {
    await rm(workFolder, { recursive: true, force: true });
  }
}

/** `usr/lib/<machine>`, as Debian has it. */
async function libraryFolder(root: string): Promise<string> {
  const parent = join(root, "usr/lib");
  const machine = (await readdir(parent)).find((name) => existsSync(join(parent, name, "libnats.so")));
  return join(parent, machine ?? "");
}
