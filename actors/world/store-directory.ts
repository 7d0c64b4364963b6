/**
 * The files of one store: numbered database folders, `active`, which names the one that counts, and folders that were set
 * aside. What always holds: `active` is replaced in one step and is on the disk before anything relies on it; a numbered
 * folder that it does not name was never relied on (a side directory that was not adopted, or an old store of which nothing
 * is missing) and may be removed; one that was set aside is never touched, unless it was set aside for a side store that was
 * not adopted in the end: then it is the one that `active` names, and comes back; a directory that has folders and no `active`
 * is damaged, unless it was never finished.
 */
import { mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { type AsideCopy, StoreError } from "./ports.ts";

const activeName = "active";
/** Stands in a directory while its first database is made, so that a crash there is not taken for damage. */
const makingName = "making";
const folderPattern = /^store-([1-9][0-9]*)$/;
/** The date, what it was set aside as, and what it was called while it was the active one. */
const asidePattern = /^aside-\d{8}T\d{6}Z-.*-(store-[1-9][0-9]*)$/;
const maxLabelLength = 64;

export class StoreDirectory {
  readonly path: string;
  #active = "";

  constructor(path: string) {
    this.path = path;
  }

  /** The folder of the database that counts. */
  get active(): string {
    return join(this.path, this.#active);
  }

  /**
   * True if there is no database yet: make one in `active`, then call `made`. False: open it, then call `tidy`. Throws
   * `damaged`.
   */
  async open(): Promise<boolean> {
    const names = await readdir(this.path);
    const folders = names.filter((name) => folderPattern.test(name));
    if (!names.includes(activeName)) {
      if (folders.length > 0 && !names.includes(makingName))
        throw new StoreError("damaged", `${this.path} has databases, but the file that names the right one is gone`);
      await this.#writeDurably(makingName, "");
      await this.#removeAllBut("");
      this.#active = "store-1";
      return true;
    }
    const named = (await readFile(join(this.path, activeName), "utf8")).trim();
    if (!folders.includes(named) && !(await this.#bringBack(named, names)))
      throw new StoreError("damaged", `${this.path}: the database ${JSON.stringify(named)} is gone`);
    this.#active = named;
    return false;
  }

  /**
   * Removes what is unfinished. Only once the active database is open: where a program that knows nothing of our lock has
   * it, LevelDB's own has refused by then.
   */
  async tidy(): Promise<void> {
    await this.#removeAllBut(this.#active);
    await rm(join(this.path, makingName), { force: true });
  }

  /** The first database is there and on the disk. */
  async made(): Promise<void> {
    await this.#writeDurably(activeName, `${this.#active}\n`);
    await rm(join(this.path, makingName), { force: true });
  }

  /** A folder for a side store; not made. */
  nextFolder(): string {
    const number = Number(folderPattern.exec(this.#active)?.[1] ?? 0);
    return join(this.path, `store-${number + 1}`);
  }

  /** From here on `nextFolder()` is what counts, whatever crashes. */
  async switchOver(): Promise<void> {
    const name = this.nextFolder().slice(this.path.length + 1);
    await this.#writeDurably(activeName, `${name}\n`);
    this.#active = name;
  }

  /** The folder that counts moves away under a name of its own; nobody has it open. It counts until `switchOver`. */
  async setAside(label: string, atMs: number): Promise<string> {
    const date = new Date(atMs).toISOString().replace(/[-:]|\.\d+/g, "");
    const shown = label.replace(/[^\w.]/g, "_").slice(0, maxLabelLength);
    const name = `aside-${date}-${shown}-${this.#active}`;
    await rename(this.active, join(this.path, name));
    await syncDirectory(this.path);
    return name;
  }

  /** A crash came between `setAside` and `switchOver`: nothing took its place. */
  async #bringBack(named: string, names: readonly string[]): Promise<boolean> {
    const name = names.find((one) => asidePattern.exec(one)?.[1] === named);
    if (name === undefined) return false;
    await rename(join(this.path, name), join(this.path, named));
    await syncDirectory(this.path);
    return true;
  }

  /** Folders that were set aside, the oldest first. */
  async asideCopies(): Promise<AsideCopy[]> {
    const names = (await readdir(this.path)).filter((name) => asidePattern.test(name)).sort();
    return await Promise.all(names.map(async (name) => ({ name, bytes: await bytesIn(join(this.path, name)) })));
  }

  async #removeAllBut(kept: string): Promise<void> {
    for (const name of await readdir(this.path))
      if (folderPattern.test(name) && name !== kept) await rm(join(this.path, name), { recursive: true, force: true });
  }

  async #writeDurably(name: string, text: string): Promise<void> {
    const path = join(this.path, name);
    const draft = await open(`${path}.draft`, "w");
    try {
      await draft.writeFile(text);
      await draft.sync();
    } finally {
      await draft.close();
    }
    await rename(`${path}.draft`, path);
    await syncDirectory(this.path);
  }
}

/** Of a database's files; one that goes meanwhile counts for nothing. */
export async function bytesIn(path: string): Promise<number> {
  const names = await readdir(path).catch(() => []);
  const sizes = names.map((name) =>
    stat(join(path, name)).then(
      ({ size }) => size,
      () => 0,
    ),
  );
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

/** Makes the directory and its parents, its user's alone, durably. */
export async function makeDirectory(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: 0o700 });
  if (first !== undefined) await syncDirectory(join(first, ".."));
}

/** Makes the names in a directory durable: a file that was synced can still lose its name. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
