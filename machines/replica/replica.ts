/**
 * The replica: the one door to a server's part of the protocol. It owns what a server has whatever its role (core.ts) and
 * the roles: `Primary` while it is hot, `Follower` while it follows, `Candidacy` while it asks the registry for another
 * configuration. Messages and facts go in through `on…`, with the time; what must be done comes out of `outbox`, in order.
 * It touches no world: it can be simulated and explored.
 *
 * What always holds: a role is made by the lifecycle and dropped by it, with all that it knew. From whom and to whom a message
 * is, and whether the part that it is for is there, is judged here; whether it fits, by the part that owns the session
 * (`mirrorFits` in `follower.ts`; `confirmFits` and late questions in `progress.ts`) or the record (`membership.ts`).
 *
 * The caller's duties: deliver inputs one at a time; call `endTurn` after each batch of them; perform the outbox in its
 * order; report back. The hot path (`onRequest`, `onResult`, `release`) sends no event through a machine: it reads the
 * fields that the last transition set. `endTurn` may, where something is to be looked at, and a confirm steps its follower's
 * mirror machine; neither is done for each record.
 */

import type { Ancestor } from "../../schemas/checkpoint.ts";
import type { LastWords } from "../../schemas/death.ts";
import type { LinkName } from "../../schemas/link.ts";
import type { Handover as HandoverMessage, Heartbeat, Mirror, PeerMessage } from "../../schemas/peer-message.ts";
import type { RegistryRead, RegistryRecord, RegistryWrite } from "../../schemas/registry.ts";
import type { Standing } from "../../schemas/standing.ts";
import type { ServerStatus } from "../../schemas/status.ts";
import { requestKey } from "../codec/record.ts";
import type { LifecycleState } from "../lifecycle.ts";
import type { LogBatch } from "../log/batch.ts";
import type { MemoryLog } from "../log/memory-log.ts";
import { stateName } from "../step.ts";
import { Core } from "./core.ts";
import type { Due } from "./due.ts";
import { Follower } from "./follower/follower.ts";
import { Invariants } from "./invariants.ts";
import type { RequestTable, RunningRequest } from "./log/requests.ts";
import type { Outbox, SavedEpochs } from "./outbox.ts";
import { Heartbeats } from "./peers/heartbeat.ts";
import type { Namesake } from "./peers/namesakes.ts";
import type { Arrival, ResultPart, TransactionPart } from "./primary/intake.ts";
import type { ReplySink } from "./primary/owed-replies.ts";
import { type CatalogPart, Primary } from "./primary/primary.ts";
import { joinerDue, primaryDue } from "./primary/primary-due.ts";
import {
  whyNoFailoverPause,
  whyNoFailoverResume,
  whyNoRecovery,
  whyNoSwitch,
  whyNotMeant,
  whyNotPrimary,
} from "./refusals.ts";
import { Candidacy } from "./registry/candidacy.ts";
import { Consultation } from "./registry/consultation.ts";
import { standingOf } from "./registry/copies.ts";
import type { Settlement } from "./registry/membership.ts";
import { proposed } from "./registry/proposals.ts";
import { meaningOf } from "./registry/settled.ts";
import type { Transition } from "./running-lifecycle.ts";
import { Shutdown } from "./shutdown.ts";
import { type ReplicaTroubles, troublesOf } from "./troubles.ts";
import type { FlushPoint, Recovered, ReplicaOptions } from "./types.ts";

export class Replica {
  private readonly core: Core;
  private readonly consultation: Consultation;
  private readonly shutdown: Shutdown;
  private readonly heartbeats: Heartbeats;
  private readonly invariants = new Invariants();
  private primary: Primary | null = null;
  private follower: Follower | null = null;
  private candidacy: Candidacy | null = null;
  /** Why the last transition happened, and what is waited for: for operators. */
  private lastWhy = "starts";
  private waits = "";
  /** Something rare happened, and `endTurn` is still to look at what follows. */
  private mustLook = false;

  constructor(options: ReplicaOptions, recovered: Recovered, nowMs: number) {
    this.core = new Core(options, recovered, nowMs);
    this.consultation = new Consultation(this.core);
    this.shutdown = new Shutdown(this.core);
    this.heartbeats = new Heartbeats(this.core);
  }

  // --- how it stands ----------------------------------------------------------------------------------------------

