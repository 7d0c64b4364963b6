/**
 * Another process that says this server's name (rule 1): the peers are asked for theirs, a namesake is not among them. What always
 * holds: a server that the registry does not name refuses while another of its name is heard, and begins nothing before it has
 * listened; one that is named serves on, whoever else says its name.
 */
export interface Namesake {
  readonly incarnation: string;
  readonly hot: boolean;
}

export class Namesakes {
  private heard: Namesake | null = null;
  private heardMs = Number.NEGATIVE_INFINITY;
  /** Until then an answer to "who else has this name" may be on its way. */
  private listensUntilMs = Number.NEGATIVE_INFINITY;

  onAsked(untilMs: number): void {
    this.listensUntilMs = untilMs;
  }
  onHeard(namesake: Namesake, nowMs: number): void {
    this.heard = namesake;
    this.heardMs = nowMs;
  }

  isListening(nowMs: number): boolean {
    return nowMs < this.listensUntilMs;
  }
  /** The one that was heard lately. */
  present(withinMs: number, nowMs: number): Namesake | null {
    return nowMs - this.heardMs <= withinMs ? this.heard : null;
  }
}
