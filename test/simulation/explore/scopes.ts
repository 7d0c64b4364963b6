/**
 * The scopes in which the replica alone is explored. What always holds: each is small enough to be explored to its end; those
 * that are `quick` are, in every run of the tests, the others with `npm run simulate -- --explore`.
 */
import type { Bounds } from "./bounds.ts";

export interface ExploredScope {
  readonly name: string;
  readonly isQuick: boolean;
  readonly bounds: Partial<Bounds> & Pick<Bounds, "servers">;
}

const two = ["alpha", "beta"];
const three = ["alpha", "beta", "gamma"];

/** beta was away and comes back with nothing, while alpha is alone and has a record that was acknowledged. */
export const joining = ["crash beta", "miss alpha beta", "settle", "request alpha", "settle", "start beta"];
/** alpha wrote a record that nobody else has, and comes back to beta, which has gone on alone. */
export const forked = ["request alpha", "crash alpha late", "settle", "start alpha"];
/** beta wins without alpha, its log is not committed, and gamma has not heard of it; alpha is back with nothing. */
export const inheriting = inOrder(
  "request alpha, give beta mirror, give gamma mirror, give alpha confirm, crash alpha, start alpha",
  "miss beta alpha, miss gamma alpha, land beta-1.1, answer beta-1.1, read alpha 5, give alpha heartbeat",
);
/** beta follows alpha, which is alone; its confirms of everything are on their way. */
export const confirming = [
  ...joining,
  ...inOrder(
    "read beta 4, look alpha, look beta, give beta heartbeat, give alpha heartbeat, look beta",
    "give alpha follow, give beta accept, give beta mirror",
  ),
];
/** Before they arrive alpha asks to move the base forward. */
export const rebasing = [...confirming, "silence alpha"];
/** Before they arrive beta dies, and is back with nothing. */
export const restarting = [...confirming, "crash beta", "start beta", "read beta 4", "look alpha"];

/**
 * beta won epoch 4 by a planned switch and has not heard of it; alpha has, heard nobody after that, won epoch 5 without beta
 * and acknowledged record 1. When beta is told that it won epoch 4, it goes hot in it without that record.
 */
export const unaware = inOrder(
  "switch alpha, give beta handover, land beta-1.1, poll alpha, read alpha 4, silence alpha, disk alpha",
  "land alpha-1.3, answer alpha-1.3, request alpha, disk alpha",
);

/** gamma is the primary, without alpha's record; beta, which has that, asked to be alone, died, and is back before that has landed. */
export const asking = inOrder(
  "request alpha, give beta mirror, crash alpha, miss beta alpha, miss gamma alpha, land gamma-1.1, answer gamma-1.1",
  "read beta 5, silence beta gamma, disk beta, crash beta, start beta",
);

function inOrder(...lines: string[]): string[] {
  return lines.flatMap((line) => line.split(", "));
}

function scope(name: string, bounds: Partial<Bounds>, isQuick = false): ExploredScope {
  return { name, isQuick, bounds: { servers: two, ...bounds } };
}

export const scopes: readonly ExploredScope[] = [
  scope("three records, every order of messages", { requests: 3 }, true),
  scope("two records, a crash", { requests: 2, crashes: 1 }, true),
  scope("a crash, a query, a request that comes again", { requests: 1, crashes: 1, queries: 1, resends: 1 }, true),
  scope("a silence, an answer that does not come in time", { requests: 1, silences: 1, timeouts: 1 }, true),
  scope("a planned switch, a query", { requests: 1, switches: 1, queries: 1 }, true),
  scope("a planned switch that takes too long", { requests: 1, switches: 1, lates: 2 }, true),
  scope("a server joins", { after: joining }, true),
  scope("a server comes back with a record that was never committed", { after: forked }, true),
  scope(
    "one that is told late that it won is deposed already, a query, a record, one that comes again",
    { after: unaware, requests: 1, queries: 1, resends: 1 },
    true,
  ),
  scope("three servers, a record", { servers: three, requests: 1 }, true),
  scope("what a server asked for lands in its next life, a crash", { servers: three, after: asking, crashes: 1 }, true),
  scope("a server is about to be taken in, and both are told to stop", { after: confirming, stops: 2 }, true),

  scope("three records, a crash, a silence, an answer that does not come in time", {
    requests: 3,
    crashes: 1,
    silences: 1,
    timeouts: 1,
  }),
  scope("a crash, a silence, an answer that does not come in time, a query, a request that comes again", {
    requests: 1,
    crashes: 1,
    silences: 1,
    timeouts: 1,
    queries: 1,
    resends: 1,
  }),
  scope("two records, a silence, an answer that does not come in time, a query", {
    requests: 2,
    silences: 1,
    timeouts: 1,
    queries: 1,
  }),
  scope("two records, a silence, a crash, an answer that does not come in time, slow disks", {
    requests: 2,
    silences: 1,
    crashes: 1,
    timeouts: 1,
    slowDisk: 1,
  }),
  scope("a crash and a start", { requests: 1, crashes: 1, starts: 1 }),
  scope("a silence and a start", { requests: 1, silences: 1, starts: 1 }),
  scope("a planned switch, a silence, an answer that does not come in time", {
    requests: 1,
    switches: 1,
    silences: 1,
    timeouts: 1,
  }),
  scope("a planned switch that takes too long, a crash", { requests: 1, switches: 1, lates: 2, crashes: 1 }),
  scope("a planned switch that takes too long, an answer that does not come in time, a query", {
    requests: 1,
    switches: 1,
    lates: 2,
    timeouts: 1,
    queries: 1,
  }),
  scope("both are told to stop", { requests: 1, stops: 2 }),
  scope("a server joins, a crash, a silence, an answer that does not come in time", {
    after: joining,
    crashes: 1,
    silences: 1,
    timeouts: 1,
  }),
  scope("both are told to stop, a crash", { requests: 1, stops: 2, crashes: 1 }),
  scope("a server joins, and one is told to stop", { after: joining, stops: 1 }),
  scope("a server joins, both are told to stop, a crash", { after: joining, stops: 2, crashes: 1 }),
  scope("a server is about to be taken in, one is told to stop, a silence", {
    after: confirming,
    stops: 1,
    silences: 1,
  }),
  scope("a server joins while the base is moved, both are told to stop, a crash", {
    after: rebasing,
    stops: 2,
    bases: 1,
    crashes: 1,
  }),
  scope("a server comes back with a record that was never committed, another record", { after: forked, requests: 1 }),
  scope("a server joins while the base is moved, one is told to stop", { after: rebasing, stops: 1, bases: 1 }),
  scope("a disk fails, a crash", { requests: 1, diskFailures: 1, crashes: 1 }),
  scope("three servers, two records, a crash", { servers: three, requests: 2, crashes: 1 }),
  scope("three servers, a record, a crash, an answer that does not come in time", {
    servers: three,
    requests: 1,
    crashes: 1,
    timeouts: 1,
  }),
  scope("what a server asked for lands in its next life, a record", { servers: three, after: asking, requests: 1 }),
  scope("what a server asked for lands in its next life, a silence", { servers: three, after: asking, silences: 1 }),
  scope("three servers, a silence", { servers: three, silences: 1 }),
];
