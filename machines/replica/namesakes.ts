/**
 * Another process that says this server's name (rule 1): the peers are asked for theirs, a namesake is not among them. What always
 * holds: a server that the registry does not name refuses while another of its name is heard, and begins nothing before it has
 * listened; one that is named serves on, whoever else says its name.
 */
import type { ReplicaView } from "./view.ts";

export interface Namesake {
  readonly incarnation: string;
  readonly hot: boolean;
}

export class Namesakes {
  #heard: Namesake | null = null;
  #heardMs = Number.NEGATIVE_INFINITY;
  /** Until then an answer to "who else has this name" may be on its way. */
  #listensUntilMs = Number.NEGATIVE_INFINITY;

  clone(): Namesakes {
    const copy = new Namesakes();
    copy.#heard = this.#heard;
    copy.#heardMs = this.#heardMs;
    copy.#listensUntilMs = this.#listensUntilMs;
    return copy;
  }

  onAsked(untilMs: number): void {
    this.#listensUntilMs = untilMs;
  }
  onHeard(namesake: Namesake, nowMs: number): void {
    this.#heard = namesake;
    this.#heardMs = nowMs;
  }

  isListening(nowMs: number): boolean {
    return nowMs < this.#listensUntilMs;
  }
  /** The one that was heard lately. */
  present(withinMs: number, nowMs: number): Namesake | null {
    return nowMs - this.#heardMs <= withinMs ? this.#heard : null;
  }
}

export interface NamedView extends ReplicaView {
  readonly namesakes: Namesakes;
}

/** It says what it is every `statusMs`; two may be missed. */
export function namesakeOf({ namesakes, limits, nowMs }: NamedView): Namesake | null {
  return namesakes.present(limits.suspicionMs + 2 * limits.statusMs, nowMs);
}

/** Null: nobody else has this server's name, or the registry counts on this one. */
export function whyNotBeside(view: NamedView): string | null {
  const namesake = namesakeOf(view);
  if (namesake === null || view.rules.mayGoOnBeside(view.membership.isNamed, true)) return null;
  const { server } = view.options.self;
  return `another server named ${server} speaks, the incarnation ${namesake.incarnation}${namesake.hot ? ", and serves" : ""}: stop the one that is not meant`;
}
