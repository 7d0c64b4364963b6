/**
 * A small world for exploring the replica alone: two or three servers that are nothing but a replica and a disk, a
 * registry, and messages that may arrive at any time. Every choice that is open is listed by name, and taking one is
 * deterministic. A world is cloned cheaply: what a choice does not touch is shared.
 *
 * What always holds: after each choice everything in explore-checks.ts was asserted. Time stands still but for `silence`:
 * all else that a clock would bring (heartbeats, questions asked again) may happen at any time, so it is a choice.
 */
import { initialRecord } from "../../machines/replica/initial-record.ts";
import type { Outbox } from "../../machines/replica/outbox.ts";
import { Replica } from "../../machines/replica/replica.ts";
import { RequestTable } from "../../machines/replica/requests.ts";
import type { Rules } from "../../machines/replica/rules.ts";
import type { RegistryRecord } from "../../schemas/registry.ts";
import { Limits } from "../../schemas/settings.ts";
import { type Bounds, nothing, type Spent } from "./explore-bounds.ts";
import { Checks } from "./explore-checks.ts";
import { type ChoiceView, choicesOf } from "./explore-choices.ts";
import { type Letters, Network, type Sent } from "./explore-network.ts";
import { type OpenCas, SmallRegistry } from "./explore-registry.ts";
import { SmallServer } from "./explore-server.ts";
import { isStale } from "./explore-stale.ts";

/** What all worlds of one exploration share. */
export interface Scope {
  readonly bounds: Bounds;
  readonly rules: Rules;
  readonly letters: Letters;
  /** Messages that can have no effect any more are forgotten. */
  readonly letsGo: boolean;
}

const silenceMs = 501;
/** A silence is one tick, as late as a tick may be, and too late for whoever was to be heard. */
const limits = Limits.parse({
  heartbeatMs: 251,
  suspicionMs: 500,
  cautionMs: 0,
  registryPollMs: 60_000,
  baseMs: 3_600_000,
});
const limitsWithBases = { ...limits, baseMs: silenceMs };
const noBytes = new Uint8Array(0);

export class SmallWorld implements ChoiceView {
  readonly #scope: Scope;
  readonly #servers: Map<string, SmallServer>;
  readonly #network: Network;
  readonly #registry: SmallRegistry;
  readonly #checks: Checks;
  #spent: Spent = nothing;
  /** Requests that came before anything was counted. */
  #earlier = 0;

