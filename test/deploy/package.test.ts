/**
 * The npm package: made from a fresh clone, it holds what users need. With it alone a project is begun, installed, compiled, tested, run
 * as a pair through the death of its primary, and rid of it again. Nothing here needs the network: what the package depends on comes from
 * the clone's own node_modules.
 */
import { cp, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { checkPackage, createPackageFromTarballData } from "@arethetypeswrong/core";
import anyTest, { type TestFn } from "ava";
import { publint } from "publint";
import { complaint, runCommand } from "../../deploy/nats/command.ts";
import { npmRegistry } from "../helpers/npm-registry.ts";
import { startPair } from "../helpers/pair/pair.ts";
import { makeTemporaryDirectory, temporaryDirectory } from "../helpers/temporary-directory.ts";

const test = anyTest as TestFn<unknown>;
const root = fileURLToPath(new URL("../../..", import.meta.url));
/**
 * Of some 432 kB programs are two thirds (284, of which the simulated world for authors' tests is 25, and the names of functions and
 * classes, which make stack traces readable, 8), documents 53, declarations 34, examples 24, the console's page 22.
 */
const maxPackedBytes = 440_000;
const withinMs = 120_000 * Number(process.env.TWINLOG_PATIENCE ?? 1);

interface Packed {
  readonly tarball: string;
  readonly bytes: Buffer<ArrayBuffer>;
  /** Of the clone that it was made in: its programs, as they were packed. */
  readonly dist: string;
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

/** npm without any registry but the given one, and with a cache of its own, so that nothing can come from there. */
async function npm(args: string[], cwd: string, registry?: string): Promise<string> {
  const from = registry === undefined ? ["--offline"] : ["--registry", registry, "--fetch-retries", "0"];
  const options = [...from, "--cache", join(cwd, ".npm-cache"), "--no-audit", "--no-fund", "--silent"];
  const path = process.env.npm_execpath;
  const [program, ...words] = path?.endsWith(".js") ? [process.execPath, path] : ["npm"];
  return await run(program, [...words, ...options, ...args], cwd);
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
  const paths = files.map((file) => file.path);
  packed = { tarball, bytes: await readFile(tarball), dist: join(clone, "dist"), paths, remove };
});

test.after.always("remove the package", () => packed?.remove());

test("the package holds programs, declarations of what may be imported, documents and examples; no tests, no sources", (t) => {
  const known = [
    /^dist\/(actors|deploy|schemas|shared)\/.*\.js$/,
    /^dist\/(actors|schemas)\/.*\.d\.ts$/,
    /^deploy\/(console\/page\/[\w.]+|examples\/[\w.@/]+|monitoring\/\w+\.(yaml|json)|nats\/roles\.conf)$/,
    /^((actors\/(application|client)|deploy|schemas)\/)?[A-Z]+(\.md)?$/,
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

test("functions and classes keep their names, for stack traces", async (t) => {
  const programs = packed.paths.filter((path) => /^dist\/(deploy\/twinlog|shared\/[^/]+)\.js$/.test(path));
  const texts = await Promise.all(programs.map((path) => readFile(join(dirname(packed.dist), path), "utf8")));
  for (const name of [/function runProgram\(/, /\bReplica=class\b/])
    t.true(
      texts.some((text) => name.test(text)),
      String(name),
    );
});

test("each program that another one starts is in the package", async (t) => {
  const rooms = ["actors", "deploy", "machines", "schemas"];
  const started: string[] = [];
  for (const room of rooms)
    for (const path of await readdir(join(root, room), { recursive: true })) {
      if (!path.endsWith(".ts")) continue;
      const text = await readFile(join(root, room, path), "utf8");
      for (const [, program = ""] of text.matchAll(/new URL\("([^"]+\.js)", import\.meta\.url\)/g))
        started.push(join("dist", room, dirname(path), program));
    }
  t.true(started.includes("dist/deploy/up/try-application.js"));
  t.deepEqual(
    started.filter((path) => !packed.paths.includes(path)),
    [],
  );
});

test("a checkout that a project takes as it stands, as `twinlog new` there has it, brings all its modules along", async (t) => {
  const said = await npm(["pack", root, "--dry-run", "--ignore-scripts", "--json"], await temporaryDirectory(t));
  const [{ files }] = JSON.parse(said) as [{ files: { path: string }[] }];
  const taken = new Set(files.map(({ path }) => path));
  const built = await readdir(join(root, "dist"), { recursive: true });
  // The trading page is looked at in the repository, and is built there.
  const isElsewhere = /^(test|shared|deploy\/examples\/trading)\//;
  const modules = built.filter((path) => path.endsWith(".js") && !isElsewhere.test(path));
  t.true(modules.length > 300);
  t.deepEqual(
    modules.filter((path) => !taken.has(`dist/${path}`)),
    [],
  );
});

test("publint finds nothing to say", async (t) => {
  const { buffer, byteOffset, byteLength } = packed.bytes;
  const tarball = buffer.slice(byteOffset, byteOffset + byteLength);
  t.deepEqual((await publint({ pack: { tarball }, strict: true })).messages, []);
});

test("the types of each entry are found, by nodenext and by bundlers", async (t) => {
  const analysis = await checkPackage(createPackageFromTarballData(new Uint8Array(packed.bytes)));
  if (analysis.types === false) return t.fail("there are no types");
  t.deepEqual(Object.keys(analysis.entrypoints), [
    ".",
    "./client",
    "./browser",
    "./testing",
    "./opentelemetry",
    "./schemas",
    "./package.json",
  ]);
  // The package is for ESM alone: what only old resolutions miss, and require(), is not promised.
  const unpromised = new Set<string>(["node10", "node16-cjs"]);
  const promised = analysis.problems.filter(
    (problem) => !("resolutionKind" in problem && unpromised.has(problem.resolutionKind)),
  );
  t.deepEqual(promised, []);
});

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

/** What remains of it where it was installed: files, and lines of what npm writes. */
async function leftIn(folder: string): Promise<string[]> {
  const modules = join(folder, "node_modules");
  const found = await readdir(modules, { recursive: true }).catch(() => []);
  const manifests = ["package.json", "package-lock.json"].map((name) => readFile(join(folder, name), "utf8"));
  const named = (await Promise.all(manifests)).filter((text) => text.includes("twinlog-0.1.0.tgz"));
  return [...found.filter((path) => /(^|\/)twinlog(@|$)/.test(path)), ...named];
}

for (const layout of ["hoisted", "linked"])
  test(`a project that it writes is installed (${layout}), compiled, tested, run through a kill, and rid of it`, async (t) => {
    t.timeout(4 * withinMs);
    const parent = await temporaryDirectory(t);
    const registry = await npmRegistry(t, join(root, "node_modules"));
    await npm(["exec", "--yes", `--package=${packed.tarball}`, "--", "twinlog", "new", "counted"], parent, registry);
    const folder = join(parent, "counted");
    const manifest = JSON.parse(await readFile(join(folder, "package.json"), "utf8")) as Record<string, unknown>;
    t.like(manifest, { name: "counted", dependencies: { twinlog: `file:${relative(folder, packed.tarball)}` } });
    await npm(["install", `--install-strategy=${layout}`], folder, registry);

    await writeFile(join(folder, "src", "client.ts"), client);
    const strict = { exactOptionalPropertyTypes: true, skipLibCheck: false };
    const bundled = { ...strict, module: "esnext", moduleResolution: "bundler", noEmit: true };
    for (const [name, compilerOptions] of Object.entries({ strict, bundled }))
      await writeFile(
        join(folder, `tsconfig.${name}.json`),
        JSON.stringify({ extends: "./tsconfig.json", compilerOptions }),
      );
    for (const name of ["strict", "bundled"]) await npm(["exec", "--", "tsc", "-p", `tsconfig.${name}.json`], folder);
    t.regex(await npm(["test"], folder), /^# pass 2$/m);

    const program = join(folder, "node_modules", ".bin", "twinlog");
    const application = join(folder, "dist", "counter.js");
    const pair = await startPair(t, { service: "counted", application, program });
    const count = () => run(process.execPath, ["dist/client.js", pair.nats.url, pair.service], folder);
    t.is((await count()).trim(), "[2,true,true]");
    const { primary } = await pair.normal();
    await pair.server(primary).kill();
    t.is((await count()).trim(), "[4,true,true]", "the other one goes on");
    await pair.close();

    t.not((await leftIn(folder)).length, 0);
    await npm(["uninstall", "twinlog", `--install-strategy=${layout}`], folder, registry);
    t.deepEqual(await leftIn(folder), []);
  });
