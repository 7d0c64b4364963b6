/**
 * What must hold in the small world after every step: the invariants of PROTOCOL.md that can be seen from outside, with all
 * servers, disks and the registry open to view. What always holds: it remembers what clients were told, and changes nothing.
 *
 * Beyond the invariants as they are written, two that say the same earlier, before a further crash would show it:
 * what was acknowledged is held by every living member that the registry's newest record names, or, where one is alone, by
 * its disk (2 and 4); a server that ended after it was told to stop is named by no record, unless it is alone and its disk
 * has everything (clean stop).
 */
import { RecordReader, recordKinds, requestKey } from "../../machines/codec/record.ts";
import type { Replica } from "../../machines/replica/replica.ts";
import type { Member, RegistryRecord } from "../../schemas/registry.ts";
import type { SmallRegistry } from "./explore-registry.ts";
import type { SmallServer } from "./explore-server.ts";

export class ExplorationError extends Error {}

function assert(holds: boolean, text: string): asserts holds {
  if (!holds) throw new ExplorationError(text);
}

interface Query {
  readonly id: string;
  readonly seen: number;
  /** The first acknowledged record that it did not see; 0: it saw all. */
  readonly missed: number;
}

export class Checks {
  /** By sequence, from 1: the log's hash there. */
  #acknowledged: readonly number[] = [];
  /** By sequence, from 1: the epoch of the server that said so first. */
  #acknowledgedIn: readonly number[] = [];
  #committed: readonly number[] = [];
  #done: ReadonlyMap<string, number> = new Map();
  #makers: ReadonlyMap<number, string> = new Map();
  #replies: ReadonlyMap<string, string> = new Map();
  #queries: readonly Query[] = [];
  /** Incarnations that ended after they were told to stop. */
  #stopped: readonly string[] = [];

  clone(): Checks {
    const copy = new Checks();
    copy.#acknowledged = this.#acknowledged;
    copy.#acknowledgedIn = this.#acknowledgedIn;
    copy.#committed = this.#committed;
    copy.#done = this.#done;
    copy.#makers = this.#makers;
    copy.#replies = this.#replies;
    copy.#queries = this.#queries;
    copy.#stopped = this.#stopped;
    return copy;
  }

