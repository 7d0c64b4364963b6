/**
 * The replica: the one owner of log, commit point, duplicates, membership and outbox; every rule of PROTOCOL.md has its
 * place in a file beside this one, which brings them together. Messages and facts go in through `on…`, with the time; what
 * must be done comes out of `outbox`, in order. It touches no world: it can be simulated and explored.
 *
 * The caller's duties: deliver inputs one at a time; call `endTurn` after each batch of them; perform the outbox in its
 * order; report back. The hot path (`intake`, `endTurn`, `release`) sends no event through a machine: it reads the
 * fields that the last transition set.
 */
import type { LastWords } from "../../schemas/death.ts";
import type { Limits } from "../../schemas/settings.ts";
import type { Handover, Heartbeat, PeerMessage } from "../codec/message.ts";
import type { LifecycleAction } from "../lifecycle.ts";
import type { LogBatch } from "../log/batch.ts";
import { type DueView, isAskedInVain, joinerDue, whatIsDue } from "./due.ts";
import type { FollowerView } from "./follower.ts";
import { mayTake, offerRole } from "./handover.ts";
import type { Arrival, IntakeView, ResultPart, TransactionPart } from "./intake.ts";
import { answerLeave, letOthersGo } from "./leaving.ts";
import type { CasAnswer, Settlement } from "./membership.ts";
import { judgeSession, keepUp, noteMembership, onConfirm, onFollow, onLogRead, pump } from "./mirroring.ts";
import type { Namesake } from "./namesakes.ts";
import type { Outbox, SavedEpochs } from "./outbox.ts";
import type { ReplySink } from "./owed-replies.ts";
import type { Parts } from "./parts.ts";
import { type LinkName, type Peer, stepMirror } from "./peers.ts";
import type { Due } from "./plans.ts";
import { type ProposalView, proposed } from "./proposals.ts";
import { whyNoRecovery, whyNoSwitch, whyNotPrimary } from "./refusals.ts";
import type { RequestTable, RunningRequest } from "./requests.ts";
import { type Rules, shippedRules } from "./rules.ts";
import { RunningLifecycle, type Transition } from "./running-lifecycle.ts";
import type { ServingView } from "./serving.ts";
import { meaningOf } from "./settled.ts";
import { Standing } from "./standing.ts";
import { type ReplicaTroubles, troublesOf } from "./troubles.ts";
import type { FlushPoint, Recovered, RegistryAnswer, ReplicaOptions } from "./types.ts";

export class Replica extends Standing implements IntakeView, ServingView, FollowerView, DueView, ProposalView {
  readonly out: Outbox[] = this.outbox;
  readonly options: ReplicaOptions;
  readonly rules: Rules;
  readonly limits: Limits;
  readonly self: string;
  readonly lifecycle = new RunningLifecycle((transition) => this.#onTransition(transition));

  /** No other server can have gone on without this one (commit.ts). */
  alone = false;
  stopping = false;
  /** Why the last transition happened, and what is waited for: for operators. */
  why = "starts";
  waitingFor = "";
  readonly bus = { connected: false, lostMs: 0 };
  nowMs: number;
  wallMs = 0;
  /** Names that were given. */
  ids = 0;
  /** Something rare happened: what is due must be looked at. */
  #mustLook = false;

  constructor(options: ReplicaOptions, start: Recovered | Parts, nowMs: number) {
    super(options, start, nowMs);
    this.options = options;
    this.rules = options.rules ?? shippedRules;
    this.limits = options.limits;
    this.self = options.self.incarnation;
    this.nowMs = nowMs;
  }

  /** In the same state, and on its own from here on. Between inputs; records' bytes, which never change, are shared. */
  clone(): Replica {
    const copy = new Replica(this.options, this, this.nowMs);
    copy.lifecycle.goOnFrom(this.lifecycle);
    copy.alone = this.alone;
    copy.stopping = this.stopping;
    copy.why = this.why;
    copy.waitingFor = this.waitingFor;
    Object.assign(copy.bus, this.bus);
    copy.wallMs = this.wallMs;
    copy.ids = this.ids;
    copy.#mustLook = this.#mustLook;
    return copy;
  }
  /** Something rare happened, and `endTurn` is still to look at what follows. */
  get mustLook(): boolean {
    return this.#mustLook;
  }

  newId(kind: string): string {
    this.ids += 1;
    return `${this.self}.${kind}${this.ids}`;
  }

  // --- life -------------------------------------------------------------------------------------------------------

  /** With each input. A time that is far from the last look says that this server was paused (rule 9), before the input is judged. */
  #at(nowMs: number): void {
    this.nowMs = nowMs;
    const pauseMs = this.peers.notePause(nowMs, this.limits.heartbeatMs);
    if (pauseMs === 0) return;
    this.plans.onPaused(pauseMs, nowMs);
    this.membership.onPaused(nowMs);
    this.follower.onPaused(nowMs);
    if (!this.bus.connected) this.bus.lostMs = nowMs;
  }

