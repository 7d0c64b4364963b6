/**
 * The simulated network: which hosts can reach which, how long a frame takes, and `Pipe`, one direction of one TCP
 * connection. Hosts are server names, clients' names, and `nats` for the broker.
 *
 * What always holds: a pipe delivers in order; a cut delays what is in it (TCP sends again when the way is free) and
 * loses it only if the connection ends meanwhile; when a connection ends, any prefix of what was in flight may arrive.
 */
import type { Rng } from "./rng.ts";
import type { Owner, Scheduler } from "./scheduler.ts";

export interface LatencyProfile {
  /** Least, in ms. */
  readonly baseMs: number;
  /** Mean of the exponential part on top. */
  readonly tailMs: number;
  /** How often a frame is held up, and for how long at most. */
  readonly spikeChance: number;
  readonly spikeMs: number;
}

export const lanProfile: LatencyProfile = { baseMs: 0.05, tailMs: 0.1, spikeChance: 0.001, spikeMs: 20 };

export class SimNetwork {
  readonly scheduler: Scheduler;
  readonly rng: Rng;
  profile: LatencyProfile = lanProfile;
  /** `alpha>beta main`: what is cut, one way. */
  readonly #cuts = new Map<string, number>();
  readonly #onHeal = new Set<() => void>();

  constructor(scheduler: Scheduler, rng: Rng) {
    this.scheduler = scheduler;
    this.rng = rng;
  }

  latencyMs(): number {
    const { baseMs, tailMs, spikeChance, spikeMs } = this.profile;
    const spike = this.rng.chance(spikeChance) ? this.rng.between(0, spikeMs) : 0;
    return baseMs + this.rng.exponential(tailMs) + spike;
  }

  /** Cuts are counted: two faults may cut the same way at once. */
  cut(from: string, to: string): void {
    const way = `${from}>${to}`;
    this.#cuts.set(way, (this.#cuts.get(way) ?? 0) + 1);
  }

  heal(from: string, to: string): void {
    const way = `${from}>${to}`;
    const count = (this.#cuts.get(way) ?? 0) - 1;
    if (count > 0) {
      this.#cuts.set(way, count);
      return;
    }
    this.#cuts.delete(way);
    for (const run of this.#onHeal) run();
  }

  healAll(): void {
    this.#cuts.clear();
    for (const run of this.#onHeal) run();
  }

  isCut(from: string, to: string): boolean {
    return this.#cuts.size > 0 && this.#cuts.has(`${from}>${to}`);
  }

  isCutEitherWay(a: string, b: string): boolean {
    return this.isCut(a, b) || this.isCut(b, a);
  }

  whenHealed(run: () => void): () => void {
    this.#onHeal.add(run);
    return () => this.#onHeal.delete(run);
  }
}

/** What the sender's and the receiver's kernel hold together; beyond it bytes wait in the sending process. */
const kernelBytes = 512 * 1024;

interface InFlight<T> {
  readonly item: T;
  readonly bytes: number;
}

export interface PipeOptions<T> {
  readonly network: SimNetwork;
  readonly from: string;
  readonly to: string;
  /** Who is handed the items; `null` for the broker. */
  readonly receiver: Owner | null;
  readonly label: string;
  deliver(item: T): void;
}

export class Pipe<T> {
  readonly #options: PipeOptions<T>;
  readonly #stalled: InFlight<T>[] = [];
  #lastAtMs = 0;
  #outstanding = 0;
  #inFlight = 0;
  #isOpen = true;
  /** After the end: how many more of those in flight may arrive. */
  #mayArrive = 0;
  #draining = false;
  readonly #unwatch: () => void;

  constructor(options: PipeOptions<T>) {
    this.#options = options;
    this.#unwatch = options.network.whenHealed(() => this.#drain());
  }

  /** Sent and not yet handed to the receiver. */
  get unreadBytes(): number {
    return this.#outstanding;
  }

  get waitingBytes(): number {
    return Math.max(0, this.#outstanding - kernelBytes);
  }

  send(item: T, bytes: number): void {
    if (!this.#isOpen) return;
    const { network, receiver, label } = this.#options;
    const { scheduler } = network;
    this.#outstanding += bytes;
    this.#inFlight += 1;
    this.#lastAtMs = Math.max(this.#lastAtMs, scheduler.nowMs + network.latencyMs());
    // The network's own event: a frame reaches the receiver's kernel also while the receiver is paused.
    scheduler.at(this.#lastAtMs, null, "arrive", () => {
      const flying = { item, bytes };
      if (this.#stalled.length > 0 || network.isCut(this.#options.from, this.#options.to)) this.#stalled.push(flying);
      else if (receiver === null) this.#deliver(flying);
      else scheduler.after(0, receiver, label, () => this.#deliver(flying));
    });
  }

  /** Ends the connection in this direction. `graceful`: all in flight arrive; else a prefix of any length. */
  end(graceful = false): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    const { network } = this.#options;
    this.#mayArrive = graceful || network.rng.chance(0.4) ? this.#inFlight : network.rng.int(0, this.#inFlight);
    if (this.#stalled.length > 0) this.#mayArrive = 0;
    this.#unwatch();
    this.#stalled.length = 0;
  }

  /** How long until all that is in flight was handed over, at least. */
  get drainedAtMs(): number {
    return this.#lastAtMs;
  }

  #deliver(flying: InFlight<T>): void {
    this.#outstanding -= flying.bytes;
    this.#inFlight -= 1;
    if (!this.#isOpen) {
      if (this.#mayArrive === 0) return;
      this.#mayArrive -= 1;
    }
    this.#options.deliver(flying.item);
  }

  #drain(): void {
    if (this.#stalled.length === 0 || this.#draining) return;
    const { network, from, to, receiver, label } = this.#options;
    if (network.isCut(from, to)) return;
    this.#draining = true;
    // TCP's next try after the way is free.
    network.scheduler.after(network.rng.between(0, 200), null, "arrive", () => {
      this.#draining = false;
      if (network.isCut(from, to)) return;
      for (const flying of this.#stalled.splice(0))
        network.scheduler.after(0, receiver, label, () => this.#deliver(flying));
    });
  }
}
