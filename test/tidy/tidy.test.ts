/**
 * The repository keeps its own rules: rooms, imports, purity, size, openings, and nothing of one machine.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";
import { forbiddenImports, importCycles } from "./rooms.ts";
import { lineCount, noPathsOfOneMachine, sourceRules, wantedLines } from "./rules.ts";
import { listFiles, readSource } from "./sources.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const paths = listFiles(root);
const sources = paths.filter((path) => /\.(ts|mjs)$/.test(path)).map((path) => readSource(root, path));

test("the sources were found", (t) => {
  t.true(sources.length > 20);
});

test("every import is one that its room may make", (t) => {
  t.deepEqual(sources.flatMap(forbiddenImports), []);
});

test("nothing imports in a circle", (t) => {
  t.deepEqual(importCycles(sources), []);
});

for (const rule of sourceRules) {
  test(`every source keeps the rule ${rule.name}`, (t) => {
    t.deepEqual(sources.flatMap(rule), []);
  });
}

test("long files are named", (t) => {
  const long = sources.filter(({ text }) => lineCount(text) > wantedLines);
  t.log(...long.map(({ path, text }) => `${path} has ${lineCount(text)} lines: is it still one idea?`));
  t.pass();
});

test("no file names a path of one machine", (t) => {
  const texts = paths.filter((path) => !/\.(png|svg|gz|ico)$/.test(path) && path !== "package-lock.json");
  t.deepEqual(
    texts.flatMap((path) => noPathsOfOneMachine(path, readFileSync(join(root, path), "utf8"))),
    [],
  );
});

test("the lockfile names no place where packages were downloaded", (t) => {
  t.false(readFileSync(join(root, "package-lock.json"), "utf8").includes('"resolved"'));
});

const rooms = ["actors", "machines", "schemas", "deploy", "test"];
const documents = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "LICENSE"];
const tools = ["package.json", "package-lock.json", "tsconfig.json", "biome.jsonc", "knip.jsonc"];

test("the top level holds the rooms, the documents and what tools need", (t) => {
  const entries = new Set(paths.map((path) => path.split("/")[0] ?? ""));
  const known = new Set([...rooms, ...documents, ...tools]);
  t.deepEqual(
    [...entries].filter((entry) => !known.has(entry) && !entry.startsWith(".")),
    [],
  );
});
