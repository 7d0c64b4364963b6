/** The commit rule as a table of cases: what is held by one configuration, and by two while a compare-and-set is open (rules 2 and 3). */
import test from "ava";
import { type Configuration, commitPoint, isAlone, otherMembers } from "../../machines/log/commit.ts";

const memory = (...incarnations: string[]): Configuration => ({
  durability: "memory",
  inSync: incarnations.map((incarnation) => ({ server: `server of ${incarnation}`, incarnation })),
});
const disk = (...incarnations: string[]): Configuration => ({ ...memory(...incarnations), durability: "disk" });

interface Case {
  readonly what: string;
  readonly configurations: readonly Configuration[];
  readonly last?: number;
  readonly synced?: number;
  /** By incarnation. */
  readonly confirmed?: Readonly<Record<string, number>>;
  readonly point: number;
}

const cases: readonly Case[] = [
  {
    what: "in memory: what the backup confirmed",
    configurations: [memory("self", "b")],
    confirmed: { b: 7 },
    point: 7,
  },
  { what: "in memory: nothing was heard of the backup", configurations: [memory("self", "b")], point: 0 },
  {
    what: "in memory: the order of the members does not count",
    configurations: [memory("b", "self")],
    confirmed: { b: 7 },
    point: 7,
  },
  {
    what: "in memory: the slowest of several",
    configurations: [memory("self", "b", "c")],
    confirmed: { b: 9, c: 4 },
    point: 4,
  },
  {
    what: "in memory: one of several was never heard",
    configurations: [memory("self", "b", "c")],
    confirmed: { b: 9 },
    point: 0,
  },
  {
    what: "in memory: never more than the own log",
    configurations: [memory("self", "b")],
    confirmed: { b: 99 },
    point: 10,
  },
  {
    what: "in memory: the own disk does not count",
    configurations: [memory("self", "b")],
    synced: 10,
    confirmed: { b: 3 },
    point: 3,
  },
  {
    what: "in memory: a confirm of a stranger does not count",
    configurations: [memory("self", "b")],
    confirmed: { b2: 9 },
    point: 0,
  },
  {
    what: "in memory: this incarnation is not named",
    configurations: [memory("b", "c")],
    confirmed: { b: 9, c: 9 },
    point: 0,
  },
  { what: "in memory: alone is all that it has", configurations: [memory("self")], point: 10 },
  { what: "on disk: what was synced", configurations: [disk("self")], synced: 6, point: 6 },
  { what: "on disk: nothing was synced", configurations: [disk("self")], point: 0 },
  {
    what: "on disk: the sole member is another one",
    configurations: [disk("b")],
    synced: 6,
    confirmed: { b: 9 },
    point: 0,
  },
  {
    what: "on disk: with two members nothing is proved",
    configurations: [disk("self", "b")],
    synced: 6,
    confirmed: { b: 9 },
    point: 0,
  },
  {
    what: "removal open: both the confirm and the sync",
    configurations: [memory("self", "b"), disk("self")],
    synced: 5,
    confirmed: { b: 8 },
    point: 5,
  },
  {
    what: "removal open: the confirm is behind",
    configurations: [memory("self", "b"), disk("self")],
    synced: 9,
    confirmed: { b: 2 },
    point: 2,
  },
  {
    what: "addition open: both the sync and the joiner's confirm",
    configurations: [disk("self"), memory("self", "b")],
    synced: 9,
    confirmed: { b: 4 },
    point: 4,
  },
  {
    what: "addition open: the joiner's confirm is not enough",
    configurations: [disk("self"), memory("self", "b")],
    synced: 3,
    confirmed: { b: 9 },
    point: 3,
  },
  {
    what: "a takeover by another one is open: nothing",
    configurations: [memory("self", "b"), disk("b")],
    synced: 9,
    confirmed: { b: 9 },
    point: 0,
  },
  {
    what: "one of three leaves: the old configuration still counts",
    configurations: [memory("self", "b", "c"), memory("self", "b")],
    confirmed: { b: 9, c: 1 },
    point: 1,
  },
  { what: "no configuration known: the own log bounds it", configurations: [], point: 10 },
];

for (const { what, configurations, last = 10, synced = 0, confirmed = {}, point } of cases) {
  test(what, (t) => {
    const progress = { self: "self", last, synced, confirmed: (incarnation: string) => confirmed[incarnation] ?? 0 };
    t.is(commitPoint(configurations, progress), point);
    t.is(commitPoint([...configurations].reverse(), progress), point, "whichever comes first");
  });
}

test("alone means alone in both configurations (rule 3)", (t) => {
  t.true(isAlone([disk("self")], "self"));
  t.true(isAlone([disk("self"), disk("self")], "self"));
  t.false(isAlone([memory("self", "b"), disk("self")], "self"));
  t.false(isAlone([disk("self"), memory("self", "b")], "self"));
  t.false(isAlone([disk("b")], "self"));
  t.false(isAlone([disk("self2")], "self"));
});

test("a proof needs an echo of every other member of the old and the new configuration (rule 5)", (t) => {
  t.deepEqual(otherMembers([memory("self", "b")], "self"), ["b"]);
  t.deepEqual(otherMembers([memory("self", "b"), disk("self")], "self"), ["b"]);
  t.deepEqual(otherMembers([memory("self", "b"), memory("self", "c")], "self"), ["b", "c"]);
  t.deepEqual(otherMembers([memory("self", "b", "c"), memory("self", "b")], "self"), ["b", "c"]);
  t.deepEqual(otherMembers([disk("self")], "self"), []);
});
