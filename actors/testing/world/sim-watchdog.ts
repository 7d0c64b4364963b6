/**
 * The simulated watchdog: knows what code of the application ran last, and what the process before this one died of. A fault
 * says when it acts (faults/combined.ts). What always holds: last words are on the host's disk before the process is dead, and are
 * read once.
 */

import type { LastWords } from "../../../schemas/death.ts";
import type { Watchdog } from "../../world/ports.ts";

export class SimWatchdog implements Watchdog {
  readonly lastWords: LastWords | null;
  readonly #host: { readonly name: string; lastWords: LastWords | null };
  readonly #life: string;
  #call: Pick<LastWords, "code" | "client" | "id" | "bodyHash" | "isRecorded"> | null = null;

  constructor(host: { readonly name: string; lastWords: LastWords | null }, life: string) {
    this.#host = host;
    this.#life = life;
    this.lastWords = host.lastWords;
    host.lastWords = null;
  }

  enter(code: LastWords["code"], client: string, id: string, bodyHash: number, isRecorded: boolean): void {
    this.#call = { code, client, id, bodyHash, isRecorded };
  }
  leave(): void {}
  onWaiting(): void {}

  /** What there is to say of the code that runs now. Said, it is on the host's disk. */
  get words(): LastWords | null {
    return this.#call && { server: this.#host.name, life: this.#life, ...this.#call, busyMs: 1_000 };
  }
  say(words: LastWords): void {
    this.#host.lastWords = words;
  }
}