  get options(): ReplicaOptions {
    return this.core.options;
  }
  /** This incarnation. */
  get self(): string {
    return this.core.self;
  }
  /** How often its disk was started with, this time with it, from 1. */
  get startCount(): number {
    return this.core.startCount;
  }
  get disk(): string {
    return this.core.disk;
  }
  /** What is to be done, in this order: whoever has done it takes it out. */
  get outbox(): Outbox[] {
    return this.core.outbox;
  }
  get state(): LifecycleState {
    return this.core.lifecycle.state;
  }
  get hot(): boolean {
    return this.core.lifecycle.hot;
  }
  /** It was told to stop. */
  get stopping(): boolean {
    return this.core.stopping;
  }
  get isFinal(): boolean {
    return this.core.lifecycle.isFinal;
  }
  /** No other server can have gone on without this one (commit.ts). */
  get alone(): boolean {
    return this.core.alone;
  }
  get role(): "primary" | "backup" | "none" {
    return this.core.role;
  }
  get epoch(): number {
    return this.core.membership.epoch;
  }
  get log(): MemoryLog {
    return this.core.own.log;
  }
  get committed(): number {
    return this.core.own.committed;
  }
  get synced(): number {
    return this.core.own.synced;
  }
  get published(): number {
    return this.core.own.published;
  }
  /** The history as others are told of it. */
  get history(): string {
    return this.core.own.told;
  }
  /** The histories before it whose log it goes on with, the oldest first. */
  get ancestors(): readonly Ancestor[] {
    return this.core.own.ancestors;
  }
  /** The record with which this history began; 0 where it is the first. */
  get historyStart(): number {
    return this.core.own.startOf(this.core.applied.requests);
  }
  /** This log is none of the history that it names. */
  get differs(): boolean {
    return this.core.own.differs;
  }
  /** Number of the newest committed result, on a primary. */
  get results(): number {
    return this.core.own.results;
  }
  /** End of what this server inherited when it went hot; 0 on one that is not hot. */
  get inherited(): number {
    return this.primary?.inherited ?? 0;
  }
  get inFlight(): number {
    return this.primary?.inFlight ?? 0;
  }
  /** The newest settled record that this server knows. */
  get record(): RegistryRecord | null {
    return this.core.membership.record;
  }
  /** The newest that it knows of, settled in this life or in an earlier one. */
  get newestRecord(): RegistryRecord | null {
    return this.core.membership.newest;
  }
  /** What it asks for now. */
  get asked(): RegistryRecord | null {
    return this.core.membership.open?.record ?? null;
  }
  get isNamed(): boolean {
    return this.core.membership.isNamed;
  }
  get epochSeen(): number {
    return this.core.membership.epochSeen;
  }
  get memberEpoch(): number {
    return this.core.membership.memberEpoch;
  }
  /**
   * The session in which a snapshot may take this log's place; null: none may. Not once the log was accepted in that session
   * after all, nor while this server asks for the role: others count on its disk then.
   */
  get snapshotSession(): string | null {
    const { isAsking } = this.core.lifecycle;
    const session = this.follower?.session;
    const isWanted = session?.snapshot === true && !session.accepted && !isAsking;
    return isWanted ? session.id : null;
  }
  get why(): string {
    return this.lastWhy;
  }
  get waitingFor(): string {
    return this.waits;
  }
  /** What is kept in memory, and what waits there. */
  get memory(): {
    logBytes: number;
    unsyncedBytes: number;
    replies: number;
    replyBytes: number;
    floors: number;
    unconfirmedBytes: number;
  } {
    const { own, applied } = this.core;
    const { done } = applied.requests;
    return {
      logBytes: own.log.retainedBytes,
      unsyncedBytes: own.log.bytesAbove(own.synced),
      replies: done.count,
      replyBytes: done.heldBytes,
      floors: done.floors.count,
      unconfirmedBytes: this.primary?.commitment.openBytes ?? 0,
    };
  }
  /** `isAnswered`: it answered when it was asked last. `silentMs`: for how long it has not, 0 while it does. */
  registryFacts(nowMs: number): { isAnswered: boolean; silentMs: number; isFrozen: boolean } {
    const { isAnswered, silentSinceMs, frozen } = this.core.membership;
    return { isAnswered, silentMs: silentSinceMs === null ? 0 : nowMs - silentSinceMs, isFrozen: frozen !== "" };
  }
  /** Records that the primary had when it was heard last and that are not in this log; null where it follows nobody, or has not heard it. */
  get lag(): number | null {
    const { peers, own } = this.core;
    const { server, incarnation } = this.follower?.primary ?? { server: "", incarnation: "" };
    const heartbeat = peers.get(server)?.heartbeat ?? null;
    return heartbeat?.incarnation === incarnation ? Math.max(0, heartbeat.last - own.log.last) : null;
  }
  /** The link for what goes to this peer. */
  linkOf(peer: string): LinkName {
    return this.core.peers.linkOf(peer);
  }
  isAnyUp(link: LinkName): boolean {
    return this.core.peers.isAnyUp(link);
  }
  /** Each peer's link machine, and on a primary each follower's mirror machine, for operators. */
  machines(): Pick<NonNullable<ServerStatus["machines"]>, "links" | "mirrors"> {
    return {
      links: [...this.core.peers].map(({ name, links }) => ({ peer: name, state: stateName(links) })),
      mirrors: [...(this.primary?.followers ?? [])].map(({ name, state, confirmed }) => ({
        peer: name,
        state: stateName({ value: state }),
        confirmed,
      })),
    };
  }
  /** For how long nothing has come from it on either link; null: nothing in this life. */
  silentMs(peer: string, nowMs: number): number | null {
    return this.core.peers.silentMs(peer, nowMs);
  }
  /** Whom it followed, or follows, and when that was heard last; null: nobody was heard. */
  get lastWord(): { readonly server: string; readonly heardMs: number } | null {
    return this.core.lastWord.told;
  }
  /** How far this server's clock is ahead of its; undefined while that is not known. */
  aheadMs(peer: string, nowMs: number, wallMs: number): number | undefined {
    return this.core.clocks.aheadOf(peer, nowMs, wallMs);
  }
  /** Of a primary: the time by which requests and timers go, as it was looked at last, and how far the wall clock is ahead of it. */
  get time(): { readonly nowMs: number; readonly apartMs: number } | null {
    return this.primary === null ? null : this.core.time.standing;
  }
  /** Whether the server listens for requests: not while the role is handed over, nor when the last one stops. */
  get takesRequests(): boolean {
    const { lifecycle, applied, rules, stopping } = this.core;
    const isOpen = lifecycle.hot && applied.isLoaded && this.core.hasViews && !rules.isIntakeStopped(lifecycle.held);
    return isOpen && this.isCurrent && !(stopping && lifecycle.state === "hot.alone");
  }
  /** The state is made as this server's program has it (rule 19): else a primary makes it so, before it takes requests. */
  get isCurrent(): boolean {
    return this.core.isCurrent;
  }
  /** Of the state; 0 where nothing is known. */
  get stateVersion(): number {
    return this.core.stateVersion;
  }
  /** A catalog record may be made now: half of what may be open is left, and the role is not being handed over. */
  get takesCatalog(): boolean {
    const { lifecycle, applied, rules, limits } = this.core;
    if (this.primary === null || !applied.isLoaded || rules.isIntakeStopped(lifecycle.held)) return false;
    return this.primary.openBytes <= limits.maxUnconfirmedBytes / 2;
  }
  /** What it answers where the service's record is in question. */
  standing(): Standing {
    return standingOf(this.core);
  }
  /** What is wrong now, for operators. */
  troubles(): ReplicaTroubles {
    return troublesOf(this.core, this.primary, this.waits);
  }

