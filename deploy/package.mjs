/**
 * Builds what the npm package holds (`npm pack` runs it): programs without comments and source maps, and the declarations
 * of what may be imported, with theirs. What always holds:
 * 1. `dist/` is made from the present sources alone, and holds no tests.
 * 2. A declaration is in it only where one of the package's entries leads to it.
 * 3. The next `npm start` or `npm test` builds anew, for that a clone's own build has source maps and tests.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, "dist");

rmSync(dist, { recursive: true, force: true });
compile("--emitDeclarationOnly");
compile("--removeComments", "--declaration", "false", "--noCheck"); // They were checked a line before.
const { exports: entries } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const reached = declarationsFrom(Object.values(entries).flatMap((entry) => (entry.types ? [entry.types] : [])));
for (const path of declarationsIn(dist)) if (!reached.has(path)) rmSync(path);

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

function declarationsIn(folder) {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".d.ts"))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}
