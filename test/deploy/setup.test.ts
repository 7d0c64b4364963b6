/**
 * The set-up of a clone, tried on a small stand-in of one: it installs and builds when something has changed, and only then.
 */
import { spawnSync } from "node:child_process";
import { copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import test, { type ExecutionContext } from "ava";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";

const setupScript = fileURLToPath(new URL("../../../deploy/setup.mjs", import.meta.url));

/** Stands in for npm: "installs" what the lockfile names, and a compiler that copies each source to `dist/`. */
const npm = `
  import { appendFileSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
  appendFileSync("log", "npm " + process.argv[2] + "\\n");
  if (process.env.NPM_FAILS) process.exit(1);
  rmSync("node_modules", { recursive: true, force: true });
  mkdirSync("node_modules/typescript/bin", { recursive: true });
  cpSync("tsc", "node_modules/typescript/bin/tsc");
  const { packages } = JSON.parse(readFileSync("package-lock.json", "utf8"));
  const installed = Object.entries(packages).filter(([path, entry]) => path !== "" && !entry.optional);
  writeFileSync("node_modules/.package-lock.json", JSON.stringify({ packages: Object.fromEntries(installed) }));
`;
const tsc = `
  const { appendFileSync, cpSync, existsSync, mkdirSync, readdirSync, writeFileSync } = require("node:fs");
  if (process.argv.includes("--version")) {
    // Just unpacked: busy when it is asked for the first time.
    if (existsSync("asked")) process.exit(0);
    writeFileSync("asked", "");
    process.exit(1);
  }
  appendFileSync("log", "tsc\\n");
  mkdirSync("dist/deploy", { recursive: true });
  for (const name of readdirSync("deploy").filter((each) => each.endsWith(".ts"))) {
    const text = require("node:fs").readFileSync("deploy/" + name, "utf8");
    if (text.includes("wrong")) process.exit(2);
    cpSync("deploy/" + name, "dist/deploy/" + name.replace(/ts$/, "js"));
  }
`;

type Clone = {
  write: (path: string, text: string) => Promise<void>;
  remove: (path: string) => Promise<void>;
  exists: (path: string) => Promise<boolean>;
  /** Runs the set-up: its exit status, what it said, and which tools it has run. */
  setup: (
    environment?: NodeJS.ProcessEnv,
    nodeArguments?: string[],
  ) => Promise<{ status: number | null; said: string; ran: string[] }>;
};

const lockfile = (version: string): string =>
  JSON.stringify({
    packages: {
      "": { name: "twinlog" },
      "node_modules/typescript": { version, integrity: `sha512-${version}` },
      "node_modules/for-another-platform": { version, integrity: "sha512-x", optional: true },
    },
  });

async function clone(t: ExecutionContext): Promise<Clone> {
  const folder = await temporaryDirectory(t);
  const write = async (path: string, text: string): Promise<void> => {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  };
  await write("npm.js", npm);
  await write("tsc", tsc);
  await write("package.json", '{ "type": "module" }');
  await write("node_modules/typescript/package.json", "{}");
  await write("tsconfig.json", "{}");
  await write("package-lock.json", lockfile("1.0.0"));
  await write("deploy/a.ts", "a");
  await copyFile(setupScript, join(folder, "deploy", "setup.mjs"));
  return {
    write,
    remove: (path) => rm(join(folder, path)),
    exists: (path) =>
      readFile(join(folder, path)).then(
        () => true,
        () => false,
      ),
    setup: async (environment = {}, nodeArguments = []) => {
      await write("log", "");
      const { status, stdout, stderr } = spawnSync(
        process.execPath,
        [...nodeArguments, join(folder, "deploy", "setup.mjs")],
        {
          encoding: "utf8",
          env: { ...process.env, npm_execpath: join(folder, "npm.js"), ...environment },
        },
      );
      const log = await readFile(join(folder, "log"), "utf8");
      return { status, said: stdout + stderr, ran: log.split("\n").filter((line) => line !== "") };
    },
  };
}

test("a fresh clone is installed and built; a second run does nothing and says nothing", async (t) => {
  const { setup, exists } = await clone(t);
  t.like(await setup(), { status: 0, ran: ["npm ci", "tsc"] });
  t.true(await exists("dist/deploy/a.js"));
  t.deepEqual(await setup(), { status: 0, said: "", ran: [] });
});

test("a changed lockfile is installed again, whoever installed last", async (t) => {
  const { setup, write, remove } = await clone(t);
  await setup();
  await write("package-lock.json", lockfile("2.0.0"));
  t.deepEqual((await setup()).ran, ["npm ci", "tsc"]);
  await remove("node_modules/.package-lock.json");
  t.deepEqual((await setup()).ran, ["npm ci"]);
});

test("a changed, a new and a deleted source are built, and what was built of the deleted one goes", async (t) => {
  const { setup, write, remove, exists } = await clone(t);
  await setup();
  await write("deploy/a.ts", "changed");
  t.deepEqual((await setup()).ran, ["tsc"]);
  await write("deploy/b.ts", "new");
  t.deepEqual((await setup()).ran, ["tsc"]);
  t.true(await exists("dist/deploy/b.js"));
  await remove("deploy/b.ts");
  t.deepEqual((await setup()).ran, ["tsc"]);
  t.false(await exists("dist/deploy/b.js"));
  t.true(await exists("dist/deploy/a.js"));
});

test("a build that fails is an error, and is tried again", async (t) => {
  const { setup, write } = await clone(t);
  await write("deploy/a.ts", "wrong");
  const failed = await setup();
  t.is(failed.status, 1);
  t.regex(failed.said, /The build failed/);
  t.deepEqual((await setup()).ran, ["tsc"]);
  await write("deploy/a.ts", "right");
  t.is((await setup()).status, 0);
});

test("an installation that fails is an error in one sentence", async (t) => {
  const { setup } = await clone(t);
  const failed = await setup({ NPM_FAILS: "1" });
  t.is(failed.status, 1);
  t.deepEqual(failed.ran, ["npm ci"]);
  t.regex(failed.said, /could not be installed/);
});

test("an old Node is refused in one clear sentence, before anything is touched", async (t) => {
  const { setup } = await clone(t);
  for (const version of ["18.20.4", "20.18.3"]) {
    const pretend = `data:text/javascript,Object.defineProperty(process, "versions", { value: { node: "${version}" } })`;
    const refused = await setup({}, ["--import", pretend]);
    t.deepEqual(refused, {
      status: 1,
      said: `twinlog: Twinlog needs Node 20.19 or newer, and this is ${version}: install a newer Node and try again.\n`,
      ran: [],
    });
  }
});