  // --- life -------------------------------------------------------------------------------------------------------

  /** With each input. A time that is far from the last look says that this server was paused (rule 9), before the input is judged. */
  private at(nowMs: number): void {
    const { core } = this;
    core.nowMs = nowMs;
    const pauseMs = core.peers.notePause(nowMs, core.limits.heartbeatMs);
    if (pauseMs === 0) return;
    this.primary?.onPaused(pauseMs, nowMs);
    this.shutdown.onPaused(pauseMs, nowMs);
    core.membership.onPaused(nowMs);
    core.lastWord.onPaused(nowMs + core.limits.heartbeatMs);
    this.follower?.onPaused(nowMs);
    if (!core.bus.connected) core.bus = { ...core.bus, lostMs: nowMs };
  }

  start(nowMs: number): void {
    this.at(nowMs);
    this.dispatch({ event: "store.recovered", why: "the disk was read and is sound" });
  }

  private dispatch(due: Due): void {
    this.core.lifecycle.dispatch(due, (transition) => this.perform(transition));
  }

  private perform({ due, from, to, actions }: Transition): void {
    const { core } = this;
    const { event, why } = due;
    this.lastWhy = why;
    this.waits = "";
    this.mustLook = true;
    core.outbox.push({ type: "event", event, from, to, why });
    if (!core.lifecycle.fenced && !core.lifecycle.isAsking) this.candidacy = null;
    else this.candidacy ??= new Candidacy(due, null, core);
    for (const action of actions) this.do(action, due);
    core.judgeAlone();
  }

  private do(action: Transition["actions"][number], due: Due): void {
    const { core } = this;
    const { membership, peers, rules, outbox } = core;
    switch (action) {
      case "consult":
        this.consultation.renew();
        membership.read(core.nowMs);
        return;
      case "syncAll":
        this.fence(due);
        return;
      case "proposeRemoval":
      case "proposeTakeover":
        peers.noteRemovals(this.candidacy?.leavingOut ?? [], action === "proposeTakeover", core.nowMs);
        this.propose(action);
        return;
      case "proposeBase":
        this.primary?.onRebasing();
        this.propose(action);
        return;
      case "proposeClaim":
      case "proposeNewHistory":
      case "proposeRoles":
      case "proposeAddition":
      case "proposePause":
        this.propose(action);
        return;
      case "leave":
        membership.leave();
        return;
      case "follow":
        this.follow();
        return;
      case "unfollow":
        if (!core.fenced || !rules.mayConfirm(true, false)) this.follower = null;
        return;
      case "becomeHot":
        this.primary = new Primary(core);
        this.heartbeats.send();
        return;
      case "becomeCold":
        this.becomeCold();
        return;
      case "offerHandover":
        this.primary?.handover.onBegun();
        return;
      case "exit":
        this.shutdown.letOthersGo();
        core.own.append(outbox);
        if (this.primary === null) core.applyCommitted("all");
        outbox.push({ type: "exit" });
        return;
      case "restart":
        outbox.push({ type: "restart" });
        return;
      case "fail":
        outbox.push({ type: "fail", why: due.why });
        return;
    }
  }

