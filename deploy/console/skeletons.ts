/**
 * Which ways give a chart its shape. All ways of a large machine laid out at once are a picture that nobody reads; so its states
 * are placed by the ways that tell its story, and the others are drawn over it where they are asked for. What always holds:
 * every way here is one of the definition (a test holds that), from a state to the state that it ends in.
 */

export type Skeleton = readonly (readonly [from: string, to: string])[];

/** A machine that is not here is placed by all its ways that have an event. */
export const skeletons: Readonly<Record<string, Skeleton>> = {
  // From the start over joining and following to hot, and back.
  lifecycle: [
    ["recovering", "consulting"],
    ["consulting", "waiting"],
    ["consulting", "refusing"],
    ["consulting", "leaving"],
    ["consulting", "claiming.syncing"],
    ["claiming.syncing", "claiming.asking"],
    ["claiming.asking", "hot.alone"],
    ["consulting", "renewing.syncing"],
    ["renewing.syncing", "renewing.asking"],
    ["renewing.asking", "hot.alone"],
    ["consulting", "following.joining"],
    ["following.joining", "following.warm"],
    ["following.warm", "candidate.syncing"],
    ["candidate.syncing", "candidate.asking"],
    ["candidate.asking", "hot.alone"],
    ["following.warm", "candidate.electing"],
    ["candidate.electing", "hot.normal"],
    ["following.warm", "receiving"],
    ["receiving", "hot.normal"],
    ["following.unsettled", "hot.normal"],
    ["hot.alone", "hot.adding"],
    ["hot.adding", "hot.normal"],
    ["hot.alone", "hot.rebasing"],
    ["hot.normal", "hot.removing"],
    ["hot.normal", "hot.fencing.syncing"],
    ["hot.fencing.syncing", "hot.fencing.asking"],
    ["hot.normal", "hot.switching"],
    ["hot.normal", "hot.pausing"],
    ["hot", "deposed"],
    ["deposed", "restarting"],
    ["hot.alone", "stopped"],
  ],
  application: [
    ["loading", "warm"],
    ["warm", "hot"],
  ],
  mirror: [
    ["none", "asked"],
    ["asked", "snapshot"],
    ["asked", "open.catchingUp"],
    ["open.catchingUp", "open.streaming"],
    ["open.streaming", "open.inSync"],
    ["open.inSync", "open.stalled"],
  ],
  link: [
    ["main.unproven", "main.up"],
    ["main.up", "main.silent"],
    ["main.up", "main.closed"],
    ["failsafe.unproven", "failsafe.up"],
    ["failsafe.up", "failsafe.silent"],
    ["failsafe.up", "failsafe.closed"],
    ["peer.unproven", "peer.main"],
    ["peer.main", "peer.failsafe"],
    ["peer.failsafe", "peer.none"],
    ["peer.failsafe", "peer.gone"],
  ],
  checkpoint: [
    ["closed", "recovering"],
    ["recovering", "fresh"],
    ["recovering", "idle"],
    ["recovering", "abandoning"],
    ["fresh", "receiving"],
    ["receiving", "adopting"],
    ["adopting", "adopted"],
    ["idle", "flushing"],
    ["flushing", "stopping"],
    ["flushing", "failed"],
  ],
};
