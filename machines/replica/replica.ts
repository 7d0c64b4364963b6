/**
 * The replica: the one owner of log, commit point, duplicates, membership and outbox; every rule of PROTOCOL.md has its
 * place here or in a file beside it. Messages and facts go in through `on…`, with the time; what must be done comes out
 * of `outbox`, in order. It touches no world: it can be cloned, simulated and explored.
 *
 * The caller's duties: deliver inputs one at a time; call `endTurn` after each batch of them; perform the outbox in its
 * order; report back. The hot path (`intake`, `endTurn`, `release`) sends no event through a machine: it reads the
 * fields that the last transition set.
 */
import type { Member, Mode, Position, RegistryRecord } from "../../schemas/registry.ts";
import type { Limits, Settings } from "../../schemas/settings.ts";
import type { Heartbeat, PeerMessage } from "../codec/message.ts";
import { RecordReader, recordKinds } from "../codec/record.ts";
import {
  type LifecycleAction,
  type LifecycleEvent,
  type LifecycleSnapshot,
  lifecycleStep,
  startingLifecycle,
  stateName,
} from "../lifecycle.ts";
import type { LogBatch } from "../log/batch.ts";
import type { MemoryLog } from "../log/memory-log.ts";
import { isMirrorComplete, isMirrorStalled } from "../mirror.ts";
import { type Following, onAccept, onMirror, startFollowing } from "./following.ts";
import { Intake, type IntakeView, type ReplySink } from "./intake.ts";
import { type CasAnswer, type KnownRecord, Membership, type Settlement } from "./membership.ts";
import { type MirrorView, onConfirm, onFollow, onLogRead, pump, sendAgain } from "./mirroring.ts";
import type { Outbox } from "./outbox.ts";
import { type LinkName, type Peer, Peers, stepMirror } from "./peers.ts";
import type { RequestTable } from "./requests.ts";
import { type Rules, shippedRules } from "./rules.ts";
import { consultTable, type Presence, type Verdict } from "./start-table.ts";

export interface ReplicaOptions {
  readonly self: Member;
  readonly service: string;
  /** Names of all configured servers, this one included. */
  readonly servers: readonly string[];
  /** Digest of application and schemas (claim 12). */
  readonly schema: string;
  readonly limits: Limits;
  readonly confirm: Settings["confirm"];
  readonly afterTotalLoss: Settings["afterTotalLoss"];
  readonly rules?: Rules;
}

/** What this server's disk gave. */
export interface Recovered {
  /** Starts of this server so far, this one included. */
  readonly life: number;
  readonly history: string;
  readonly epochSeen: number;
  readonly log: MemoryLog;
  /** Applied through the same record as the tables. */
  readonly requests: RequestTable;
  readonly committed: number;
  /** Results of records up to here reached NATS, as far as the disk knows. */
  readonly published: number;
  readonly oldestOnDisk: number;
}

export type RegistryAnswer =
  | { outcome: "found"; record: RegistryRecord; revision: number }
  | { outcome: "missing" }
  | { outcome: "unavailable"; reason: string };

/** Main is closed and NATS has not said yet that nobody listens: ask again after this time. */
const doubtMs = 2;

export class Replica implements IntakeView, MirrorView {
  readonly outbox: Outbox[] = [];
  readonly options: ReplicaOptions;
  readonly rules: Rules;
  readonly limits: Limits;
  readonly self: string;
  readonly schema: string;
  readonly out: Outbox[] = this.outbox;
  log: MemoryLog;
  requests: RequestTable;
  intake = new Intake();
  peers: Peers;
  membership: Membership;
  following: Following | null = null;

  // What the last transition set: the hot path reads these.
  hot = false;
  fenced = false;
  /** No new request is taken: the role is being handed over, or the server stops. */
  held = false;
  epoch = 0;
  alone = false;

  history: string;
  committed: number;
  synced: number;
  written: number;
  published: number;
  oldestOnDisk: number;
  inherited = 0;
  /** Number of the newest committed result, on a hot server that has committed what it inherited. */
  committedResults = 0;
  paused = false;
  stopping = false;
  /** Why the last transition happened, and what is waited for: for operators. */
  why = "starts";
  waitingFor = "";

  readonly life: number;
  #snapshot: LifecycleSnapshot = startingLifecycle;
  #state = stateName(this.#snapshot);
  #events: { event: LifecycleEvent; why: string }[] = [];
  #nowMs: number;
  #wallMs = 0;
  #lastTickMs: number;
  #beat = 0;
  #ids = 0;
  #loaded = true;
  #isReady = false;
  #hotSinceMs = 0;
  #epochSinceMs = 0;
  #baseMs = 0;
  #switchWanted = "";
  #switchSinceMs = 0;
  #busConnected = false;
  #busLostMs = 0;
  #probeWanted = 0;
  #isReading = false;
  /** Something rare happened: what is due must be looked at. */
  #due = false;
  #readAskedMs = Number.NEGATIVE_INFINITY;
  #epochSeenAtRead = 0;
  #beatAtRead = 0;
  #verdict: Verdict | null = null;
  #forced = false;
  /** Whom the next compare-and-set leaves out, or takes in. */
  #leavingOut: Member[] = [];
  /** Where the log ended when this server fenced itself: so much must be on the disk before it asks to be alone (rule 2). */
  #fence: Position = { sequence: 0, hash: 0 };
  #takingIn: Member | null = null;
  /** This incarnation asked to be sent the log: a compare-and-set may name it (clean stop). */
  #mayBeNamed = false;
  /** The newest epoch in which this incarnation confirmed anything: a compare-and-set on a later record cannot name it. */
  #confirmedEpoch = 0;
  #released = false;
  /** Ends of batches that are not committed: bytes and what they say to forget. */
  #unconfirmed: { last: number; bytes: number; forget: number; results: number }[] = [];
  #unconfirmedBytes = 0;
  #reader = new RecordReader(new Uint8Array(0));

