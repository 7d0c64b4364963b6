/** What may happen in the small world, and how often in one path. What always holds: all else is free. */

/** How often something may happen in one path; at most three times. */
export interface Bounds {
  readonly servers: readonly string[];
  /**
   * What has happened before, from normal mode on, not counted: choices by name; `give beta mirror`: all mirrors for beta
   * arrive; `settle`: whatever is ordinary happens until nothing is left.
   */
  readonly after: readonly string[];
  readonly requests: number;
  /** A request that was sent already comes again, to any hot server. */
  readonly resends: number;
  readonly queries: number;
  /** With all that was not synced, or with only a part of it lost. */
  readonly crashes: number;
  /** A server hears another one, or all, for longer than the suspicion time not. */
  readonly silences: number;
  /** Compare-and-sets whose sender gets no answer in time; they may land before, after or never. */
  readonly timeouts: number;
  /** Planned switches that are asked for. */
  readonly switches: number;
  /** Switches that take too long for one of the two: it is as before, and the other one may not know. */
  readonly lates: number;
  /** Servers that are told to stop. */
  readonly stops: number;
  /** Disks that fail. */
  readonly diskFailures: number;
  /** Servers that start again after they ended; one that did not stays away. */
  readonly starts: number;
  /** The accepted epoch and the cut of a log take their time to reach the disk, as a sync does; 0: they are there at once. */
  readonly slowDisk: 0 | 1;
  /** 1: a server that is alone moves the base forward after a silence. */
  readonly bases: 0 | 1;
  /** Readings of the registry by servers that know its newest record; the others read it whenever they like. */
  readonly reads: number;
}

export type Counted = keyof Omit<Bounds, "servers" | "after" | "slowDisk" | "bases">;

const counted: readonly Counted[] = [
  "requests",
  "resends",
  "queries",
  "crashes",
  "silences",
  "timeouts",
  "switches",
  "lates",
  "stops",
  "diskFailures",
  "starts",
  "reads",
];

export const noBounds: Omit<Bounds, "servers"> = {
  after: [],
  requests: 0,
  resends: 0,
  queries: 0,
  crashes: 0,
  silences: 0,
  timeouts: 0,
  switches: 0,
  lates: 0,
  stops: 0,
  diskFailures: 0,
  starts: 0,
  slowDisk: 0,
  bases: 0,
  reads: 0,
};

/** How often each has happened, two bits a kind: a part of every state, and so one number. */
export type Spent = number;

export function timesOf(spent: Spent, what: Counted): number {
  return (spent >> (2 * counted.indexOf(what))) & 3;
}
export function spendOne(spent: Spent, what: Counted): Spent {
  return spent + (1 << (2 * counted.indexOf(what)));
}
