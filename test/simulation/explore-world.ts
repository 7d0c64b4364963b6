/**
 * A small world for exploring the replica alone: two or three servers that are nothing but a replica and a disk, a
 * registry, and messages in flight. Every choice that is open is listed by name, and taking one is deterministic, so that a
 * state is told by the choices that led to it.
 *
 * What always holds: after each choice the invariants of PROTOCOL.md that can be seen here were asserted (1, 2, 3, 4, 8).
 */
import type { PeerMessage } from "../../machines/codec/message.ts";
import { MemoryLog } from "../../machines/log/memory-log.ts";
import { initialRecord } from "../../machines/replica/initial-record.ts";
import type { Outbox } from "../../machines/replica/outbox.ts";
import { Replica } from "../../machines/replica/replica.ts";
import { RequestTable } from "../../machines/replica/requests.ts";
import type { Rules } from "../../machines/replica/rules.ts";
import type { RegistryRecord } from "../../schemas/registry.ts";
import { Limits } from "../../schemas/settings.ts";

export interface Bounds {
  readonly servers: readonly string[];
  readonly requests: number;
  readonly crashes: number;
  /** A server hears nobody for longer than the suspicion time. */
  readonly silences: number;
  /** Compare-and-sets whose sender gets no answer in time; they may land before or after. */
  readonly timeouts: number;
  readonly ticks: number;
  /** Messages that are delivered and stay in flight. */
  readonly repeats: number;
}

export class ExplorationError extends Error {}

interface InFlight {
  readonly from: string;
  readonly to: string;
  readonly message: PeerMessage;
  readonly payload: Uint8Array;
}

interface OpenCas {
  readonly by: string;
  readonly incarnation: string;
  readonly record: RegistryRecord;
  readonly expectedRevision: number;
  /** Once it has landed: what its sender will be told. */
  answer: { outcome: "won"; revision: number } | { outcome: "lost" } | null;
  isTold: boolean;
}

interface Server {
  readonly name: string;
  lives: number;
  nowMs: number;
  replica: Replica | null;
  epoch: number;
  history: string;
  disk: MemoryLog;
  /** Asked to be synced and not done yet. */
  syncs: number[];
}

const limits = Limits.parse({ heartbeatMs: 100, suspicionMs: 500, cautionMs: 0, registryPollMs: 60_000 });
const noBytes = new Uint8Array(0);
/** So many messages of one way may overtake each other; heartbeats overtake all. */
const reordered = 2;

function assert(holds: boolean, text: string): asserts holds {
  if (!holds) throw new ExplorationError(text);
}

function copyOf(log: MemoryLog, through: number): MemoryLog {
  const copy = new MemoryLog();
  if (through > 0) for (const batch of log.batches(1, through)) copy.appendBatch(batch);
  return copy;
}

export class SmallWorld {
  readonly #bounds: Bounds;
  readonly #rules: Rules;
  readonly #servers = new Map<string, Server>();
  #flying: InFlight[] = [];
  readonly #lastTold = new Map<string, string>();
  #asked: OpenCas[] = [];
  #registry: { record: RegistryRecord; revision: number };
  readonly #spent = { requests: 0, crashes: 0, silences: 0, timeouts: 0, ticks: 0, repeats: 0 };
  /** Acknowledged: sequence and the log's hash there. */
  readonly #acknowledged = new Map<number, number>();
  readonly #committed = new Map<number, number>();
  readonly #makers = new Map<number, string>();

  constructor(bounds: Bounds, rules: Rules) {
    this.#bounds = bounds;
    this.#rules = rules;
    this.#registry = { record: initialRecord("small", bounds.servers[0] ?? "alpha", "h"), revision: 1 };
    for (const name of bounds.servers) {
      const server = {
        name,
        lives: 0,
        nowMs: 0,
        replica: null,
        epoch: 0,
        history: "",
        disk: new MemoryLog(),
        syncs: [],
      };
      this.#servers.set(name, server);
      this.#start(server);
    }
  }

  get record(): RegistryRecord {
    return this.#registry.record;
  }
  get isNormal(): boolean {
    const { servers } = this.#bounds;
    const states = servers.map((name) => this.#server(name).replica?.state);
    return (
      this.record.inSync.length === servers.length &&
      states.every((state) => state?.endsWith("normal") || state?.endsWith("warm"))
    );
  }

  #server(name: string): Server {
    return this.#servers.get(name) as Server;
  }

