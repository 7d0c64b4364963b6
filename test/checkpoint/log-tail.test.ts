/** The end of the log as the disk was given it: dense, cut at once, and let go of batch by batch. */
import test from "ava";
import { LogTail } from "../../machines/checkpoint/log-tail.ts";
import { put, TestLog } from "../helpers/checkpoints.ts";

const ranges = (batches: readonly { first: number; last: number }[]) => batches.map(({ first, last }) => [first, last]);

/** Records 1-3, 4-6, 7-9 of a log. */
function given(): { log: TestLog; tail: LogTail } {
  const log = new TestLog();
  const tail = new LogTail(0);
  for (let at = 0; at < 3; at += 1) tail.append(log.append([[put("a", "1")], [put("b", "1")], [put("c", "1")]]));
  return { log, tail };
}

test("it hands out exactly the records that are asked for", (t) => {
  const { log, tail } = given();
  for (let from = 1; from <= 9; from += 1)
    for (let through = from; through <= 9; through += 1)
      t.deepEqual(tail.batches(from, through), [...log.batches(from, through)], `${from} to ${through}`);
  t.deepEqual(tail.batches(10, 12), []);
});

test("what does not go on from its end is refused", (t) => {
  const { log, tail } = given();
  const [first] = log.batches(1, 3);
  t.throws(() => tail.append(first ?? t.fail()), { message: "record 1 was given after record 9" });
});

test("a cut takes what is above it, also in the middle of a batch; who was given it before keeps it", (t) => {
  const { log, tail } = given();
  const before = tail.batches(1, 9);
  tail.truncate(5);
  t.is(tail.end, 5);
  t.deepEqual(tail.batches(1, 9), [...log.batches(1, 5)]);
  t.deepEqual(before, [...log.batches(1, 9)]);
  log.truncate(5);
  tail.append(log.append([[put("d", "2")]], 2));
  t.deepEqual(tail.batches(4, 6), [...log.batches(4, 6)]);
  tail.truncate(8);
  t.is(tail.end, 6, "a cut above the end is none");
});

test("it lets go of whole batches only, and says so to whoever asks for what is gone", (t) => {
  const { tail } = given();
  tail.dropThrough(5);
  t.deepEqual(ranges(tail.batches(4, 9)), [
    [4, 6],
    [7, 9],
  ]);
  t.throws(() => tail.batches(3, 9), { instanceOf: RangeError });
  t.throws(() => tail.truncate(2), { instanceOf: RangeError });
  tail.dropThrough(9);
  t.is(tail.end, 9);
  t.deepEqual(tail.batches(10, 10), []);
});
