/**
 * A request that kills the server that runs it, again and again (rule 17, situations 34 and 64). What always holds: there is at
 * most one.
 */

export class LethalRequest {
  #strike: ((server: string) => boolean) | null = null;
  #request = "";
  #isTold = false;
  #strikes: { readonly life: string; readonly history: string }[] = [];

  /** `strike` kills the server, or says false. `isTold`: its watchdog says of what it died. */
  arm(strike: (server: string) => boolean, isTold: boolean): void {
    this.#strike = strike;
    this.#request = "";
    this.#isTold = isTold;
    this.#strikes = [];
  }

  /** A request that has killed goes on killing; none begins to. */
  disarm(): void {
    if (this.#request === "") this.#strike = null;
  }

  /** A life of a server runs a request, in the history that goes on. True: it is dead of it. */
  runs(server: string, life: string, request: string, history: string): boolean {
    if (this.#strike === null || (this.#request !== "" && this.#request !== request)) return false;
    if (!this.#strike(server)) return false;
    this.#request = request;
    this.#strikes.push({ life, history });
    return true;
  }

  /**
   * The life that it ended first, where it has ended two and was told of: whoever knew of that when it went hot does not run it.
   * Of the second one its attempt tells, unless a history began without it, as an operator accepted.
   */
  firstOfTwo(request: string, history: string): string | undefined {
    const [first, second] = this.#strikes;
    return this.#isTold && this.#request === request && second?.history === history ? first?.life : undefined;
  }
}
