/**
 * What the servers say of themselves, made into one line for each change of role or mode, and into the answer to "are both in
 * sync now". What always holds: only what a process says that runs now counts; nothing is told twice in a row.
 */
import type { ServerStatus } from "../../schemas/status.ts";

export class ServiceWatch {
  readonly #servers: readonly string[];
  readonly #tell: (line: string) => void;
  readonly #pids = new Map<string, number>();
  readonly #newest = new Map<string, ServerStatus>();
  readonly #told = new Map<string, string>();
  #onNormal: (() => void) | null = null;

  constructor(servers: readonly string[], tell: (line: string) => void) {
    this.#servers = servers;
    this.#tell = tell;
  }

  /** A server runs as this process now; null: it does not run. */
  onPid(server: string, pid: number | null): void {
    this.#newest.delete(server);
    if (pid === null) this.#pids.delete(server);
    else this.#pids.set(server, pid);
  }

  onStatus(status: ServerStatus): void {
    if (this.#pids.get(status.name) !== status.pid) return;
    this.#newest.set(status.name, status);
    const place = placeOf(status);
    const isBetween = status.role === "primary" && status.application !== "hot";
    if (!isBetween && this.#told.get(status.name) !== place) {
      this.#told.set(status.name, place);
      const reason = status.waitingFor === "" ? status.why : status.waitingFor;
      this.#tell(`${status.name} is ${place}${reason === "" ? "" : `: ${reason}`}`);
    }
    if (this.isNormal) {
      this.#onNormal?.();
      this.#onNormal = null;
    }
  }

  /** By name; only servers that run and have spoken. */
  get statuses(): ReadonlyMap<string, ServerStatus> {
    return this.#newest;
  }

  /** One primary that is hot, everybody else its backup, all of one epoch, in mode normal. */
  get isNormal(): boolean {
    const all = this.#servers.map((name) => this.#newest.get(name));
    const epoch = all[0]?.epoch;
    const isOne = all.every((status) => status?.mode === "normal" && status.epoch === epoch);
    const primaries = all.filter((status) => status?.role === "primary" && status.application === "hot");
    const backups = all.filter((status) => status?.role === "backup");
    return isOne && primaries.length === 1 && backups.length === all.length - 1;
  }

  /** Settles when the service is normal; at once if it is. */
  untilNormal(): Promise<void> {
    if (this.isNormal) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onNormal = resolve;
    });
  }

  /** What each server that is not in its place waits for. */
  get waits(): string[] {
    return this.#servers.map((name) => {
      const status = this.#newest.get(name);
      if (status === undefined) return `${name} has not spoken yet`;
      return `${name} is ${status.state}${status.waitingFor === "" ? "" : `: ${status.waitingFor}`}`;
    });
  }
}

/** Without the epoch: it grows also where nothing changes for people. */
function placeOf({ role, mode, state, application }: ServerStatus): string {
  return role === "none" ? `no member (${state.split(".")[0]})` : `${role} (${application}), mode ${mode ?? "unknown"}`;
}
