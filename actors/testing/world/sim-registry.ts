/**
 * The simulated registry: one linearizable register with a revision, kept by the broker's JetStream. A compare-and-set
 * may be won with its answer lost, or land late: after its sender gave up, even after its sender died.
 *
 * What always holds: reads come from the leader and are never stale, unless a fault says so; a revision is never used
 * twice, unless a fault rolls the register back.
 */

import type { RegistryRead, RegistryRecord, RegistryWrite } from "../../../schemas/registry.ts";
import type { RegistryWarning } from "../../../schemas/surroundings.ts";
import type { Registry } from "../../world/ports.ts";
import type { Rng } from "./rng.ts";
import { brokerHost, type SimBroker } from "./sim-broker.ts";
import type { SimNatsClient } from "./sim-nats-client.ts";
import type { SimProcess } from "./sim-process.ts";

export interface RegistryVersion {
  readonly record: RegistryRecord;
  readonly revision: number;
}

/** What goes wrong with calls, and how often. */
export interface RegistryFaults {
  /** The answer of a call that had its effect is lost. */
  lostAnswerChance: number;
  /** A compare-and-set arrives late by up to `maxLateMs`, its sender long having given up. */
  lateChance: number;
  maxLateMs: number;
  /** A call is lost before it has any effect. */
  lostCallChance: number;
}

export interface RegistryWatcher {
  onCompareAndSetSent(by: string, expectedRevision: number): void;
  onRegistryWritten(version: RegistryVersion, by: string, late: boolean): void;
  onRegistryAnswerLost(by: string, outcome: RegistryWrite["outcome"]): void;
  onStaleRead(by: string): void;
}

/** How often a write reaches JetStream only when a split cluster is whole again. */
const keptByRouteChance = 0.5;

/** A record that somebody asked for, and the revision that it counts on. */
interface AskedFor {
  readonly record: RegistryRecord;
  readonly expectedRevision: number;
}

/** JetStream's side: the register and its past. */
export class SimRegistryState {
  readonly versions: RegistryVersion[] = [];
  current: RegistryVersion | null = null;
  /** Fault: core NATS is up and JetStream is not (situation 30). */
  isAvailable = true;
  /** It answers, and has no room for another record. */
  isFull = false;
  /** Compare-and-sets on their way. */
  readonly underWay = new Set<AskedFor>();
  /** Fault: a leader that was replaced answers reads with what it had (situation 12). */
  staleReads: { readonly version: RegistryVersion | null; readonly chance: number } | null = null;
  #lastRevision = 0;
  /** Told of every write, with the record before it. */
  readonly onWritten = new Set<(record: RegistryRecord, before: RegistryRecord | null) => void>();
  #newest: RegistryVersion | null = null;
  /** Of the highest epoch that a server was ever told of by the registry. */
  #answered: RegistryVersion | null = null;

  /**
   * Of the highest epoch that was ever written, whatever was done to the register since. One that was lost before any server
   * read it was never there: nobody can act by it.
   */
  get newest(): RegistryRecord | null {
    return this.#newest?.record ?? null;
  }

  /** What may still land: nothing else was written since it was asked for. */
  get mayLand(): readonly RegistryRecord[] {
    const revision = this.current?.revision;
    const asked = [...this.underWay].filter(({ expectedRevision }) => expectedRevision === revision);
    return asked.map(({ record }) => record);
  }