  constructor(options: ReplicaOptions, recovered: Recovered, nowMs: number) {
    this.options = options;
    this.rules = options.rules ?? shippedRules;
    this.limits = options.limits;
    this.self = options.self.incarnation;
    this.schema = options.schema;
    this.log = recovered.log;
    this.requests = recovered.requests;
    this.life = recovered.life;
    this.history = recovered.history;
    this.committed = Math.max(recovered.committed, recovered.requests.through);
    this.synced = recovered.log.last;
    this.written = recovered.log.last;
    this.published = recovered.published;
    this.oldestOnDisk = recovered.oldestOnDisk;
    this.#nowMs = nowMs;
    this.#lastTickMs = nowMs;
    const others = options.servers.filter((name) => name !== options.self.server);
    this.peers = new Peers(others, options.limits.suspicionMs, nowMs);
    this.membership = new Membership(options.self, this.rules, this.outbox, recovered.epochSeen);
    this.#applyCommitted();
  }

  // --- what others read -------------------------------------------------------------------------------------------

  get state(): string {
    return this.#state;
  }
  get mode(): Mode | null {
    return this.membership.record?.mode ?? null;
  }
  get role(): "primary" | "backup" | "none" {
    if (this.hot) return "primary";
    return this.membership.isNamed && this.#snapshot.hasTag("following") ? "backup" : "none";
  }
  get isFinal(): boolean {
    return this.#snapshot.status === "done";
  }
  /** Whether the server listens for requests. */
  get takesRequests(): boolean {
    return this.hot && !this.held && this.#loaded && !(this.stopping && this.state === "hot.alone");
  }
  get cautious(): boolean {
    return this.#nowMs - this.#hotSinceMs < this.limits.cautionMs;
  }
  get busy(): string {
    if (this.paused) return "intake is paused by an operator";
    if (this.#unconfirmedBytes > this.limits.maxUnconfirmedBytes) return "the backup or the disk does not keep up";
    return "";
  }
  get probe(): number {
    return this.#probeWanted;
  }
  /** Bytes of records not yet synced to this disk, about. */
  get isUnsynced(): boolean {
    return this.synced < this.log.last;
  }
  nextProbe(): number {
    let sent = 0;
    for (const peer of this.peers) sent = Math.max(sent, peer.session?.probed ?? 0);
    if (this.#probeWanted <= sent) this.#probeWanted = sent + 1;
    return this.#probeWanted;
  }

  // --- life -------------------------------------------------------------------------------------------------------

  start(nowMs: number): void {
    this.#time(nowMs);
    this.#dispatch({ type: "store.recovered" }, "the disk was read and is sound");
  }

  #time(nowMs: number): void {
    this.#nowMs = nowMs;
  }

  #dispatch(event: LifecycleEvent, why: string): void {
    this.#events.push({ event, why });
    if (this.#events.length > 1) return;
    while (this.#events.length > 0) {
      const { event: next, why: reason } = this.#events[0] as { event: LifecycleEvent; why: string };
      this.#step(next, reason);
      this.#events.shift();
    }
  }

  #step(event: LifecycleEvent, why: string): void {
    const from = this.state;
    const [snapshot, actions] = lifecycleStep(this.#snapshot, event);
    this.#snapshot = snapshot;
    this.#refresh();
    const to = this.state;
    if (from === to && actions.length === 0) return;
    this.why = why;
    this.waitingFor = "";
    this.#due = true;
    this.outbox.push({ type: "event", event: event.type, from, to, why });
    for (const action of actions) this.#perform(action, why);
    this.#refresh();
  }

  /** Sets what the hot path reads. */
  #refresh(): void {
    this.#state = stateName(this.#snapshot);
    this.hot = this.#snapshot.hasTag("hot");
    this.fenced = this.#snapshot.hasTag("fenced");
    this.held = this.#snapshot.hasTag("held");
    this.epoch = this.membership.epoch;
    this.alone = this.rules.isAlone(this.membership.configurations(), this.self);
  }