  /** What is in the log by now goes to the disk; what comes later is confirmed and acknowledged by nobody. */
  private fence(due: Due): void {
    const { core } = this;
    this.closeBatch();
    this.candidacy = new Candidacy(due, core.own.position, core);
    if (core.state !== "deposed") core.membership.vouch();
    core.own.sync(core.own.position.sequence, core.outbox);
    this.checkSynced();
  }

  private propose(action: Parameters<typeof proposed>[0]): void {
    const { core, candidacy, primary } = this;
    if (candidacy === null) throw new Error(`${action} in ${core.state}, which asks for nothing`);
    core.membership.propose(proposed(action, { core, candidacy, primary, isForced: this.consultation.isForced }));
  }

  /** Keeps the session of a primary that is followed already. */
  private follow(): void {
    const { core, follower } = this;
    const { record } = core.membership;
    if (record === null) return;
    if (follower === null || !core.rules.isSameMember(follower.primary, record.primary))
      this.follower = new Follower(record.primary, core, this.shutdown);
  }

  private becomeCold(): void {
    const { own, outbox, applied } = this.core;
    own.log.close();
    this.primary = null;
    outbox.push({ type: "cold" });
    applied.onCold(own, outbox);
  }

  /** The application's state and the request table were built again from disk, through `requests.through`. */
  onReloaded(requests: RequestTable, nowMs: number): void {
    this.at(nowMs);
    this.core.applied.onReloaded(requests);
    this.primary?.begin();
  }

  // --- requests ---------------------------------------------------------------------------------------------------

  /** The request to run now, or null: it is answered, joined, refused, queued behind a record of its attempt, or dropped. */
  onRequest(arrival: Arrival, nowMs: number, wallMs: number): RunningRequest | null {
    this.at(nowMs);
    if (this.primary === null) return null;
    const { intake } = this.primary;
    if (this.takesRequests) return intake.onRequest(arrival, wallMs);
    intake.refuse(arrival, "NOT_HOT", "the role is being handed over; send it again");
    return null;
  }

  /** What came as a request and is none. The refusal names a limit, or a schema, that another server may not have. */
  onUnreadable(sender: Pick<Arrival, "client" | "replyTo">, refusal: Uint8Array, nowMs: number): void {
    this.at(nowMs);
    this.primary?.intake.answerProven(sender, refusal, this.primary.inherited);
  }

  /** Whether one that is turned away at the door is told so; else it is not even read. */
  tellsTurnedAway(client: string): boolean {
    return this.primary?.intake.tellsTurnedAway(client) === true;
  }
  /** More came than may wait at the door, and this client's is most of it (rule 15). */
  onTurnedAway(sender: Pick<Arrival, "client" | "id" | "replyTo">, nowMs: number): void {
    this.at(nowMs);
    this.primary?.intake.refuse(sender, "BUSY", "too many requests wait for their turn");
  }

  /** The sequence at which the query is to be answered now, with `onAnswer`; null: it is refused, or dropped. */
  onQuery(sender: Pick<Arrival, "client" | "id" | "replyTo">, bodyHash: number, nowMs: number): number | null {
    this.at(nowMs);
    if (this.primary === null) return null;
    const { intake } = this.primary;
    if (!this.takesRequests) {
      intake.refuse(sender, "NOT_HOT", "the role is being handed over; ask again");
      return null;
    }
    if (this.core.deaths.endedByQuery(bodyHash)) {
      intake.refuse(sender, "INVALID_REQUEST", "a server died of this query: it is not asked again");
      return null;
    }
    if (!intake.hasRoomFor(sender.client, 0)) {
      intake.refuse(sender, "BUSY", "too many answers wait until they may leave");
      return null;
    }
    return this.log.last;
  }

  /** What a query saw at this sequence: it leaves when that is committed, with a proof (rule 5). */
  onAnswer(
    sender: Pick<Arrival, "client" | "id" | "replyTo">,
    answer: Uint8Array,
    sequence: number,
    nowMs: number,
  ): void {
    this.at(nowMs);
    this.primary?.intake.answerQuery(sender, answer, sequence);
  }

  /** A part of what makes the state the program's; what it says holds from here on. */
  onCatalog(part: CatalogPart, nowMs: number, wallMs: number): void {
    this.at(nowMs);
    this.core.wallMs = wallMs;
    this.primary?.appendCatalog(part);
  }

  /** Why the application can make nothing of the state; "" where it can. */
  onStateRead(why: string, nowMs: number): void {
    this.at(nowMs);
    this.core.unreadable = why;
    this.mustLook = true;
  }

  /** Whether its views are made of all that is applied: not while that takes many turns. */
  get hasViews(): boolean {
    return this.core.hasViews;
  }
  onViews(areMade: boolean, nowMs: number): void {
    this.at(nowMs);
    this.core.hasViews = areMade;
    this.mustLook = true;
  }

