/**
 * How this program came here, as a line of a package.json that brings it to another project too. What always holds: a file or a folder is
 * named relative to that project, and only where it is there.
 */
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";

/** Of this package, or of the checkout. */
export const ownFolder = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** `npx twinlog` in that folder runs an installed package. */
export function isInstalledIn(folder: string): boolean {
  return ownFolder.includes(`${sep}node_modules${sep}`) && existsSync(join(folder, "node_modules", ".bin", "twinlog"));
}

export interface Source {
  /** What package.json says of `twinlog`. */
  readonly spec: string;
  /** A checkout, and no package. */
  readonly isFolder: boolean;
}

/**
 * `folder`: of this package; `projectFolder`: of the project that is to have it, absolute both. `version`: where all that is known is which
 * release it is.
 */
export function sourceOf(folder: string, projectFolder: string, version: string): Source {
  const at = folder.indexOf(`${sep}node_modules${sep}`);
  if (at < 0) return fileSource(folder, projectFolder);
  const installedIn = folder.slice(0, at);
  const spec = specIn(join(installedIn, "package.json"));
  const local = spec === undefined ? null : localPath(spec, installedIn);
  if (local !== null) return existsSync(local) ? fileSource(local, projectFolder) : released(version);
  return spec === undefined ? released(version) : { spec, isFolder: false };
}

/** What a person said: a path is one of the folder in which he said it. */
export function givenSource(given: string, workingFolder: string, projectFolder: string): Source {
  const path = localPath(given, workingFolder);
  return path !== null && existsSync(path) ? fileSource(path, projectFolder) : { spec: given, isFolder: false };
}

function released(version: string): Source {
  return { spec: `^${version}`, isFolder: false };
}

function fileSource(path: string, projectFolder: string): Source {
  const written = relative(projectFolder, path).split(sep).join("/");
  return { spec: `file:${written}`, isFolder: statSync(path).isDirectory() };
}

/** The tool that runs a package once (`npm exec`, `npx`) writes a package.json too. */
function specIn(manifest: string): string | undefined {
  try {
    type Fields = Record<"dependencies" | "devDependencies", Record<string, string> | undefined>;
    const { dependencies, devDependencies } = JSON.parse(readFileSync(manifest, "utf8")) as Fields;
    return dependencies?.twinlog ?? devDependencies?.twinlog;
  } catch {
    return undefined; // Installed for all projects.
  }
}

/** null: it is no path, but a version or an address. */
function localPath(spec: string, folder: string): string | null {
  const path = spec.startsWith("file:") ? spec.slice("file:".length) : spec;
  const isPath = path !== spec || /^(\.{0,2}\/|[a-zA-Z]:[\\/])/.test(path) || /\.(tgz|tar\.gz)$/.test(path);
  return isPath && !/^[a-z+]+:\/\//.test(path) ? resolve(folder, path) : null;
}
