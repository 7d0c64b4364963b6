/** Whether a snapshot holds all of the store whose place it takes: where nothing proves it, it does not (rules 7 and 18). */
import test from "ava";
import { isHeldBy, type NewLog, type OldLog } from "../../machines/checkpoint/held.ts";

const old: OldLog = {
  history: "h1",
  end: { sequence: 100, hash: 11, epoch: 5 },
  committed: 90,
  committedHash: 9,
};
const other: NewLog = {
  history: "h1",
  ancestors: [],
  end: { sequence: 500, hash: 55, epoch: 8 },
  atOldEnd: undefined,
  atOldCommitted: undefined,
};
const ancestor = (sequence: number, epoch: number) => ({
  history: "h1",
  start: 0,
  end: { sequence, hash: 1, epoch },
  results: 7,
});
const inNew = (sequence: number, epoch: number): NewLog => ({
  ...other,
  history: "h2",
  ancestors: [ancestor(sequence, epoch)],
});

const cases: [held: boolean, what: string, old: OldLog, other: NewLog][] = [
  [
    true,
    "an empty log",
    { ...old, end: { sequence: 0, hash: 0, epoch: 0 }, committed: 0 },
    { ...other, history: "h9" },
  ],
  [true, "the very same record at its end", old, { ...other, history: "h9", atOldEnd: { epoch: 5, hash: 11 } }],
  [false, "another record of the same epoch at its end", old, { ...other, atOldEnd: { epoch: 5, hash: 12 } }],
  [true, "the same history, which goes further", old, other],
  [
    true,
    "the same history: an uncommitted tail is promised to nobody",
    old,
    { ...other, atOldEnd: { epoch: 6, hash: 3 } },
  ],
  [
    false,
    "the same history, which ends below what is committed",
    old,
    { ...other, end: { ...other.end, sequence: 89 } },
  ],
  [
    false,
    "the same history with another record at the commit point",
    old,
    { ...other, atOldCommitted: { epoch: 4, hash: 8 } },
  ],
  [true, "another history that goes on with all of this one", old, inNew(100, 5)],
  [true, "one that goes on with a later epoch: what this one has besides was not acknowledged", old, inNew(95, 6)],
  [false, "one that goes on with less of the same epoch", old, inNew(99, 5)],
  [false, "one that goes on with an earlier epoch, though it is longer", old, inNew(400, 4)],
  [false, "one that goes on with less than is committed", old, inNew(89, 6)],
  [false, "one that knows nothing of this history", old, { ...other, history: "h2" }],
  [
    false,
    "another record at the commit point, whatever the history says",
    old,
    { ...inNew(100, 5), atOldCommitted: { epoch: 5, hash: 8 } },
  ],
  [false, "a log of no history that is known", { ...old, history: "" }, { ...other, history: "" }],
];

for (const [held, what, one, two] of cases)
  test(`${held ? "held" : "set aside"}: ${what}`, (t) => {
    t.is(isHeldBy(one, two), held);
  });
