/** Thrown where an invariant of PROTOCOL.md does not hold: the server stops before it says anything more. */
export class InvariantError extends Error {
  /** `cause`: what was thrown where nothing may be. */
  constructor(text: string, cause?: unknown) {
    super(`an invariant does not hold, this server stops: ${text}`, cause === undefined ? {} : { cause });
    this.name = "InvariantError";
  }
}