  get facts(): string {
    const told = [this.#acknowledged, this.#acknowledgedIn, this.#committed, [...this.#makers], [...this.#replies]];
    return JSON.stringify([told, this.#queries, this.#stopped]);
  }

  // --- what clients see -------------------------------------------------------------------------------------------

  onQuery(id: string, { log }: Replica): void {
    const missed = this.#acknowledged.findIndex((hash, index) => log.hashAt(index + 1) !== hash) + 1;
    this.#queries = [...this.#queries, { id, seen: log.last, missed }];
  }

  onReply(replica: Replica, to: string, bytes: Uint8Array): void {
    const query = this.#queries.find(({ id }) => id === to);
    if (query !== undefined) {
      const { missed, seen } = query;
      assert(
        missed === 0,
        `rule 5: ${replica.self} answers a query without record ${missed}, acknowledged before it was asked`,
      );
      this.#queries = this.#queries.filter((one) => one !== query);
      this.#onAcknowledged(replica, seen);
      return;
    }
    const text = Buffer.from(bytes).toString();
    const { id, sequence } = JSON.parse(text) as { id: string; sequence?: number };
    if (sequence === undefined) return;
    assert(
      (this.#replies.get(id) ?? text) === text,
      `invariant 6: request ${id} was answered ${this.#replies.get(id)}, and now ${text}`,
    );
    if (!this.#replies.has(id)) this.#replies = new Map([...this.#replies, [id, text]]);
    this.#onAcknowledged(replica, sequence);
  }

  #onAcknowledged({ self, log, epoch }: Replica, sequence: number): void {
    const told = [...this.#acknowledged];
    const toldIn = [...this.#acknowledgedIn];
    for (let at = 1; at <= sequence; at += 1) {
      const hash = log.hashAt(at) ?? 0;
      assert((told[at - 1] ?? hash) === hash, `invariant 3: ${self} acknowledges another record ${at}`);
      told[at - 1] = hash;
      toldIn[at - 1] ??= epoch;
    }
    this.#acknowledged = told;
    this.#acknowledgedIn = toldIn;
  }

  // --- what servers do --------------------------------------------------------------------------------------------

  /** Invariants 1 and 4. */
  onHot({ epoch, self, log }: Replica): void {
    const maker = this.#makers.get(epoch);
    assert(maker === undefined || maker === self, `invariant 1: ${maker} and ${self} are hot in epoch ${epoch}`);
    this.#makers = new Map([...this.#makers, [epoch, self]]);
    // Of earlier epochs: one that hears late that it won may be deposed already, and can commit nothing.
    const isMissing = (hash: number, index: number) =>
      (this.#acknowledgedIn[index] ?? 0) < epoch && log.hashAt(index + 1) !== hash;
    const missing = this.#acknowledged.findIndex(isMissing) + 1;
    assert(missing === 0, `invariant 4: ${self} goes hot without record ${missing}, which was acknowledged`);
  }

  onStopped(incarnation: string): void {
    this.#stopped = [...this.#stopped, incarnation];
  }

  /** After every step. */
  check(servers: ReadonlyMap<string, SmallServer>, registry: SmallRegistry): void {
    for (const { replica } of servers.values()) {
      if (replica === null) continue;
      this.#checkCommitted(replica);
      checkFence(replica);
    }
    this.#checkHeld(servers, registry.record);
    if (this.#stopped.length === 0) return;
    for (const record of [registry.record, ...registry.mayLand.map((cas) => cas.record)])
      this.#checkStopped(servers, record);
  }

  /** Invariant 3, and that no request takes effect twice. */
  #checkCommitted({ committed, log, self }: Replica): void {
    const known = this.#committed;
    for (let at = 1; at <= committed; at += 1) {
      const hash = log.hashAt(at) ?? 0;
      assert((known[at - 1] ?? hash) === hash, `invariant 3: ${self} committed another record ${at}`);
    }
    if (committed <= known.length) return;
    const done = new Map(this.#done);
    for (const batch of log.batches(known.length + 1, committed)) {
      const reader = new RecordReader(batch.bytes);
      do {
        if (reader.kind !== recordKinds.final) continue;
        const key = requestKey(reader.client, reader.id);
        assert(
          !done.has(key),
          `invariant 6: request ${reader.id} took effect in records ${done.get(key)} and ${reader.sequence}`,
        );
        done.set(key, reader.sequence);
      } while (reader.next());
    }
    this.#done = done;
    this.#committed = Array.from({ length: committed }, (_, index) => log.hashAt(index + 1) ?? 0);
  }

  /** Invariants 2 and 4, before anybody goes hot. */
  #checkHeld(servers: ReadonlyMap<string, SmallServer>, record: RegistryRecord): void {
    const told = this.#acknowledged.length;
    if (told === 0) return;
    const hash = this.#acknowledged[told - 1];
    const where = `epoch ${record.epoch}`;
    if (record.durability === "disk") {
      const { server } = record.inSync[0] as Member;
      const held = servers.get(server)?.disk.hashAt(told);
      assert(
        held === hash,
        `invariant 2: ${server} is alone in ${where} and record ${told}, acknowledged, is not on its disk`,
      );
      return;
    }
    for (const { server, incarnation } of record.inSync) {
      const replica = servers.get(server)?.replica;
      if (replica?.self !== incarnation) continue;
      assert(
        replica.log.hashAt(told) === hash,
        `invariant 2: ${incarnation} is in sync in ${where} and does not hold record ${told}, which was acknowledged`,
      );
    }
  }

  #checkStopped(servers: ReadonlyMap<string, SmallServer>, record: RegistryRecord): void {
    for (const { server, incarnation } of record.inSync) {
      if (!this.#stopped.includes(incarnation)) continue;
      assert(
        record.inSync.length === 1 && record.durability === "disk" && servers.has(server),
        `clean stop: ${incarnation} has exited, and epoch ${record.epoch} counts on it`,
      );
    }
  }
}

/** Rule 2 twice over: a server that is fenced, or asks for a configuration, has no session in which it could confirm. */
function checkFence({ self, fenced, membership, follower }: Replica): void {
  const isBound = fenced || membership.open !== null;
  assert(!isBound || follower.following === null, `rule 2: ${self} follows while it is fenced or asks`);
}