  /** All servers have just started for the first time; or as another world. */
  constructor(scope: Scope, original: SmallWorld | null = null) {
    const names = scope.bounds.servers;
    this.#scope = scope;
    this.#servers = new Map(original?.servers ?? names.map((name) => [name, new SmallServer(name)]));
    this.#network = original?.network.clone() ?? new Network(scope.letters);
    this.#registry = original?.registry.clone() ?? new SmallRegistry([initialRecord("small", names[0] ?? "", "h")]);
    this.#checks = original?.checks.clone() ?? new Checks();
    if (original === null) for (const server of this.#servers.values()) this.#start(server);
    else {
      this.#spent = original.#spent;
      this.#earlier = original.#earlier;
    }
  }

  clone(): SmallWorld {
    return new SmallWorld(this.#scope, this);
  }

  get servers(): ReadonlyMap<string, SmallServer> {
    return this.#servers;
  }
  get registry(): SmallRegistry {
    return this.#registry;
  }
  get network(): Network {
    return this.#network;
  }
  get checks(): Checks {
    return this.#checks;
  }

  /** Equal texts: nothing that decides how it goes on is different, nor what was told to whom. */
  get facts(): string {
    const servers = [...this.#servers.values()];
    const oldest = Math.min(this.#registry.revision, ...servers.map(({ readingSince }) => readingSince ?? Infinity));
    return [
      JSON.stringify(this.#spent),
      this.#registry.facts(oldest),
      this.#network.facts,
      this.#checks.facts,
      ...servers.map(({ facts }) => facts),
    ].join("\n");
  }

  get isNormal(): boolean {
    const states = [...this.#servers.values()].map(({ replica }) => replica?.state);
    return (
      this.#registry.record.inSync.length === states.length &&
      states.every((state) => state?.endsWith("normal") || state?.endsWith("warm"))
    );
  }

  #server(name: string): SmallServer {
    return this.#servers.get(name) as SmallServer;
  }
  /** A server that this choice changes. */
  #change(name: string): SmallServer {
    const copy = this.#server(name).clone();
    this.#servers.set(name, copy);
    return copy;
  }

  // --- choices ----------------------------------------------------------------------------------------------------

  /** What may happen now, the ordinary first. */
  choices(): string[] {
    return choicesOf(this);
  }
  /** It may happen once more. */
  isLeft(what: keyof Spent): boolean {
    return this.#spent[what] < this.#scope.bounds[what];
  }
  /** Requests that were sent. */
  get requests(): number {
    return this.#earlier + this.#spent.requests;
  }

  take(choice: string): void {
    const [what = "", which = "", more = ""] = choice.split(" ");
    switch (what) {
      case "land":
        this.#registry.land(this.#registry.byName(which));
        break;
      case "answer":
        this.#answer(this.#registry.byName(which), false);
        break;
      case "timeout":
        this.#spend("timeouts");
        this.#answer(this.#registry.byName(which), true);
        break;
      case "hear":
        this.#deliver(this.#network.get(Number(more)));
        break;
      case "deliver":
        this.#deliver(this.#network.get(Number(more)));
        break;
      default:
        this.#takeOf(what, this.#change(which), more);
    }
    this.#registry.tidy((cas) => this.#isAlive(cas));
    if (this.#scope.letsGo)
      this.#network.letGo(({ message, from, to }) => isStale(message, from, this.#server(to).replica));
    this.#checks.check(this.#servers, this.#registry);
  }

  #spend(what: keyof Spent): void {
    this.#spent = { ...this.#spent, [what]: this.#spent[what] + 1 };
  }

  #takeOf(what: string, server: SmallServer, more: string): void {
    const { nowMs } = server;
    switch (what) {
      case "look":
        // Twice: one that was silent since the last look says something.
        this.#tick(server, 0);
        this.#tick(server, 0);
        return;
      case "disk":
        this.#doJob(server);
        return;
      case "read":
        server.readingSince = null;
        this.#turn(server, (replica) => replica.onRegistryRead(this.#found(Number(more)), nowMs));
        return;
      case "reread":
      case "poll":
        if (what === "reread") this.#spend("reads");
        this.#turn(server, (replica) => replica.membership.read(nowMs));
        return;
      case "miss":
        this.#network.dropHeartbeats(more, server.name);
        this.#turn(server, (replica) => {
          replica.onLink(more, "main", false, nowMs);
          replica.onLink(more, "failsafe", false, nowMs);
        });
        return;
      case "snapshot":
        this.#snapshot(server);
        return;
      case "start":
        this.#spend("starts");
        this.#start(server);
        return;
      case "request":
        this.#spend("requests");
        this.#request(server, String(this.requests));
        return;
      case "resend":
        this.#spend("resends");
        this.#request(server, more);
        return;
      case "query":
        this.#spend("queries");
        this.#query(server, `q${this.#spent.queries}`);
        return;
      case "switch":
        this.#spend("switches");
        this.#turn(server, (replica) => void replica.onSwitch(nowMs));
        return;
      case "stop":
        this.#spend("stops");
        this.#turn(server, (replica) => replica.onStop(nowMs));
        return;
      default:
        this.#fault(what, server, more);
    }
  }

  #fault(what: string, server: SmallServer, more: string): void {
    switch (what) {
      case "silence":
        this.#spend("silences");
        this.#silence(server, more);
        return;
      case "crash":
        this.#spend("crashes");
        if (more === "late") server.write(server.replica?.log.closed.sequence ?? 0);
        server.end();
        return;
      case "fail":
        this.#spend("diskFailures");
        server.jobs = [];
        this.#turn(server, (replica) => replica.onDiskFailed("the disk failed"));
        return;
      default:
        throw new Error(`there is no choice "${what}"`);
    }
  }

  // --- servers ----------------------------------------------------------------------------------------------------

