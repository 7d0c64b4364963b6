/**
 * What one input makes of a server of the small world: its replica takes the input, and what it wants done is done on its
 * disk, or noted for the world around it. What always holds: it depends on the server and the input alone, and what is noted
 * are values. Time stands still but for a silence.
 */

import { KeyHasher } from "../../../machines/log/key-index.ts";
import { RequestTable } from "../../../machines/replica/log/requests.ts";
import type { Outbox } from "../../../machines/replica/outbox.ts";
import { Replica } from "../../../machines/replica/replica.ts";
import type { Rules } from "../../../machines/replica/rules.ts";
import type { RegistryRecord } from "../../../schemas/registry.ts";
import { Limits } from "../../../schemas/settings.ts";
import { inside } from "../../helpers/inside.ts";
import type { Bounds } from "./bounds.ts";
import type { Letters, Sent } from "./mailbox.ts";
import type { Asked } from "./registry.ts";
import { hashesOf, type SmallServer } from "./server.ts";

export interface TurnScope {
  readonly bounds: Bounds;
  readonly rules: Rules;
  readonly letters: Letters;
}

/** Who says something, and what its log is at that moment. */
export interface Speaker {
  readonly self: string;
  readonly epoch: number;
  readonly hashes: readonly number[];
}

/** What clients and operators see, and what the checks remember. */
export type Seen =
  | { readonly type: "query"; readonly id: string; readonly by: Speaker }
  | { readonly type: "reply"; readonly to: string; readonly text: string; readonly by: Speaker }
  | { readonly type: "hot"; readonly by: Speaker }
  | { readonly type: "stopped"; readonly incarnation: string };

export type Effect =
  | Seen
  | { readonly type: "send"; readonly sent: Sent }
  | { readonly type: "ask"; readonly asked: Asked }
  | { readonly type: "read" }
  | { readonly type: "ended" };

const silenceMs = 501;
/**
 * A silence is one tick, as late as a tick may be, and too late for whoever was to be heard. No commit waits for a joiner: it comes
 * later then, as where its sync does.
 */
const limits = Limits.parse({
  joinWaitMs: 0,
  heartbeatMs: 251,
  suspicionMs: 500,
  cautionMs: 0,
  registryPollMs: 60_000,
  baseMs: 3_600_000,
});
const limitsWithBases = { ...limits, baseMs: silenceMs };
const noBytes = new Uint8Array(0);
/** When something began that has taken too long. */
const longAgo = { sinceMs: Number.NEGATIVE_INFINITY };

export class Turn {
  readonly server: SmallServer;
  readonly effects: Effect[] = [];
  readonly #scope: TurnScope;

  constructor(server: SmallServer, scope: TurnScope) {
    this.server = server;
    this.#scope = scope;
  }

  /** The replica takes it, and all that follows at once is done. */
  take(input: (replica: Replica, nowMs: number) => void): void {
    const { server } = this;
    const { replica, nowMs } = server;
    if (replica === null) return;
    input(replica, nowMs);
    replica.endTurn(nowMs, 0);
    replica.release((to, bytes) => {
      const text = Buffer.from(bytes).toString();
      this.effects.push({ type: "reply", to, text, by: speaker(replica) });
    });
    const entries = replica.outbox.splice(0);
    for (const entry of entries) if (server.replica === replica) this.#perform(replica, entry);
    // Only what is done at once is reported back at once.
    if (entries.some(({ type }) => type === "reload" || type === "saveEpoch")) this.take(() => {});
  }

  #perform(replica: Replica, entry: Outbox): void {
    const { server, effects } = this;
    const { name } = server;
    switch (entry.type) {
      case "send": {
        const sent = this.#scope.letters.of(name, entry.to, entry.message, Buffer.concat(entry.payload));
        effects.push({ type: "send", sent });
        return;
      }
      case "sync":
      case "saveEpoch":
      case "saveHistory":
      case "truncate":
        server.addJob(entry);
        if (this.#scope.bounds.slowDisk === 0) server.doQuickJobs((saved) => replica.onEpochSaved(saved, server.nowMs));
        return;
      case "compareAndSet": {
        const { record, expectedRevision } = entry;
        effects.push({ type: "ask", asked: { by: name, incarnation: replica.self, record, expectedRevision } });
        return;
      }
      case "readRegistry":
        effects.push({ type: "read" });
        return;
      case "reload":
        replica.onReloaded(emptyTable(), server.nowMs);
        return;
      case "receiveSnapshot":
        server.snapshot = { peer: entry.peer, session: entry.session };
        return;
      case "hot":
        effects.push({ type: "hot", by: speaker(replica) });
        return;
      case "exit":
        effects.push({ type: "stopped", incarnation: replica.self });
        server.hasStopped = true;
        this.end();
        return;
      case "restart":
      case "fail":
        this.end();
        return;
      default:
    }
  }

  // --- life -------------------------------------------------------------------------------------------------------

