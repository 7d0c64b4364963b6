/**
 * The files of which an application's program may be made: what lies beside its module and below. What always holds: tests and
 * declarations are no part of it; it has changed only where what is in a file has, for a compiler writes all of them anew.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const sources = /\.([cm]?[jt]s|json)$/;
const declarations = /\.d\.[cm]?ts$/;
/** A folder, or the word before the last dot. */
const tests = /(^|\/)(tests?|__tests__)\/|[.-](test|spec)\.[^/.]+$/;

export class ProgramFiles {
  readonly #folder: string;
  readonly #isIgnored: (path: string) => boolean;

  /** `isIgnored`: by a path relative to the folder. */
  constructor(folder: string, isIgnored: (path: string) => boolean) {
    this.#folder = folder;
    this.#isIgnored = isIgnored;
  }

  counts(path: string): boolean {
    return sources.test(path) && !declarations.test(path) && !tests.test(path) && !this.#isIgnored(path);
  }

  /** Of what is in them now. A file that goes while it is looked at is not there. */
  digest(): string {
    const hash = createHash("sha256");
    for (const path of this.#paths("")) {
      try {
        hash.update(`${path}\0`).update(
          createHash("sha256")
            .update(readFileSync(join(this.#folder, path)))
            .digest(),
        );
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      }
    }
    return hash.digest("hex");
  }

  *#paths(folder: string): Generator<string> {
    const entries = readdirSync(join(this.#folder, folder), { withFileTypes: true });
    for (const entry of entries.sort((left, right) => (left.name < right.name ? -1 : 1))) {
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory()) {
        if (!this.#isIgnored(`${path}/`)) yield* this.#paths(path);
      } else if (this.counts(path)) yield path;
    }
  }
}