  // --- choices ----------------------------------------------------------------------------------------------------

  /** What may happen now, the ordinary first. */
  choices(): string[] {
    const bounds = this.#bounds;
    const spent = this.#spent;
    const choices: string[] = [];
    this.#asked.forEach((cas, index) => {
      if (cas.answer === null) choices.push(`land ${index}`);
      else if (!cas.isTold && this.#isAlive(cas)) choices.push(`answer ${index}`);
    });
    for (const server of this.#servers.values()) if (server.syncs.length > 0) choices.push(`sync ${server.name}`);
    this.#flying.forEach((one, index) => {
      if (this.#isNext(one, index)) choices.push(`deliver ${index}`);
    });
    if (spent.requests < bounds.requests)
      for (const { name, replica } of this.#servers.values())
        if (replica?.takesRequests) choices.push(`request ${name}`);
    for (const { name, replica } of this.#servers.values()) {
      if (replica === null) choices.push(`start ${name}`);
      else {
        if (spent.ticks < bounds.ticks) choices.push(`tick ${name}`);
        if (spent.silences < bounds.silences) choices.push(`silence ${name}`);
        if (spent.crashes < bounds.crashes) choices.push(`crash ${name}`);
      }
    }
    if (spent.timeouts < bounds.timeouts)
      this.#asked.forEach((cas, index) => {
        if (!cas.isTold && this.#isAlive(cas)) choices.push(`timeout ${index}`);
      });
    if (spent.repeats < bounds.repeats) choices.push(...this.#flying.map((_, index) => `repeat ${index}`));
    return choices;
  }