  /** The next request to run, whose attempt is on record and committed; null: there is none. */
  nextToStart(): RunningRequest | null {
    return this.core.isCurrent ? (this.primary?.intake.nextToStart() ?? null) : null;
  }
  get hasStartable(): boolean {
    return this.core.isCurrent && (this.primary?.intake.hasStartable ?? false);
  }

  /** Its handler goes on after its first turn: duplicates may join it. */
  onHandlerWaits(request: RunningRequest, nowMs: number): void {
    this.at(nowMs);
    this.primary?.intake.keepRunning(request);
  }

  /** A transaction that is not the request's last one (claim 25). */
  onTransaction(request: RunningRequest, part: TransactionPart, nowMs: number): void {
    this.at(nowMs);
    this.primary?.intake.transaction(request, part);
  }

  /** Its last transaction, with what its sender is told. */
  onResult(request: RunningRequest, part: ResultPart, nowMs: number): void {
    this.at(nowMs);
    this.primary?.intake.finish(request, part);
  }

  /** Requests of timers may be given to `onRequest` now (rule 20); else they wait. */
  takesTimers(client: string, nowMs: number): boolean {
    this.at(nowMs);
    return this.takesRequests && this.primary?.intake.takesTimer(client) === true;
  }
  /** What time it is for whom a request is taken now. */
  timeNow(nowMs: number, wallMs: number): number {
    this.at(nowMs);
    return this.core.timeNow(wallMs);
  }
  /** It has its result. */
  isDone(client: string, id: string): boolean {
    return this.core.applied.requests.done.sequenceOf(requestKey(client, id)) > 0;
  }

  /** A request of this name is done, or runs: sent again, it is no new one. */
  isKnown(client: string, id: string): boolean {
    return this.primary?.intake.isAgain(requestKey(client, id)) === true;
  }

  /** The check of this request's body ended a server: it is not checked again (rule 17). */
  endedByBody(client: string, id: string): boolean {
    return this.core.deaths.endedByBody(client, id);
  }

  // --- turns ------------------------------------------------------------------------------------------------------

  /** After each batch of inputs: closes the batch of records, sends, confirms, commits; then applies. */
  endTurn(nowMs: number, wallMs: number): void {
    this.at(nowMs);
    const { core } = this;
    core.wallMs = wallMs;
    if (this.primary !== null) {
      core.timeNow(wallMs);
      this.primary.endTurn(core.own.log.close());
    } else this.follower?.confirm();
    if (this.mustLook || core.lifecycle.held || core.stopping) this.look();
    core.own.append(core.outbox);
    // Behind all that others wait for.
    if (this.primary === null) core.applyCommitted("a piece");
    this.invariants.check(core, this.primary);
  }

  /** Another turn is to follow at once: more is to be applied, or to be confirmed since it was, or to be read. */
  get mustGoOn(): boolean {
    if (this.primary !== null) return this.primary.intake.mayRecall;
    const { applied, own, rules } = this.core;
    return applied.lacking(own, rules) > 0 || this.follower?.isHeldBack === true;
  }

  /** Inputs come without a pause, and ticks wait: the others hear of this server in between. */
  onLongRun(nowMs: number): void {
    this.at(nowMs);
    if (!this.core.lifecycle.isFinal) this.heartbeats.send();
  }

  private closeBatch(): void {
    const batch = this.log.close();
    if (batch !== null) this.primary?.commitment.onBatch(batch);
  }

  /** Replies that may leave now. */
  release(sink: ReplySink): void {
    this.primary?.release(sink);
  }

  /** Looks at what is due, and says it to the machine. */
  private look(): void {
    const { primary } = this;
    this.mustLook = false;
    if (primary !== null) for (const progress of primary.followers) progress.judge();
    const due = this.whatIsDue();
    if (due !== null) this.onDue(due);
    else if (this.state === "hot.switching") primary?.handover.offer(primary.intake.running);
  }

  private onDue(due: Due): void {
    this.primary?.handover.onDue(due);
    this.dispatch(due);
  }

  private whatIsDue(): Due | null {
    const { core, primary, follower, candidacy, shutdown } = this;
    const { lifecycle, membership, peers } = core;
    if (lifecycle.isFinal) return null;
    if (shutdown.mayExit(this.inFlight))
      return {
        event: "exit.allowed",
        why: core.hot
          ? "stops: it was alone, and everything is on its disk, as on no other"
          : "stops: nothing names this server",
      };
    if (core.state === "receiving") {
      if (candidacy?.isLate !== true) return null;
      const why = membership.writeFault || membership.silentWhy || "no answer";
      return { event: "handover.unsettled", why: `the registry has not settled who is the primary: ${why}` };
    }
    const { record, open, frozen } = membership;
    if (record === null || open !== null || frozen !== "") return null;
    if (shutdown.mayLetItselfGo(record))
      return { event: "leave.unanswered", why: `stops, and ${record.primary.server} does not let it go` };
    if (primary !== null) return primaryDue(record, { core, primary, shutdown });
    if (follower !== null && lifecycle.isFollowing) return follower.due(record);
    if (core.state === "candidate.syncing" && !peers.isLost(record.primary))
      return { event: "primary.returned", why: `${record.primary.server} is back` };
    return null;
  }

