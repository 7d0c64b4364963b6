/**
 * All of a replica that decides how it goes on, as values: two replicas with equal facts do the same with the same inputs.
 * What always holds: a time is told as an age, so that it does not matter when something happened, only how long ago, and
 * that only as far as a limit is compared with it.
 *
 * Left out, and why it may be:
 * - the records: the log's end and its hash tell them, and with `through` all of the request table that follows from them
 *   (nothing is forgotten in the scopes that are explored, and snapshots are taken whole);
 * - where batches begin and end: only how records are packed into mirrors follows from it, and the logs' hashes do not;
 * - the counters that make new names (`newId`, the writes' numbers) and new beats: names only have to differ; and the number of
 *   the newest question to follow, which rises with those names: the next one is always a later one;
 * - when the registry was read last, a switch failed, NATS was lost or the main link closed or echoed, since when a peer reaches
 *   NATS and the registry, or does not, and the registry answers: none of it happens in the small world, or it is a choice there and asks no clock;
 * - the histories before this one: none begins there;
 * - since when a server stops: what follows from it comes after `stopMs`, which no three silences last;
 * - of two servers, to whom the role was offered and who did not take it: there is one heir to choose;
 * - since when a server is stopping: no scope lasts as long as it waits for an heir (`stopMs`);
 * - who speaks under a peer's name, and under this server's own: no two processes have one name there;
 * - `quiet`: whoever looks at what is due does it twice there, so that a quiet session speaks whatever it was before;
 * - what is made anew before it is read again: who is left out and taken in (outside of the states that ask), the fence, the
 *   start table's last verdict (outside of the states that consult), what was inherited (on a server that is not hot);
 * - wall clocks, and how long each reply has been remembered: no request has a stamp there, and nothing is forgotten;
 * - `why`, `waitingFor` and the number of results, which are for people and actors, and the commit point and epoch that the
 *   replica's own invariants compare with;
 * - of a heartbeat what is for people, and what the start table reads only to choose the longest log (`afterTotalLoss:
 *   longest`, which is not explored): `state`, `history`, `last`, `lastEpoch`, `committed`, `beat` and its echoes.
 */
import type { Peer } from "../../../machines/replica/peers.ts";
import type { Replica } from "../../../machines/replica/replica.ts";

/** No more than this, of what is compared with the suspicion time, and of what is compared with longer ones. */
const shortMs = 501;
const longMs = 100_000;

export function factsOf(replica: Replica, nowMs: number): unknown[] {
  const { own, applied, membership, peers, intake, commitment, serving, follower, leaving, consultation, plans } =
    replica;
  const { state, hot, limits } = replica;
  const age: Age = (ms, mostMs) => Math.min(nowMs - ms, mostMs);
  const { saved, memberEpoch, reading } = membership.facts;
  const { following } = follower;
  const { requests } = applied;
  const isAsking = /candidate|fencing|removing|adding/.test(state);
  return [
    [replica.self, replica.life, state, replica.alone, replica.stopping, replica.mustLook, replica.outbox],
    [own.log.base, own.log.last, own.log.closed, own.log.epochEnds],
    [own.history, own.differs, own.committed, own.synced, own.written, own.published, own.oldestOnDisk],
    [applied.isLoaded, requests.through, requests.resultNumber, requests.historyStart],
    [requests.done.count, requests.done.floors.saved, requests.forgetThrough, [...requests.begun.values()]],
    [membership.known, membership.open, membership.epochSeen, saved, memberEpoch, reading],
    [membership.isMissing, membership.isAnswered, membership.silentSinceMs, membership.frozen],
    [replica.bus.connected, peers.probe, age(peers.lastTickMs, shortMs)],
    [...peers].map((peer) => factsOfPeer(peer, age)),
    [intake.facts, intake.isPaused, commitment.facts, replica.deaths.facts],
    hot && [serving.facts, serving.inherited, age(plans.epochSinceMs, longMs)],
    following && {
      ...following,
      askedMs: age(following.askedMs, shortMs),
      heardMs: age(following.heardMs, shortMs),
    },
    [leaving.facts, consultation.isForced, /consulting|waiting|refusing/.test(state) && consultation.facts.verdict],
    isAsking && [plans.leavingOut, plans.takingIn],
    (replica.fenced || isAsking) && plans.fence,
    state === "hot.alone" && age(plans.baseMs, limits.baseMs < longMs ? shortMs : 0),
    [plans.switchWhy, state === "hot.switching" && [age(plans.switchSinceMs, longMs), plans.switchNeeds]],
    state === "receiving" && age(plans.takenMs, longMs),
    [...peers].length > 1 && [plans.refused, state === "hot.switching" && plans.heir],
  ];
}

type Age = (ms: number, mostMs: number) => number;

function factsOfPeer(peer: Peer, age: Age): unknown[] {
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
    [peer.leaving, peer.asked, peer.removals, age(peer.removedMs, longMs)],
    [peer.links.value, age(peer.heartbeatMs, shortMs), age(peer.heardMs.main, shortMs)],
    [age(peer.heardMs.failsafe, shortMs), peer.mirror.value],
    session && {
      ...session,
      quiet: true,
      progressMs: age(session.progressMs, longMs),
      resentMs: age(session.resentMs, longMs),
    },
  ];
}
