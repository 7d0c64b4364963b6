/**
 * Which proven messages are new, so that what somebody recorded and says again is none. Each process has a session of its own,
 * a random id, and a message says from which session it comes, its number there, and to which sessions of the receiver it is
 * said. What always holds:
 * 1. A message is `fresh` only if it was said to this very session, which nobody could know before this process began, and at most
 *    once. They may come in any order (rule 4), within `windowNumbers`.
 * 2. A process that does not know this session yet is told of it, and nothing of what it said before is taken.
 * 3. Two processes of one name are heard both: which of them counts is not judged here.
 * 4. Memory is bounded: past `maxSessions` of one name, messages in it are believed anew, under a new session.
 */
import { randomBytes } from "node:crypto";
import { maxAddressed, type Session } from "./failsafe-message.ts";

/** How far behind the newest number of its session a message may come. */
export const windowNumbers = 4_096;
/** Sessions of one name that are told apart: each restart of its process is one. */
export const maxSessions = 64;

export type Freshness =
  /** New, and said to this session. `isFirst`: the first of its session. */
  | { readonly is: "fresh"; readonly isFirst: boolean }
  /** It was there before, or is too old to tell. */
  | { readonly is: "repeated" }
  /** Said to another session: its sender does not know this one. */
  | { readonly is: "stale" };

export class PeerSessions {
  readonly #newSession: () => Session;
  readonly #numbers = new Map<string, number>();
  /** By peer and its session; of each peer the one that was heard last is the last. */
  readonly #heard = new Map<string, Map<Session, ReplayWindow>>();
  #own: Session;

  constructor(newSession: () => Session = () => randomBytes(8).toString("latin1")) {
    this.#newSession = newSession;
    this.#own = newSession();
  }

  /** From which session, with which number, and to whom the next message to this peer is. */
  next(peer: string, to = this.#addressed(peer)): { session: Session; number: number; to: readonly Session[] } {
    const number = (this.#numbers.get(peer) ?? 0) + 1;
    this.#numbers.set(peer, number);
    return { session: this.#own, number, to };
  }

  /** Some session of it was heard, and is addressed from now on. */
  knows(peer: string): boolean {
    return this.#heard.has(peer);
  }

  /** Of a message whose proof was checked. */
  take(peer: string, { session, number, to }: { session: Session; number: number; to: readonly Session[] }): Freshness {
    if (!to.includes(this.#own)) return { is: "stale" };
    const known = this.#heard.get(peer)?.get(session);
    const window = known ?? new ReplayWindow();
    if (!window.take(number)) return { is: "repeated" };
    this.#remember(peer, session, window);
    return { is: "fresh", isFirst: known === undefined };
  }

  #remember(peer: string, session: Session, window: ReplayWindow): void {
    const heard = this.#heard.get(peer) ?? new Map<Session, ReplayWindow>();
    heard.delete(session);
    heard.set(session, window);
    this.#heard.set(peer, heard);
    if (heard.size > maxSessions) this.renew();
  }

  /** Under the next session nothing that was said to this one is taken, be it that it came or not. */
  renew(): void {
    this.#own = this.#newSession();
    this.#heard.clear();
  }

  #addressed(peer: string): readonly Session[] {
    return [...(this.#heard.get(peer)?.keys() ?? [])].slice(-maxAddressed);
  }
}

/** Each number once, in any order, if it is no more than `windowNumbers` behind the highest. */
export class ReplayWindow {
  /** By number modulo their count. */
  readonly #taken = new Float64Array(windowNumbers);
  #highest = 0;

  take(number: number): boolean {
    if (!Number.isSafeInteger(number) || number < 1 || number <= this.#highest - windowNumbers) return false;
    const at = number % windowNumbers;
    if (this.#taken[at] === number) return false;
    this.#taken[at] = number;
    this.#highest = Math.max(this.#highest, number);
    return true;
  }
}
