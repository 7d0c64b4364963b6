/**
 * What ended servers of this service, as their watchdogs told it (rule 17). What always holds: each life is counted once, however
 * often it is told; what is kept is bounded, and losing it costs another death, never a request.
 */
import type { LastWords } from "../../../schemas/death.ts";
import { requestKey } from "../../codec/record.ts";

const maxLives = 64;

export class ToldDeaths {
  /** By the life that ended, oldest first. */
  private told: Map<string, LastWords>;

  constructor(told: Iterable<readonly [string, LastWords]> = []) {
    this.told = new Map(told);
  }

  /** For the explorer: what tells two states of this apart, beyond its getters. */
  get facts() {
    return [...this.told.keys()];
  }

  note(words: LastWords): void {
    if (this.told.has(words.life)) return;
    this.told.set(words.life, words);
    const [oldest] = this.told.keys();
    if (this.told.size > maxLives && oldest !== undefined) this.told.delete(oldest);
  }

  /**
   * How many runs of this request ended a server and have no attempt on record. They are marked as recorded at once, for whoever
   * asks appends the attempts: should those be cut with the role, this life counts these deaths no more.
   */
  takeUnrecorded(key: string): number {
    if (this.told.size === 0) return 0;
    let taken = 0;
    for (const [life, words] of this.told) {
      const isRun = words.code === "handler" || words.code === "handlers";
      if (!isRun || words.isRecorded || words.id === "" || requestKey(words.client, words.id) !== key) continue;
      this.told.set(life, { ...words, isRecorded: true });
      taken += 1;
    }
    return taken;
  }

  /** The check of this request's body ended a server: nothing was executed, and it is not checked again. */
  endedByBody(client: string, id: string): boolean {
    return this.has((words) => words.code === "body" && words.client === client && words.id === id);
  }
  /** A query with this body ended a server, whoever asked. 0: the hash is not known. */
  endedByQuery(bodyHash: number): boolean {
    return bodyHash !== 0 && this.has((words) => words.code === "query" && words.bodyHash === bodyHash);
  }
  private has(is: (words: LastWords) => boolean): boolean {
    if (this.told.size === 0) return false;
    for (const words of this.told.values()) if (is(words)) return true;
    return false;
  }
}
