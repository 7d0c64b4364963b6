/**
 * What must hold in the small world after every step: the invariants of PROTOCOL.md that can be seen from outside, with all
 * servers, disks and the registry open to view. What always holds: it remembers what clients were told, and changes nothing;
 * it never changes itself, equal ones are one, and what becomes of one is worked out once.
 *
 * Beyond the invariants as they are written, two that say the same earlier, before a further crash would show it:
 * what was acknowledged is held by every living member that the registry's newest record names, or, where one is alone, by
 * its disk, which has the base (2, 4 and 10); a server that ended after it was told to stop is named by no record, unless it is
 * alone and its disk has everything (clean stop).
 */

import { RecordReader, recordKinds, requestKey } from "../../../machines/codec/record.ts";
import type { Replica } from "../../../machines/replica/replica.ts";
import type { RegistryRecord } from "../../../schemas/registry.ts";
import { inside } from "../../helpers/inside.ts";
import type { SmallRegistry } from "./registry.ts";
import type { ServerState } from "./server-state.ts";
import type { Seen, Speaker } from "./turn.ts";

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

/** What clients were told and servers did. */
interface Known {
  /** By sequence, from 1: the log's hash there. */
  readonly acknowledged: readonly number[];
  /** By sequence, from 1: the epoch of the server that said so first. */
  readonly acknowledgedIn: readonly number[];
  readonly committed: readonly number[];
  /** Of what is committed: the record that each request took effect in. */
  readonly done: ReadonlyMap<string, number>;
  /** By epoch: who was hot. */
  readonly makers: ReadonlyMap<number, string>;
  readonly replies: ReadonlyMap<string, string>;
  readonly queries: readonly Query[];
  /** Incarnations that ended after they were told to stop. */
  readonly stopped: readonly string[];
}

const nothingKnown: Known = {
  acknowledged: [],
  acknowledgedIn: [],
  committed: [],
  done: new Map(),
  makers: new Map(),
  replies: new Map(),
  queries: [],
  stopped: [],
};

export class AllChecks {
  readonly #byFacts = new Map<string, Checks>();

  get nothingKnown(): Checks {
    return this.of(nothingKnown);
  }

  of(known: Known): Checks {
    const { acknowledged, acknowledgedIn, committed, makers, replies, queries, stopped } = known;
    const told = [acknowledged, acknowledgedIn, committed, [...makers], [...replies]];
    const facts = JSON.stringify([told, queries, stopped]);
    let checks = this.#byFacts.get(facts);
    if (checks === undefined) {
      checks = new Checks(this.#byFacts.size, facts, known, this);
      this.#byFacts.set(facts, checks);
    }
    return checks;
  }
}

export class Checks {
  readonly id: number;
  readonly facts: string;
  readonly #known: Known;
  readonly #all: AllChecks;
  readonly #then = new Map<Seen | ServerState, Checks>();

  constructor(id: number, facts: string, known: Known, all: AllChecks) {
    this.id = id;
    this.facts = facts;
    this.#known = known;
    this.#all = all;
  }

