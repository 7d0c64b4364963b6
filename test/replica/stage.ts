/**
 * A stage for replicas: two or three of them, a registry, disks and links that do only what a test says, and a transcript of what the
 * replicas wanted done, in their order. No timers, no threads: `run` performs everything that is not held until nothing is left,
 * `tick` lets a heartbeat's time pass.
 *
 * What always holds: a disk has what was synced and nothing else; a message crosses as bytes; what is held stays undone until the test
 * lets it go; the transcript leaves out only heartbeats, mirrors, confirms and reads.
 */

import { decodeMessage, encodeMessage } from "../../machines/codec/message.ts";
import { KeyHasher } from "../../machines/log/key-index.ts";
import { RequestTable, type RunningRequest } from "../../machines/replica/log/requests.ts";
import type { Outbox } from "../../machines/replica/outbox.ts";
import { initialRecord } from "../../machines/replica/registry/initial-record.ts";
import type { KnownRecord } from "../../machines/replica/registry/membership.ts";
import { Replica } from "../../machines/replica/replica.ts";
import { type Rules, shippedRules } from "../../machines/replica/rules.ts";
import type { OwnProgram, ReplicaOptions } from "../../machines/replica/types.ts";
import type { LinkName } from "../../schemas/link.ts";
import type { PeerMessage } from "../../schemas/peer-message.ts";
import type { RegistryRead, RegistryRecord, RegistryWrite } from "../../schemas/registry.ts";
import { Limits } from "../../schemas/settings.ts";
import { describeRecord, Server } from "./staged-server.ts";

/** The limits that the stage runs by; requests need no attempt records unless they are sent again. */
export const limits = Limits.parse({ cautionMs: 0 });

export interface Given {
  readonly server: string;
  readonly to: string;
  readonly text: string;
  readonly duplicate: boolean;
}

interface Frame {
  readonly from: string;
  readonly to: string;
  readonly link: LinkName;
  readonly bytes: Uint8Array;
}

export interface StageOptions {
  readonly servers?: readonly string[];
  readonly replica?: Partial<Pick<ReplicaOptions, "confirm" | "afterTotalLoss" | "limits">>;
  readonly rules?: Partial<Rules>;
  /** What servers are told of their programs, by name; the others take any state for theirs. */
  readonly programs?: Readonly<Record<string, OwnProgram>>;
}

export interface Ask {
  readonly client?: string;
  readonly bodyHash?: number;
  readonly issuedAtMs?: number;
  readonly after?: string;
  readonly resend?: boolean;
  readonly body?: unknown;
  /** Default: a subject named for client and id. */
  readonly replyTo?: string;
  readonly traceparent?: string;
  /** The handler has not come to its end when the turn is over: `Server.finish` ends it. */
  readonly isSlow?: boolean;
}

const noEffects = new Uint8Array(0);
/** Entries whose doing is told to the replica: an input. */
const reported = new Set<Outbox["type"]>(["sync", "write", "saveEpoch", "compareAndSet", "readRegistry", "reload"]);
const untold = new Set<PeerMessage["type"]>(["heartbeat", "mirror", "confirm"]);

export class Stage {
  nowMs = 10_000;
  wallMs = 1_000_000;
  /** How far the wall clocks of servers are off. */
  readonly wallOffsets = new Map<string, number>();
  registry: KnownRecord | null;
  readonly servers = new Map<string, Server>();
  readonly given: Given[] = [];
  readonly transcript: string[] = [];
  /** What the transcript says of a message that is sent; null: nothing. */
  wordsFor: (from: string, to: string, message: PeerMessage) => string | null = (from, to, { type }) =>
    untold.has(type) ? null : `${from} says ${type} to ${to}`;
  /** `alpha>beta`, or `alpha>beta main`: what is sent there is lost. */
  readonly cuts = new Set<string>();
  /** Servers that run another program than the rest. */
  readonly schemas = new Map<string, string>();
  /** `alpha>beta failsafe`: the largest frame that is taken there. */
  readonly #frameLimits = new Map<string, number>();
  /** What was refused because it was larger. */
  readonly refused: PeerMessage[] = [];
  /** Servers that the registry does not answer, though NATS is there. */
  readonly unanswered = new Set<string>();
  /** The registry is read, and takes no record. */
  isFull = false;
  /** Every message that was sent, whether or not it arrived. */
  readonly sent: { from: string; to: string; link: LinkName; message: PeerMessage }[] = [];
  readonly #options: StageOptions;
  #frames: Frame[] = [];

