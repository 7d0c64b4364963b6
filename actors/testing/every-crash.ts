/**
 * A test run again and again, each time with a server that dies somewhere else. What always holds: it dies once in a run; at the
 * k-th place in the k-th run, where places are counted in the order in which records are made; the last run is one in which there was
 * no such place any more.
 *
 * Records that were made in one stretch of a handler, between two awaits, are mirrored together. A server may die before any of them
 * has arrived, and after each: with the last, before the handler goes on and before anybody is answered.
 */
import type { Deaths, RecordMade } from "./deaths.ts";

/** More places than a test should have: a scenario that never ends the same way would never end. */
const maxPlaces = 100_000;

/** Which place it is at which this server dies. */
class DiesOnce implements Deaths {
  /** Where it died, in words; null while it has not. */
  place: string | null = null;
  /** Places that are left before it. */
  #left: number;

  constructor(nth: number) {
    this.#left = nth;
  }

  diesAt(made: readonly RecordMade[]): number | undefined {
    const [first] = made;
    if (this.place !== null || first === undefined) return undefined;
    if (this.#left <= made.length) {
      const kept = made[this.#left - 1];
      this.place = kept === undefined ? `before ${words(first)} is committed` : `when ${words(kept)} is committed`;
      return kept?.sequence ?? first.sequence - 1;
    }
    this.#left -= made.length + 1;
    return undefined;
  }
}

function words({ client, id, name }: RecordMade): string {
  return `${name === "" ? "the result" : `transaction ${name}`} of ${client}'s request ${id}`;
}

/** Runs the scenario once for each place, and once without. Rejects with what it threw, and where the server had died. */
export async function runEveryCrash(scenario: (deaths: Deaths) => Promise<void>): Promise<number> {
  for (let nth = 0; nth < maxPlaces; nth += 1) {
    const deaths = new DiesOnce(nth);
    try {
      await scenario(deaths);
    } catch (error) {
      if (deaths.place === null) throw error;
      const message = error instanceof Error ? error.message : String(error);
      throw new Error(`where the server dies ${deaths.place}: ${message}`, { cause: error });
    }
    if (deaths.place === null) return nth;
  }
  throw new Error(
    `there are more than ${maxPlaces} places at which a server could die: is the scenario the same each time?`,
  );
}
