/**
 * A simulated process: one life of a server, a client or an integrator. It owns its timers, callbacks and I/O.
 *
 * What always holds: after `kill` nothing of it reaches the world (its ports are dead: calls do nothing, promises never
 * settle); while it is paused nothing of it runs, and what comes due waits. A planned crash fires at an I/O boundary:
 * before the call has its effect, or after the effect and before the process hears of it.
 */
import type { Owner, Scheduler, SimEvent } from "./scheduler.ts";

/** process: kill -9, the kernel closes connections and keeps its page cache. machine: power loss, silence, unsynced writes lost. */
export type KillKind = "process" | "machine";

export type BoundaryWhen = "before" | "after";

/** The process dies at the `countdown`th time that it comes to this boundary. */
export interface CrashPlan {
  /** A port's call, such as `store.sync` or `registry.cas`; a prefix fits all that begin with it. */
  readonly what: string;
  readonly when: BoundaryWhen;
  countdown: number;
  readonly kind: KillKind;
  /** Asked when it would come true: where it may not be any more, the plan is dropped. */
  readonly mayStrike: () => boolean;
  /** The occurrence of a fault that planned it. */
  readonly fault: number;
}

export interface ProcessWatcher {
  /** An uncaught error: the process is dead of it. */
  onProcessError(process: SimProcess, error: unknown): void;
  /** `what` is the boundary at which the plan came true. */
  onPlannedCrash(process: SimProcess, plan: CrashPlan, what: string): void;
}

export class SimProcess implements Owner {
  /** `alpha#3`: the host and which of its lives this is. */
  readonly name: string;
  readonly host: string;
  readonly held: SimEvent[] = [];
  readonly scheduler: Scheduler;
  state: "running" | "paused" | "dead" = "running";
  killedBy: KillKind | null = null;
  plan: CrashPlan | null = null;
  readonly #watcher: ProcessWatcher;
  #isBlocked = false;
  readonly #onKill: ((kind: KillKind) => void)[] = [];

  constructor(scheduler: Scheduler, host: string, life: number, watcher: ProcessWatcher) {
    this.scheduler = scheduler;
    this.host = host;
    this.name = `${host}#${life}`;
    this.#watcher = watcher;
  }

  get isAlive(): boolean {
    return this.state !== "dead";
  }

  get isBlocked(): boolean {
    return this.#isBlocked;
  }

  /** What the kernel does when the process ends: close connections, drop locks. */
  whenKilled(run: (kind: KillKind) => void): void {
    this.#onKill.push(run);
  }

  kill(kind: KillKind = "process"): void {
    if (this.state === "dead") return;
    this.state = "dead";
    this.killedBy = kind;
    this.held.length = 0;
    for (const run of this.#onKill.splice(0)) run(kind);
  }

  pause(): void {
    if (this.state === "running") this.state = "paused";
  }

  /** Its thread does not come back from what it runs: only its end frees it, whoever else resumes it. */
  block(): void {
    this.pause();
    this.#isBlocked = true;
  }

  resume(): void {
    if (this.state !== "paused" || this.#isBlocked) return;
    this.state = "running";
    this.scheduler.release(this);
  }

  onError(error: unknown): void {
    if (this.state === "dead") return;
    this.#watcher.onProcessError(this, error);
  }

  /** A port's call comes here before its effect and after it. False: the process is dead, do nothing. */
  boundary(what: string, when: BoundaryWhen): boolean {
    if (this.state === "dead") return false;
    const plan = this.plan;
    if (plan === null || plan.when !== when || !what.startsWith(plan.what)) return true;
    plan.countdown -= 1;
    if (plan.countdown > 0) return true;
    this.plan = null;
    if (!plan.mayStrike()) return true;
    this.kill(plan.kind);
    this.#watcher.onPlannedCrash(this, plan, what);
    return false;
  }

  /** Something comes in, or comes due: handled between two boundaries. */
  input(what: string, handle: () => void): void {
    if (!this.boundary(what, "before")) return;
    handle();
    this.boundary(what, "after");
  }

  /** A later turn of this process. */
  later(delayMs: number, label: string, run: () => void): SimEvent {
    return this.scheduler.after(delayMs, this, label, run);
  }

  /** A promise of this process, settled in an event of its own; it never settles once the process is dead. */
  promise<T>(begin: (settle: (delayMs: number, outcome: () => T) => void) => void): Promise<T> {
    if (this.state === "dead") return SimProcess.never();
    return new Promise<T>((resolve, reject) => {
      begin((delayMs, outcome) => {
        this.later(delayMs, "io", () => {
          try {
            const value = outcome();
            // It may have died of it.
            if (this.isAlive) resolve(value);
          } catch (error) {
            reject(error);
          }
        });
      });
    });
  }

  /** For calls on a dead process. A new one each time: nobody is kept in memory by waiting for it. */
  static never<T>(): Promise<T> {
    return new Promise<T>(() => {});
  }
}