  constructor(options: StageOptions = {}) {
    this.#options = options;
    const names = options.servers ?? ["alpha", "beta"];
    for (const name of names) this.servers.set(name, new Server(name));
    this.registry = { record: initialRecord("stage", names[0] ?? "", "h1"), revision: 1 };
  }

  /** A stage on which all servers are in sync, the first is the primary, and the transcript begins anew. */
  static normal(options: StageOptions = {}): Stage {
    const stage = new Stage(options);
    for (const name of stage.servers.keys()) {
      stage.start(name);
      stage.tick(3);
    }
    stage.tick(3);
    stage.take();
    return stage;
  }

  get #maxRememberedBytes(): number {
    return (this.#options.replica?.limits ?? limits).maxRememberedBytes;
  }
  get #rememberClients(): number {
    return (this.#options.replica?.limits ?? limits).rememberClients;
  }

  /** A server's wall clock. */
  wallOf(name: string): number {
    return this.wallMs + (this.wallOffsets.get(name) ?? 0);
  }

  server(name: string): Server {
    const found = this.servers.get(name);
    if (found === undefined) throw new Error(`there is no server ${name}`);
    return found;
  }
  replica(name: string): Replica {
    return this.server(name).up;
  }
  get record(): RegistryRecord {
    if (this.registry === null) throw new Error("the registry has no record");
    return this.registry.record;
  }
  /** Everybody's state, in order. */
  states(): string[] {
    return [...this.servers.values()].map(({ replica }) => replica?.state ?? "down");
  }
  /** The transcript since the last call. */
  take(): string[] {
    return this.transcript.splice(0);
  }

  // --- servers ----------------------------------------------------------------------------------------------------

  /** Begins a new life from the disk. */
  start(name: string): void {
    const server = this.server(name);
    const { disk } = server;
    disk.startCount += 1;
    const rules = this.#options.rules === undefined ? {} : { rules: { ...shippedRules, ...this.#options.rules } };
    const program = this.#options.programs?.[name];
    const options: ReplicaOptions = {
      ...(program === undefined ? {} : { program }),
      self: { server: name, incarnation: `${name}.${disk.startCount}` },
      service: "stage",
      servers: [...this.servers.keys()],
      schema: this.schemas.get(name) ?? "s",
      limits,
      confirm: "memory",
      afterTotalLoss: "longest",
      ...this.#options.replica,
      ...rules,
    };
    const {
      name: diskName,
      record,
      startCount,
      history,
      epochSeen,
      memberEpoch,
      syncedEpoch,
      committed,
      flushed,
    } = disk;
    const recovered = {
      startCount,
      disk: diskName,
      record,
      history,
      epochSeen,
      memberEpoch,
      syncedEpoch,
      log: disk.log.clone(),
      requests: new RequestTable({
        through: flushed,
        resultNumber: 0,
        rememberClients: this.#rememberClients,
        maxRememberedBytes: this.#maxRememberedBytes,
        hasher: new KeyHasher("test"),
      }),
      committed,
      published: 0,
      oldestOnDisk: 1,
      ancestors: disk.ancestors,
    };
    server.replica = new Replica(options, recovered, this.nowMs);
    server.hasInput = true;
    server.replica.onBus(true, this.nowMs);
    this.#measure(name, server.replica);
    server.replica.start(this.nowMs);
    for (const other of this.servers.values()) {
      if (other === server || other.replica === null) continue;
      other.replica.onLink(name, "main", true, this.nowMs);
      server.replica.onLink(other.name, "main", true, this.nowMs);
      other.hasInput = true;
    }
    this.run();
  }

  /** The process is gone; what was not synced is too. Others see nothing of it yet. */
  kill(name: string): void {
    const server = this.server(name);
    server.replica = null;
    server.waiting.length = 0;
    server.slow.clear();
    this.#frames = this.#frames.filter(({ from, to }) => from !== name && to !== name);
  }

