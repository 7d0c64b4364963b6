/**
 * The order of what happens to a database: writes in the order of the calls, several waiting ones as one (so that many
 * small synced writes share one sync), and steps between writes for whoever needs a quiet moment.
 * What always holds: after the first error nothing more is written, and every later call gets that error (rule 14).
 */
import type { StoreWrite } from "./ports.ts";

/** Waiting writes are joined up to this many operations. */
const maxGroupOperations = 20_000;

export interface Writable {
  write(batches: readonly (readonly StoreWrite[])[], sync: boolean): Promise<void>;
}

interface WaitingWrite {
  readonly batch: readonly StoreWrite[];
  readonly sync: boolean;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

type Waiting = WaitingWrite | { readonly step: () => Promise<void> };

export class WriteQueue {
  #target: Writable;
  #waiting: Waiting[] = [];
  #running = false;
  #failure: unknown = null;

  constructor(target: Writable) {
    this.#target = target;
  }

  /** The error that ended this queue, or null. */
  get failure(): unknown {
    return this.#failure;
  }

  /** From the next write on. Only within a step. */
  retarget(target: Writable): void {
    this.#target = target;
  }

  fail(error: unknown): void {
    this.#failure ??= error;
  }

  write(batch: readonly StoreWrite[], sync: boolean): Promise<void> {
    return new Promise((resolve, reject) => this.#add({ batch, sync, resolve, reject }));
  }

  /** Runs when all writes before are done, and before any later one begins. Runs after a failure too. */
  step<T>(run: () => Promise<T> | T): Promise<T> {
    return new Promise((resolve, reject) =>
      this.#add({
        step: async () => {
          try {
            resolve(await run());
          } catch (error) {
            reject(error);
          }
        },
      }),
    );
  }

  #add(waiting: Waiting): void {
    this.#waiting.push(waiting);
    if (!this.#running) {
      this.#running = true;
      // A moment later, so that the other calls of this turn join.
      queueMicrotask(() => void this.#run());
    }
  }

  async #run(): Promise<void> {
    for (;;) {
      const next = this.#waiting[0];
      if (next === undefined) break;
      if ("step" in next) {
        this.#waiting.shift();
        await next.step();
      } else await this.#writeGroup(this.#takeGroup());
    }
    this.#running = false;
  }

  #takeGroup(): WaitingWrite[] {
    const group: WaitingWrite[] = [];
    let operations = 0;
    for (const waiting of this.#waiting) {
      if ("step" in waiting) break;
      operations += waiting.batch.length;
      if (group.length > 0 && operations > maxGroupOperations) break;
      group.push(waiting);
    }
    this.#waiting.splice(0, group.length);
    return group;
  }

  async #writeGroup(group: readonly WaitingWrite[]): Promise<void> {
    if (this.#failure === null) {
      try {
        await this.#target.write(
          group.map(({ batch }) => batch),
          group.some(({ sync }) => sync),
        );
      } catch (error) {
        this.#failure = error;
      }
    }
    for (const { resolve, reject } of group) {
      if (this.#failure === null) resolve();
      else reject(this.#failure);
    }
  }
}
