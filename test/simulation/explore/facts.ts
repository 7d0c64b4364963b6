/**
 * All of a replica that decides how it goes on, as values: two replicas with equal facts do the same with the same inputs.
 * What always holds: a time is told as an age, so that it does not matter when something happened, only how long ago, and
 * that only as far as a limit is compared with it.
 *
 * Left out, and why it may be:
 * - the records: the log's end and its hash tell them, and with `through` all of the request table that follows from them
 *   (nothing is forgotten in the scopes that are explored, and snapshots are taken whole);
 * - where batches begin and end: only how records are packed into mirrors follows from it, and the logs' hashes do not;
 * - the counters that make new names (`newName`, the writes' numbers) and new beats: names only have to differ; and the number of
 *   the newest question to follow, which rises with those names: the next one is always a later one;
 * - when the registry was read last, a switch failed, NATS was lost or the main link closed or echoed, since when a peer reaches
 *   NATS and the registry, or does not, and the registry answers: none of it happens in the small world, or it is a choice there and asks no clock;
 * - the histories before this one: none begins there;
 * - since when a server stops: what follows from it comes after `stopMs`, which no three silences last;
 * - of two servers, to whom the role was offered and who did not take it: there is one successor to choose;
 * - who speaks under a peer's name, and under this server's own: no two processes have one name there;
 * - `quiet`: whoever looks at what is due does it twice there, so that a quiet session speaks whatever it was before;
 * - a confirm that is held back: nobody there has so much to apply;
 * - the start table's last verdict, outside of the states that consult: it is made anew before it is read again;
 * - wall clocks, and how long each reply has been remembered: no request has a stamp there, and nothing is forgotten;
 * - what is counted for operators (`tally`), when the primary was heard last (`lastWord`), which is told to them, and when a request came, which is told to none there;
 * - `why`, `waitingFor` and the number of results, which are for people and actors, and the commit point and epoch that the
 *   replica's own invariants compare with;
 * - of a heartbeat what is for people, and what the start table reads only to choose the longest log (`afterTotalLoss:
 *   longest`, which is not explored): `state`, `history`, `last`, `lastEpoch`, `committed`, `beat` and its echoes.
 */

import type { Core } from "../../../machines/replica/core.ts";
import type { Follower } from "../../../machines/replica/follower/follower.ts";
import type { Peer } from "../../../machines/replica/peers/peers.ts";
import type { Primary } from "../../../machines/replica/primary/primary.ts";
import type { Progress } from "../../../machines/replica/primary/progress.ts";
import type { Candidacy } from "../../../machines/replica/registry/candidacy.ts";
import type { Replica } from "../../../machines/replica/replica.ts";
import { inside } from "../../helpers/inside.ts";

/** No more than this, of what is compared with the suspicion time, and of what is compared with longer ones. */
const shortMs = 501;
const longMs = 100_000;

export function factsOf(replica: Replica, nowMs: number): unknown[] {
  const { core, primary, follower, candidacy, consultation, shutdown, mustLook } = inside(replica);
  const { self, startCount, state, alone, stopping, outbox, own, applied, membership, peers, bus } = core;
  const age: Age = (ms, mostMs) => Math.min(nowMs - ms, mostMs);
  const { saved, memberEpoch, reading } = membership.facts;
  const { requests } = applied;
  return [
    [self, startCount, state, alone, stopping, mustLook, outbox],
    [own.log.base, own.log.last, own.log.closed, own.log.epochEnds],
    [own.history, own.differs, own.committed, own.synced, own.written, own.published, own.oldestOnDisk],
    [applied.isLoaded, requests.through, requests.resultNumber, requests.historyStart],
    [requests.done.count, requests.done.floors.saved, requests.forgetThrough, [...requests.begun.values()]],
    [membership.known, membership.open, membership.epochSeen, saved, memberEpoch, reading],
    [membership.isMissing, membership.isAnswered, membership.silentSinceMs, membership.frozen],
    [bus.connected, core.probe, age(peers.lastTickMs, shortMs), core.deaths.facts],
    [...peers].map((peer) => factsOfPeer(peer, age)),
    [shutdown.facts, consultation.isForced],
    /consulting|waiting|refusing/.test(state) && consultation.facts.verdict,
    primary && factsOfPrimary(primary, core, age),
    follower && factsOfFollower(follower, age),
    candidacy && factsOfCandidacy(candidacy, core, age),
  ];
}

type Age = (ms: number, mostMs: number) => number;

function factsOfPeer(peer: Peer, age: Age): unknown[] {
  const { heartbeat } = peer;
  return [
    heartbeat && [
      heartbeat.incarnation,
      heartbeat.life,
      heartbeat.hot,
      heartbeat.stopping,
      heartbeat.bus,
      heartbeat.registry,
    ],
    [peer.leaving, peer.asked, peer.removals, age(peer.removedMs, longMs)],
    [peer.links.value, age(peer.heartbeatMs, shortMs), age(peer.heardMs.main, shortMs)],
    age(peer.heardMs.failsafe, shortMs),
  ];
}

function factsOfPrimary(primary: Primary, { state, limits }: Core, age: Age): unknown[] {
  const { intake, commitment, handover, followers, inherited } = primary;
  const { isReady, settledMs, rebasedMs } = primary.facts;
  const { wanted, sinceMs, needs, successor, refused } = handover.facts;
  const isSwitching = state === "hot.switching";
  return [
    [inherited, isReady, age(settledMs, longMs)],
    [intake.facts, intake.isPaused, commitment.facts],
    [...followers].map((progress) => factsOfProgress(progress, age)),
    state === "hot.alone" && age(rebasedMs, limits.baseMs < longMs ? shortMs : 0),
    [wanted, isSwitching && [age(sinceMs, longMs), needs]],
    [...followers].length > 1 && [refused, isSwitching && successor],
  ];
}

function factsOfProgress({ state, session }: Progress, age: Age): unknown[] {
  const facts = session?.facts;
  return [
    state,
    facts && { ...facts, progressMs: age(facts.progressMs, longMs), resentMs: age(facts.resentMs, longMs) },
  ];
}

function factsOfFollower({ primary, session }: Follower, age: Age): unknown[] {
  return [primary, { ...session, askedMs: age(session.askedMs, shortMs), heardMs: age(session.heardMs, shortMs) }];
}

function factsOfCandidacy({ facts }: Candidacy, { state }: Core, age: Age): unknown[] {
  const { leavingOut, takingIn, fence, sinceMs } = facts;
  return [leavingOut, takingIn, fence, state === "receiving" && age(sinceMs, longMs)];
}