  /** The kernel and NATS tell the others that nobody is there (rule 9). */
  tellGone(name: string): void {
    for (const { replica } of this.servers.values()) {
      replica?.onLink(name, "main", false, this.nowMs);
      replica?.onLink(name, "failsafe", false, this.nowMs);
    }
    this.#touch();
    // What the broker says of it is heard with the next tick at the latest.
    this.tick();
  }

  stop(name: string): void {
    this.replica(name).onStop(this.nowMs);
    this.server(name).hasInput = true;
    this.run();
  }

  /** From now on the link takes no larger frames, and its sender knows. */
  limitFrames(from: string, to: string, link: LinkName, maxFrameBytes: number): void {
    this.#frameLimits.set(`${from}>${to} ${link}`, maxFrameBytes);
    this.#measure(from, this.replica(from));
  }

  #measure(from: string, replica: Replica): void {
    for (const to of this.servers.keys()) {
      for (const link of ["main", "failsafe"] as const) {
        const maxFrameBytes = this.#frameLimits.get(`${from}>${to} ${link}`);
        if (maxFrameBytes !== undefined) replica.onFrameLimit(to, link, maxFrameBytes, this.nowMs);
      }
    }
  }

  // --- time and work ----------------------------------------------------------------------------------------------

  tick(times = 1): void {
    for (let tick = 0; tick < times; tick += 1) {
      this.nowMs += limits.heartbeatMs;
      this.wallMs += limits.heartbeatMs;
      for (const { name, replica } of this.servers.values()) replica?.onTick(this.nowMs, this.wallOf(name));
      this.#touch();
      this.run();
    }
  }

  #touch(): void {
    for (const server of this.servers.values()) server.hasInput = true;
  }

  /** Performs what is not held and delivers what is not cut, until nothing is left. */
  run(): void {
    for (let steps = 0; steps < 20_000; steps += 1) {
      let isIdle = true;
      for (const server of this.servers.values()) if (this.#step(server)) isIdle = false;
      const frame = this.#frames.shift();
      if (frame !== undefined) this.#deliver(frame);
      else if (isIdle) return;
    }
    throw new Error(`no end of it:\n${this.transcript.slice(-30).join("\n")}`);
  }

  #step(server: Server): boolean {
    const { replica } = server;
    if (replica === null) return false;
    let moved = false;
    if (server.hasInput) {
      server.hasInput = false;
      replica.endTurn(this.nowMs, this.wallOf(server.name));
      moved = true;
    }
    for (const entry of replica.outbox.splice(0)) {
      moved = true;
      if (server.replica !== replica) break;
      if (server.held.has(entry.type)) server.waiting.push(entry);
      else this.perform(server, entry);
    }
    if (server.replica !== replica) return true;
    for (;;) {
      const next = replica.nextToStart();
      if (next === null) break;
      this.#runHandler(server, next, server.isStuck);
      moved = true;
    }
    replica.release((to, bytes, duplicate) =>
      this.given.push({ server: server.name, to, text: Buffer.from(bytes).toString(), duplicate }),
    );
    if (moved && replica.mustGoOn) server.hasInput = true;
    return moved;
  }

  #deliver({ from, to, link, bytes }: Frame): void {
    const server = this.servers.get(to);
    if (server === undefined || server.replica === null) return;
    if (this.cuts.has(`${from}>${to}`) || this.cuts.has(`${from}>${to} ${link}`)) return;
    const { message, payload } = decodeMessage(bytes);
    server.replica.onMessage(from, link, message, payload, this.nowMs);
    server.hasInput = true;
  }

  // --- what a replica wants done ----------------------------------------------------------------------------------

  /** Lets go of the oldest entry of a kind that was held back. */
  let(name: string, type: Outbox["type"]): void {
    const server = this.server(name);
    const at = server.waiting.findIndex((entry) => entry.type === type);
    const [entry] = at < 0 ? [] : server.waiting.splice(at, 1);
    if (entry === undefined) throw new Error(`${name} does not wait for ${type}`);
    this.perform(server, entry);
    this.run();
  }

  /** No longer held: what waits is performed, and what comes too. */
  unhold(name: string, type: Outbox["type"]): void {
    const server = this.server(name);
    server.held.delete(type);
    while (server.waiting.some((entry) => entry.type === type)) this.let(name, type);
  }

  perform(server: Server, entry: Outbox): void {
    const { up: replica, disk, name } = server;
    if (reported.has(entry.type)) server.hasInput = true;
    switch (entry.type) {
      case "send":
        this.#send(name, entry);
        return;
      case "sync":
        this.#tell(`${name} syncs through ${entry.through}`);
        disk.log = replica.log.clone();
        disk.log.truncate(Math.min(entry.through, disk.log.last));
        disk.committed = Math.min(Math.max(disk.committed, replica.committed), disk.log.last);
        replica.onSynced(entry.through, this.nowMs);
        return;
      case "write":
        replica.onWritten(entry.through, this.nowMs);
        return;
      case "saveEpoch":
        disk.epochSeen = Math.max(disk.epochSeen, entry.epoch);
        disk.memberEpoch = Math.max(disk.memberEpoch, entry.memberEpoch);
        disk.syncedEpoch = Math.max(disk.syncedEpoch, entry.syncedEpoch);
        disk.record = entry.record ?? disk.record;
        replica.onEpochSaved(entry, this.nowMs);
        return;
      case "saveHistory":
        disk.history = entry.history;
        disk.ancestors = entry.ancestors;
        return;
      case "compareAndSet": {
        this.#tell(`${name} asks for ${describeRecord(entry.record)}`);
        const answer = this.compareAndSet(entry);
        replica.onCasAnswer(entry.record.writeId, answer, this.nowMs);
        return;
      }
      case "readRegistry":
        replica.onRegistryRead(this.#readRegistry(name), this.nowMs);
        return;
      case "reload":
        this.#tell(`${name} reloads`);
        replica.onReloaded(
          new RequestTable({
            through: 0,
            resultNumber: 0,
            rememberClients: this.#rememberClients,
            maxRememberedBytes: this.#maxRememberedBytes,
            hasher: new KeyHasher("test"),
          }),
          this.nowMs,
        );
        return;
      case "truncate":
        this.#tell(`${name} truncates to ${entry.after}`);
        if (disk.log.last > entry.after) disk.log.truncate(entry.after);
        return;
      case "event":
        this.#tell(entry.from === entry.to ? `${name}: ${entry.event}` : `${name}: ${entry.event} -> ${entry.to}`);
        return;
      case "apply":
        this.#tell(`${name} applies through ${entry.through}`);
        return;
      case "hot":
        this.#tell(`${name} is hot in epoch ${entry.epoch}`);
        return;
      case "ready":
        this.#tell(`${name} is ready at ${entry.signal.sequence}`);
        return;
      case "sendSnapshot":
      case "receiveSnapshot":
      case "cold":
        this.#tell(`${name}: ${entry.type}`);
        return;
      case "exit":
      case "restart":
      case "fail":
        this.#tell(`${name}: ${entry.type}`);
        this.kill(name);
        return;
      default:
    }
  }

  #tell(line: string): void {
    this.transcript.push(line);
  }

  #readRegistry(name: string): RegistryRead {
    if (this.unanswered.has(name)) return { outcome: "unavailable", reason: "timeout" };
    return this.registry === null ? { outcome: "missing" } : { outcome: "found", ...this.registry };
  }

  /** What the registry makes of it; the sender is not told. */
  compareAndSet(entry: Extract<Outbox, { type: "compareAndSet" }>): RegistryWrite {
    if (this.isFull) return { outcome: "unknown", reason: "insufficient storage resources available (10047)" };
    if (this.registry === null || this.registry.revision !== entry.expectedRevision) return { outcome: "lost" };
    this.registry = { record: entry.record, revision: entry.expectedRevision + 1 };
    return { outcome: "won", revision: this.registry.revision };
  }

  /** The oldest compare-and-set that was held back. It lands when the test says so; nothing is answered yet. */
  heldCas(name: string): Extract<Outbox, { type: "compareAndSet" }> {
    const server = this.server(name);
    const at = server.waiting.findIndex((entry) => entry.type === "compareAndSet");
    const [entry] = at < 0 ? [] : server.waiting.splice(at, 1);
    if (entry?.type !== "compareAndSet") throw new Error(`${name} has no compare-and-set held back`);
    return entry;
  }

  answerCas(name: string, writeId: string, answer: RegistryWrite): void {
    this.replica(name).onCasAnswer(writeId, answer, this.nowMs);
    this.server(name).hasInput = true;
    this.run();
  }

  #send(from: string, entry: Extract<Outbox, { type: "send" }>): void {
    const { to, message, payload } = entry;
    const words = this.wordsFor(from, to, message);
    if (words !== null) this.#tell(words);
    const bytes = Buffer.concat([encodeMessage(message), ...payload]);
    for (const link of entry.link === "both" ? (["main", "failsafe"] as const) : [entry.link]) {
      this.sent.push({ from, to, link, message });
      if (bytes.length > (this.#frameLimits.get(`${from}>${to} ${link}`) ?? bytes.length)) this.refused.push(message);
      else this.#frames.push({ from, to, link, bytes });
    }
  }

  /** A message out of nowhere: late, repeated or forged. */
  forge(from: string, to: string, message: PeerMessage, payload: Uint8Array = noEffects): void {
    this.replica(to).onMessage(from, "main", message, payload, this.nowMs);
    this.server(to).hasInput = true;
    this.run();
  }

  /** The newest message of a kind that was sent. */
  lastSent<T extends PeerMessage["type"]>(from: string, type: T): Extract<PeerMessage, { type: T }> {
    const found = this.sent.findLast((one) => one.from === from && one.message.type === type);
    if (found === undefined) throw new Error(`${from} never sent ${type}`);
    return found.message as Extract<PeerMessage, { type: T }>;
  }

  // --- clients ----------------------------------------------------------------------------------------------------

  /** A request at a server's door; its handler ends at once unless it is slow. */
  ask(name: string, id: string, ask: Ask = {}): void {
    const server = this.server(name);
    const replica = server.up;
    const {
      client = "c",
      bodyHash = 1,
      issuedAtMs,
      after,
      resend = false,
      isSlow = false,
      body = { id },
      replyTo = `${client}/${id}`,
      traceparent = "",
    } = ask;
    const arrival = {
      client,
      id,
      key: "k",
      bodyHash,
      issuedAtMs,
      after,
      resend,
      body,
      replyTo,
      traceparent,
    };
    const request = replica.onRequest(arrival, this.nowMs, this.wallOf(name));
    if (request !== null) this.#runHandler(server, request, isSlow || server.isStuck);
    server.hasInput = true;
  }

  /** The same, and all that follows from it. */
  do(name: string, id: string, ask: Ask = {}): void {
    this.ask(name, id, ask);
    this.run();
  }

  #runHandler(server: Server, request: RunningRequest, isSlow: boolean): void {
    if (isSlow) {
      server.slow.set(request.id, request);
      server.up.onHandlerWaits(request, this.nowMs);
    } else this.#finish(server, request);
  }

  #finish(server: Server, request: RunningRequest): void {
    const done = request.completed.map(({ value }) => value).join("+");
    const result = JSON.stringify(done === "" ? `result of ${request.id}` : `${done} and result of ${request.id}`);
    const part = { name: "main", effects: noEffects, outcome: `"ok":true,"result":${result}` };
    server.up.onResult(request, part, this.nowMs);
    server.hasInput = true;
  }

  /** One of several transactions of a slow request. */
  transaction(name: string, id: string, value: string): void {
    const server = this.server(name);
    const part = { name: "part", effects: noEffects, value: JSON.stringify(value) };
    server.up.onTransaction(this.slow(name, id), part, this.nowMs);
    server.hasInput = true;
    this.run();
  }

  finish(name: string, id: string): void {
    const server = this.server(name);
    const request = this.slow(name, id);
    server.slow.delete(id);
    this.#finish(server, request);
    this.run();
  }

  slow(name: string, id: string): RunningRequest {
    const request = this.server(name).slow.get(id);
    if (request === undefined) throw new Error(`${name} does not run ${id}`);
    return request;
  }

  /** Replies since the last call: `id: result` or `id: CODE`, with ` again` for a duplicate. */
  replies(): string[] {
    return this.given.splice(0).map(({ text, duplicate }) => {
      const { id, ok, error, sequence } = JSON.parse(text) as {
        id: string;
        ok: boolean;
        error?: { code: string };
        sequence?: number;
      };
      return `${id}: ${ok ? `ok at ${sequence}` : error?.code}${duplicate ? " again" : ""}`;
    });
  }
}
