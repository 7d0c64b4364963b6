/**
 * The npm package: made from a fresh clone, it holds what users need, and in an empty project it is installed, compiled against and
 * run as a pair. Nothing here needs the registry: what the package depends on is taken from the clone's own node_modules.
 */
import { cp, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { checkPackage, createPackageFromTarballData } from "@arethetypeswrong/core";
import type { ExecutionContext } from "ava";
import anyTest, { type TestFn } from "ava";
import { publint } from "publint";
import { complaint, runCommand } from "../../deploy/nats/command.ts";
import { startPair } from "../helpers/pair/pair.ts";
import { makeTemporaryDirectory, temporaryDirectory } from "../helpers/temporary-directory.ts";

const test = anyTest as TestFn<unknown>;
const root = fileURLToPath(new URL("../../..", import.meta.url));
const compiler = join(root, "node_modules", "typescript", "bin", "tsc");
const maxPackedBytes = 450_000;
const withinMs = 120_000 * Number(process.env.TWINLOG_PATIENCE ?? 1);

interface Packed {
  readonly tarball: string;
  readonly bytes: Buffer<ArrayBuffer>;
  readonly paths: readonly string[];
  readonly remove: () => Promise<void>;
}

let packed: Packed;

/** Runs a program to its end: what it printed; rejects unless it succeeded. */
async function run(program: string, args: string[], cwd: string): Promise<string> {
  const result = await runCommand(program, args, { cwd, timeoutMs: withinMs });
  if (result.status !== 0 || result.timedOut) throw new Error(`${complaint(result, program)}\n${result.stdout}`);
  return result.stdout;
}

/** npm without the registry, and with a cache of its own, so that nothing can come from there. */
async function npm(args: string[], cwd: string): Promise<string> {
  const cache = join(cwd, ".npm-cache");
  const options = ["--offline", "--cache", cache, "--no-audit", "--no-fund", "--silent"];
  const path = process.env.npm_execpath;
  const [program, ...words] = path?.endsWith(".js") ? [process.execPath, path] : ["npm"];
  return await run(program, [...words, ...args, ...options], cwd);
}

/** A clone as git would make it, but that its dependencies are installed already. */
async function freshClone(folder: string): Promise<string> {
  const clone = join(folder, "clone");
  const left = new Set(["node_modules", "dist", ".twinlog", ".git"]);
  await cp(root, clone, { recursive: true, filter: (path) => !left.has(basename(path)) });
  await symlink(join(root, "node_modules"), join(clone, "node_modules"));
  return clone;
}

test.before("pack a fresh clone", async () => {
  const { path, remove } = await makeTemporaryDirectory();
  const clone = await freshClone(path);
  const said = await npm(["pack", "--ignore-scripts=false", "--json", "--pack-destination", path], clone);
  const [{ filename, files }] = JSON.parse(said) as [{ filename: string; files: { path: string }[] }];
  const tarball = join(path, filename);
  packed = { tarball, bytes: await readFile(tarball), paths: files.map((file) => file.path), remove };
});

test.after.always("remove the package", () => packed?.remove());

test("the package holds programs, declarations of what may be imported, documents and examples; no tests, no sources", (t) => {
  const known = [
    /^dist\/(actors|deploy|machines|schemas)\/.*\.js$/,
    /^dist\/(actors|schemas)\/.*\.d\.ts$/,
    /^deploy\/(console\/(page\/[\w.]+|console\.png)|examples\/[\w.@/]+|nats\/roles\.conf)$/,
    /^((actors\/application|deploy|schemas)\/)?[A-Z]+(\.md)?$/,
    /^package\.json$/,
  ];
  t.deepEqual(
    packed.paths.filter((path) => !known.some((pattern) => pattern.test(path))),
    [],
  );
  t.true(["dist/deploy/twinlog.js", "deploy/console/page/index.html"].every((path) => packed.paths.includes(path)));
  const { length } = packed.bytes;
  t.true(length < maxPackedBytes, `${length} bytes packed: see package.json's files`);
});

test("publint finds nothing to say", async (t) => {
  const { buffer, byteOffset, byteLength } = packed.bytes;
  const tarball = buffer.slice(byteOffset, byteOffset + byteLength);
  t.deepEqual((await publint({ pack: { tarball }, strict: true })).messages, []);
});

test("the types of each entry are found, by nodenext and by bundlers", async (t) => {
  const analysis = await checkPackage(createPackageFromTarballData(new Uint8Array(packed.bytes)));
  if (analysis.types === false) return t.fail("there are no types");
  t.deepEqual(Object.keys(analysis.entrypoints), [".", "./client", "./testing", "./schemas", "./package.json"]);
  // The package is for ESM alone: what only old resolutions miss, and require(), is not promised.
  const unpromised = new Set<string>(["node10", "node16-cjs"]);
  const promised = analysis.problems.filter(
    (problem) => !("resolutionKind" in problem && unpromised.has(problem.resolutionKind)),
  );
  t.deepEqual(promised, []);
});

/** The package's dependencies and theirs, as folders of the clone. */
async function dependencies(...more: string[]): Promise<Record<string, string>> {
  type Entry = { dependencies?: Record<string, string>; peerDependencies?: Record<string, string> };
  const lockfile = JSON.parse(await readFile(join(root, "package-lock.json"), "utf8")) as {
    packages: Record<string, Entry>;
  };
  const own = lockfile.packages[""];
  const names = new Set([...Object.keys({ ...own?.dependencies, ...own?.peerDependencies }), ...more]);
  for (const name of names)
    for (const next of Object.keys(lockfile.packages[`node_modules/${name}`]?.dependencies ?? {})) names.add(next);
  return Object.fromEntries([...names].map((name) => [name, `file:${join(root, "node_modules", name)}`]));
}

const client = `
import { connect, RefusedError } from "twinlog/client";
import { Reply } from "twinlog/schemas";
import { counter } from "./counter.ts";

const [, , nats = "", service = ""] = process.argv;
const client = await connect({ nats, service, client: "alice", application: counter });
const { result, bytes } = await client.request({ counter: "apples", add: 2 });
const value: number = result.value;
const reply = Reply.parse(JSON.parse(new TextDecoder().decode(bytes)));
// @ts-expect-error a body is held against its schema already when it is compiled
const refused = await client.request({ counter: "apples", add: "2" }).catch((error: unknown) => error);
await client.disconnect();
console.log(JSON.stringify([value, reply.ok, refused instanceof RefusedError]));
`;

const compilerOptions = {
  target: "ES2023",
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  skipLibCheck: false,
  rewriteRelativeImportExtensions: true,
  types: ["node"],
  rootDir: "src",
  outDir: "dist",
};

/** An empty project with the package, a counter and a client of it. */
async function project(t: ExecutionContext): Promise<string> {
  const folder = await temporaryDirectory(t);
  const write = (path: string, content: unknown) =>
    writeFile(join(folder, path), typeof content === "string" ? content : JSON.stringify(content));
  await write("package.json", {
    type: "module",
    private: true,
    dependencies: { twinlog: `file:${packed.tarball}`, ...(await dependencies("@types/node")) },
  });
  await npm(["install", "--install-links", "--ignore-scripts"], folder);
  await mkdir(join(folder, "src"));
  for (const file of ["counter.ts", "counter.test.ts"])
    await cp(join(root, "deploy", "examples", "counter", file), join(folder, "src", file));
  await write("src/client.ts", client);
  await write("tsconfig.json", { compilerOptions: { ...compilerOptions, module: "nodenext" }, include: ["src"] });
  const bundled = { ...compilerOptions, module: "esnext", moduleResolution: "bundler", noEmit: true };
  await write("tsconfig.bundler.json", { compilerOptions: bundled, include: ["src"] });
  return folder;
}

test("in an empty project it is installed, compiled against without skipLibCheck, and run as a pair", async (t) => {
  t.timeout(2 * withinMs);
  const folder = await project(t);
  await run(process.execPath, [compiler, "-p", "tsconfig.bundler.json"], folder);
  await run(process.execPath, [compiler, "-p", "tsconfig.json"], folder);
  t.regex(await run(process.execPath, ["--test", "dist/"], folder), /^# pass 2$/m);
  const program = join(folder, "node_modules", ".bin", "twinlog");
  const application = join(folder, "dist", "counter.js");
  const pair = await startPair(t, { service: "counted", application, program });
  const said = await run(process.execPath, ["dist/client.js", pair.nats.url, pair.service], folder);
  t.is(said.trim(), "[2,true,true]");
});