  start(nowMs: number): void {
    this.#at(nowMs);
    this.lifecycle.dispatch("store.recovered", "the disk was read and is sound");
  }

  #onTransition({ event, from, to, why, actions }: Transition): void {
    this.why = why;
    this.waitingFor = "";
    this.#mustLook = true;
    this.outbox.push({ type: "event", event, from, to, why });
    for (const action of actions) this.#perform(action, why);
    this.#judgeAlone();
  }

  /** After each change of what the registry says, or is asked to say. */
  #judgeAlone(): void {
    this.alone = this.rules.isAlone(this.membership.configurations(), this.self);
  }

  #perform(action: LifecycleAction, why: string): void {
    switch (action) {
      case "consult":
        this.consultation.renew();
        this.membership.read(this.nowMs);
        return;
      case "syncAll":
        this.#closeBatch();
        this.plans.fence = this.own.position;
        if (this.state !== "deposed") this.membership.vouch();
        this.own.sync(this.plans.fence.sequence, this.outbox);
        this.#checkSynced();
        return;
      case "proposeClaim":
      case "proposeNewHistory":
      case "proposeTakeover":
      case "proposeRoles":
      case "proposeRemoval":
      case "proposeAddition":
      case "proposeBase":
      case "proposePause":
        if (action === "proposeBase") this.plans.baseMs = this.nowMs;
        if (action === "proposeRemoval" || action === "proposeTakeover")
          this.peers.noteRemovals(this.plans.leavingOut, action === "proposeTakeover", this.nowMs);
        this.membership.propose(proposed(action, this));
        return;
      case "leave":
        this.membership.leave();
        return;
      case "follow":
        this.follower.follow(this);
        return;
      case "unfollow":
        if (!this.fenced || !this.rules.mayConfirm(true, false)) this.follower.unfollow();
        return;
      case "becomeHot":
        this.#becomeHot();
        return;
      case "becomeCold":
        this.#becomeCold();
        return;
      case "offerHandover":
        this.plans.switchSinceMs = this.nowMs;
        return;
      case "exit":
        letOthersGo(this);
        this.own.append(this.outbox);
        this.outbox.push({ type: "exit" });
        return;
      case "restart":
        this.outbox.push({ type: "restart" });
        return;
      case "fail":
        this.outbox.push({ type: "fail", why });
        return;
    }
  }

  #becomeHot(): void {
    this.plans.onHot(this.nowMs);
    this.serving.onHot(this);
    if (this.applied.isLoaded) this.serving.begin(this);
    this.heartbeats.send(this);
  }

  #becomeCold(): void {
    this.log.close();
    this.pausing.onCold();
    this.intake.clear();
    this.commitment.clear();
    for (const peer of this.peers) stepMirror(peer, { type: "session.ended" });
    this.outbox.push({ type: "cold" });
    this.applied.onCold(this.own, this.outbox);
  }

  /** The application's state and the request table were built again from disk, through `requests.through`. */
  onReloaded(requests: RequestTable, nowMs: number): void {
    this.#at(nowMs);
    this.applied.onReloaded(requests);
    if (this.hot) this.serving.begin(this);
    else this.applied.follow(this.own, this.rules, this.outbox);
  }

  // --- requests -----------------------------------------------------------------------------------------------------

  /** The request to run now, or null: it is answered, joined, refused, queued behind a record of its attempt, or dropped. */
  onRequest(arrival: Arrival, nowMs: number, wallMs: number): RunningRequest | null {
    this.#at(nowMs);
    if (!this.lifecycle.hot) return null;
    if (this.takesRequests) return this.intake.onRequest(arrival, wallMs, this);
    this.intake.refuse(arrival, "NOT_HOT", "the role is being handed over; send it again", this);
    return null;
  }

  /** What came as a request and is none. The refusal names a limit, or a schema, that another server may not have. */
  onUnreadable(replyTo: string, refusal: Uint8Array, nowMs: number): void {
    this.#at(nowMs);
    if (this.lifecycle.hot) this.intake.answerProven(replyTo, refusal, this.inherited, this);
  }

  /** The sequence at which the query is to be answered now, with `onAnswer`; null: it is refused, or dropped. */
  onQuery(sender: Pick<Arrival, "client" | "id" | "replyTo">, bodyHash: number, nowMs: number): number | null {
    this.#at(nowMs);
    if (!this.lifecycle.hot) return null;
    if (!this.takesRequests) {
      this.intake.refuse(sender, "NOT_HOT", "the role is being handed over; ask again", this);
      return null;
    }
    if (this.deaths.endedByQuery(bodyHash)) {
      this.intake.refuse(sender, "INVALID_REQUEST", "a server died of this query: it is not asked again", this);
      return null;
    }
    return this.log.last;
  }

  /** What a query saw at this sequence: it leaves when that is committed, with a proof (rule 5). */
  onAnswer(replyTo: string, answer: Uint8Array, sequence: number, nowMs: number): void {
    this.#at(nowMs);
    if (this.lifecycle.hot) this.intake.answerProven(replyTo, answer, sequence, this);
  }

  /** The next request to run, whose attempt is on record and committed; null: there is none. */
  nextToStart(): RunningRequest | null {
    return this.lifecycle.hot ? this.intake.nextToStart(this.committed) : null;
  }
  get hasStartable(): boolean {
    return this.lifecycle.hot && this.intake.hasStartable(this.committed);
  }

  /** Its handler goes on after its first turn: duplicates may join it. */
  onHandlerWaits(request: RunningRequest, nowMs: number): void {
    this.#at(nowMs);
    if (this.lifecycle.hot) this.intake.keepRunning(request);
  }

  /** A transaction that is not the request's last one (claim 25). */
  onTransaction(request: RunningRequest, part: TransactionPart, nowMs: number): void {
    this.#at(nowMs);
    if (this.lifecycle.hot) this.intake.transaction(request, part, this);
  }

  /** Its last transaction, with what its sender is told. */
  onResult(request: RunningRequest, part: ResultPart, nowMs: number): void {
    this.#at(nowMs);
    if (this.lifecycle.hot) this.intake.finish(request, part, this);
  }

  /** The check of this request's body ended a server: it is not checked again (rule 17). */
  endedByBody(client: string, id: string): boolean {
    return this.deaths.endedByBody(client, id);
  }

  // --- turns ------------------------------------------------------------------------------------------------------

  /** After each batch of inputs: closes the batch of records, sends, confirms, commits. */
  endTurn(nowMs: number, wallMs: number): void {
    this.#at(nowMs);
    this.wallMs = wallMs;
    if (this.lifecycle.hot) this.#endHotTurn();
    else if (this.follower.following !== null) this.follower.confirm(this);
    if (this.#mustLook || this.lifecycle.held || this.stopping) this.#look();
    this.own.append(this.outbox);
    this.invariants.check(this);
  }

  /** Inputs come without a pause, and ticks wait: the others hear of this server in between. */
  onLongTurn(nowMs: number): void {
    this.#at(nowMs);
    if (!this.isFinal) this.heartbeats.send(this);
  }

  #endHotTurn(): void {
    this.#closeBatch();
    if (this.rules.mayCommit(this.lifecycle.fenced)) for (const peer of this.peers) pump(peer, this.nowMs, false, this);
    this.commitment.askDisk(this);
    this.commitment.advance(this);
    this.serving.announce(this);
  }

  #closeBatch(): void {
    const batch = this.log.close();
    if (batch !== null) this.commitment.onBatch(batch, this);
  }

  /** Replies that may leave now. */
  release(sink: ReplySink): void {
    if (!this.lifecycle.hot || this.membership.wasLost || !this.membership.isEpochSaved) return;
    const others = this.rules.otherMembers(this.membership.configurations(), this.self);
    this.intake.release(this.own.committed, this.peers.echoedBy(others), this.rules, sink);
  }

  /** Looks at what is due, and says it to the machine. */
  #look(): void {
    this.#mustLook = false;
    for (const peer of this.peers) judgeSession(peer, this.nowMs, this);
    const due = whatIsDue(this);
    if (due !== null) this.#onDue(due);
    else if (this.state === "hot.switching") offerRole(this);
  }

  #onDue(due: Due): void {
    this.plans.onDue(due, this.nowMs);
    this.lifecycle.dispatch(due.event, due.why);
  }

  // --- the disk ---------------------------------------------------------------------------------------------------

  onSynced(sequence: number, nowMs: number): void {
    this.#at(nowMs);
    this.own.onSynced(sequence, this.outbox);
    if (this.options.confirm !== "memory") this.follower.owesConfirm();
    this.#checkSynced();
    if (this.state === "hot.alone" || this.state.endsWith("syncing")) this.#mustLook = true;
  }
  onWritten(sequence: number, nowMs: number): void {
    this.#at(nowMs);
    this.own.onWritten(sequence, this.outbox);
    if (this.options.confirm === "written") this.follower.owesConfirm();
  }
  #checkSynced(): void {
    // One that asks to be alone has that on its disk too; one that was deposed asks for nothing.
    const isSaved = this.state === "deposed" || this.membership.isMemberEpochSaved;
    if (isSaved && this.rules.isSyncedForCas(this.own.synced, this.plans.fence.sequence))
      this.lifecycle.dispatch("disk.synced", "everything appended is on the disk");
  }
  onEpochSaved(saved: SavedEpochs, nowMs: number): void {
    this.#at(nowMs);
    this.membership.onEpochSaved(saved);
    this.follower.owesConfirm();
    this.#checkSynced();
  }
  /** Results of records through here are with NATS. */
  onPublished(sequence: number, nowMs: number): void {
    this.#at(nowMs);
    this.own.onPublished(sequence);
    this.own.letGo(this);
  }
  /** Log below this was dropped from the disk, and memory may drop it too. */
  onFlushed(applied: number, oldestOnDisk: number, nowMs: number): void {
    this.#at(nowMs);
    this.own.onFlushed(applied, oldestOnDisk);
    this.own.letGo(this);
  }
  /**
   * Through where the tables on disk may go now (rule 6): on a server that is not hot no further than its own table of requests.
   * Null: nowhere, for state and requests are being built again from them.
   */
  get flushable(): number | null {
    if (!this.applied.isLoaded) return null;
    return this.lifecycle.hot ? this.committed : Math.min(this.committed, this.applied.requests.through);
  }
  /** What goes to the disk with a flush through a record, and the oldest record that the log on disk must keep. */
  flushPoint(through: number): FlushPoint {
    const { requests } = this.applied;
    const { published } = this.own;
    const { commonMs, highestMs, clients } = requests.done.floors.saved;
    return {
      committed: through,
      retainFrom: Math.min(requests.oldestNeeded, published + 1, through + 1),
      meta: {
        committed: through,
        published,
        forgottenThrough: requests.forgotten,
        floorMs: Math.max(0, highestMs),
        floors: { commonMs, clients },
      },
    };
  }
  onDiskFailed(why: string, nowMs: number): void {
    this.#at(nowMs);
    this.lifecycle.dispatch("disk.failed", why);
  }

  // --- messages ---------------------------------------------------------------------------------------------------

  onMessage(from: string, link: LinkName, message: PeerMessage, payload: Uint8Array, nowMs: number): void {
    this.#at(nowMs);
    const peer = this.peers.get(from);
    if (peer === undefined || this.isFinal) return;
    this.peers.onHeard(from, link, nowMs);
    switch (message.type) {
      case "heartbeat":
        this.#onHeartbeat(peer, link, message);
        return;
      case "follow":
        if (this.hot && this.applied.isLoaded && message.to === this.self) onFollow(peer, message, nowMs, this);
        return;
      case "accept":
        this.follower.onAccept(message, this);
        return;
      case "decline":
        this.follower.onDecline(from, message, this);
        return;
      case "mirror":
        this.follower.onMirror(message, payload, this);
        return;
      case "confirm":
        if (this.hot && peer.session !== null && onConfirm(peer.session, message, nowMs, this)) this.#onConfirmed(peer);
        return;
      case "leave":
        peer.leaving = message.from;
        answerLeave(peer, this);
        return;
      case "left":
        if (message.to === this.self && message.epoch >= this.epoch) this.leaving.onReleased();
        return;
      case "handover":
        this.#onHandover(message);
        return;
      default:
    }
  }

  #onConfirmed(peer: Peer): void {
    this.commitment.advance(this);
    judgeSession(peer, this.nowMs, this);
    const due = joinerDue(peer, this);
    if (due !== null) this.#onDue(due);
  }

  #onHeartbeat(peer: Peer, link: LinkName, message: Heartbeat): void {
    const echo = message.heard[this.options.self.server];
    const isOfThis = echo?.incarnation === this.self;
    const told = {
      mainBeat: isOfThis ? echo.mainBeat : 0,
      echoed: isOfThis ? echo.beat : 0,
      beat: this.heartbeats.beat,
      isNamed: (incarnation: string) => this.membership.isInSync(incarnation),
    };
    if (!this.peers.onHeartbeat(peer.name, link, message, told, this.nowMs)) return;
    if (message.wallMs !== undefined) this.clocks.onOther(peer.name, this.nowMs, message.wallMs);
    if (message.removals !== undefined)
      this.peers.onRemovals(peer.name, this.options.self.server, message.removals, this.nowMs);
    this.#onSettlement(this.membership.onHeartbeat(message, this.options.service, this.nowMs));
  }

  #onHandover(offer: Handover): void {
    const { following } = this.follower;
    if (!mayTake(offer, following, this)) return;
    this.own.committed = offer.sequence;
    this.plans.takenMs = this.nowMs;
    this.applied.follow(this.own, this.rules, this.outbox);
    this.lifecycle.dispatch("handover.offered", `${following?.primary.server} hands the role over`);
  }

  /** What ended a server of this service, by its watchdog; told again and again. */
  onLastWords(words: LastWords, nowMs: number): void {
    this.#at(nowMs);
    this.deaths.note(words);
  }

  onLink(peer: string, link: LinkName, isUp: boolean, nowMs: number): void {
    this.#at(nowMs);
    if (!isUp) this.peers.onLinkClosed(peer, link, nowMs);
    if (link === "main") this.heartbeats.send(this);
    this.#mustLook = true;
  }

  /** Largest frame that the link takes to this peer from now on. */
  onFrameLimit(peer: string, link: LinkName, maxFrameBytes: number, nowMs: number): void {
    this.#at(nowMs);
    this.peers.onFrameLimit(peer, link, maxFrameBytes);
  }

  onLogRead(name: string, session: string, batches: readonly LogBatch[], nowMs: number): void {
    this.#at(nowMs);
    const peer = this.peers.get(name);
    if (peer !== undefined && this.hot) onLogRead(peer, session, batches, this);
  }

  onSnapshotEnded(session: string, nowMs: number): void {
    this.#at(nowMs);
    this.follower.onSnapshotEnded(session, this);
  }

  // --- the registry -----------------------------------------------------------------------------------------------

  onRegistryRead(answer: RegistryAnswer, nowMs: number): void {
    this.#at(nowMs);
    const before = this.membership.frozen;
    const settlement = this.membership.onRead(answer, nowMs, isAskedInVain(this));
    if (answer.outcome === "unavailable") {
      const isIdle = !this.hot && this.follower.following === null;
      if (isIdle) this.waitingFor = `cannot read the registry: ${answer.reason}`;
      return;
    }
    const { frozen } = this.membership;
    if (frozen === "" && this.waitingFor === before) this.waitingFor = "";
    if (frozen !== "" && !this.consultation.isForced) this.waitingFor = frozen;
    this.#onSettlement(settlement);
    this.#consult();
  }

  /** Whether requests are taken, as far as operators have a say. */
  #judgePause(): void {
    this.intake.isPaused = this.hot && this.pausing.current(this) !== null;
  }

  onCasAnswer(writeId: string, answer: CasAnswer, nowMs: number): void {
    this.#at(nowMs);
    this.#onSettlement(this.membership.onCasAnswer(writeId, answer));
    if (this.membership.mustReadAtOnce) this.membership.read(nowMs);
  }

  #onSettlement(settlement: Settlement): void {
    const { record } = this.membership;
    if (settlement === null || record === null) return;
    this.consultation.onSettled();
    this.plans.epochSinceMs = this.nowMs;
    this.pausing.onRecord(record, this.nowMs);
    this.consultation.onRecord(this.heartbeats.beat);
    this.#judgeAlone();
    for (const peer of this.peers) noteMembership(peer, this);
    for (const { event, why } of meaningOf(settlement, record, this.follower.following, this))
      this.lifecycle.dispatch(event, why);
    this.follower.owesConfirm();
    this.#judgePause();
    if (this.hot) this.heartbeats.send(this);
  }

  /** Asks the start table, where it has a say. */
  #consult(): void {
    const advice = this.consultation.advice(this);
    if (advice === null) return;
    if (advice.isNew) this.lifecycle.dispatch(advice.event, advice.why);
    if (advice.waitsFor !== "") this.waitingFor = advice.waitsFor;
  }

  // --- time -------------------------------------------------------------------------------------------------------

  onBus(connected: boolean, nowMs: number): void {
    this.#at(nowMs);
    if (this.bus.connected && !connected) this.bus.lostMs = nowMs;
    this.bus.connected = connected;
  }

  /** Every `heartbeatMs`, and sooner after a `wake`. */
  onTick(nowMs: number, wallMs: number): void {
    this.#at(nowMs);
    this.wallMs = wallMs;
    this.clocks.onOwn(nowMs, wallMs);
    this.peers.onTick(nowMs);
    this.membership.onTick(nowMs, this.limits.registryPollMs);
    this.heartbeats.send(this);
    if (this.hot && this.rules.mayCommit(this.fenced)) for (const peer of this.peers) keepUp(peer, nowMs, this);
    this.follower.onTick(this);
    this.#judgePause();
    this.#consult();
    this.#leave();
    this.#look();
  }

  #leave(): void {
    this.leaving.ask(this);
    if (this.stopping) this.waitingFor = this.leaving.waitsFor(this) || this.waitingFor;
  }

  /** What is wrong now, for operators. */
  troubles(): ReplicaTroubles {
    return troublesOf(this);
  }

  /** Another process says that it is this server. */
  onNamesake(namesake: Namesake, nowMs: number): void {
    this.#at(nowMs);
    this.namesakes.onHeard(namesake, nowMs);
  }
  /** All who have this server's name were asked; until then they may answer. */
  onNamesakesAsked(untilMs: number, nowMs: number): void {
    this.#at(nowMs);
    this.namesakes.onAsked(untilMs);
  }

  // --- operators --------------------------------------------------------------------------------------------------

  onStop(nowMs: number): void {
    this.#at(nowMs);
    this.stopping = true;
    this.plans.stopSinceMs = nowMs;
    this.heartbeats.send(this);
    this.#leave();
    this.#look();
  }

  /** Null when it is under way; else why not. */
  onSwitch(nowMs: number): string | null {
    this.#at(nowMs);
    const refusal = whyNoSwitch(this);
    if (refusal !== null) return refusal;
    this.plans.switchWhy = "an operator asked for it";
    this.#look();
    return null;
  }

  /** Null when it is done; else why not. */
  onPause(paused: boolean, forMs: number | undefined, nowMs: number): string | null {
    this.#at(nowMs);
    const refusal = whyNotPrimary(this);
    if (refusal !== null) return refusal;
    const until = forMs === undefined ? {} : { forMs };
    this.pausing.want(paused ? { sinceMs: this.wallMs, ...until } : null);
    this.#judgePause();
    this.#mustLook = true;
    return refusal;
  }

  /** Rule 18. `despite`: newer copies, by name, that are set aside. Null when it is under way; else why not. */
  onRecover(despite: readonly string[], nowMs: number): string | null {
    this.#at(nowMs);
    const refusal = whyNoRecovery(this, despite);
    if (refusal !== null) return refusal;
    this.consultation.onLossAccepted(despite);
    this.membership.read(nowMs);
    return null;
  }
}
