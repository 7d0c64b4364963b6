/**
 * The role of the primary, which owns this room: it is made when this server goes hot, and dropped with all that is here when
 * it goes cold. What always holds: the inherited tail is applied before a request is taken; `ready` is said once, and only
 * when all that was inherited is committed (rule 5); results of an earlier history are never this one's; what was in flight
 * is spoken of by nobody once the role is gone (rule 7).
 */
import type { RegistryRecord } from "../../../schemas/registry.ts";
import { type RecordKind, recordKinds } from "../../codec/record.ts";
import type { LogBatch } from "../../log/batch.ts";
import type { Core } from "../core.ts";
import { AwaitedJoiner } from "./awaited-joiner.ts";
import { Commitment } from "./commitment.ts";
import { Followers } from "./followers.ts";
import { Handover } from "./handover.ts";
import { Intake } from "./intake.ts";
import type { ReplySink } from "./owed-replies.ts";
import { Pausing } from "./pausing.ts";
import { resumable } from "./request-records.ts";
import { Shares } from "./shares.ts";

/** What a catalog record says: the catalog as JSON, its name, and the effects before it. */
export interface CatalogPart {
  readonly name: string;
  readonly effects: Uint8Array;
  readonly catalog: Uint8Array | string;
}

export class Primary {
  /** End of what this server inherited when it went hot. */
  readonly inherited: number;
  readonly sinceMs: number;
  readonly followers: Followers;
  readonly awaited: AwaitedJoiner;
  readonly commitment: Commitment;
  readonly intake: Intake;
  readonly handover: Handover;
  readonly pausing: Pausing;
  readonly failoverPausing: Pausing;
  private readonly core: Core;
  private isReady = false;
  /** When the present epoch was settled, or this server went hot. */
  settledMs: number;
  /** When the base was moved last. */
  rebasedMs: number;

  constructor(core: Core) {
    this.core = core;
    this.inherited = core.own.log.last;
    this.sinceMs = core.nowMs;
    this.settledMs = core.nowMs;
    this.rebasedMs = core.nowMs;
    this.followers = new Followers(core, this.inherited);
    const shares = new Shares();
    this.awaited = new AwaitedJoiner(core);
    this.commitment = new Commitment(core, this.followers, shares, this.awaited, this.inherited);
    this.intake = new Intake(core, this.followers, this.commitment, shares, this.inherited);
    this.handover = new Handover(core, this.followers);
    this.pausing = new Pausing(core, "pause", core.pause);
    this.failoverPausing = new Pausing(core, "failoverPause", core.failover.seen);
    if (core.applied.isLoaded) this.begin();
  }

  /** For the explorer: what tells two states of this apart, beyond its getters. */
  get facts() {
    return { isReady: this.isReady, settledMs: this.settledMs, rebasedMs: this.rebasedMs };
  }
  get inFlight(): number {
    return this.intake.inFlight;
  }
  /** Made and not committed yet. */
  get openBytes(): number {
    return this.commitment.openBytes + this.core.own.log.turnBytes;
  }

  /** The application's state is whole: apply the tail, take requests, resume what was begun. */
  begin(): void {
    const { own, applied, membership, outbox, rules } = this.core;
    const history = membership.record?.history ?? own.told;
    const { catalog } = applied.requests;
    const batches = applied.observe(own.log.last, own, rules);
    const isOtherState = applied.requests.catalog !== catalog;
    this.core.time.onLog(applied.requests.takenMs, this.core.nowMs);
    const goesOn = own.told !== history && own.log.last > 0;
    const isNewHistory = goesOn || own.lacksItsStart;
    own.adopt(history, goesOn ? own.ancestorsOfNext(applied.requests, rules) : own.ancestors, outbox);
    outbox.push({ type: "apply", through: own.log.last, batches, isOtherState });
    own.countResults(isNewHistory ? 0 : applied.requests.resultNumber);
    if (isNewHistory) this.appendHistory();
    // Results of an earlier history are never published, or published again, as this one's.
    own.onPublished(own.startOf(applied.requests));
    outbox.push({ type: "hot", epoch: membership.epoch, publishAfter: rules.publishFrom(own.published) - 1 });
    if (this.core.isCurrent) this.resume();
  }

  /** The record with which a new history begins: results are counted anew from here. */
  private appendHistory(): void {
    this.append(recordKinds.history, { name: this.core.own.history, effects: new Uint8Array(0), catalog: "" }, 0);
  }

