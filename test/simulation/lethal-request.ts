/** A request that kills the server that runs it, again and again (rule 17, situation 34). What always holds: there is at most one. */

/** At most one request at a time that kills the server that runs it. */
export class LethalRequest {
  #strike: ((server: string) => boolean) | null = null;
  #request = "";

  /** `strike` kills the server, or says false. */
  arm(strike: (server: string) => boolean): void {
    this.#strike = strike;
    this.#request = "";
  }

  /** A request that has killed goes on killing; none begins to. */
  disarm(): void {
    if (this.#request === "") this.#strike = null;
  }

  /** A server runs a request. True: it is dead of it. */
  runs(server: string, request: string): boolean {
    if (this.#strike === null || (this.#request !== "" && this.#request !== request)) return false;
    if (!this.#strike(server)) return false;
    this.#request = request;
    return true;
  }
}
