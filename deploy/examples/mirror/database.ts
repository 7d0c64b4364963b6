/**
 * The integrator's own database, here a file: what it knows and the position up to which that goes are written together, by one rename,
 * which is all that a transaction has to do.
 */
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import type { Position } from "twinlog";

export interface Mirror {
  position: Position;
  /** `asOf`: the place in the log up to which the quantity was read from a page, all of whose results are in it. */
  items: Record<string, { quantity: number; asOf: number }>;
}

export class Database {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  load(): Mirror | undefined {
    return existsSync(this.#file) ? (JSON.parse(readFileSync(this.#file, "utf8")) as Mirror) : undefined;
  }

  save(mirror: Mirror): void {
    writeFileSync(`${this.#file}.new`, JSON.stringify(mirror));
    renameSync(`${this.#file}.new`, this.#file);
  }

  clear(): void {
    rmSync(this.#file, { force: true });
  }
}
