/** What the checker says of the time at which requests were taken (rule 20). */
import test from "ava";
import { readCommittedLogs } from "../../machines/checker/committed-log.ts";
import type { CommittedRecord } from "../../machines/checker/history.ts";
import { checkTimes } from "../../machines/checker/times.ts";

const start = 1_000_000;
const facts = { latestMs: (atMs: number) => start + atMs, maxClockStepMs: 10_000 };

/** `makers`: whose records those of each epoch are, where that was told. */
function texts(
  records: readonly (Partial<CommittedRecord> & { takenMs: number })[],
  makers: Readonly<Record<number, string>> = {},
): string[] {
  const whole = records.map((record, at) => ({
    sequence: at + 1,
    epoch: 1,
    hash: at + 1,
    kind: "final" as const,
    client: "c",
    id: String(at),
    name: "",
    resultNumber: at + 1,
    reply: "{}",
    ...record,
  }));
  const of = { server: "alpha", incarnation: "a", history: "h" } as const;
  const events = whole.map((record) => ({ type: "commit" as const, atMs: 0, ...of, records: [record] }));
  const made = Object.entries(makers).map(([epoch, server]) => {
    const by = { server, incarnation: `${server}-1` };
    return { type: "made" as const, atMs: 0, ...by, epoch: Number(epoch), sequence: 1 };
  });
  return checkTimes(readCommittedLogs(events), facts, made).map(({ text }) => text);
}

test("time that goes on, and a request that waited for its turn, are well", (t) => {
  t.deepEqual(texts([{ takenMs: start }, { takenMs: start + 9_000 }, { takenMs: start - 40_000 }]), []);
});

test("time that falls, from one request to one that is taken later", (t) => {
  t.regex(
    texts([{ takenMs: start }, { takenMs: start - 70_000 }])[0] ?? "",
    /and records before it say that it was 940000 by then$/,
  );
});

test("what waited stands behind later ones of its own primary, however far time went on meanwhile, and behind no other's", (t) => {
  const makers = { 1: "alpha", 2: "alpha", 3: "beta" };
  const jumped = [{ takenMs: start }, { takenMs: start + 9_000 }];
  t.deepEqual(texts([...jumped, { takenMs: start - 900_000, epoch: 2 }], makers), []);
  t.deepEqual(texts([...jumped, { takenMs: start + 9_000, epoch: 3 }], makers), []);
  const fallen = texts([...jumped, { takenMs: start + 8_999, epoch: 3 }], makers);
  t.regex(fallen[0] ?? "", /was taken at 1008999, and records before it say that it was 1009000 by then$/);
  t.is(fallen.length, 1);
});

test("time that no two clocks said, beyond what each primary may follow its own", (t) => {
  t.deepEqual(texts([{ takenMs: start }, { takenMs: start + 10_000 }]), []);
  const found = texts([{ takenMs: start }, { takenMs: start + 10_001 }]);
  t.regex(found[0] ?? "", /later than any two clocks said/);
  t.deepEqual(texts([{ takenMs: start }, { takenMs: start + 20_000, epoch: 2 }]), []);
});

test("the first time of all is the clock's of whoever took it, and goes on from there", (t) => {
  t.deepEqual(texts([{ takenMs: start + 90_000 }, { takenMs: start + 100_000 }]), []);
  t.is(texts([{ takenMs: start + 90_000 }, { takenMs: start + 100_001 }]).length, 1);
});

test("a request that is told two times", (t) => {
  const begun = { id: "1", kind: "transaction" as const };
  t.deepEqual(
    texts([
      { ...begun, takenMs: start },
      { ...begun, kind: "final", takenMs: start },
    ]),
    [],
  );
  const found = texts([
    { ...begun, takenMs: start },
    { ...begun, kind: "final", takenMs: start + 1 },
  ]);
  t.regex(found[0] ?? "", /an earlier record of it says/);
});

test("a request that was only tried is taken anew where that was forgotten, and told one time from then on", (t) => {
  const tried = { id: "1", kind: "attempt" as const };
  const first = { ...tried, takenMs: start };
  const anew = { ...tried, takenMs: start + 5_000 };
  const done = { ...tried, kind: "final" as const, takenMs: start + 5_000 };
  t.deepEqual(texts([first, anew, done]), []);
  for (const records of [
    [first, { ...done }],
    [first, anew, { ...done, takenMs: start }],
    [first, { ...first, kind: "transaction" as const }, anew],
    [anew, first],
  ])
    t.regex(texts(records)[0] ?? "", /an earlier record of it says/);
});
