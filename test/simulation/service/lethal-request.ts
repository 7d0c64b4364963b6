/**
 * A request that kills the server that runs it, again and again (rule 17, situations 34 and 64). What always holds: there is at
 * most one, and what it has killed is known with what others can know of it.
 */
import type { LastWords } from "../../../schemas/death.ts";

/** One run of a request. */
export interface Run {
  readonly request: string;
  /** Of a server: whoever is told of its end is told its name. */
  readonly life: string;
  /** In which it is run, and counted. */
  readonly history: string;
  readonly epoch: number;
}

/** A run that kills, and whether its attempt was committed before it began. */
interface Strike extends Run {
  readonly isRecorded: boolean;
}

/** Kills a server, or is about to: what its watchdog has to say of that. Null: it does not. */
type Kill = (server: string) => LastWords | null;

export class LethalRequest {
  #kill: Kill | null = null;
  #strikes: Strike[] = [];

  arm(kill: Kill): void {
    this.#kill = kill;
    this.#strikes = [];
  }

  /** A request that has killed goes on killing; none begins to. */
  disarm(): void {
    if (this.#strikes.length === 0) this.#kill = null;
  }

  /** True: the server is dead of it. */
  runs(server: string, run: Run): boolean {
    if (this.#kill === null || (this.#strikes[0]?.request ?? run.request) !== run.request) return false;
    const words = this.#kill(server);
    if (words === null) return false;
    this.#strikes.push({ ...run, isRecorded: words.isRecorded });
    return true;
  }

  /**
   * How often whoever runs it knows that it killed. Of a run with its attempt on record each later epoch of that history knows, a
   * deposed primary that goes on in an earlier one does not. Of another one those know who were told of that life's end: while it
   * only stands still nobody is.
   */
  known({ request, history, epoch }: Run, told: readonly string[]): number {
    const isKnown = (strike: Strike) =>
      strike.isRecorded ? strike.history === history && strike.epoch < epoch : told.includes(strike.life);
    return this.#strikes.filter((strike) => strike.request === request && isKnown(strike)).length;
  }
}