  // --- the disk ---------------------------------------------------------------------------------------------------

  onSynced(sequence: number, nowMs: number): void {
    this.at(nowMs);
    const { own, options } = this.core;
    own.onSynced(sequence, this.core.outbox);
    if (options.confirm !== "memory") this.follower?.owesConfirm();
    this.checkSynced();
    if (this.state === "hot.alone" || syncing.has(this.state)) this.mustLook = true;
  }
  onWritten(sequence: number, nowMs: number): void {
    this.at(nowMs);
    const { own, options } = this.core;
    own.onWritten(sequence, this.core.outbox);
    if (options.confirm === "written") this.follower?.owesConfirm();
  }
  private checkSynced(): void {
    const { membership, state, rules } = this.core;
    // One that was deposed asks for nothing.
    const isSaved = state === "deposed" || rules.mayAskAlone(membership.isMemberEpochSaved);
    if (isSaved && this.candidacy?.isSynced === true)
      this.dispatch({ event: "disk.synced", why: "everything appended is on the disk" });
  }
  onEpochSaved(saved: SavedEpochs, nowMs: number): void {
    this.at(nowMs);
    this.core.membership.onEpochSaved(saved);
    this.follower?.owesConfirm();
    this.checkSynced();
  }
  /** Results of records through here are with NATS. */
  onPublished(sequence: number, nowMs: number): void {
    this.at(nowMs);
    const { own } = this.core;
    own.onPublished(sequence);
    own.letGo(this.core);
  }
  /** Log below this was dropped from the disk, and memory may drop it too. */
  onFlushed(applied: number, oldestOnDisk: number, nowMs: number): void {
    this.at(nowMs);
    const { own } = this.core;
    own.onFlushed(applied, oldestOnDisk);
    own.letGo(this.core);
  }
  /**
   * Through where the tables on disk may go now (rule 6): on a server that is not hot no further than its own table of requests.
   * Null: nowhere, for state and requests are being built again from them.
   */
  get flushable(): number | null {
    const { own, applied } = this.core;
    if (!applied.isLoaded) return null;
    return this.hot ? own.committed : Math.min(own.committed, applied.requests.through);
  }
  /** What goes to the disk with a flush through a record, and the oldest record that the log on disk must keep. */
  flushPoint(through: number): FlushPoint {
    const { requests } = this.core.applied;
    const { published } = this.core.own;
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
    this.at(nowMs);
    this.dispatch({ event: "disk.failed", why });
  }

  // --- messages ---------------------------------------------------------------------------------------------------

  /**
   * `message` fits its schema. Why its payload is not what it says, and then nothing was done with that; null where it is, or
   * nobody looked. Whether the sender is who he says, and may say this, is to be judged here, before anything else is done.
   */
  onMessage(from: string, link: LinkName, message: PeerMessage, payload: Uint8Array, nowMs: number): string | null {
    this.at(nowMs);
    const { core, follower } = this;
    if (core.peers.get(from) === undefined || core.lifecycle.isFinal) return null;
    core.peers.onHeard(from, link, nowMs);
    if (message.type !== "mirror") {
      this.onWord(from, link, message);
      return null;
    }
    const found = follower?.onMirror(message, payload) ?? null;
    if (found?.fault === "differs") this.onDifference(found.why);
    return found?.fault === "damaged" ? found.why : null;
  }

  /** A message that is no records. */
  private onWord(from: string, link: LinkName, message: Exclude<PeerMessage, Mirror>): void {
    const { core, primary, follower } = this;
    switch (message.type) {
      case "heartbeat":
        this.onHeartbeat(from, link, message);
        return;
      case "follow":
        if (core.applied.isLoaded && message.to === core.self) primary?.followers.get(from)?.onFollow(message);
        return;
      case "accept":
        this.onDifference(follower?.onAccept(message) ?? "");
        return;
      case "decline":
        this.waits = follower?.onDecline(from, message) || this.waits;
        return;
      case "confirm":
        if (primary?.followers.get(from)?.onConfirm(message) === true) this.onConfirmed(from, primary);
        return;
      case "leave":
        core.peers.onLeaving(from, message.from);
        primary?.answerLeave(from, message.from);
        return;
      case "left":
        if (message.to === core.self && message.epoch >= core.membership.epoch) this.shutdown.onReleased();
        return;
      case "handover":
        this.onHandover(message);
        return;
      default:
    }
  }

  private onDifference(why: string): void {
    if (why !== "") this.lastWhy = why;
  }

  private onConfirmed(from: string, { commitment, followers, awaited }: Primary): void {
    const progress = followers.get(from);
    if (progress === undefined) return;
    commitment.advance();
    progress.judge();
    const due = joinerDue(progress, this.core);
    if (due !== null) this.onDue(due);
    else awaited.consider(progress);
  }