  #perform(action: LifecycleAction, why: string): void {
    const { outbox, membership } = this;
    const record = membership.record;
    const position: Position = { sequence: this.log.closed.sequence, hash: this.log.closed.hash };
    switch (action) {
      case "consult":
        this.#verdict = null;
        this.#readRegistry();
        return;
      case "syncAll":
        this.#closeBatch();
        this.#fence = { sequence: this.log.closed.sequence, hash: this.log.closed.hash };
        outbox.push({ type: "sync", through: this.#fence.sequence });
        this.#checkSynced();
        return;
      case "proposeClaim":
        membership.propose({
          ...this.#sole(),
          mode: record?.mode === "backup-only" ? "backup-only" : "primary-only",
          base: position,
        });
        return;
      case "proposeNewHistory": {
        const keeps = this.options.confirm === "synced" && !this.#forced;
        const history = keeps ? (record?.history ?? "") : this.#newId("h");
        membership.propose({ ...this.#sole(), mode: "primary-only", base: position, history });
        return;
      }
      case "proposeTakeover":
        membership.propose(this.#without(this.#leavingOut, position, "backup-only"));
        return;
      case "proposeRemoval":
        for (const member of this.#leavingOut) {
          this.peers.noteRemoval(member.server, this.#nowMs);
        }
        // What was appended after the fence was confirmed by nobody, and may not be on the disk yet.
        membership.propose(
          this.#without(this.#leavingOut, this.state === "hot.fencing.asking" ? this.#fence : position, "primary-only"),
        );
        return;
      case "proposeRoles":
        membership.propose({ primary: this.options.self, mode: "normal", durability: "memory" });
        return;
      case "proposeAddition": {
        const joiner = this.#takingIn as Member;
        const stay = (record?.inSync ?? []).filter((member) => member.server !== joiner.server);
        membership.propose({ inSync: [...stay, joiner], mode: "normal", durability: "memory" });
        return;
      }
      case "proposeBase":
        this.#baseMs = this.#nowMs;
        membership.propose({ base: { sequence: this.synced, hash: this.log.hashAt(this.synced) ?? position.hash } });
        return;
      case "follow":
        this.#follow();
        return;
      case "unfollow":
        this.following = null;
        return;
      case "becomeHot":
        this.#becomeHot();
        return;
      case "becomeCold":
        this.#becomeCold();
        return;
      case "offerHandover":
        this.#switchSinceMs = this.#nowMs;
        return;
      case "restart":
        outbox.push({ type: "restart" });
        return;
      case "exit":
        outbox.push({ type: "exit" });
        return;
      case "fail":
        outbox.push({ type: "fail", why });
        return;
    }
  }

  #newId(kind: string): string {
    this.#ids += 1;
    return `${this.self}.${kind}${this.#ids}`;
  }

  #sole(): Partial<RegistryRecord> {
    return { primary: this.options.self, inSync: [this.options.self], durability: "disk", schema: this.schema };
  }

  /** The known configuration without some members; alone it means the disk. */
  #without(members: readonly Member[], position: Position, aloneMode: Mode): Partial<RegistryRecord> {
    const isOut = (member: Member) => members.some((other) => this.rules.isSameMember(member, other));
    const stay = (this.membership.record?.inSync ?? []).filter((member) => !isOut(member));
    const alone = stay.length === 1;
    return {
      primary: this.options.self,
      inSync: stay,
      mode: alone ? aloneMode : "normal",
      durability: alone ? "disk" : "memory",
      ...(alone ? { base: position } : {}),
    };
  }

  // --- going hot and cold -----------------------------------------------------------------------------------------

  #becomeHot(): void {
    this.#hotSinceMs = this.#nowMs;
    this.#epochSinceMs = this.#nowMs;
    this.#baseMs = this.#nowMs;
    this.#isReady = false;
    this.#switchWanted = "";
    this.inherited = this.log.last;
    if (this.#loaded) this.#serve();
    this.#sendHeartbeats();
  }

  /** The application's state is whole: apply the tail, take requests, resume what was begun (claims 34, 36). */
  #serve(): void {
    const history = this.membership.record?.history ?? this.history;
    const isNewHistory = this.history !== history && this.log.last > 0;
    if (this.history !== history) this.outbox.push({ type: "saveHistory", history });
    this.history = history;
    this.epoch = this.membership.epoch;
    this.#observe(this.log.last);
    this.outbox.push({ type: "apply", through: this.log.last });
    this.committedResults = isNewHistory ? 0 : this.requests.resultNumber;
    if (isNewHistory) this.#appendHistory();
    // Results of an earlier history are never published, or published again, as this one's.
    this.published = Math.max(this.published, this.requests.historyStart);
    this.outbox.push({
      type: "hot",
      epoch: this.membership.epoch,
      publishAfter: this.rules.publishFrom(this.published) - 1,
    });
    const begunRequests = Array.from(this.requests.begun.values());
    for (const begun of begunRequests) {
      if (begun.completed.length === 0) continue;
      const request = this.intake.resumable(begun, this.rules.completed(begun.completed));
      this.intake.begin(request, begun.attempts, true, this);
    }
  }

  #appendHistory(): void {
    const sequence = this.log.last + 1;
    const start = this.log.append({
      kind: recordKinds.history,
      ordinal: 0,
      epoch: this.epoch,
      sequence,
      resultNumber: 0,
      stampMs: this.#wallMs,
      forgottenThrough: 0,
      bodyHash: 0,
      client: "",
      id: "",
      key: "",
      name: this.history,
      effects: new Uint8Array(0),
      reply: "",
      body: "",
    });
    this.requests.observeOwn(this.log.arena, start, "");
  }

