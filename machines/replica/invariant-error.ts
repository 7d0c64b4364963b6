/** Thrown where an invariant of PROTOCOL.md does not hold: the server stops before it says anything more. */
export class InvariantError extends Error {
  constructor(text: string) {
    super(`an invariant does not hold, this server stops: ${text}`);
    this.name = "InvariantError";
  }
}