  private onHeartbeat(from: string, link: LinkName, message: Heartbeat): void {
    const { core } = this;
    const { peers, membership, options, nowMs } = core;
    const { server } = options.self;
    const echo = message.heard[server];
    const isOfThis = echo?.incarnation === core.self;
    const told = {
      mainBeat: isOfThis ? echo.mainBeat : 0,
      echoed: isOfThis ? echo.beat : 0,
      beat: this.heartbeats.beat,
      isNamed: (incarnation: string) => membership.isInSync(incarnation),
    };
    const heard = peers.onHeartbeat(from, link, message, told, nowMs);
    if (heard === "late") return;
    if (message.incarnation === this.follower?.primary.incarnation) core.lastWord.onHeard(core.nowMs);
    if (heard === "another") this.primary?.followers.get(from)?.onIncarnation(message.incarnation);
    if (message.wallMs !== undefined) core.clocks.onOther(from, nowMs, message.wallMs);
    if (message.removals !== undefined) peers.onRemovals(from, server, message.removals, nowMs);
    this.onSettlement(membership.onHeartbeat(message, options.service, nowMs));
  }

  private onHandover(offer: HandoverMessage): void {
    const { core, follower } = this;
    if (follower === null || !this.mayTake(offer, follower)) return;
    core.own.commitTo(offer.sequence);
    core.applyCommitted("all");
    // The next offer, of a later turn, finds it judged.
    if (!core.isStateJudged) return;
    this.dispatch({ event: "handover.offered", why: `${follower.primary.server} hands the role over` });
  }

  /** Whether an offer of the role may be taken (handover.ts). */
  private mayTake(offer: HandoverMessage, { primary, session }: Follower): boolean {
    const { membership, own, state, stopping, applied, rules, bus, self } = this.core;
    const { log } = own;
    if (state !== "following.warm" || stopping || !applied.isLoaded || !this.core.hasViews) return false;
    if (!rules.readsState(this.core.unreadable === "")) return false;
    // A compare-and-set that cannot be settled would leave this server confirming nothing.
    if (!rules.reachesNats(bus.connected && membership.isAnswered)) return false;
    if (membership.frozen !== "" || !membership.isEpochSaved || offer.epoch !== membership.epoch) return false;
    if (!session.accepted || primary.incarnation !== offer.from || offer.to !== self) return false;
    return rules.holdsOffer(offer, log.last, log.hashAt(offer.sequence));
  }

  /** What ended a server of this service, by its watchdog; told again and again. */
  onLastWords(words: LastWords, nowMs: number): void {
    this.at(nowMs);
    this.core.deaths.note(words);
  }

  onLink(peer: string, link: LinkName, isUp: boolean, nowMs: number): void {
    this.at(nowMs);
    if (!isUp) this.core.peers.onLinkClosed(peer, link, nowMs);
    if (link === "main") this.heartbeats.send();
    this.mustLook = true;
  }

  /** Largest frame that the link takes to this peer from now on. */
  onFrameLimit(peer: string, link: LinkName, maxFrameBytes: number, nowMs: number): void {
    this.at(nowMs);
    this.core.peers.onFrameLimit(peer, link, maxFrameBytes);
  }

  onLogRead(name: string, session: string, batches: readonly LogBatch[], nowMs: number): void {
    this.at(nowMs);
    this.primary?.followers.get(name)?.onLogRead(session, batches);
  }

  /** What was asked for is read; a sequence that is not in it is no record of this log any more. */
  onRecalled(replies: ReadonlyMap<number, Uint8Array>, nowMs: number): void {
    this.at(nowMs);
    this.primary?.intake.onRecalled(replies);
  }

  onSnapshotEnded(session: string, nowMs: number): void {
    this.at(nowMs);
    this.follower?.onSnapshotEnded(session);
  }

  // --- the registry -----------------------------------------------------------------------------------------------

  onRegistryRead(answer: RegistryRead, nowMs: number): void {
    this.at(nowMs);
    const { membership } = this.core;
    const before = membership.frozen;
    const isUnwanted = this.state === "following.unsettled" || this.candidacy?.isJoinerGone === true;
    const settlement = membership.onRead(answer, nowMs, isUnwanted);
    if (answer.outcome === "unavailable") {
      const isIdle = this.primary === null && this.follower === null;
      if (isIdle) this.waits = `cannot read the registry: ${answer.reason}`;
      return;
    }
    const { frozen } = membership;
    if (frozen === "" && this.waits === before) this.waits = "";
    if (frozen !== "" && !this.consultation.isForced) this.waits = frozen;
    this.onSettlement(settlement);
    this.consult();
  }

  onCasAnswer(writeId: string, answer: RegistryWrite, nowMs: number): void {
    this.at(nowMs);
    const { membership } = this.core;
    this.onSettlement(membership.onCasAnswer(writeId, answer));
    if (membership.mustReadAtOnce) membership.read(nowMs);
  }