  #becomeCold(): void {
    this.log.close();
    this.intake.clear();
    this.#unconfirmed = [];
    this.#unconfirmedBytes = 0;
    for (const peer of this.peers) stepMirror(peer, { type: "session.ended" });
    this.outbox.push({ type: "cold" });
    if (this.requests.through > this.committed) {
      this.#loaded = false;
      this.outbox.push({ type: "reload" });
    }
  }

  /** The application's state and the request table were built again from disk, through `requests.through`. */
  onReloaded(requests: RequestTable, nowMs: number): void {
    this.#time(nowMs);
    this.requests = requests;
    this.#loaded = true;
    this.#applyCommitted();
    if (this.hot) this.#serve();
  }

  // --- the log and the commit point -------------------------------------------------------------------------------

  last(): number {
    return this.log.last;
  }
  confirmed(incarnation: string): number {
    return this.peers.sessionOf(incarnation)?.confirmed ?? 0;
  }

  /** The table of requests learns of records through here. */
  #observe(through: number): void {
    const { requests } = this;
    if (requests.through >= through) return;
    for (const batch of this.log.batches(requests.through + 1, through)) {
      const bytes = Buffer.from(batch.bytes.buffer, batch.bytes.byteOffset, batch.bytes.byteLength);
      this.#reader.over(bytes, 0);
      do {
        requests.observe(this.#reader, bytes);
        if (this.#reader.sequence <= this.committed) requests.forget(this.#reader.forgottenThrough);
        else requests.expectForget(this.#reader.forgottenThrough);
      } while (this.#reader.next());
    }
  }

  /** A server that is not hot applies what is committed, and no more (rule 6). */
  #applyCommitted(): void {
    if (!this.#loaded || this.hot) return;
    const through = this.rules.mayApply(this.log.last, this.committed);
    if (through <= this.requests.through) return;
    this.#observe(through);
    this.outbox.push({ type: "apply", through });
  }

  #advance(): void {
    const { membership } = this;
    if (!this.hot || !this.rules.mayCommit(this.fenced) || membership.wasLost || !membership.isEpochSaved) return;
    const { closed } = this.log;
    const progress = {
      self: this.self,
      last: closed.sequence,
      synced: this.synced,
      confirmed: (incarnation: string) => this.confirmed(incarnation),
    };
    let point = this.rules.commitPoint(membership.configurations(), progress);
    if (this.options.confirm === "synced") point = Math.min(point, this.synced);
    if (this.options.confirm === "written") point = Math.min(point, this.written);
    if (point <= this.committed) return;
    this.committed = point;
    let forget = 0;
    while (this.#unconfirmed.length > 0 && (this.#unconfirmed[0]?.last ?? 0) <= point) {
      const batch = this.#unconfirmed.shift();
      this.#unconfirmedBytes -= batch?.bytes ?? 0;
      forget = batch?.forget ?? 0;
      this.committedResults = batch?.results ?? 0;
    }
    if (forget > 0) this.requests.forget(forget);
  }

  #announce(): void {
    if (this.#isReady || !this.hot || !this.#loaded || this.committed < this.inherited || !this.membership.isEpochSaved)
      return;
    this.#isReady = true;
    this.outbox.push({
      type: "ready",
      signal: {
        signal: "ready",
        service: this.options.service,
        server: this.options.self.server,
        incarnation: this.self,
        epoch: this.epoch,
        history: this.history,
        sequence: this.committed,
      },
    });
  }

  /** After each batch of inputs: closes the batch of records, sends, confirms, commits. */
  endTurn(nowMs: number, wallMs: number): void {
    this.#time(nowMs);
    this.#wallMs = wallMs;
    if (this.hot) {
      this.#closeBatch();
      if (!this.fenced) for (const peer of this.peers) if (!this.peers.isAway(peer)) pump(peer, nowMs, false, this);
      if (this.#mustSync()) this.outbox.push({ type: "sync", through: this.log.last });
      else if (this.options.confirm === "written" && this.written < this.log.last)
        this.outbox.push({ type: "write", through: this.log.last });
      this.#advance();
      this.#announce();
    } else if (this.following !== null) this.#confirm();
    if (this.#due || this.held || this.stopping) this.#consider();
  }

  #closeBatch(): void {
    const batch = this.log.close();
    if (batch !== null) this.#onBatch(batch);
  }

  #onBatch(batch: LogBatch): void {
    this.#unconfirmed.push({
      last: batch.last,
      bytes: batch.bytes.length,
      forget: this.requests.forgetThrough,
      results: this.requests.resultNumber,
    });
    this.#unconfirmedBytes += batch.bytes.length;
    this.requests.chooseForgotten(
      this.limits.rememberReplies,
      this.#wallMs - this.limits.rememberMs,
      2 * (batch.last - batch.first + 1) + 16,
    );
  }

  #mustSync(): boolean {
    if (this.synced >= this.log.last) return false;
    if (this.options.confirm === "synced") return true;
    return this.membership.configurations().some(({ durability }) => durability === "disk");
  }

  /** Replies that may leave now. */
  release(sink: ReplySink): void {
    if (!this.hot || this.membership.wasLost) return;
    this.intake.release(this.committed, this.#echoed(), this.rules, sink);
  }

  #echoed(): number {
    let echoed = Number.POSITIVE_INFINITY;
    for (const incarnation of this.rules.otherMembers(this.membership.configurations(), this.self))
      echoed = Math.min(echoed, this.peers.sessionOf(incarnation)?.echoed ?? 0);
    return echoed;
  }

  onSynced(sequence: number, nowMs: number): void {
    this.#time(nowMs);
    this.synced = Math.max(this.synced, Math.min(sequence, this.log.last));
    this.written = Math.max(this.written, this.synced);
    if (this.following !== null && this.options.confirm !== "memory") this.following.owesConfirm = true;
    this.#checkSynced();
    if (this.state === "hot.alone" || this.state.endsWith("syncing")) this.#due = true;
  }
  onWritten(sequence: number, nowMs: number): void {
    this.#time(nowMs);
    this.written = Math.max(this.written, Math.min(sequence, this.log.last));
    if (this.following !== null && this.options.confirm === "written") this.following.owesConfirm = true;
  }
  #checkSynced(): void {
    if (this.rules.isSyncedForCas(this.synced, this.#fence.sequence))
      this.#dispatch({ type: "disk.synced" }, "everything appended is on the disk");
  }
  onEpochSaved(epoch: number): void {
    this.membership.onEpochSaved(epoch);
    if (this.following !== null) this.following.owesConfirm = true;
  }
  onPublished(sequence: number): void {
    this.published = Math.max(this.published, sequence);
  }
  /** Log below this was dropped from the disk, and memory may drop it too. */
  onFlushed(applied: number, oldestOnDisk: number): void {
    this.oldestOnDisk = oldestOnDisk;
    const through = Math.min(applied, this.committed, this.requests.through, this.published);
    this.requests.done.compact(through);
    this.log.trim(through, this.limits.maxRetainedBytes);
  }
  onDiskFailed(why: string): void {
    this.#dispatch({ type: "disk.failed" }, why);
  }

  // --- messages ---------------------------------------------------------------------------------------------------

  onMessage(from: string, link: LinkName, message: PeerMessage, payload: Uint8Array, nowMs: number): void {
    this.#time(nowMs);
    const peer = this.peers.get(from);
    if (peer === undefined || this.isFinal) return;
    this.peers.onHeard(from, link, nowMs);
    switch (message.type) {
      case "heartbeat":
        this.#onHeartbeat(peer, link, message);
        return;
      case "follow":
        if (this.hot && this.#loaded && message.to === this.self) onFollow(peer, message, nowMs, this);
        return;
      case "accept":
        this.#onAccept(message);
        return;
      case "decline":
        if (this.following?.session === message.session && !this.following.accepted)
          this.#onDecline(peer, message.reason);
        return;
      case "mirror":
        this.#onMirror(message, payload);
        return;
      case "confirm":
        if (this.hot && peer.session !== null && onConfirm(peer.session, message, nowMs, this)) {
          this.#advance();
          this.#considerJoiner(peer);
        }
        return;
      case "leave":
        peer.leaving = message.from;
        this.#answerLeave(peer);
        return;
      case "left":
        if (message.to === this.self && message.epoch >= this.membership.epoch) this.#released = true;
        return;
      case "handover":
        this.#onHandover(message.from, message.to, message.epoch, message);
        return;
      default:
    }
  }

  #onHeartbeat(peer: Peer, link: LinkName, message: Heartbeat): void {
    const echo = message.heard[this.options.self.server];
    const mainBeat = echo?.incarnation === this.self ? echo.mainBeat : 0;
    if (!this.peers.onHeartbeat(peer.name, link, message, mainBeat, this.#nowMs)) return;
    if (
      message.record !== undefined &&
      message.revision !== undefined &&
      message.record.service === this.options.service
    ) {
      // A deposed primary that does not know it tells an older record than this server has seen: it is not followed.
      const { epochSeen, known } = this.membership;
      const { epoch } = message.record;
      const isNews = epoch > epochSeen || (known === null && !this.rules.wentBack(epoch, epochSeen));
      if (isNews || this.membership.open !== null)
        this.#onFound({ record: message.record, revision: message.revision });
    }
    if (this.membership.isBehind(message.epochSeen)) this.#readRegistry();
  }

  #onAccept(message: Extract<PeerMessage, { type: "accept" }>): void {
    const { following } = this;
    if (following === null || message.to !== this.self) return;
    const last = this.log.last;
    const outcome = onAccept(following, message, this.log, this.committed, this.rules);
    if (outcome === "differs") {
      this.#onDifference(following);
      return;
    }
    if (outcome === "ignored") return;
    following.heardMs = this.#nowMs;
    if (this.log.last < last) this.outbox.push({ type: "truncate", after: this.log.last });
    this.synced = Math.min(this.synced, this.log.last);
    this.written = Math.min(this.written, this.log.last);
    const history = this.membership.record?.history ?? this.history;
    if (history !== this.history) this.outbox.push({ type: "saveHistory", history });
    this.history = history;
  }

  /** Both logs name a record alike and hold another one: this one is asked for nothing more (rule 7). */
  #onDifference(following: Following): void {
    this.why = `this log differs from ${following.primary.server}'s: takes a snapshot`;
    this.history = "differs";
    this.#startFollowing(following.primary);
  }

  #onDecline(peer: Peer, reason: string): void {
    const { following } = this;
    if (following === null) return;
    following.declined = reason;
    if (reason === "snapshot" && !following.snapshot) {
      following.snapshot = true;
      this.outbox.push({ type: "receiveSnapshot", peer: peer.name, session: following.session });
    }
    if (reason === "schema")
      this.waitingFor = `${peer.name} runs another application or schema: start the same program on all servers`;
  }

  /** The snapshot did not come through: ask again. */
  onSnapshotEnded(session: string, nowMs: number): void {
    this.#time(nowMs);
    if (this.following?.session === session) this.#startFollowing(this.following.primary);
  }

  #onMirror(message: Extract<PeerMessage, { type: "mirror" }>, payload: Uint8Array): void {
    const { following } = this;
    if (following === null || !following.accepted) return;
    const facts = {
      session: following.session,
      epoch: this.membership.epoch,
      self: this.self,
      primary: following.primary.incarnation,
    };
    if (!this.rules.mirrorFits(message, facts)) return;
    following.heardMs = this.#nowMs;
    const outcome = onMirror(following, message, payload, this.log);
    if (outcome === "differs") {
      this.#onDifference(following);
      return;
    }
    if (outcome === "appended" && this.options.confirm !== "memory")
      this.outbox.push({ type: this.options.confirm === "synced" ? "sync" : "write", through: this.log.last });
    this.published = Math.max(this.published, Math.min(message.published, this.committed));
    const committed = Math.min(message.committed, this.log.last);
    if (committed > this.committed && following.verified) {
      this.committed = committed;
      this.#applyCommitted();
    }
  }

  #confirm(): void {
    const { following, membership } = this;
    if (following === null || !following.verified || !following.owesConfirm) return;
    if (!this.rules.mayConfirm(this.fenced, membership.open !== null) || !membership.isEpochSaved) return;
    if (this.stopping && !membership.isNamed) return;
    this.#confirmedEpoch = membership.epoch;
    let sequence = this.log.last;
    if (this.options.confirm === "synced") sequence = this.synced;
    if (this.options.confirm === "written") sequence = this.written;
    const peer = this.peers.get(following.primary.server);
    const hash = this.log.hashAt(sequence);
    if (peer === undefined || hash === undefined) return;
    this.outbox.push({
      type: "send",
      to: peer.name,
      link: this.peers.linkTo(peer),
      payload: [],
      message: {
        type: "confirm",
        session: following.session,
        epoch: membership.epoch,
        from: this.self,
        to: following.primary.incarnation,
        sequence,
        hash,
        probe: following.probe,
        gap: following.gap,
      },
    });
    following.owesConfirm = false;
    following.gap = false;
  }

  #onHandover(from: string, to: string, epoch: number, at: { sequence: number; hash: number }): void {
    const { following } = this;
    const fits =
      following?.accepted === true &&
      following.primary.incarnation === from &&
      to === this.self &&
      epoch === this.membership.epoch;
    if (
      !fits ||
      this.state !== "following.warm" ||
      this.stopping ||
      !this.#busConnected ||
      this.membership.frozen !== "" ||
      !this.#loaded
    )
      return;
    if (this.log.last !== at.sequence || this.log.hashAt(at.sequence) !== at.hash || !this.membership.isEpochSaved)
      return;
    this.committed = at.sequence;
    this.#applyCommitted();
    this.#dispatch({ type: "handover.offered" }, `${following?.primary.server} hands the role over`);
  }

  /** A server that leaves may go when neither the record nor an open compare-and-set names it. */
  #answerLeave(peer: Peer): void {
    const { record, open } = this.membership;
    if (!this.hot || record === null || open !== null) return;
    if (record.inSync.some((member) => member.incarnation === peer.leaving)) return;
    if (peer.session?.incarnation === peer.leaving) stepMirror(peer, { type: "session.ended" });
    const message: PeerMessage = { type: "left", from: this.self, to: peer.leaving, epoch: this.membership.epoch };
    this.outbox.push({ type: "send", to: peer.name, link: this.peers.linkTo(peer), message, payload: [] });
  }

  onLink(peer: string, link: LinkName, isUp: boolean, nowMs: number): void {
    this.#time(nowMs);
    if (!isUp) this.peers.onLinkClosed(peer, link, nowMs);
    if (link === "main") this.#sendHeartbeats();
    this.#due = true;
  }

  onLogRead(name: string, session: string, batches: readonly LogBatch[]): void {
    const peer = this.peers.get(name);
    if (peer !== undefined && this.hot) onLogRead(peer, session, batches, this);
  }

  // --- the registry -----------------------------------------------------------------------------------------------

  #readRegistry(): void {
    if (this.#isReading) return;
    this.#isReading = true;
    this.#readAskedMs = this.#nowMs;
    this.#epochSeenAtRead = this.membership.epochSeen;
    this.outbox.push({ type: "readRegistry" });
  }

  onRegistryRead(answer: RegistryAnswer, nowMs: number): void {
    this.#time(nowMs);
    this.#isReading = false;
    if (answer.outcome === "unavailable") {
      if (!this.hot && this.following === null) this.waitingFor = `cannot read the registry: ${answer.reason}`;
      return;
    }
    const frozen = this.membership.frozen;
    this.membership.judge(answer.outcome === "missing" ? null : answer.record.epoch, this.#epochSeenAtRead);
    if (this.membership.frozen === "" && this.waitingFor === frozen) this.waitingFor = "";
    if (this.membership.frozen !== "" && !this.#forced) this.waitingFor = this.membership.frozen;
    if (answer.outcome === "missing") {
      if (this.membership.frozen === "" && this.membership.known === null)
        this.#dispatch(
          { type: "verdict.refuse" },
          "the registry has no record of this service: create it with `twinlog init`",
        );
      return;
    }
    if (this.membership.frozen === "" || this.membership.known === null)
      this.#onFound({ record: answer.record, revision: answer.revision });
    this.membership.force();
    if (this.membership.wasLost) this.#readRegistry();
    this.#consult();
  }

  onCasAnswer(writeId: string, answer: CasAnswer, nowMs: number): void {
    this.#time(nowMs);
    this.#onSettlement(this.membership.onCasAnswer(writeId, answer));
    if (this.membership.mustRead) this.#readRegistry();
  }

  #onFound(found: KnownRecord): void {
    this.#onSettlement(this.membership.onFound(found));
  }

  #onSettlement(settlement: Settlement): void {
    if (settlement === null) return;
    const { record } = this.membership;
    if (record === null) return;
    this.#epochSinceMs = this.#nowMs;
    this.#beatAtRead = this.#beat;
    this.#refresh();
    for (const peer of this.peers)
      if (peer.session !== null)
        stepMirror(peer, { type: this.isInSync(peer.session.incarnation) ? "member.added" : "member.removed" });
    const settled = record.inSync.length === 1 ? "cas.won.alone" : "cas.won.normal";
    if (settlement === "won" && this.membership.isPrimary)
      this.#dispatch({ type: settled }, `won epoch ${record.epoch}`);
    else this.#onForeign(record);
    if (this.following !== null) this.following.owesConfirm = true;
    if (this.hot) this.#sendHeartbeats();
  }

  /** Somebody else's record, or an older one of this server's that another has replaced. */
  #onForeign(record: RegistryRecord): void {
    const named = this.membership.isNamed;
    const why = `epoch ${record.epoch}: ${record.primary.server} is the primary`;
    if (this.hot) {
      this.#dispatch({ type: named ? "deposed.named" : "deposed.unnamed" }, why);
      return;
    }
    if (this.#snapshot.hasTag("fenced")) {
      this.#dispatch({ type: named ? "cas.lost.named" : "cas.lost.unnamed" }, why);
      return;
    }
    if (this.following === null) return;
    if (!this.rules.isSameMember(this.following.primary, record.primary))
      this.#dispatch({ type: "record.primaryChanged" }, why);
    if (named) this.#dispatch({ type: "record.named" }, `epoch ${record.epoch}: in sync`);
    else this.#dispatch({ type: "record.dropped" }, `epoch ${record.epoch}: no longer in sync`);
  }

  /** The start table, for a server that is no member and follows nobody. */
  #consult(): void {
    const { record } = this.membership;
    if (record === null || this.membership.open !== null) return;
    if (this.state !== "consulting" && this.state !== "waiting" && this.state !== "refusing") return;
    if (this.membership.frozen !== "" && !this.#forced) {
      this.#dispatch({ type: "verdict.refuse" }, this.membership.frozen);
      return;
    }
    if (this.#forced && !this.stopping) {
      this.#dispatch({ type: "verdict.newHistory" }, "recovered by force: what this server does not have is lost");
      return;
    }
    const verdict = consultTable({
      record,
      self: this.options.self,
      schema: this.schema,
      disk: {
        history: this.history,
        lastEpoch: this.log.lastEpoch,
        last: this.log.last,
        hashAtBase: this.#hashAtBase(record),
      },
      present: this.#present(),
      configured: this.options.servers,
      afterTotalLoss: this.options.afterTotalLoss,
      limits: this.limits,
      rules: this.rules,
    });
    // One that stops begins nothing more; but where the registry counts on its memory it must give that to its disk first.
    if (this.stopping && verdict.event !== "verdict.member") return;
    const isNew = verdict.event !== this.#verdict?.event || verdict.why !== this.#verdict.why;
    this.#verdict = verdict;
    if (isNew) this.#dispatch({ type: verdict.event }, verdict.why);
    if (verdict.event === "verdict.wait" || verdict.event === "verdict.refuse") this.waitingFor = verdict.why;
  }

  /** Below what memory holds the log was checked when the disk was opened: it is dense and of this history. */
  #hashAtBase(record: RegistryRecord): number | undefined {
    if (record.base.sequence < this.log.base.sequence)
      return this.history === record.history ? record.base.hash : undefined;
    return this.log.hashAt(record.base.sequence);
  }

  #present(): Presence[] {
    const present: Presence[] = [];
    for (const peer of this.peers) {
      const { heartbeat } = peer;
      if (heartbeat === null || !this.peers.isPresent(peer.name)) continue;
      const echo = heartbeat.heard[this.options.self.server];
      const proven = echo?.incarnation === this.self && echo.beat > this.#beatAtRead;
      const { incarnation, hot, lastEpoch, last, history } = heartbeat;
      present.push({ server: peer.name, incarnation, hot, lastEpoch, last, history, proven });
    }
    return present;
  }

  // --- following --------------------------------------------------------------------------------------------------

  /** Keeps the session of a primary that is followed already. */
  #follow(): void {
    const { record } = this.membership;
    if (record === null) return;
    if (this.following === null || !this.rules.isSameMember(this.following.primary, record.primary))
      this.#startFollowing(record.primary);
  }

  #startFollowing(primary: Member): void {
    this.following = startFollowing(primary, this.#newId("s"), this.#nowMs);
    this.#askToFollow();
  }

  #askToFollow(): void {
    const { following, membership } = this;
    if (following === null || following.accepted || following.snapshot) return;
    const peer = this.peers.get(following.primary.server);
    if (peer === undefined || peer.heartbeat?.incarnation !== following.primary.incarnation || !peer.heartbeat.hot)
      return;
    if (this.stopping || this.#nowMs - following.askedMs < this.limits.heartbeatMs) return;
    following.askedMs = this.#nowMs;
    this.#mayBeNamed = true;
    this.#released = false;
    this.outbox.push({
      type: "send",
      to: peer.name,
      link: this.peers.linkTo(peer),
      payload: [],
      message: {
        type: "follow",
        session: following.session,
        from: this.self,
        to: following.primary.incarnation,
        epoch: membership.epoch,
        history: this.history,
        schema: this.schema,
        last: this.log.last,
        committed: this.committed,
        epochEnds: this.log.epochEnds,
      },
    });
  }

  // --- time -------------------------------------------------------------------------------------------------------

  onBus(connected: boolean, nowMs: number): void {
    this.#time(nowMs);
    if (this.#busConnected && !connected) this.#busLostMs = nowMs;
    this.#busConnected = connected;
  }

  /** Every `heartbeatMs`, and sooner after a `wake`. */
  onTick(nowMs: number, wallMs: number): void {
    this.#time(nowMs);
    this.#wallMs = wallMs;
    const { heartbeatMs, suspicionMs, registryPollMs } = this.limits;
    if (nowMs - this.#lastTickMs > Math.max(2 * heartbeatMs, suspicionMs / 2)) {
      // This server was paused: what it did not hear says nothing about the others (rule 9).
      this.peers.restartMeasure(nowMs);
      for (const peer of this.peers) if (peer.session !== null) peer.session.progressMs = nowMs;
    }
    this.#lastTickMs = nowMs;
    this.#due = true;
    this.peers.onTick(nowMs);
    if (nowMs - this.#readAskedMs >= registryPollMs || this.membership.mustRead) this.#readRegistry();
    this.#sendHeartbeats();
    if (this.hot && !this.fenced) {
      for (const peer of this.peers) {
        const { session } = peer;
        // Whoever is not heard is not mirrored to (claim 31): it would be the same records again and again, for nobody.
        if (session === null || this.peers.isAway(peer)) continue;
        if (session.sent > session.confirmed && nowMs - session.progressMs > 4 * heartbeatMs) sendAgain(session);
        pump(peer, nowMs, true, this);
        session.quiet = true;
      }
    }
    if (this.following?.accepted && nowMs - this.following.heardMs > suspicionMs)
      this.#startFollowing(this.following.primary);
    this.#askToFollow();
    this.#consult();
    this.#leave();
    this.#consider();
  }

  #sendHeartbeats(): void {
    this.#beat += 1;
    const { known } = this.membership;
    const heard: Heartbeat["heard"] = {};
    for (const { name, heartbeat, mainBeat } of this.peers) {
      if (heartbeat !== null) heard[name] = { incarnation: heartbeat.incarnation, beat: heartbeat.beat, mainBeat };
    }
    const message: Heartbeat = {
      type: "heartbeat",
      incarnation: this.self,
      life: this.life,
      beat: this.#beat,
      heard,
      state: this.state,
      hot: this.hot,
      stopping: this.stopping,
      bus: this.#busConnected,
      epochSeen: this.membership.epochSeen,
      history: this.history,
      lastEpoch: this.log.lastEpoch,
      last: this.log.last,
      committed: this.committed,
      schema: this.schema,
      ...(this.hot && known !== null ? { record: known.record, revision: known.revision } : {}),
    };
    for (const peer of this.peers)
      this.outbox.push({ type: "send", to: peer.name, link: "both", message, payload: [] });
    if (this.peers.anyInDoubt(this.#nowMs)) this.outbox.push({ type: "wake", afterMs: doubtMs });
  }

  #leave(): void {
    // One that handed its role over never asked to follow, and is named all the same.
    const mayBeNamed = this.#mayBeNamed || this.membership.isNamed;
    if (!this.stopping || this.hot || !mayBeNamed || this.#released) return;
    const server = this.membership.record?.primary.server ?? "";
    const peer = this.peers.get(server);
    if (peer === undefined) return;
    this.waitingFor = `${server} to let this server go`;
    this.outbox.push({
      type: "send",
      to: server,
      link: this.peers.linkTo(peer),
      message: { type: "leave", from: this.self },
      payload: [],
    });
  }

  // --- what is due: facts that hold now, told to the machine ------------------------------------------------------

  #consider(): void {
    this.#due = false;
    if (this.isFinal) return;
    const { state } = this;
    const exits = this.#mayExit(state);
    if (exits) {
      this.#dispatch(
        { type: "exit.allowed" },
        "stops: nothing names this server, or it is alone and everything is on its disk",
      );
      return;
    }
    const { record } = this.membership;
    if (record === null || this.membership.open !== null || this.membership.frozen !== "") return;
    if (this.following !== null && this.#snapshot.hasTag("following")) this.#considerPrimary(record);
    else if (state === "candidate.syncing" && !this.peers.isLost(record.primary))
      this.#dispatch({ type: "primary.returned" }, `${record.primary.server} is back`);
    else if (state === "hot.normal" || state === "hot.switching") this.#considerBackups(record, state);
    else if (state === "hot.fencing.syncing" && this.#lostBackups(record).length === 0)
      this.#dispatch({ type: "backup.returned" }, "the backup is back");
    if (state === "hot.alone" || state === "hot.normal") for (const peer of this.peers) this.#considerJoiner(peer);
    const baseIsDue = this.#nowMs - this.#baseMs >= this.limits.baseMs && this.synced > record.base.sequence;
    if (this.state === "hot.alone" && baseIsDue && this.log.hashAt(this.synced) !== undefined)
      this.#dispatch({ type: "base.due" }, "moves the base forward");
  }

  #considerPrimary(record: RegistryRecord): void {
    if (!this.peers.isLost(record.primary)) return;
    const others = record.inSync.filter(
      (member) => member.incarnation !== this.self && !this.rules.isSameMember(member, record.primary),
    );
    const lost = others.filter((member) => this.peers.isLost(member));
    this.#leavingOut = [record.primary, ...lost];
    const alone = others.length === lost.length;
    this.#dispatch(
      { type: alone ? "primary.lost.alone" : "primary.lost.others" },
      `${record.primary.server} is lost: ${this.#lossOf(record.primary)}`,
    );
  }

  #lossOf(member: Member): string {
    const peer = this.peers.get(member.server);
    if (peer === undefined) return "not configured";
    if (peer.heartbeat !== null && peer.heartbeat.incarnation !== member.incarnation) return "it restarted";
    if (this.peers.isGone(peer)) return "its connection closed and NATS knows nobody there";
    if (peer.leaving === member.incarnation) return "it stops";
    return this.peers.isSilent(peer) ? "silent on both links" : "it does not confirm";
  }

  #lostBackups(record: RegistryRecord): Member[] {
    return record.inSync.filter((member) => member.incarnation !== this.self && this.#isLostBackup(member));
  }

  #isLostBackup(member: Member): boolean {
    if (this.peers.isLost(member)) return true;
    const peer = this.peers.get(member.server);
    if (peer?.leaving === member.incarnation) return true;
    const { stalledBackupMs, suspicionMs } = this.limits;
    const session = this.peers.sessionOf(member.incarnation);
    if (session === null) return this.#nowMs - this.#epochSinceMs > stalledBackupMs + suspicionMs;
    if (peer?.session !== session) return false;
    const isStalled = this.#nowMs - session.progressMs > stalledBackupMs && session.sent > session.confirmed;
    stepMirror(peer, { type: isStalled ? "progress.stopped" : "progress.made" });
    return isMirrorStalled(peer.mirror);
  }

  isInSync(incarnation: string): boolean {
    return this.membership.record?.inSync.some((member) => member.incarnation === incarnation) ?? false;
  }

  #considerBackups(record: RegistryRecord, state: string): void {
    const lost = this.#lostBackups(record);
    if (lost.length > 0) {
      this.#leavingOut = lost;
      const alone = record.inSync.length - lost.length === 1;
      const names = lost.map(({ server }) => server).join(", ");
      this.#dispatch(
        { type: alone ? "backup.lost.alone" : "backup.lost.others" },
        `without ${names}: ${this.#lossOf(lost[0] as Member)}`,
      );
      return;
    }
    if (state === "hot.switching") {
      this.#offerHandover(record);
      return;
    }
    const busIsLost = !this.#busConnected && this.#nowMs - this.#busLostMs > this.limits.suspicionMs;
    const heir = this.#heir(record, busIsLost || this.stopping);
    if (heir === null) return;
    if (this.#switchWanted !== "") this.#dispatch({ type: "switch.requested" }, this.#switchWanted);
    else if (this.stopping) this.#dispatch({ type: "switch.requested" }, "this server stops");
    else if (busIsLost) this.#dispatch({ type: "switch.requested" }, "this server lost NATS, the backup has not");
  }

  /** Who may take the role over now. */
  #heir(record: RegistryRecord, needsBus: boolean): Peer | null {
    for (const member of record.inSync) {
      const peer = this.peers.get(member.server);
      if (
        peer?.session?.incarnation === member.incarnation &&
        (!needsBus || peer.heartbeat?.bus) &&
        !peer.heartbeat?.stopping
      )
        return peer;
    }
    return null;
  }

  #offerHandover(record: RegistryRecord): void {
    const heir = this.#heir(record, false);
    if (heir === null || this.#nowMs - this.#switchSinceMs > 4 * this.limits.suspicionMs) {
      this.#switchWanted = "";
      this.#dispatch({ type: "switch.failed" }, "nobody took the role over in time");
      return;
    }
    const { sequence, hash } = this.log.closed;
    if (this.committed < this.log.last || heir.session === null) return;
    const message: PeerMessage = {
      type: "handover",
      from: this.self,
      to: heir.session.incarnation,
      epoch: this.epoch,
      sequence,
      hash,
    };
    this.outbox.push({ type: "send", to: heir.name, link: this.peers.linkTo(heir), message, payload: [] });
  }

  /** Rule 8: takes a follower in once it holds everything. */
  #considerJoiner(peer: Peer): void {
    const { record, open, frozen } = this.membership;
    const { session } = peer;
    if (record === null || open !== null || frozen !== "" || session === null || this.stopping) return;
    if (this.state !== "hot.alone" && this.state !== "hot.normal") return;
    if (this.isInSync(session.incarnation) || peer.leaving === session.incarnation) return;
    if (!this.rules.mayBeAdded(session.confirmed, this.committed, this.inherited) || session.confirmed < session.start)
      return;
    if (!this.rules.isOfThisEpoch(session.confirmedEpoch, this.membership.epoch)) return;
    stepMirror(peer, { type: "tail.reached" });
    if (
      !isMirrorComplete(peer.mirror) ||
      !this.peers.mayRejoin(peer, this.#nowMs) ||
      this.peers.isLost({ server: peer.name, incarnation: session.incarnation })
    )
      return;
    this.#takingIn = { server: peer.name, incarnation: session.incarnation };
    this.#dispatch({ type: "joiner.ready" }, `${peer.name} holds everything`);
  }

  #mayExit(state: string): boolean {
    if (!this.stopping || this.membership.open !== null) return false;
    if (state === "hot.alone")
      return (
        this.committed >= this.log.last &&
        this.synced >= this.log.last &&
        this.intake.inFlight === 0 &&
        this.membership.isEpochSaved
      );
    if (this.hot || this.fenced) return false;
    const isReleased = this.#released || !this.#mayBeNamed || this.#confirmedEpoch < this.membership.epoch;
    return this.rules.mayExit(this.membership.isNamed, isReleased);
  }

  // --- operators --------------------------------------------------------------------------------------------------

  onStop(nowMs: number): void {
    this.#time(nowMs);
    this.stopping = true;
    this.#sendHeartbeats();
    this.#leave();
    this.#consider();
  }

  /** Null when it is under way; else why not. */
  onSwitch(nowMs: number): string | null {
    this.#time(nowMs);
    if (!this.hot) return "this server is not the primary: ask the primary";
    const { record } = this.membership;
    if (this.state !== "hot.normal" || record === null)
      return `no switch in state ${this.state}: a backup must be in sync`;
    if (this.#heir(record, false) === null) return "no backup is ready to take the role";
    this.#switchWanted = "an operator asked for it";
    this.#consider();
    return null;
  }

  /** Null when it is done; else why not. */
  onPause(paused: boolean): string | null {
    if (!this.hot) return "this server is not the primary: ask the primary";
    this.paused = paused;
    return null;
  }

  /** Rule 18. Null when it is under way; else why not. */
  onRecover(nowMs: number): string | null {
    this.#time(nowMs);
    if (this.state !== "waiting" && this.state !== "refusing")
      return `this server is not waiting or refusing, its state is ${this.state}`;
    if (this.membership.known === null)
      return "there is no registry record: create it with `twinlog init`, then recover";
    this.#forced = true;
    this.#readRegistry();
    return null;
  }
}
