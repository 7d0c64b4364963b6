/** What authors say to a simulation, and what it says to them. */
import type { z } from "zod";
import type { Settings } from "../../../schemas/settings.ts";
import type { Rng } from "../world/rng.ts";

/**
 * kill: a server's process dies. powerLoss: its machine does, with what was not synced. crash: it dies just before or just after it
 * sends, hears, writes or syncs. pause: its process stands still. cutLink: the servers lose each other's main link. cutNats: a server
 * loses NATS. loseMessages: the broker loses some. switch: an operator switches the roles.
 */
export type SimulatedFault =
  | "kill"
  | "powerLoss"
  | "crash"
  | "pause"
  | "cutLink"
  | "cutNats"
  | "loseMessages"
  | "switch";

/** Of one seed: the same seed draws the same. */
export type Random = Pick<Rng, "next" | "int" | "between" | "chance" | "pick">;

/** Whose request it is. */
export interface Asked {
  readonly client: string;
  readonly id: string;
  /** What the request was told as its `nowMs`. */
  readonly nowMs: number;
}

/**
 * The application again, plain, without a word of transactions and servers, written apart from the one that runs: it is told of each
 * request that was done, in the order in which they were, one after the other.
 */
export interface Model<Parsed, Result> {
  /** What the result must be; undefined: it does not say. Of a request that failed (APPLICATION_ERROR) it is not told. */
  request(body: Parsed, asked: Asked): Result | undefined;
  /** Of a request of several transactions: each that was committed before its result, in its place between those of others. */
  transaction?(name: string, body: Parsed, asked: Asked): void;
  /** The request of this timer: the model knows what it set, and when. Undefined: it does not say what the result must be. */
  timer?(name: string, asked: Asked): Result | undefined;
  /** What a query must answer now; undefined: it does not say. A field `sequence` of the answer may be left out. */
  query?(body: unknown): unknown;
}

export interface SimulationOptions<Body, Parsed, Result> {
  /** What a client asks next. `count`: how many requests it made before. */
  readonly request: (random: Random, client: string, count: number) => Body;
  /** `{"query": "<name>", …}`. Left out: nobody queries. */
  readonly query?: (random: Random) => unknown;
  /** How many, from 1; or which. Default: 20. */
  readonly seeds?: number | readonly number[];
  /** Which go wrong. Default: all. */
  readonly faults?: readonly SimulatedFault[];
  /** Default: 3. */
  readonly clients?: number;
  /** Of each client. Default: 40. */
  readonly requests?: number;
  /** A new one for each seed. Left out: what clients were told is held against the log alone. */
  readonly model?: () => Model<Parsed, Result>;
  /** As in a server's settings. */
  readonly limits?: z.input<typeof Settings>["limits"];
}

/** Of all seeds together. */
export interface SimulationReport {
  readonly seeds: number;
  readonly requests: number;
  readonly acknowledged: number;
  /** Answered again, with the reply of the first time. */
  readonly duplicates: number;
  readonly faults: number;
  /** How often another server became the primary. */
  readonly takeovers: number;
}

/** A seed did not hold what is promised, or what the model says. */
export class SimulationFailed extends Error {
  override readonly name = "SimulationFailed";
  readonly seed: number;
  /** What did not hold: `checker` (the model says otherwise), an invariant or rule of the protocol, or `assertion` (a server ended). */
  readonly of: string;
  readonly story: string;

  constructor(message: string, seed: number, of: string, story: string) {
    super(message);
    this.seed = seed;
    this.of = of;
    this.story = story;
  }
}
