/**
 * What operators are told that a recovery by force may lose, against what it did (rule 18): the new history begins after the
 * record that was named. What always holds: one that was told and then did not happen, because another server came first, is
 * no lie; nor is a history that a server began by itself before it was told anything.
 */
import type { Violation } from "../../../machines/checker/history.ts";

interface Said {
  /** The process that said it, or did it. */
  readonly server: string;
  readonly last: number;
  readonly atMs: number;
}

/** A recovery is done, or has been overtaken, so long after it was asked for. */
const withinMs = 5_000;
/** The operator may hear of it a little later than it is done. */
const heardWithinMs = 500;

export class Announcements {
  readonly #told: Said[] = [];
  readonly #forks: Said[] = [];

  /** The operator was answered so by this process. */
  onTold(server: string, message: string, atMs: number): void {
    const [, last] = /after record (\d+)/.exec(message) ?? [];
    this.#told.push({ server, last: Number(last), atMs });
  }

  /** This process began a new history after that record, by force or because all had died. */
  onFork(server: string, last: number, atMs: number): void {
    this.#forks.push({ server, last, atMs });
  }

  violations(): Violation[] {
    return this.#forks.flatMap(({ server, last, atMs }) => {
      const isNear = (told: Said) =>
        told.server === server && told.atMs < atMs + heardWithinMs && told.atMs > atMs - withinMs;
      const near = this.#told.filter(isNear);
      if (near.length === 0 || near.some((told) => told.last === last)) return [];
      const text = `${server} said that it goes on after record ${near[0]?.last}, and went on after ${last}`;
      return [{ of: "rule 18", text, atMs }];
    });
  }
}
