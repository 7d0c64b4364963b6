/**
 * The repository keeps its own rules: rooms, imports, purity, size, openings, and nothing of one machine.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";
import { citesWhatIsNotThere, numbersOf } from "./protocol.ts";
import { forbiddenImports, importCycles } from "./rooms.ts";
import { lineCount, noPathsOfOneMachine, sourceRules, wantedLines } from "./rules.ts";
import { listFiles, readSource, resolveImport } from "./sources.ts";

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

for (const [door, client] of [
  ["actors/connect.ts", "nats"],
  ["actors/connect-browser.ts", "nats.ws"],
] as const)
  test(`what only sends requests brings along zod and ${client}, and nothing of the servers (${door})`, (t) => {
    const reached = new Set<string>([door]);
    const libraries = new Set<string>();
    const builtins = new Set<string>();
    for (const path of reached)
      for (const { specifier, isType } of sources.find((each) => each.path === path)?.imports ?? []) {
        if (isType) continue;
        if (specifier.startsWith(".")) reached.add(resolveImport(path, specifier));
        else (specifier.startsWith("node:") ? builtins : libraries).add(specifier);
      }
    t.true(reached.has("actors/client/pipeline.ts") && reached.has("schemas/envelope.ts"));
    t.deepEqual(
      [...reached].filter((path) => !/^(actors\/(client|world)\/|schemas\/)/.test(path)),
      [door],
    );
    t.deepEqual([...libraries].sort(), [client, "zod"]);
    if (client === "nats") return;
    t.deepEqual([...builtins], []);
    const inNode = sources.filter(
      ({ path, code }) => reached.has(path) && /\b(Buffer|process|setImmediate)\b/.test(code),
    );
    t.deepEqual(
      inNode.map(({ path }) => path),
      [],
      "browsers have none of these",
    );
  });

for (const rule of sourceRules) {
  test(`every source keeps the rule ${rule.name}`, (t) => {
    t.deepEqual(sources.flatMap(rule), []);
  });
}

test("every rule, situation and invariant that is cited is in machines/PROTOCOL.md, and every document is here", (t) => {
  const numbers = numbersOf(readFileSync(join(root, "machines/PROTOCOL.md"), "utf8"));
  t.true(numbers.rule.length >= 18 && numbers.situation.length >= 50 && numbers.invariant.length >= 10);
  for (const list of Object.values(numbers))
    t.deepEqual(
      list,
      [...new Set(list)].sort((a, b) => a - b),
    );
  const texts = paths.filter((path) => /\.(ts|mjs|md)$/.test(path));
  t.deepEqual(
    texts.flatMap((path) => citesWhatIsNotThere(path, readFileSync(join(root, path), "utf8"), numbers)),
    [],
  );
});

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
const documents = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "LICENSE"];
const tools = ["package.json", "package-lock.json", "tsconfig.json", "biome.jsonc", "knip.jsonc"];

test("the top level holds the rooms, the documents and what tools need", (t) => {
  const entries = new Set(paths.map((path) => path.split("/")[0] ?? ""));
  const known = new Set([...rooms, ...documents, ...tools]);
  t.deepEqual(
    [...entries].filter((entry) => !known.has(entry) && !entry.startsWith(".")),
    [],
  );
});
