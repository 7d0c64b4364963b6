/**
 * Builds what the npm package holds (`npm pack` runs it): programs without comments and source maps, and the declarations
 * of what may be imported, with theirs. What always holds:
 * 1. `dist/` is made from the present sources alone, and holds no tests.
 * 2. A declaration is in it only where one of the package's entries leads to it.
 * 3. Modules are put together in few files: an entry, or what several share; each is there once. A module finds
 *    files of the package as if it stood in a file of its own. Functions and classes keep their names, for stack traces.
 * 4. The next `npm start` or `npm test` builds anew, for that a clone's own build has source maps and tests.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "rolldown";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, "dist");
const rooms = ["actors", "deploy", "machines", "schemas"];

rmSync(dist, { recursive: true, force: true });
compile("--emitDeclarationOnly");
const { bin, exports: entries } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
await bundle(
  [...new Set([...Object.values(bin), ...named("default", entries)])].filter((path) => path.endsWith(".js")),
);
const reached = declarationsFrom(named("types", entries));
for (const path of filesIn(dist, ".d.ts")) if (!reached.has(path)) rmSync(path);

/** The files that the entries name under this condition, whichever others stand before it. */
function named(condition, entry) {
  if (typeof entry !== "object") return [];
  return Object.entries(entry).flatMap(([name, value]) =>
    name === condition && typeof value === "string" ? [value] : named(condition, value),
  );
}

/** `programs`: by their paths in `dist/`. Besides them what is a thread or a process of its own, and the examples. */
async function bundle(programs) {
  const sources = rooms.flatMap((room) => filesIn(join(root, room), ".ts"));
  const started = sources.flatMap((path) => {
    const text = readFileSync(path, "utf8");
    const told = [...text.matchAll(/new URL\("([^"]+)\.js", import\.meta\.url\)/g)];
    const itself = /new Worker\(new URL\(import\.meta\.url\)/.test(text) ? [path] : [];
    return [...told.map(([, specifier]) => resolve(dirname(path), `${specifier}.ts`)), ...itself];
  });
  const asked = programs.map((path) => join(root, relative("dist", path).replace(/\.js$/, ".ts")));
  const shown = filesIn(join(root, "deploy", "examples"), ".ts");
  const examples = shown.filter((path) => !path.endsWith(".test.ts") && !path.includes(`${sep}trading${sep}`));
  const entries = [...new Set([...asked, ...started, ...examples])];
  const keepNames = { function: true, class: true };
  await build({
    input: Object.fromEntries(entries.map((path) => [relative(root, path).replace(/\.ts$/, ""), path])),
    platform: "node",
    external: (id) => !isAbsolute(id) && !id.startsWith("."),
    plugins: [{ name: "own place", load: inOwnPlace }],
    output: {
      dir: dist,
      format: "esm",
      entryFileNames: "[name].js",
      chunkFileNames: "shared/[hash].js",
      comments: false,
      minify: { compress: { target: "es2023", keepNames }, mangle: { toplevel: true, keepNames } },
    },
  });
}

/** `import.meta.url` is the file that a module is put into; the package's own name leads to its folder from everywhere in it. */
function inOwnPlace(path) {
  if (!path.endsWith(".ts")) return null;
  const place = `dist/${relative(root, path).split(sep).join("/").replace(/\.ts$/, ".js")}`;
  const url = `new URL(${JSON.stringify(place)}, import.meta.resolve("twinlog/package.json")).href`;
  return { code: readFileSync(path, "utf8").replaceAll("import.meta.url", url), moduleType: "ts" };
}

function compile(...options) {
  const compiler = join(root, "node_modules", "typescript", "bin", "tsc");
  const project = join(root, "deploy", "tsconfig.package.json");
  const { status } = spawnSync(process.execPath, [compiler, "-p", project, ...options], {
    cwd: root,
    stdio: "inherit",
  });
  if (status !== 0) {
    console.error("twinlog: the package could not be built: see the compiler's messages above.");
    process.exit(1);
  }
}

/** The declarations that lead from one to the other, from these on. */
function declarationsFrom(paths) {
  const found = new Set(paths.map((path) => join(root, path)));
  for (const path of found) {
    for (const [, specifier] of readFileSync(path, "utf8").matchAll(/(?:\bfrom|\bimport)\s*\(?\s*"(\.[^"]+)"/g)) {
      const declaration = resolve(dirname(path), specifier.replace(/\.ts$/, ".d.ts"));
      if (!existsSync(declaration)) throw new Error(`${path} imports ${specifier}, which is not declared`);
      found.add(declaration);
    }
  }
  return found;
}

function filesIn(folder, end) {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(end))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}
