/**
 * Makes a clone ready to run: the exact dependencies of the lockfile, and a build in `dist/` of the present sources.
 *
 * `npm start`, `npm test` and `npm run check` call it first. It is plain JavaScript that needs no dependency, since it runs
 * before there is one, and it takes well under a second when there is nothing to do. With `--only-install` it does not build.
 * What always holds:
 * 1. `npm ci` runs only when what is installed differs from what the lockfile says, whoever installed it.
 * 2. `tsc` runs only when a source or a setting of the compiler has changed since the last build that succeeded.
 * 3. `dist/` holds nothing whose source is gone, so that a deleted test cannot run.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const rooms = ["actors", "machines", "schemas", "deploy", "test"];
const compilerInputs = ["tsconfig.json", "package.json", "package-lock.json"];
const builtStamp = join(root, "dist", ".built");

refuseOldNode();
/** How long an unpacked program may take to be ready. */
const programWithinMs = 10_000;

const justInstalled = !isInstalled();
if (justInstalled) {
  install();
}
if (!process.argv.includes("--only-install")) {
  const fingerprint = sourcesFingerprint();
  if (!existsSync(builtStamp) || readFileSync(builtStamp, "utf8") !== fingerprint) build(fingerprint);
}

function refuseOldNode() {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (major < 20 || (major === 20 && minor < 19)) {
    fail(
      `Twinlog needs Node 20.19 or newer, and this is ${process.versions.node}: install a newer Node and try again.`,
    );
  }
}

/** True when node_modules holds what the lockfile names; optional packages may be of another platform. */
function isInstalled() {
  const installed = readPackages(join(root, "node_modules", ".package-lock.json"));
  const wanted = readPackages(join(root, "package-lock.json"));
  if (installed === undefined || wanted === undefined) {
    return false;
  }
  delete wanted[""];
  const strays = Object.keys(installed).filter((path) => wanted[path] === undefined);
  const wrong = Object.entries(wanted).filter(([path, entry]) =>
    installed[path] === undefined
      ? !(entry.optional || entry.devOptional)
      : installed[path].integrity !== entry.integrity,
  );
  return strays.length === 0 && wrong.length === 0;
}

function readPackages(lockfile) {
  try {
    return JSON.parse(readFileSync(lockfile, "utf8")).packages;
  } catch {
    return undefined;
  }
}

function install() {
  console.log("twinlog: installing dependencies (npm ci) …");
  // Through the npm that runs us where there is one: on Windows `npm` is a script that cannot be spawned by its bare name.
  const npm = process.env.npm_execpath;
  const arguments_ = ["ci", "--no-audit", "--no-fund", "--loglevel=error"];
  const { status } = npm?.endsWith(".js")
    ? spawnSync(process.execPath, [npm, ...arguments_], { cwd: root, stdio: "inherit" })
    : spawnSync("npm", arguments_, { cwd: root, stdio: "inherit" });
  if (status !== 0) {
    fail(
      "The dependencies could not be installed: see npm's message above, and try again when the npm registry can be reached.",
    );
  }
}

function build(fingerprint) {
  console.log("twinlog: building (tsc) …");
  const compiler = join(root, "node_modules", "typescript", "bin", "tsc");
  if (justInstalled) awaitProgram(compiler);
  const { status } = spawnSync(process.execPath, [compiler, "-p", root], { cwd: root, stdio: "inherit" });
  if (status !== 0) {
    fail("The build failed: see the compiler's messages above.");
  }
  removeOrphans();
  mkdirSync(dirname(builtStamp), { recursive: true });
  writeFileSync(builtStamp, fingerprint);
}

/** A program that was only just unpacked may still be open for writing elsewhere ("text file busy"): waits until it runs. */
function awaitProgram(compiler) {
  const deadlineMs = Date.now() + programWithinMs;
  while (spawnSync(process.execPath, [compiler, "--version"], { cwd: root, stdio: "ignore" }).status !== 0) {
    if (Date.now() > deadlineMs) return;
  }
}

/** What the build depends on: the content of every source and of the compiler's settings. */
function sourcesFingerprint() {
  const hash = createHash("sha256");
  const sources = rooms.flatMap((room) => filesUnder(join(root, room))).filter((path) => path.endsWith(".ts"));
  for (const path of [...compilerInputs.map((name) => join(root, name)), ...sources]) {
    hash.update(relative(root, path)).update("\0").update(readFileSync(path)).update("\0");
  }
  return hash.digest("hex");
}

function removeOrphans() {
  for (const path of rooms.flatMap((room) => filesUnder(join(root, "dist", room)))) {
    const source = relative(join(root, "dist"), path).replace(/(\.d\.ts|\.js)(\.map)?$/, ".ts");
    if (!existsSync(join(root, source))) {
      rmSync(path);
    }
  }
}

function filesUnder(folder) {
  if (!existsSync(folder)) {
    return [];
  }
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .toSorted();
}

function fail(sentence) {
  console.error(`twinlog: ${sentence}`);
  process.exit(1);
}
