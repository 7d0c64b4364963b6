/** Where two logs part, against a plain comparison of all their records (rule 7). */
import test from "ava";
import * as fc from "fast-check";
import type { EpochEnd } from "../../machines/log/memory-log.ts";
import { agreedSequence } from "../../machines/replica/primary/progress.ts";

/** A log as the epochs of its records. One incarnation makes the records of an epoch, so an epoch and a sequence name a record. */
type Log = readonly number[];

function endsOf(log: Log): EpochEnd[] {
  const ends: EpochEnd[] = [];
  log.forEach((epoch, index) => {
    if (ends.at(-1)?.epoch === epoch) ends.pop();
    ends.push({ epoch, last: index + 1 });
  });
  return ends;
}

function commonLength(one: Log, other: Log): number {
  let length = 0;
  while (length < one.length && length < other.length && one[length] === other[length]) length += 1;
  return length;
}

/** One step: a server goes hot in a new epoch and makes records, and others follow it for a part of the way. */
const step = fc.record({
  primary: fc.nat(2),
  records: fc.nat(3),
  followers: fc.array(fc.record({ server: fc.nat(2), lacks: fc.nat(4) }), { maxLength: 2 }),
});

/** Three servers' logs after these steps. A follower drops what its primary does not have, then takes records in order. */
function play(
  steps: readonly { primary: number; records: number; followers: { server: number; lacks: number }[] }[],
): Log[] {
  const logs: Log[] = [[], [], []];
  for (const [index, { primary, records, followers }] of steps.entries()) {
    const log = [...(logs[primary] ?? []), ...Array.from({ length: records }, () => index + 1)];
    logs[primary] = log;
    for (const { server, lacks } of followers) {
      if (server === primary) continue;
      const agreed = commonLength(log, logs[server] ?? []);
      logs[server] = log.slice(0, Math.max(agreed, log.length - lacks));
    }
  }
  return logs;
}

test("what two logs agree on is exactly what they share", (t) => {
  const property = fc.property(fc.array(step, { maxLength: 8 }), (steps) => {
    const logs = play(steps);
    for (const mine of logs) {
      for (const theirs of logs) {
        const shared = commonLength(mine, theirs);
        const agreed = agreedSequence(endsOf(mine), endsOf(theirs), mine.length, theirs.length);
        if (agreed === null) t.is(shared, 0, "only where nothing is shared it cannot be told");
        else t.is(agreed, shared, `${mine.join("")} and ${theirs.join("")}`);
      }
    }
  });
  t.notThrows(() => fc.assert(property, { numRuns: 300 }));
});

test("with the oldest epochs forgotten it is what they share, or not told", (t) => {
  const property = fc.property(
    fc.array(step, { maxLength: 8 }),
    fc.nat(3),
    fc.nat(3),
    (steps, mineLess, theirsLess) => {
      const logs = play(steps);
      for (const mine of logs) {
        for (const theirs of logs) {
          const agreed = agreedSequence(
            endsOf(mine).slice(mineLess),
            endsOf(theirs).slice(theirsLess),
            mine.length,
            theirs.length,
          );
          t.true(agreed === null || agreed === commonLength(mine, theirs), `${mine.join("")} and ${theirs.join("")}`);
        }
      }
    },
  );
  t.notThrows(() => fc.assert(property, { numRuns: 300 }));
});

test("an empty log agrees with every other one, on nothing", (t) => {
  t.is(agreedSequence([], endsOf([1, 1]), 0, 2), 0);
  t.is(agreedSequence(endsOf([1, 1]), [], 2, 0), 0);
  t.is(agreedSequence([], [], 0, 0), 0);
});
