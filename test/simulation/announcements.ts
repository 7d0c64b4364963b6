/**
 * What operators are told that a recovery by force may lose, against what it did (rule 18): the new history begins after the
 * record that was named. What always holds: one that was told and then did not happen, because another server came first, is
 * no lie.
 */
import type { Violation } from "../../machines/checker/history.ts";

interface Said {
  readonly server: string;
  readonly last: number;
  readonly atMs: number;
}

/** A recovery is done, or has been overtaken, so long after it was asked for. */
const withinMs = 5_000;

export class Announcements {
  readonly #told: Said[] = [];
  readonly #forks: Said[] = [];

  /** The operator was answered so by this server. */
  onTold(server: string, message: string, atMs: number): void {
    const [, last] = /after record (\d+)/.exec(message) ?? [];
    this.#told.push({ server, last: Number(last), atMs });
  }

  /** This server began a new history after that record. */
  onFork(server: string, last: number, atMs: number): void {
    this.#forks.push({ server, last, atMs });
  }

  violations(): Violation[] {
    return this.#told.flatMap(({ server, last, atMs }) => {
      const near = this.#forks.filter((fork) => fork.server === server && Math.abs(fork.atMs - atMs) < withinMs);
      if (near.length === 0 || near.some((fork) => fork.last === last)) return [];
      const text = `${server} said that it goes on after record ${last}, and went on after ${near[0]?.last}`;
      return [{ of: "rule 18", text, atMs }];
    });
  }
}