  /** Part of a migration, or its end (rule 19). */
  appendCatalog(part: CatalogPart): void {
    this.append(recordKinds.catalog, part, this.core.applied.requests.forgetThrough);
    // Not before: what is not run has no attempt on record, however many servers the migration ends (rule 17).
    if (this.core.isCurrent) this.resume();
  }

  /** A record that is no request's. */
  private append(kind: RecordKind, { name, effects, catalog }: CatalogPart, forgottenThrough: number): void {
    const { own, applied, membership, wallMs } = this.core;
    const start = own.log.append({
      kind,
      ordinal: 0,
      epoch: membership.epoch,
      sequence: own.log.last + 1,
      resultNumber: 0,
      stampMs: wallMs,
      forgottenThrough,
      bodyHash: 0,
      client: "",
      id: "",
      key: "",
      name,
      effects,
      reply: "",
      body: catalog,
    });
    applied.requests.observeOwn(own.log.arena, start, null);
  }

  private resume(): void {
    const { applied, rules } = this.core;
    // A list of its own: what is resumed changes the table.
    const all = Array.from(applied.requests.begun.values());
    for (const begun of all) {
      if (begun.completed.length === 0) continue;
      const takenMs = begun.takenMs || this.core.timeNow(this.core.wallMs);
      this.intake.begin(resumable(begun, rules.completed(begun.completed), takenMs), begun.attempts, true);
    }
  }

  // --- turns ------------------------------------------------------------------------------------------------------

  /** The turn's records are a batch: sends, commits, and says what follows. */
  endTurn(closed: LogBatch | null): void {
    if (closed !== null) this.commitment.onBatch(closed);
    if (this.core.rules.mayCommit(this.core.fenced)) for (const progress of this.followers) progress.pump(false);
    this.commitment.askDisk();
    this.commitment.advance();
    this.announce();
    this.intake.recall();
  }

  private announce(): void {
    const { own, membership, options, rules, applied, self, outbox } = this.core;
    if (this.isReady || !applied.isLoaded || !this.core.isCurrent || !this.core.hasViews) return;
    if (!rules.mayAnnounce(own.committed, this.inherited) || !membership.isEpochSaved) return;
    this.isReady = true;
    this.intake.onReady();
    outbox.push({
      type: "ready",
      signal: {
        signal: "ready",
        service: options.service,
        server: options.self.server,
        incarnation: self,
        epoch: membership.epoch,
        history: own.history,
        sequence: own.committed,
      },
    });
  }

  /** Replies that may leave now. */
  release(sink: ReplySink): void {
    const { membership, rules, self } = this.core;
    if (membership.wasLost || !membership.isEpochSaved) return;
    const others = rules.otherMembers(membership.configurations(), self);
    this.intake.release(this.followers.echoedBy(others), sink);
  }

  onTick(): void {
    if (this.core.rules.mayCommit(this.core.fenced)) for (const progress of this.followers) progress.keepUp();
  }

  /**
   * What others did not do while this server stood still says nothing of them (rule 9): that time is left out, and what
   * came before it counts, so that pauses that recur put nothing off for ever. A switch ends in its time all the same: that
   * judges nobody, and the intake is shut meanwhile.
   */
  onPaused(pauseMs: number, nowMs: number): void {
    this.settledMs = Math.min(this.settledMs + pauseMs, nowMs);
    this.followers.onPaused(nowMs);
  }

  /** Before what the record means is acted on. */
  onRecord(record: RegistryRecord): void {
    this.settledMs = this.core.nowMs;
    this.pausing.onRecord(record);
    this.failoverPausing.onRecord(record);
    for (const progress of this.followers) progress.noteMembership();
  }
  onRebasing(): void {
    this.rebasedMs = this.core.nowMs;
  }

  /** Whether requests are taken, as far as operators have a say. */
  judgePause(): void {
    this.intake.isPaused = this.pausing.current !== null;
  }

  /** A server that leaves may go when neither the record nor an open compare-and-set names it. */
  answerLeave(name: string, leaving: string): void {
    const { membership, peers, self, outbox } = this.core;
    const { record, open, epoch } = membership;
    const progress = this.followers.get(name);
    if (progress === undefined || record === null || open !== null || membership.isInSync(leaving)) return;
    if (progress.session?.incarnation === leaving) progress.end();
    outbox.push({
      type: "send",
      to: name,
      link: peers.linkTo(progress.peer),
      message: { type: "left", from: self, to: leaving, epoch },
      payload: [],
    });
  }
}