  private onSettlement(settlement: Settlement): void {
    const { core } = this;
    const { record } = core.membership;
    if (settlement === null || record === null) return;
    this.consultation.onSettled();
    core.pause.onRecord(record, core.nowMs);
    core.failover.seen.onRecord(record, core.nowMs);
    this.consultation.onRecord(this.heartbeats.beat);
    core.judgeAlone();
    this.primary?.onRecord(record);
    for (const due of meaningOf(settlement, record, this.follower?.primary ?? null, core)) this.dispatch(due);
    this.follower?.owesConfirm();
    this.primary?.judgePause();
    if (this.primary !== null) this.heartbeats.send();
  }

  /** Asks the start table, where it has a say. */
  private consult(): void {
    const advice = this.consultation.advice();
    if (advice === null) return;
    if (advice.isNew) this.dispatch({ event: advice.event, why: advice.why });
    if (advice.waitsFor !== "") this.waits = advice.waitsFor;
  }

  // --- time -------------------------------------------------------------------------------------------------------

  onBus(connected: boolean, nowMs: number): void {
    this.at(nowMs);
    const { bus } = this.core;
    this.core.bus = { connected, lostMs: bus.connected && !connected ? nowMs : bus.lostMs };
  }

  /** Every `heartbeatMs`, and sooner after a `wake`. */
  onTick(nowMs: number, wallMs: number): void {
    this.at(nowMs);
    const { core } = this;
    core.wallMs = wallMs;
    core.clocks.onOwn(nowMs, wallMs);
    core.peers.onTick(nowMs);
    core.membership.onTick(nowMs, core.limits.registryPollMs);
    this.heartbeats.send();
    this.primary?.onTick();
    this.follower?.onTick();
    this.primary?.judgePause();
    this.consult();
    this.leave();
    this.look();
  }

  private leave(): void {
    this.shutdown.ask();
    if (this.core.stopping) this.waits = this.shutdown.waitsFor(this.primary?.handover ?? null) || this.waits;
  }

  /** Another process says that it is this server. */
  onNamesake(namesake: Namesake, nowMs: number): void {
    this.at(nowMs);
    this.core.namesakes.onHeard(namesake, nowMs);
  }
  /** All who have this server's name were asked; until then they may answer. */
  onNamesakesAsked(untilMs: number, nowMs: number): void {
    this.at(nowMs);
    this.core.namesakes.onAsked(untilMs);
  }

  // --- operators --------------------------------------------------------------------------------------------------

  /** Why a command is not for this server: it meant another life, or another process of its name; null: it is for this one. */
  whyNotMeant(meant: string | undefined, mustName: boolean): string | null {
    return whyNotMeant(meant, mustName, this.core);
  }

  onStop(nowMs: number): void {
    this.at(nowMs);
    this.shutdown.onStop();
    this.heartbeats.send();
    this.leave();
    this.look();
  }

  /** Null when it is under way; else why not. */
  onSwitch(nowMs: number): string | null {
    this.at(nowMs);
    const handover = this.primary?.handover ?? null;
    const refusal = whyNoSwitch(this.core, handover);
    if (refusal !== null) return refusal;
    handover?.want("an operator asked for it");
    this.look();
    return null;
  }

  /** Null when it is done; else why not. */
  onPause(paused: boolean, forMs: number | undefined, nowMs: number): string | null {
    this.at(nowMs);
    if (this.primary === null) return whyNotPrimary(this.core);
    const until = forMs === undefined ? {} : { forMs };
    this.primary.pausing.want(paused ? { sinceMs: this.core.wallMs, ...until } : null);
    this.primary.judgePause();
    this.mustLook = true;
    return null;
  }

  /** Rule 20: this server's wall clock is right, however far ahead it is. Null when it is taken so; else why not. */
  onAcceptTime(nowMs: number, wallMs: number): string | null {
    this.at(nowMs);
    if (this.primary === null) return whyNotPrimary(this.core);
    this.core.time.accept(nowMs, wallMs);
    return null;
  }

  /** Rule 21. Null when it is under way, or done; else why not. */
  onPauseFailover(paused: boolean, forMs: number | undefined, nowMs: number): string | null {
    this.at(nowMs);
    const { core, primary } = this;
    const { record } = core.membership;
    const refusal = paused ? whyNoFailoverPause(core) : core.hot ? null : whyNoFailoverResume(core);
    if (refusal !== null) return refusal;
    const until = forMs === undefined ? {} : { forMs };
    if (primary !== null) primary.failoverPausing.want(paused ? { sinceMs: core.wallMs, ...until } : null);
    else if (record !== null) core.failover.resume(record);
    this.mustLook = true;
    this.consult();
    return null;
  }

  /** Rule 18. `despite`: newer copies, by name, that are set aside. Null when it is under way; else why not. */
  onRecover(despite: readonly string[], nowMs: number): string | null {
    this.at(nowMs);
    const refusal = whyNoRecovery(this.core, despite);
    if (refusal !== null) return refusal;
    this.consultation.onLossAccepted(despite);
    this.core.membership.read(nowMs);
    return null;
  }
}

const syncing: ReadonlySet<LifecycleState> = new Set([
  "claiming.syncing",
  "renewing.syncing",
  "candidate.syncing",
  "hot.fencing.syncing",
] as const);
