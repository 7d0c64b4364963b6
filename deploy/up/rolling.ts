/**
 * `up --watch`: the application's new program, brought in by a planned switch as often as its module, or one beside it, changes
 * (deploy/OPERATING.md, another version of the application). What always holds: a program that cannot be loaded is told and brought
 * to nobody, nor is one that is what it was; one server at a time is replaced, the backup first, and the other one goes on until that is in sync; changes that come
 * meanwhile are one more round.
 */
import { watch } from "node:fs";
import { dirname, relative } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { ProgramFiles } from "./program-files.ts";
import type { ServiceWatch } from "./watch.ts";

export interface RollingOptions {
  /** The application's module. */
  readonly module: string;
  /** What is beside it and below. */
  readonly files: Pick<ProgramFiles, "counts" | "digest">;
  readonly watch: ServiceWatch;
  /** Null where the program loads; else why not, in one line. */
  readonly tryProgram: () => Promise<string | null>;
  /** Stops a server and starts it again; its process id changes. */
  readonly again: (server: string) => void;
  /** Asks for a planned switch; null where it is under way, else why not. */
  readonly switchRoles: () => Promise<string | null>;
  readonly tell: (line: string) => void;
  readonly stopped: AbortSignal;
}

/** An editor writes a file more than once. */
const calmMs = 300;
const lookEveryMs = 100;
/** How often a switch that is refused is asked for again before that is told. */
const maxAsks = 50;

export class Rolling {
  readonly #options: RollingOptions;
  #isWanted = false;
  #isRolling = false;
  #changedMs = 0;
  /** Of what was brought in last, or tried; "" where that ended half-way. */
  #digest = "";

  constructor(options: RollingOptions) {
    this.#options = options;
  }

  /** Watches from now on, until `stopped`. */
  start(): void {
    const { module, files, stopped, tell } = this.#options;
    this.#digest = files.digest();
    const watcher = watch(dirname(module), { recursive: true }, (_event, path) => {
      if (path === null || !files.counts(path)) return;
      this.#changedMs = performance.now();
      this.#isWanted = true;
      void this.#rollWhileWanted();
    });
    watcher.on("error", (error) => tell(`warning: changes are not seen any more: ${error.message}`));
    stopped.addEventListener("abort", () => watcher.close(), { once: true });
  }

  async #rollWhileWanted(): Promise<void> {
    if (this.#isRolling) return;
    this.#isRolling = true;
    while (this.#isWanted && !this.#options.stopped.aborted) {
      while (performance.now() - this.#changedMs < calmMs) await delay(calmMs);
      this.#isWanted = false;
      const digest = this.#options.files.digest();
      if (digest === this.#digest) continue;
      this.#digest = (await this.#roll()) ? digest : "";
    }
    this.#isRolling = false;
  }

  /** False where it ended half-way: the same program is to be brought in again. */
  async #roll(): Promise<boolean> {
    const { tryProgram, switchRoles, tell, module } = this.#options;
    const why = await tryProgram();
    if (why !== null) {
      tell(`the program that was changed is not brought in: ${why}`);
      return true;
    }
    tell(`${relative(process.cwd(), module)} has changed: the backup gets the new program, then the other server`);
    const { primary, backup } = await this.#normal();
    if (primary === "" || !(await this.#replace(backup))) return false;
    let refused = await switchRoles();
    for (let asks = 1; refused !== null && asks < maxAsks && !this.#isOver; asks += 1) {
      await delay(lookEveryMs);
      refused = await switchRoles();
    }
    if (refused !== null) {
      tell(`warning: the roles are not switched: ${refused}`);
      return false;
    }
    await this.#until(() => this.#options.watch.statuses.get(backup)?.role === "primary");
    await this.#normal();
    if (!(await this.#replace(primary))) return false;
    tell(`the new program runs on both: ${backup} is the primary`);
    return true;
  }

  /** True when it is in sync again; false where a change, or the end, came first. */
  async #replace(server: string): Promise<boolean> {
    const { watch: seen, again } = this.#options;
    const before = seen.statuses.get(server)?.pid;
    again(server);
    const isBack = () => seen.isNormal && seen.statuses.get(server)?.pid !== before;
    await this.#until(() => isBack() || this.#isWanted);
    return isBack();
  }

  async #normal(): Promise<{ primary: string; backup: string }> {
    const { watch: seen } = this.#options;
    await this.#until(() => seen.isNormal);
    const roles = new Map(Array.from(seen.statuses.values(), ({ name, role }) => [role, name]));
    return { primary: roles.get("primary") ?? "", backup: roles.get("backup") ?? "" };
  }

  get #isOver(): boolean {
    return this.#options.stopped.aborted;
  }

  async #until(isSo: () => boolean): Promise<void> {
    while (!isSo() && !this.#isOver) await delay(lookEveryMs);
  }
}
