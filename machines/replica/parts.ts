/**
 * What a replica is made of: the parts that remember anything, new ones or copies of another replica's. What always holds:
 * a part holds on to no other part; only the membership holds on to the outbox, in which it says what it wants done. So a
 * replica is copied part by part.
 */
import { Applied } from "./applied.ts";
import { ServiceClock } from "./clocks.ts";
import { Commitment } from "./commitment.ts";
import { Consultation } from "./consultation.ts";
import { Follower } from "./follower.ts";
import { Heartbeats } from "./heartbeat.ts";
import { Intake } from "./intake.ts";
import { Invariants } from "./invariants.ts";
import { Leaving } from "./leaving.ts";
import { Membership } from "./membership.ts";
import { Namesakes } from "./namesakes.ts";
import type { Outbox } from "./outbox.ts";
import { OwnLog } from "./own-log.ts";
import { Pausing } from "./pausing.ts";
import { Peers } from "./peers.ts";
import { Plans } from "./plans.ts";
import { shippedRules } from "./rules.ts";
import { Serving } from "./serving.ts";
import { ToldDeaths } from "./told-deaths.ts";
import type { Recovered, ReplicaOptions } from "./types.ts";

export abstract class Parts {
  readonly outbox: Outbox[];
  readonly life: number;
  readonly disk: string;
  readonly own: OwnLog;
  readonly applied: Applied;
  readonly membership: Membership;
  readonly peers: Peers;
  readonly intake: Intake;
  readonly commitment: Commitment;
  readonly serving: Serving;
  readonly follower: Follower;
  readonly leaving: Leaving;
  readonly namesakes: Namesakes;
  readonly consultation: Consultation;
  readonly plans: Plans;
  readonly pausing: Pausing;
  readonly deaths: ToldDeaths;
  readonly invariants: Invariants;
  readonly heartbeats: Heartbeats;
  readonly clocks: ServiceClock;

  constructor(options: ReplicaOptions, start: Recovered | Parts, nowMs: number) {
    this.life = start.life;
    this.disk = start.disk;
    if (start instanceof Parts) {
      this.outbox = [...start.outbox];
      this.own = start.own.clone();
      this.applied = start.applied.clone();
      this.membership = start.membership.clone(this.outbox);
      this.peers = start.peers.clone();
      this.intake = start.intake.clone();
      this.commitment = start.commitment.clone();
      this.serving = start.serving.clone();
      this.follower = start.follower.clone();
      this.leaving = start.leaving.clone();
      this.namesakes = start.namesakes.clone();
      this.consultation = start.consultation.clone();
      this.plans = start.plans.clone();
      this.pausing = start.pausing.clone();
      this.deaths = start.deaths.clone();
      this.invariants = start.invariants.clone();
      this.heartbeats = start.heartbeats.clone();
      this.clocks = start.clocks.clone();
      return;
    }
    const { self, servers, limits, confirm, rules = shippedRules } = options;
    const others = servers.filter((name) => name !== self.server);
    this.outbox = [];
    this.own = new OwnLog(start);
    this.applied = new Applied(start.requests);
    const { memberEpoch, syncedEpoch, record } = start;
    const epochSeen = rules.epochAtStart(start.epochSeen);
    const remembered = { epochSeen, memberEpoch, syncedEpoch, record, isSynced: confirm === "synced" };
    this.membership = new Membership(self, rules, this.outbox, remembered);
    this.peers = new Peers(others, limits.suspicionMs, nowMs, rules);
    this.intake = new Intake();
    this.commitment = new Commitment();
    this.serving = new Serving();
    this.follower = new Follower();
    this.leaving = new Leaving();
    this.namesakes = new Namesakes();
    this.consultation = new Consultation();
    this.plans = new Plans();
    this.pausing = new Pausing();
    this.deaths = new ToldDeaths();
    this.invariants = new Invariants();
    this.heartbeats = new Heartbeats();
    this.clocks = new ServiceClock();
    this.applied.follow(this.own, rules, this.outbox);
  }
}
