/**
 * The documents are true where a machine can tell: generated parts are as the code is, links lead somewhere, files that are named
 * are there, and every room of the tests is told.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";
import { shippedRules } from "../../machines/replica/rules.ts";
import { generated, withParts } from "./generated.ts";
import { deadLinks, linksOf, missingFiles, missingFilesOfComments, missingNames } from "./links.ts";
import { listFiles } from "./sources.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const read = (path: string) => readFileSync(join(root, path), "utf8");
const paths = listFiles(root);
const documents = paths.filter((path) => path.endsWith(".md"));

for (const path of Object.keys(generated)) {
  test(`${path} is as the code is: \`npm run documents\` writes it anew`, (t) => {
    t.true(withParts(path, read(path)) === read(path), `${path} is stale: run \`npm run documents\``);
  });
}

test("what is written by hand stays, stale parts go, and marks that are missing are an error", (t) => {
  const path = "machines/CHARTS.md";
  const document = read(path);
  const stale = document.replaceAll(/s_consulting/g, "s_elsewhere");
  t.not(stale, document);
  t.is(withParts(path, `before\n${stale}after\n`), `before\n${document}after\n`);
  t.throws(() => withParts(path, "no marks"), { message: /CHARTS\.md must hold/ });
});

test("every relative link leads to a file, and to a heading where it names one", (t) => {
  const target = (path: string) => {
    if (!existsSync(join(root, path))) return undefined;
    return path.endsWith(".md") ? read(path) : "";
  };
  t.deepEqual(
    documents.flatMap((path) => deadLinks(path, read(path), target)),
    [],
  );
});

test("what a document of the package links to is in the package, but for pictures, which say in words what they show", (t) => {
  const { files } = JSON.parse(read("package.json")) as { files: string[] };
  const alwaysThere = ["README.md", "LICENSE", "package.json"];
  const named = [...files, ...alwaysThere];
  const isIn = (path: string, some: string[]) =>
    some.some((each) => new RegExp(`^${each.replaceAll("*", "[^/]*")}/`).test(`${path}/`));
  const left = named.flatMap((each) => (each.startsWith("!") ? [each.slice(1)] : []));
  const isShipped = (path: string) => isIn(path, named) && !isIn(path, left);
  const shipped = documents.filter(isShipped);
  t.true(shipped.includes("README.md") && shipped.includes("deploy/RUNBOOK.md"));
  t.deepEqual(
    shipped.flatMap((path) =>
      linksOf(path, read(path)).filter(({ target }) => !isShipped(target) && !/\.(png|svg)$/.test(target)),
    ),
    [],
  );
});

test("every source file and document that a document names is there", (t) => {
  t.deepEqual(
    documents.filter((path) => path !== "CHANGELOG.md").flatMap((path) => missingFiles(path, read(path), paths)),
    [],
  );
});

test("every source file and document that a comment names is there", (t) => {
  const sources = paths.filter((path) => /\.(ts|mjs)$/.test(path));
  t.deepEqual(
    sources.flatMap((path) => missingFilesOfComments(path, read(path), paths)),
    [],
  );
});

test("every name that ARCHITECTURE.md and the protocol put in backquotes is in the sources", (t) => {
  const sources = paths.filter((path) => /^(actors|machines|schemas|deploy)\/.*\.ts$/.test(path));
  const words = new Set(sources.flatMap((path) => [...read(path).matchAll(/\w+/g)].map(([word]) => word)));
  t.deepEqual(
    ["ARCHITECTURE.md", "machines/PROTOCOL.md"].flatMap((path) => missingNames(path, read(path), words)),
    [],
  );
});

test("ARCHITECTURE.md says of every decision that has a name to which rule it belongs", (t) => {
  const [, table = ""] = /^\| rule \| decisions [^\n]+\n([\s\S]*?)\n\n/m.exec(read("ARCHITECTURE.md")) ?? [];
  const named = [...table.matchAll(/^\|[^|]+\|([^|]+)\|/gm)].flatMap(([, cell = ""]) =>
    [...cell.matchAll(/`(\w+)`/g)].map(([, name = ""]) => name),
  );
  t.deepEqual([...new Set(named)].sort(), Object.keys(shippedRules).sort());
});

test("test/README.md has a row for every room of the tests, and no other", (t) => {
  const [, table = ""] = /^\| room [^\n]+\n([\s\S]*?)\n\n/m.exec(read("test/README.md")) ?? [];
  const rooms = readdirSync(join(root, "test"), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  t.deepEqual(
    [...table.matchAll(/^\| `(\w+)\/` /gm)].map(([, name = ""]) => name).sort(),
    rooms.map(({ name }) => name).sort(),
  );
});

test("links and names: what leads nowhere is found", (t) => {
  const there = (path: string) => (path === "b/c.md" ? "# Two words, and `code`\n" : undefined);
  t.deepEqual(deadLinks("b/a.md", "[x](c.md#two-words-and-code) [y](https://example.org) [z](../b/c.md)", there), []);
  t.is(deadLinks("b/a.md", "[x](d.md) [y](c.md#three) [z](#here)\n", there).length, 3);
  t.deepEqual(missingFiles("a.md", "`b/c.ts`, `c.ts`, `npm run x`\n```\n`z.ts`\n```\n", ["a/b/c.ts"]), []);
  const comments = "/** See c.ts and `x/c.ts`. */\nconst y = 'y.ts';\n  // d.md, e.g. a/b/c.ts\n";
  t.deepEqual(missingFilesOfComments("a.ts", comments, ["a/b/c.ts"]), [
    "a.ts: x/c.ts is not here",
    "a.ts: d.md is not here",
  ]);
  t.deepEqual(missingNames("a.md", "`One.two`, `two`, `x.ts`, `npm run x`", new Set(["One", "two"])), []);
  t.is(missingNames("a.md", "`One.three` and `four`", new Set(["One", "two"])).length, 2);
  t.deepEqual(missingFiles("a.md", "`x/c.ts` and `d.md`", ["a/b/c.ts"]), [
    "a.md: x/c.ts is not here",
    "a.md: d.md is not here",
  ]);
});
