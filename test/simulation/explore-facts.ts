/**
 * All of a replica that decides how it goes on, as values: two replicas with equal facts do the same with the same inputs.
 * What always holds: a time is told as an age, so that it does not matter when something happened, only how long ago.
 *
 * Left out, and why it may be:
 * - the records: the log's end and its hash tell them, and with `through` all of the request table that follows from them
 *   (nothing is forgotten in the scopes that are explored, and snapshots are taken whole);
 * - where batches begin and end: only how records are packed into mirrors follows from it, and the logs' hashes do not;
 * - the counters that make new names (`newId`, the writes' numbers) and new beats: names only have to differ;
 * - when the registry was read last: it is read when a choice says so;
 * - `why` and `waitingFor`, which are for people, and the commit point and epoch that the invariants compare with;
 * - of a heartbeat what is for people, and what the start table reads only to choose the longest log (`afterTotalLoss:
 *   longest`, which is not explored): `state`, `history`, `last`, `lastEpoch`, `committed`, `beat` and its echoes.
 */
import type { Peer } from "../../machines/replica/peers.ts";
import type { Replica } from "../../machines/replica/replica.ts";

export function factsOf(replica: Replica, nowMs: number): unknown[] {
  const { own, applied, membership, peers, intake, commitment, serving, follower, leaving, consultation, plans } =
    replica;
  const age = (ms: number) => nowMs - ms;
  const { savedEpoch, reading } = membership.facts;
  const { following } = follower;
  const { requests } = applied;
  return [
    [replica.self, replica.life, replica.state, replica.alone, replica.stopping, replica.mustLook, replica.outbox],
    [replica.bus.connected, age(replica.bus.lostMs)],
    [own.log.base, own.log.last, own.log.closed, own.log.epochEnds],
    [own.history, own.committed, own.synced, own.written, own.published, own.oldestOnDisk],
    [applied.isLoaded, requests.through, requests.resultNumber, requests.historyStart],
    [requests.done.count, requests.done.floorMs, requests.forgetThrough, [...requests.begun.values()]],
    [membership.known, membership.open, membership.epochSeen, savedEpoch, reading],
    [membership.isMissing, membership.isAnswered, membership.silentSinceMs, membership.frozen],
    [peers.probe, age(peers.lastTickMs), [...peers].map((peer) => factsOfPeer(peer, age))],
    [intake.facts, intake.isPaused],
    [commitment.facts, commitment.results],
    [serving.facts, serving.inherited, age(serving.hotSinceMs)],
    following && { ...following, askedMs: age(following.askedMs), heardMs: age(following.heardMs) },
    [leaving.facts, consultation.isForced, consultation.facts.verdict],
    [plans.leavingOut, plans.takingIn, plans.fence, plans.switchWhy],
    [age(plans.switchSinceMs), age(plans.switchFailedMs), age(plans.epochSinceMs), age(plans.baseMs)],
  ];
}

function factsOfPeer(peer: Peer, age: (ms: number) => number): unknown[] {
  const { session, heartbeat } = peer;
  return [
    heartbeat && [
      heartbeat.incarnation,
      heartbeat.life,
      heartbeat.hot,
      heartbeat.stopping,
      heartbeat.bus,
      heartbeat.registry,
    ],
    [peer.leaving, peer.removals, age(peer.removedMs)],
    [peer.links.value, age(peer.heartbeatMs), age(peer.heardMs.main), age(peer.heardMs.failsafe)],
    [age(peer.closedMs), age(peer.echoedMs)],
    peer.mirror.value,
    session && { ...session, progressMs: age(session.progressMs), resentMs: age(session.resentMs) },
  ];
}
