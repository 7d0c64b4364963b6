/**
 * A server of the small world in one of its states. Most states of a world differ from others in one server only, so that
 * the states of one server are few: what becomes of one by an input is worked out once, and remembered.
 *
 * What always holds: it never changes. Two with equal facts and equal counters of names are one, because they do the same
 * with the same inputs (facts.ts); `id` is the same for equal facts, whatever names will be given next. Inputs are
 * named, and a name says all of the input.
 */
import { hashesOf, SmallServer } from "./server.ts";
import { type Effect, Turn, type TurnScope } from "./turn.ts";

export interface Step {
  readonly next: ServerState;
  /** What it does to the world around it, in order. */
  readonly effects: readonly Effect[];
  /** One of its own invariants does not hold: it came no further. */
  readonly error: Error | null;
}

export class ServerState {
  readonly id: number;
  /** To be read only. */
  readonly server: SmallServer;
  /** The hashes of its log and of its disk's, from record 1 on. */
  readonly hashes: readonly number[];
  readonly diskHashes: readonly number[];
  readonly #all: ServerStates;
  readonly #steps = new Map<string, Step>();

  constructor(id: number, server: SmallServer, all: ServerStates) {
    this.id = id;
    this.server = server;
    this.hashes = hashesOf(server.replica?.log ?? null);
    this.diskHashes = hashesOf(server.disk);
    this.#all = all;
  }

  /** `name`: of the input, and of all that it says. */
  step(name: string, input: (turn: Turn) => void): Step {
    let step = this.#steps.get(name);
    if (step === undefined) {
      step = this.#work(input);
      if (this.#all.remembers) this.#steps.set(name, step);
    }
    return step;
  }

  forget(): void {
    this.#steps.clear();
  }

  #work(input: (turn: Turn) => void): Step {
    const turn = new Turn(this.server.clone(), this.#all.scope);
    let error: Error | null = null;
    try {
      input(turn);
    } catch (thrown) {
      error = thrown as Error;
    }
    return { next: error === null ? this.#all.of(turn.server) : this, effects: turn.effects, error };
  }
}

export class ServerStates {
  readonly scope: TurnScope;
  /** False: every step is worked out anew, as if no two states were ever the same; for a comparison. */
  readonly remembers: boolean;
  readonly #ids = new Map<string, number>();
  readonly #known = new Map<string, ServerState>();

  constructor(scope: TurnScope, remembers: boolean) {
    this.scope = scope;
    this.remembers = remembers;
  }

  /** It is not changed any more. */
  of(server: SmallServer): ServerState {
    const facts = `${server.name} ${server.facts}`;
    let id = this.#ids.get(facts);
    if (id === undefined) {
      id = this.#ids.size;
      this.#ids.set(facts, id);
    }
    if (!this.remembers) return new ServerState(id, server, this);
    const name = `${id} ${server.names}`;
    let state = this.#known.get(name);
    if (state === undefined) {
      state = new ServerState(id, server, this);
      this.#known.set(name, state);
    }
    return state;
  }

  /** Whatever was worked out: the rules are others from here on. */
  forget(): void {
    for (const state of this.#known.values()) state.forget();
  }

  /** One that never ran. */
  fresh(name: string): ServerState {
    return this.of(new SmallServer(name));
  }
}