  #isNext(one: InFlight, index: number): boolean {
    if (one.message.type === "heartbeat") return true;
    const isBefore = (other: InFlight, at: number) =>
      at < index && other.from === one.from && other.to === one.to && other.message.type !== "heartbeat";
    return this.#flying.filter(isBefore).length < reordered;
  }

  take(choice: string): void {
    const [what, which = ""] = choice.split(" ");
    const index = Number(which);
    if (what === "land") this.#land(this.#asked[index] as OpenCas);
    else if (what === "answer") this.#answer(this.#asked[index] as OpenCas);
    else if (what === "timeout") this.#timeout(this.#asked[index] as OpenCas);
    else if (what === "deliver") this.#deliver(this.#flying.splice(index, 1)[0] as InFlight);
    else if (what === "repeat") {
      this.#spent.repeats += 1;
      this.#deliver(this.#flying[index] as InFlight);
    } else this.#takeOf(what ?? "", this.#server(which));
    this.#check();
  }

  #takeOf(what: string, server: Server): void {
    if (what === "sync") this.#synced(server);
    else if (what === "request") this.#request(server);
    else if (what === "tick") {
      this.#spent.ticks += 1;
      this.#tick(server);
    } else if (what === "silence") {
      this.#spent.silences += 1;
      for (let time = 0; time < 7; time += 1) this.#tick(server);
    } else if (what === "crash") {
      this.#spent.crashes += 1;
      this.#end(server);
    } else this.#start(server);
  }

  // --- servers ----------------------------------------------------------------------------------------------------

  #start(server: Server): void {
    server.lives += 1;
    server.syncs = [];
    const replica = new Replica(
      {
        self: { server: server.name, incarnation: `${server.name}-${server.lives}` },
        service: "small",
        servers: this.#bounds.servers,
        schema: "",
        limits,
        confirm: "memory",
        afterTotalLoss: "wait",
        rules: this.#rules,
      },
      {
        life: server.lives,
        history: server.history,
        epochSeen: server.epoch,
        log: copyOf(server.disk, server.disk.last),
        requests: new RequestTable({ through: 0, resultNumber: 0, floorMs: -1 }),
        committed: 0,
        published: 0,
        oldestOnDisk: 1,
      },
      server.nowMs,
    );
    server.replica = replica;
    this.#turn(server, () => {
      replica.onBus(true, server.nowMs);
      replica.start(server.nowMs);
    });
  }

  #end(server: Server): void {
    server.replica = null;
    server.syncs = [];
  }

  #isAlive(cas: OpenCas): boolean {
    return this.#server(cas.by).replica?.self === cas.incarnation;
  }

  #turn(server: Server, input: (replica: Replica) => void): void {
    const { replica } = server;
    if (replica === null) return;
    input(replica);
    for (let rounds = 0; rounds < 20 && server.replica === replica; rounds += 1) {
      replica.endTurn(server.nowMs, server.nowMs);
      replica.release((_, bytes) => this.#onReply(replica, bytes));
      const entries = replica.outbox.splice(0);
      if (entries.length === 0) return;
      for (const entry of entries) if (server.replica === replica) this.#perform(server, replica, entry);
    }
  }

  #onReply(replica: Replica, bytes: Uint8Array): void {
    const { sequence } = JSON.parse(Buffer.from(bytes).toString()) as { sequence?: number };
    if (sequence === undefined) return;
    for (let at = 1; at <= sequence; at += 1) {
      const hash = replica.log.hashAt(at) ?? 0;
      assert(
        (this.#acknowledged.get(at) ?? hash) === hash,
        `invariant 3: record ${at} was acknowledged and is another one`,
      );
      this.#acknowledged.set(at, hash);
    }
  }

  #perform(server: Server, replica: Replica, entry: Outbox): void {
    switch (entry.type) {
      case "send":
        this.#send(server.name, entry);
        return;
      case "sync":
        server.syncs = [Math.max(entry.through, ...server.syncs)];
        return;
      case "saveEpoch":
        assert(
          entry.epoch >= server.epoch,
          `invariant 8: ${replica.self} accepted epoch ${entry.epoch} after ${server.epoch}`,
        );
        server.epoch = entry.epoch;
        replica.onEpochSaved(entry.epoch);
        return;
      case "saveHistory":
        server.history = entry.history;
        return;
      case "truncate":
        if (entry.after < server.disk.last) server.disk.truncate(entry.after);
        server.syncs = server.syncs.filter((through) => through <= entry.after);
        return;
      case "compareAndSet":
        this.#asked.push({
          by: server.name,
          incarnation: replica.self,
          record: entry.record,
          expectedRevision: entry.expectedRevision,
          answer: null,
          isTold: false,
        });
        return;
      case "readRegistry":
        replica.onRegistryRead({ outcome: "found", ...this.#registry }, server.nowMs);
        return;
      case "reload":
        replica.onReloaded(new RequestTable({ through: 0, resultNumber: 0, floorMs: -1 }), server.nowMs);
        return;
      case "receiveSnapshot":
        this.#snapshot(server, entry.peer);
        return;
      case "hot":
        this.#onHot(replica);
        return;
      case "restart":
        this.#end(server);
        this.#start(server);
        return;
      case "exit":
      case "fail":
        this.#end(server);
        return;
      default:
    }
  }

  /** Of its primary's committed log, taken whole into a new life. */
  #snapshot(server: Server, peer: string): void {
    const from = this.#server(peer).replica;
    if (from === null || !from.hot) return;
    server.disk = copyOf(from.log, from.committed);
    server.history = from.history;
    this.#end(server);
    this.#start(server);
  }

  #tick(server: Server): void {
    server.nowMs += limits.heartbeatMs;
    this.#turn(server, (replica) => replica.onTick(server.nowMs, server.nowMs));
  }

  #synced(server: Server): void {
    const through = Math.min(server.syncs.shift() ?? 0, server.replica?.log.closed.sequence ?? 0);
    const log = server.replica?.log;
    if (log !== undefined && through > server.disk.last)
      for (const batch of log.batches(server.disk.last + 1, through)) server.disk.appendBatch(batch);
    this.#turn(server, (replica) => replica.onSynced(through, server.nowMs));
  }

  #request(server: Server): void {
    this.#spent.requests += 1;
    const id = String(this.#spent.requests);
    this.#turn(server, (replica) => {
      const arrival = {
        client: "c",
        id,
        key: "k",
        bodyHash: 1,
        issuedAtMs: undefined,
        after: undefined,
        resend: false,
        body: {},
        replyTo: "r",
      };
      const running = replica.intake.onRequest(arrival, server.nowMs, replica);
      if (running !== null)
        replica.intake.finish(running, { name: "t", effects: noBytes, outcome: '"ok":true,"result":0' }, replica);
    });
  }

  // --- messages and the registry ----------------------------------------------------------------------------------

  #send(from: string, { to, message, payload }: Extract<Outbox, { type: "send" }>): void {
    const way = `${from} ${to}`;
    if (message.type === "heartbeat") {
      // One that tells what the last one told tells nothing; and of those in flight only the newest does.
      const { incarnation, hot, epochSeen, revision, history } = message;
      const told = JSON.stringify([incarnation, hot, epochSeen, revision, history, this.#server(to).replica?.self]);
      if (this.#lastTold.get(way) === told) return;
      this.#lastTold.set(way, told);
      this.#flying = this.#flying.filter(
        (one) => one.from !== from || one.to !== to || one.message.type !== "heartbeat",
      );
    }
    this.#flying.push({ from, to, message, payload: Buffer.concat(payload) });
  }

  #deliver({ from, to, message, payload }: InFlight): void {
    const server = this.#server(to);
    this.#turn(server, (replica) => replica.onMessage(from, "failsafe", message, payload, server.nowMs));
  }

  #land(cas: OpenCas): void {
    if (this.#registry.revision !== cas.expectedRevision) {
      cas.answer = { outcome: "lost" };
      return;
    }
    this.#registry = { record: cas.record, revision: this.#registry.revision + 1 };
    cas.answer = { outcome: "won", revision: this.#registry.revision };
  }

  #answer(cas: OpenCas): void {
    cas.isTold = true;
    const { answer } = cas;
    const server = this.#server(cas.by);
    if (answer !== null) this.#turn(server, (replica) => replica.onCasAnswer(cas.record.writeId, answer, server.nowMs));
  }

  #timeout(cas: OpenCas): void {
    this.#spent.timeouts += 1;
    cas.isTold = true;
    const server = this.#server(cas.by);
    const answer = { outcome: "unknown", reason: "timeout" } as const;
    this.#turn(server, (replica) => replica.onCasAnswer(cas.record.writeId, answer, server.nowMs));
  }

  // --- invariants -------------------------------------------------------------------------------------------------

  /** Invariants 1 and 4. */
  #onHot(replica: Replica): void {
    const maker = this.#makers.get(replica.epoch);
    assert(
      maker === undefined || maker === replica.self,
      `invariant 1: ${maker} and ${replica.self} are hot in epoch ${replica.epoch}`,
    );
    this.#makers.set(replica.epoch, replica.self);
    replica.log.close();
    for (const [sequence, hash] of this.#acknowledged)
      assert(
        replica.log.hashAt(sequence) === hash,
        `invariant 4: ${replica.self} goes hot without record ${sequence}, which was acknowledged`,
      );
  }

  /** Invariant 3. */
  #check(): void {
    for (const { replica } of this.#servers.values()) {
      if (replica === null) continue;
      for (let sequence = 1; sequence <= replica.committed; sequence += 1) {
        const hash = replica.log.hashAt(sequence) ?? 0;
        const known = this.#committed.get(sequence);
        assert(
          known === undefined || known === hash,
          `invariant 3: ${replica.self} committed another record ${sequence}`,
        );
        this.#committed.set(sequence, hash);
      }
    }
  }

  /** Equal texts: nothing that matters is different, but for the times of what was heard. */
  fingerprint(): string {
    const parts: unknown[] = [
      this.#spent,
      this.#registry.record,
      this.#registry.revision,
      [...this.#acknowledged.keys()].length,
    ];
    for (const { replica, disk, syncs, epoch, lives } of this.#servers.values()) {
      parts.push(lives, epoch, disk.last, disk.closed.hash, syncs);
      if (replica === null) continue;
      const { membership, own } = replica;
      parts.push(
        replica.state,
        replica.epoch,
        membership.open,
        own.committed,
        own.synced,
        own.log.last,
        own.log.closed.hash,
        own.history,
      );
      parts.push(replica.follower.following && { ...replica.follower.following, heardMs: 0, askedMs: 0 });
      for (const { session, heartbeat } of replica.peers) {
        parts.push(
          session && { ...session, progressMs: 0, quiet: 0, machine: 0 },
          heartbeat?.incarnation,
          heartbeat?.hot,
        );
      }
    }
    for (const { from, to, message } of this.#flying) {
      const told =
        message.type === "heartbeat"
          ? [message.incarnation, message.hot, message.epochSeen, message.revision]
          : message;
      parts.push(from, to, told);
    }
    for (const cas of this.#asked) parts.push(cas.record.writeId, cas.answer?.outcome, cas.isTold);
    return JSON.stringify(parts);
  }
}
