/**
 * What a server has whatever its role, for as long as its life (one incarnation; a process may have several): the log, the
 * state that was applied, what it knows of the registry and of the others, and its lifecycle. The roles hold on to it. What
 * always holds: nothing here knows a role, and nothing that ends with a role is kept here; what a part wants done it says in
 * `outbox`, in order.
 */
import type { LifecycleState } from "../lifecycle.ts";
import { Applied } from "./log/applied.ts";
import { LogTime } from "./log/log-time.ts";
import { OwnLog } from "./log/own-log.ts";
import type { Outbox } from "./outbox.ts";
import { ServiceClock } from "./peers/clocks.ts";
import { LastWord } from "./peers/last-word.ts";
import { type Namesake, Namesakes } from "./peers/namesakes.ts";
import { Peers } from "./peers/peers.ts";
import { ToldDeaths } from "./peers/told-deaths.ts";
import { FailoverPause } from "./registry/failover-pause.ts";
import { Membership } from "./registry/membership.ts";
import { SeenPause } from "./registry/seen-pause.ts";
import { type Rules, shippedRules, type Unapplied } from "./rules.ts";
import { RunningLifecycle } from "./running-lifecycle.ts";
import { StampRefusals } from "./stamp-refusals.ts";
import { Tally } from "./tally.ts";
import type { Recovered, ReplicaOptions } from "./types.ts";

export class Core {
  readonly options: ReplicaOptions;
  readonly rules: Rules;
  readonly limits: ReplicaOptions["limits"];
  /** This incarnation. */
  readonly self: string;
  /** How often its disk was started with, this time with it, from 1. */
  readonly startCount: number;
  readonly disk: string;
  /** Where its store came from, if it was a backup. */
  readonly restored: NonNullable<Recovered["restored"]> | null;
  readonly outbox: Outbox[] = [];
  readonly lifecycle = new RunningLifecycle();
  readonly own: OwnLog;
  readonly applied: Applied;
  readonly membership: Membership;
  readonly peers: Peers;
  readonly pause = new SeenPause("pause");
  readonly failover = new FailoverPause();
  readonly deaths = new ToldDeaths();
  readonly lastWord = new LastWord();
  readonly namesakes = new Namesakes();
  readonly clocks = new ServiceClock();
  readonly time: LogTime;
  /** Why this program can make nothing of the state, in words; "" where it can (rule 19). */
  unreadable = "";
  /** False while views are made of the state, over many turns: it cannot serve before that. */
  hasViews = true;
  /** Of the last minutes, in whatever role. */
  readonly stampRefusals = new StampRefusals();
  readonly tally: Tally;

  nowMs: number;
  /** 0: this server has not looked yet. */
  wallMs = 0;
  /** It was told to stop. */
  stopping = false;
  bus: { readonly connected: boolean; readonly lostMs: number } = { connected: false, lostMs: 0 };
  /** No other server can have gone on without this one (commit.ts). */
  alone = false;
  /** The newest probe that is wanted (rule 5): numbered through all roles, so that an echo of an earlier one proves nothing. */
  probe = 0;
  /** Names that were given, and sessions that this incarnation asked for, with whomever: no role gives one again. */
  private names = 0;
  private sessions = 0;

  constructor(options: ReplicaOptions, recovered: Recovered, nowMs: number) {
    const { self, servers, limits, confirm, rules = shippedRules } = options;
    const { memberEpoch, syncedEpoch, record } = recovered;
    this.options = options;
    this.tally = options.tally ?? new Tally();
    this.rules = rules;
    this.limits = limits;
    this.self = self.incarnation;
    this.startCount = recovered.startCount;
    this.disk = recovered.disk;
    this.restored = recovered.restored ?? null;
    this.nowMs = nowMs;
    this.own = new OwnLog(recovered);
    this.applied = new Applied(recovered.requests);
    this.time = new LogTime(rules, limits, this.clocks, nowMs);
    this.time.onLog(recovered.requests.takenMs, nowMs);
    const epochSeen = rules.epochAtStart(recovered.epochSeen);
    const remembered = { epochSeen, memberEpoch, syncedEpoch, record, isSynced: confirm === "synced" };
    this.membership = new Membership(self, rules, this.outbox, remembered);
    const others = servers.filter((name) => name !== self.server);
    this.peers = new Peers(others, limits.suspicionMs, nowMs, rules);
  }

  get state(): LifecycleState {
    return this.lifecycle.state;
  }
  get hot(): boolean {
    return this.lifecycle.hot;
  }
  get fenced(): boolean {
    return this.lifecycle.fenced;
  }

  get role(): "primary" | "backup" | "none" {
    if (this.hot) return "primary";
    return this.membership.isNamed && this.lifecycle.isFollowing ? "backup" : "none";
  }

  newName(kind: string): string {
    this.names += 1;
    return `${this.self}.${kind}${this.names}`;
  }
  newSession(): { readonly session: string; readonly number: number } {
    this.sessions += 1;
    return { session: this.newName("s"), number: this.sessions };
  }
  /** How many names were given. */
  get given(): number {
    return this.names;
  }

  /** Another process that says this server's name, and was heard lately: it says so every `statusMs`, and two may be missed. */
  get namesake(): Namesake | null {
    return this.namesakes.present(this.limits.suspicionMs + 2 * this.limits.statusMs, this.nowMs);
  }

  /** An operator's word stands that nobody takes over, as the registry has it (rule 21). */
  get isFailoverPaused(): boolean {
    return this.failover.standing(this.membership.record, this.wallMs, this.nowMs) !== null;
  }

  /** The state is made as this server's program has it (rule 19). */
  get isCurrent(): boolean {
    const { program } = this.options;
    return program === undefined || this.rules.isMadeFor(this.applied.requests.catalog, program.catalog);
  }
  /** The program has seen the state that the log says: not while its application has still to be told of another catalog. */
  get isStateJudged(): boolean {
    return !this.outbox.some((entry) => entry.type === "apply" && entry.isOtherState);
  }
  /** The version of the state, as its catalog's name begins; 0 where nothing is known. */
  get stateVersion(): number {
    return Number.parseInt(this.applied.requests.catalog, 10) || 0;
  }

  /** After each change of what the registry says, or is asked to say. */
  judgeAlone(): void {
    this.alone = this.rules.isAlone(this.membership.configurations(), this.self);
  }

  /** What a server that is not hot has still to apply. */
  get unapplied(): Unapplied {
    return this.applied.lacks(this.own, this.rules);
  }
  /** A server that is not hot applies what is committed: the next piece of it, or all. */
  applyCommitted(howMuch: "a piece" | "all"): void {
    const { applied, own, rules, limits, outbox } = this;
    if (howMuch === "all") applied.followAll(own, rules, outbox);
    else applied.follow(own, rules, limits, outbox);
    this.time.onLog(applied.requests.takenMs, this.nowMs);
  }

  /** What time it is for a request that is taken now (rule 20). For a primary. */
  timeNow(wallMs: number): number {
    return this.time.now(this.nowMs, wallMs);
  }
}