  #with(more: Partial<Known>): Checks {
    return this.#all.of({ ...this.#known, ...more });
  }
  #once(what: Seen | ServerState, work: () => Checks): Checks {
    let then = this.#then.get(what);
    if (then === undefined) {
      then = work();
      this.#then.set(what, then);
    }
    return then;
  }

  // --- what is seen -----------------------------------------------------------------------------------------------

  on(seen: Seen): Checks {
    return this.#once(seen, () => {
      switch (seen.type) {
        case "query":
          return this.#onQuery(seen.id, seen.by);
        case "reply":
          return this.#onReply(seen.by, seen.to, seen.text);
        case "hot":
          return this.#onHot(seen.by);
        case "stopped":
          return this.#with({ stopped: [...this.#known.stopped, seen.incarnation] });
      }
    });
  }

  #onQuery(id: string, { hashes }: Speaker): Checks {
    const { acknowledged, queries } = this.#known;
    const missed = acknowledged.findIndex((hash, index) => hashes[index] !== hash) + 1;
    return this.#with({ queries: [...queries, { id, seen: hashes.length, missed }] });
  }

  #onReply(by: Speaker, to: string, text: string): Checks {
    const { queries, replies } = this.#known;
    const query = queries.find(({ id }) => id === to);
    if (query !== undefined) {
      const { missed, seen } = query;
      assert(
        missed === 0,
        `rule 5: ${by.self} answers a query without record ${missed}, acknowledged before it was asked`,
      );
      return this.#with({ queries: queries.filter((one) => one !== query) }).#onAcknowledged(by, seen);
    }
    const { id, sequence } = JSON.parse(text) as { id: string; sequence?: number };
    if (sequence === undefined) return this;
    const before = replies.get(id);
    assert((before ?? text) === text, `invariant 6: request ${id} was answered ${before}, and now ${text}`);
    const then = before === undefined ? this.#with({ replies: new Map([...replies, [id, text]]) }) : this;
    return then.#onAcknowledged(by, sequence);
  }

  #onAcknowledged({ self, epoch, hashes }: Speaker, sequence: number): Checks {
    const acknowledged = [...this.#known.acknowledged];
    const acknowledgedIn = [...this.#known.acknowledgedIn];
    for (let at = 1; at <= sequence; at += 1) {
      const hash = hashes[at - 1] ?? 0;
      assert((acknowledged[at - 1] ?? hash) === hash, `invariant 3: ${self} acknowledges another record ${at}`);
      acknowledged[at - 1] = hash;
      acknowledgedIn[at - 1] ??= epoch;
    }
    return this.#with({ acknowledged, acknowledgedIn });
  }

  /** Invariants 1 and 4. */
  #onHot({ epoch, self, hashes }: Speaker): Checks {
    const { makers, acknowledged, acknowledgedIn } = this.#known;
    const maker = makers.get(epoch);
    assert(maker === undefined || maker === self, `invariant 1: ${maker} and ${self} are hot in epoch ${epoch}`);
    // Only what was acknowledged in earlier epochs, as invariant 4 says. One that hears late that it won may be deposed
    // already, and what its successor acknowledges it need not hold: it says nothing and commits nothing, because whoever
    // it counts on is of a later epoch and confirms nothing to it. That is asserted where it would speak: rule 5 in
    // #onReply, invariant 3 in #onAcknowledged and #onCommitted; the scope `unaware` explores it to the end.
    const isMissing = (hash: number, index: number) => (acknowledgedIn[index] ?? 0) < epoch && hashes[index] !== hash;
    const missing = acknowledged.findIndex(isMissing) + 1;
    assert(missing === 0, `invariant 4: ${self} goes hot without record ${missing}, which was acknowledged`);
    return this.#with({ makers: new Map([...makers, [epoch, self]]) });
  }

  // --- after every step -------------------------------------------------------------------------------------------

  /** With what has been committed since. */
  check(servers: readonly ServerState[], registry: SmallRegistry): Checks {
    const then = servers.reduce<Checks>((before, server) => before.#onceOn(server), this);
    then.#checkHeld(servers, registry.record);
    if (registry.record.durability === "disk") checkBase(servers, registry.record);
    const { stopped } = then.#known;
    if (stopped.length > 0)
      for (const record of [registry.record, ...registry.mayLand.map((cas) => cas.record)])
        checkStopped(stopped, servers, record);
    return then;
  }

  #onceOn(server: ServerState): Checks {
    return this.#once(server, () => this.#onState(server));
  }
  #onState({ server: { replica } }: ServerState): Checks {
    if (replica === null) return this;
    checkFence(replica);
    return this.#onCommitted(replica);
  }

  /** Invariant 3, and that no request takes effect twice. */
  #onCommitted({ committed, log, self }: Replica): Checks {
    const known = this.#known.committed;
    for (let at = 1; at <= committed; at += 1) {
      const hash = log.hashAt(at) ?? 0;
      assert((known[at - 1] ?? hash) === hash, `invariant 3: ${self} committed another record ${at}`);
    }
    if (committed <= known.length) return this;
    const done = new Map(this.#known.done);
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
    return this.#with({ done, committed: Array.from({ length: committed }, (_, index) => log.hashAt(index + 1) ?? 0) });
  }

  /** Invariants 2 and 4, before anybody goes hot. */
  #checkHeld(servers: readonly ServerState[], record: RegistryRecord): void {
    const { acknowledged } = this.#known;
    const told = acknowledged.length;
    if (told === 0) return;
    const hash = acknowledged[told - 1];
    const isAlone = record.durability === "disk";
    const sole = record.inSync[0]?.server;
    for (const { server, hashes, diskHashes } of servers) {
      if (isAlone) {
        if (server.name === sole && diskHashes[told - 1] !== hash)
          throw new ExplorationError(
            `invariant 2: ${sole} is alone in epoch ${record.epoch} and record ${told}, acknowledged, is not on its disk`,
          );
        continue;
      }
      const self = server.replica?.self;
      if (self === undefined || hashes[told - 1] === hash) continue;
      assert(
        record.inSync.every(({ incarnation }) => incarnation !== self),
        `invariant 2: ${self} is in sync in epoch ${record.epoch} and does not hold record ${told}, which was acknowledged`,
      );
    }
  }
}

/** Rule 2 and invariant 10: whoever is alone has on its disk what the record says, or nobody could go on after it. */
function checkBase(servers: readonly ServerState[], { inSync, base, epoch }: RegistryRecord): void {
  const sole = servers.find(({ server }) => server.name === inSync[0]?.server);
  if (sole === undefined || base.sequence === 0) return;
  assert(
    sole.diskHashes[base.sequence - 1] === base.hash,
    `invariant 10: ${sole.server.name} is alone in epoch ${epoch} from record ${base.sequence}, and has another log on its disk`,
  );
}

function checkStopped(stopped: readonly string[], servers: readonly ServerState[], record: RegistryRecord): void {
  for (const { server, incarnation } of record.inSync) {
    if (!stopped.includes(incarnation)) continue;
    assert(
      record.inSync.length === 1 && record.durability === "disk" && servers.some((one) => one.server.name === server),
      `clean stop: ${incarnation} has exited, and epoch ${record.epoch} counts on it`,
    );
  }
}

/** Rule 2 twice over: a server that is fenced, or asks to leave a member out, has no session in which it could confirm. */
function checkFence(replica: Replica): void {
  const { core, follower } = inside(replica);
  const { self, fenced, membership } = core;
  const isBound = fenced || membership.leavesOut;
  assert(!isBound || follower === null, `rule 2: ${self} follows while it is fenced or asks`);
}