  #start(server: SmallServer): void {
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
      life: lives,
      history,
      epochSeen: epoch,
      memberEpoch,
      log: server.disk.clone(),
      requests: emptyTable(),
      committed: 0,
      published: 0,
      oldestOnDisk: 1,
    };
    server.replica = new Replica(options, recovered, nowMs);
    this.#turn(server, (replica) => {
      replica.onBus(true, nowMs);
      replica.start(nowMs);
    });
  }

  #turn(server: SmallServer, input: (replica: Replica) => void): void {
    const { replica } = server;
    if (replica === null) return;
    input(replica);
    replica.endTurn(server.nowMs, 0);
    replica.release((to, bytes) => this.#checks.onReply(replica, to, bytes));
    const entries = replica.outbox.splice(0);
    for (const entry of entries) if (server.replica === replica) this.#perform(server, replica, entry);
    // Only what is done at once is reported back at once.
    if (entries.some(({ type }) => type === "reload" || type === "saveEpoch")) this.#turn(server, () => {});
  }

  #perform(server: SmallServer, replica: Replica, entry: Outbox): void {
    switch (entry.type) {
      case "send":
        this.#network.send(server.name, entry.to, entry.message, Buffer.concat(entry.payload));
        return;
      case "sync":
      case "saveEpoch":
      case "saveHistory":
      case "truncate":
        server.addJob(entry);
        if (this.#scope.bounds.slowDisk === 0) server.doQuickJobs((saved) => replica.onEpochSaved(saved));
        return;
      case "compareAndSet":
        this.#registry.ask(server.name, replica.self, entry.record, entry.expectedRevision);
        return;
      case "readRegistry":
        server.readingSince = this.#registry.revision;
        return;
      case "reload":
        replica.onReloaded(emptyTable(), server.nowMs);
        return;
      case "receiveSnapshot":
        server.snapshot = { peer: entry.peer, session: entry.session };
        return;
      case "hot":
        this.#checks.onHot(replica);
        return;
      case "restart":
        server.end();
        return;
      case "exit":
        this.#checks.onStopped(replica.self);
        server.hasStopped = true;
        server.end();
        return;
      case "fail":
        server.end();
        return;
      default:
    }
  }

  #tick(server: SmallServer, afterMs: number): void {
    server.nowMs += afterMs;
    this.#turn(server, (replica) => replica.onTick(server.nowMs, 0));
  }

  /** `other`: the only one that is not heard; all of them if it is empty. */
  #silence(server: SmallServer, other: string): void {
    server.nowMs += silenceMs;
    const { name, nowMs } = server;
    for (const peer of this.#servers.values()) {
      const heartbeat = this.#network.newestHeartbeat(peer.name, name);
      if (other === "" || peer.name === other || peer.replica === null || heartbeat === undefined) continue;
      const message = this.#network.deliver(heartbeat);
      this.#turn(server, (replica) => replica.onMessage(peer.name, "failsafe", message, noBytes, nowMs));
    }
    this.#tick(server, 0);
  }

  /** The disk does the oldest of its jobs. */
  #doJob(server: SmallServer): void {
    const job = server.doJob();
    if (job?.type === "sync") this.#turn(server, (replica) => replica.onSynced(job.through, server.nowMs));
    else if (job?.type === "saveEpoch") this.#turn(server, (replica) => replica.onEpochSaved(job));
  }

  /** Of its primary's committed log, taken whole into a new life; or, where that one is not hot any more, it ends. */
  #snapshot(server: SmallServer): void {
    const { peer, session } = server.snapshot ?? { peer: "", session: "" };
    const from = this.#servers.get(peer)?.replica ?? null;
    server.snapshot = null;
    if (from === null || !from.hot) {
      this.#turn(server, (replica) => replica.onSnapshotEnded(session, server.nowMs));
      return;
    }
    server.adopt(from.log, from.committed, from.history);
    server.end();
    this.#start(server);
  }

  // --- clients ----------------------------------------------------------------------------------------------------

  #request(server: SmallServer, id: string): void {
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
    this.#turn(server, (replica) => {
      const running = replica.intake.onRequest(arrival, 0, replica);
      if (running !== null)
        replica.intake.finish(running, { name: "t", effects: noBytes, outcome: '"ok":true,"result":0' }, replica);
    });
  }

  /** As the application's actor does it: what the log says now is the answer, when it may leave. */
  #query(server: SmallServer, id: string): void {
    this.#turn(server, (replica) => {
      this.#checks.onQuery(id, replica);
      replica.intake.answerProven(id, Buffer.from(id), replica.log.last, replica);
    });
  }

  // --- messages and the registry ----------------------------------------------------------------------------------

  #deliver(sent: Sent): void {
    const { from, to, payload } = sent;
    const message = this.#network.deliver(sent);
    const server = this.#change(to);
    this.#turn(server, (replica) => replica.onMessage(from, "failsafe", message, payload, server.nowMs));
  }

  #isAlive(cas: OpenCas): boolean {
    return this.#server(cas.by).replica?.self === cas.incarnation;
  }

  /** Its sender is told how it ended, or that no answer came. */
  #answer(cas: OpenCas, isLate: boolean): void {
    this.#registry.tell(cas);
    const answer = isLate || cas.answer === null ? ({ outcome: "unknown", reason: "timeout" } as const) : cas.answer;
    const server = this.#change(cas.by);
    this.#turn(server, (replica) => replica.onCasAnswer(cas.record.writeId, answer, server.nowMs));
  }

  #found(revision: number): { outcome: "found"; record: RegistryRecord; revision: number } {
    return { outcome: "found", record: this.#registry.at(revision), revision };
  }

  /** Nothing is under way any more. */
  forgetMessages(): void {
    this.#network.clear();
  }
  /** From here on what happens counts. */
  beginCounting(): void {
    this.#earlier = this.requests;
    this.#spent = nothing;
  }
}

function emptyTable(): RequestTable {
  return new RequestTable({ through: 0, resultNumber: 0, floorMs: -1 });
}