  write(record: RegistryRecord): RegistryVersion {
    this.#lastRevision += 1;
    const version = { record: structuredClone(record), revision: this.#lastRevision };
    this.versions.push(version);
    const before = this.current?.record ?? null;
    this.current = version;
    // Where the newest one only put back what this one follows upon, this one follows upon both. One that was asked for on another
    // record, and lands here late because revisions began anew, follows upon neither.
    const isAskedHere = before !== null && record.previousWriteId === before.writeId;
    const isNext = this.#newest === null || (isAskedHere && isSameConfiguration(before, this.#newest.record));
    if (record.epoch >= epochOf(this.#newest) || isNext) this.#newest = version;
    for (const tell of this.onWritten) tell(version.record, before);
    return version;
  }

  /** A server learns what the register held, by a read or as the writer. */
  onAnswered(version: RegistryVersion | null): void {
    if (version === null) return;
    if (version.record.epoch >= epochOf(this.#answered)) this.#answered = version;
    // It was lost while its writer's answer was on the way.
    if (version.record.epoch > epochOf(this.#newest)) this.#newest = version;
  }

  /** Fault: the store of JetStream is an older copy (situation 7). */
  rollBack(steps: number): void {
    const kept = Math.max(1, this.versions.length - steps);
    this.versions.length = Math.min(kept, this.versions.length);
    this.current = this.versions[this.versions.length - 1] ?? null;
    this.#lastRevision = this.current?.revision ?? 0;
    this.#forgetUnread();
  }

  /** Fault: the bucket is deleted (situation 8). */
  remove(): void {
    this.current = null;
    this.versions.length = 0;
    this.#lastRevision = 0;
    this.#forgetUnread();
  }

  /** Its record is gone, or there is an older one. */
  get isLost(): boolean {
    const now = this.current?.record;
    const newest = this.newest;
    return now?.history !== newest?.history || now?.writeId !== newest?.writeId;
  }

  /** Its operator puts the newest record back, if it is gone or an older one is there. */
  restore(): boolean {
    if (this.#newest === null || !this.isLost) return false;
    this.current = this.#newest;
    this.versions.push(this.#newest);
    this.#lastRevision = Math.max(this.#lastRevision, this.#newest.revision);
    return true;
  }

  #forgetUnread(): void {
    this.#newest = epochOf(this.current) > epochOf(this.#answered) ? this.current : this.#answered;
  }
}

function isSameConfiguration(one: RegistryRecord, other: RegistryRecord): boolean {
  const of = ({ history, primary, inSync, durability }: RegistryRecord) =>
    JSON.stringify([history, primary, inSync, durability]);
  return other.restoredFrom !== undefined && of(one) === of(other);
}

function epochOf(version: RegistryVersion | null): number {
  return version?.record.epoch ?? 0;
}

export class SimRegistry implements Registry {
  readonly #process: SimProcess;
  readonly #client: SimNatsClient;
  readonly #broker: SimBroker;
  readonly #state: SimRegistryState;
  readonly #faults: RegistryFaults;
  readonly #watcher: RegistryWatcher;
  readonly #rng: Rng;
  readonly #timeoutMs: number;

  constructor(options: {
    process: SimProcess;
    client: SimNatsClient;
    broker: SimBroker;
    state: SimRegistryState;
    faults: RegistryFaults;
    watcher: RegistryWatcher;
    rng: Rng;
    timeoutMs: number;
  }) {
    this.#process = options.process;
    this.#client = options.client;
    this.#broker = options.broker;
    this.#state = options.state;
    this.#faults = options.faults;
    this.#watcher = options.watcher;
    this.#rng = options.rng;
    this.#timeoutMs = options.timeoutMs;
  }

  read(): Promise<RegistryRead> {
    return this.#call<RegistryRead>(
      "registry.read",
      (outcome) => (outcome.outcome === "found" ? outcome : null),
      () => {
        const current = this.#seen();
        if (current === null) return { outcome: "missing" };
        return { outcome: "found", record: structuredClone(current.record), revision: current.revision };
      },
      (reason) => ({ outcome: "unavailable", reason }),
    );
  }

  compareAndSet(record: RegistryRecord, expectedRevision: number): Promise<RegistryWrite> {
    const copy = structuredClone(record);
    this.#process.scheduler.trace(`${expectedRevision} ${copy.writeId}`);
    if (this.#client.isConnected) this.#watcher.onCompareAndSetSent(this.#process.name, expectedRevision);
    return this.#call<RegistryWrite>(
      "registry.cas",
      (outcome) => (outcome.outcome === "won" ? { record: copy, revision: outcome.revision } : null),
      (late) => {
        if (this.#state.isFull) return { outcome: "unknown", reason: "insufficient storage resources available" };
        if (this.#state.current?.revision !== expectedRevision) return { outcome: "lost" };
        return this.#written(copy, late);
      },
      (reason) => ({ outcome: "unknown", reason }),
      { record: copy, expectedRevision },
    );
  }

  create(record: RegistryRecord): Promise<RegistryWrite> {
    const copy = structuredClone(record);
    return this.#call<RegistryWrite>(
      "registry.create",
      (outcome) => (outcome.outcome === "won" ? { record: copy, revision: outcome.revision } : null),
      (late) => (this.#state.current === null ? this.#written(copy, late) : { outcome: "lost" }),
      (reason) => ({ outcome: "unknown", reason }),
    );
  }

  warnings(): Promise<RegistryWarning[]> {
    return this.#process.promise((settle) => settle(0.5, () => []));
  }

  streamsOver(): Promise<string[] | null> {
    return this.#process.promise((settle) => settle(0.5, () => []));
  }

  /** By a read: the newest version, unless an old leader answers. */
  #seen(): RegistryVersion | null {
    const { current, staleReads } = this.#state;
    if (staleReads === null || !this.#rng.chance(staleReads.chance)) return current;
    if (staleReads.version !== current) this.#watcher.onStaleRead(this.#process.name);
    return staleReads.version;
  }

  #written(record: RegistryRecord, late: boolean): RegistryWrite {
    const version = this.#state.write(record);
    this.#watcher.onRegistryWritten(version, this.#process.name, late);
    return { outcome: "won", revision: version.revision };
  }

  /** One call: there, its effect at one moment, and back; any of the three may fail. */
  #call<T extends { outcome: string }>(
    what: string,
    learned: (outcome: T) => RegistryVersion | null,
    effect: (late: boolean) => T,
    failed: (reason: string) => T,
    asked?: AskedFor,
  ): Promise<T> {
    const process = this.#process;
    if (!process.boundary(what, "before")) return process.promise(() => {});
    return process.promise<T>((settle) => {
      if (!this.#client.isConnected) return settle(0.05, () => failed("disconnected"));
      let isAnswered = false;
      const answer = (outcome: T) => {
        if (isAnswered || !process.boundary(what, "after")) return;
        isAnswered = true;
        this.#state.onAnswered(learned(outcome));
        settle(0, () => outcome);
      };
      process.later(this.#timeoutMs, "registry.timeout", () => answer(failed("timeout")));
      this.#travel(what, effect, answer, asked);
    });
  }

  #travel<T extends { outcome: string }>(
    what: string,
    effect: (late: boolean) => T,
    answer: (outcome: T) => void,
    asked: AskedFor | undefined,
  ): void {
    const { network } = this.#broker;
    const { underWay } = this.#state;
    const { scheduler } = network;
    const here = this.#client.host;
    const isRead = what === "registry.read";
    const late = !isRead && this.#rng.chance(this.#faults.lateChance);
    const delayMs = late ? this.#rng.between(0, this.#faults.maxLateMs) : 0.2 + this.#rng.exponential(0.2);
    const isLost = this.#rng.chance(this.#faults.lostCallChance);
    const isAnswerLost = this.#rng.chance(this.#faults.lostAnswerChance);
    if (isLost || network.isCut(here, brokerHost)) return;
    if (asked !== undefined) underWay.add(asked);
    scheduler.after(network.latencyMs() + delayMs, null, "registry.arrive", () => {
      if (asked !== undefined) underWay.delete(asked);
      if (!this.#broker.isUp || !this.#state.isAvailable) return;
      if (this.#broker.minority.has(here)) {
        // Without a leader on this side: lost, or kept by a route until the sides meet.
        if (isRead || !this.#rng.chance(keptByRouteChance)) return;
        if (asked !== undefined) underWay.add(asked);
        this.#broker.whenJoined(() => {
          if (asked !== undefined) underWay.delete(asked);
          effect(true);
        });
        return;
      }
      const outcome = effect(late);
      if (isAnswerLost || network.isCut(brokerHost, here)) {
        if (!isRead)
          this.#watcher.onRegistryAnswerLost(this.#process.name, outcome.outcome as RegistryWrite["outcome"]);
        return;
      }
      scheduler.after(network.latencyMs(), null, "registry.answer", () => {
        if (this.#process.isAlive && !network.isCut(brokerHost, here))
          this.#process.later(0, "registry", () => answer(outcome));
      });
    });
  }
}