  start(): void {
    const { server } = this;
    const { bounds, rules } = this.#scope;
    server.lives += 1;
    const { name, lives, history, epoch, memberEpoch, nowMs } = server;
    const options = {
      self: { server: name, incarnation: `${name}-${lives}` },
      service: "small",
      servers: bounds.servers,
      schema: "",
      limits: bounds.bases === 0 ? limits : limitsWithBases,
      confirm: "memory",
      afterTotalLoss: "wait",
      rules,
    } as const;
    const recovered = {
      startCount: lives,
      disk: name,
      record: null,
      history,
      epochSeen: epoch,
      memberEpoch,
      // Small worlds confirm what is in memory.
      syncedEpoch: 0,
      log: server.disk.clone(),
      requests: emptyTable(),
      committed: 0,
      published: 0,
      oldestOnDisk: 1,
      ancestors: [],
    };
    server.replica = new Replica(options, recovered, nowMs);
    this.take((replica) => {
      replica.onBus(true, nowMs);
      replica.start(nowMs);
    });
  }

  end(): void {
    this.server.end();
    this.effects.push({ type: "ended" });
  }

  /** `isLate`: the log was just written. */
  crash(isLate: boolean): void {
    const { server } = this;
    if (isLate) server.write(server.replica?.log.closed.sequence ?? 0);
    this.end();
  }

  failDisk(): void {
    this.server.jobs = [];
    this.take((replica, nowMs) => replica.onDiskFailed("the disk failed", nowMs));
  }

  /** Twice: one that was silent since the last look says something. */
  look(): void {
    this.take((replica, nowMs) => replica.onTick(nowMs, 0));
    this.take((replica, nowMs) => replica.onTick(nowMs, 0));
  }

  /** A switch has taken too long for this one, by its own clock. */
  late(): void {
    this.take((replica, nowMs) => {
      const { primary, candidacy } = inside(replica);
      for (const since of [primary?.handover, candidacy]) Object.assign(since ?? {}, longAgo);
      replica.onTick(nowMs, 0);
    });
  }

  /** `heard`: what comes in all the same. */
  silence(heard: readonly Sent[]): void {
    this.server.nowMs += silenceMs;
    for (const sent of heard) this.deliver(sent);
    this.take((replica, nowMs) => replica.onTick(nowMs, 0));
  }

  // --- what comes in ----------------------------------------------------------------------------------------------

  deliver({ from, message, payload }: Sent): void {
    const { server } = this;
    // A heartbeat goes out again and again: whenever it comes, it is the newest that came on its way.
    server.beats += 1;
    const arriving = message.type === "heartbeat" ? { ...message, beat: server.beats } : message;
    this.take((replica, nowMs) => replica.onMessage(from, "failsafe", arriving, payload, nowMs));
  }

  miss(peer: string): void {
    this.take((replica, nowMs) => {
      replica.onLink(peer, "main", false, nowMs);
      replica.onLink(peer, "failsafe", false, nowMs);
    });
  }

  poll(): void {
    this.take((replica, nowMs) => inside(replica).core.membership.read(nowMs));
  }

  read(record: RegistryRecord, revision: number): void {
    this.take((replica, nowMs) => replica.onRegistryRead({ outcome: "found", record, revision }, nowMs));
  }

  /** The disk does the oldest of its jobs. */
  doJob(): void {
    const job = this.server.doJob();
    if (job?.type === "sync") this.take((replica, nowMs) => replica.onSynced(job.through, nowMs));
    else if (job?.type === "saveEpoch") this.take((replica, nowMs) => replica.onEpochSaved(job, nowMs));
  }

  /** Of its primary's committed log, taken whole into a new life; or, where that one is not hot any more, it ends. */
  snapshot(from: Replica | null): void {
    const { server } = this;
    const session = server.snapshot?.session ?? "";
    server.snapshot = null;
    if (from === null || !from.hot) {
      this.take((replica, nowMs) => replica.onSnapshotEnded(session, nowMs));
      return;
    }
    server.adopt(from.log, from.committed, from.history);
    this.end();
    this.start();
  }

  // --- clients ----------------------------------------------------------------------------------------------------

  request(id: string): void {
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
    this.take((replica, nowMs) => {
      const running = replica.onRequest(arrival, nowMs, 0);
      if (running !== null)
        replica.onResult(running, { name: "t", effects: noBytes, outcome: '"ok":true,"result":0' }, nowMs);
    });
  }

  /** As the application's actor does it: what the log says now is the answer, when it may leave. */
  query(id: string): void {
    this.take((replica, nowMs) => {
      this.effects.push({ type: "query", id, by: speaker(replica) });
      replica.onAnswer({ client: "c", id, replyTo: id }, Buffer.from(id), replica.log.last, nowMs);
    });
  }
}

function speaker({ self, epoch, log }: Replica): Speaker {
  return { self, epoch, hashes: hashesOf(log) };
}

function emptyTable(): RequestTable {
  return new RequestTable({
    through: 0,
    resultNumber: 0,
    rememberClients: 9,
    maxRememberedBytes: Number.POSITIVE_INFINITY,
    hasher: new KeyHasher("test"),
  });
}
