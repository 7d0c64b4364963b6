/** Histograms and what is under way: each bucket's edge, order, growth, and the bound. */
import test from "ava";
import { Durations, UnderWay } from "../../actors/operator/durations.ts";

const countsOf = ({ counts }: Durations) => [...counts];

test("a duration is counted in the first bucket that holds it, its edge included, and summed up in seconds", (t) => {
  const durations = new Durations([0.001, 0.01, 1]);
  for (const ms of [0, 1, 1.001, 10, 999.9, 1_000, 1_000.1, 60_000]) durations.observe(ms);
  t.deepEqual(countsOf(durations), [2, 2, 2, 2]);
  t.true(Math.abs(durations.sum - 63.012) < 0.001, String(durations.sum));
});

test("what is under way ends in its order, through the record that is told and no further", (t) => {
  const durations = new Durations([0.01, 0.1]);
  const underWay = new UnderWay();
  t.is(underWay.last, 0);
  underWay.begin(3, 100);
  underWay.begin(3, 105);
  underWay.begin(5, 110);
  t.is(underWay.last, 5);
  underWay.end(2, 111, durations);
  t.deepEqual(countsOf(durations), [0, 0, 0]);
  underWay.end(4, 112, durations);
  t.deepEqual(countsOf(durations), [1, 1, 0]);
  underWay.end(9, 1_000, durations);
  t.deepEqual(countsOf(durations), [1, 1, 1]);
  t.is(underWay.last, 0);
});

test("it grows with what is in it, wherever its ring begins, and forgets all at once", (t) => {
  const durations = new Durations([1]);
  const underWay = new UnderWay();
  for (let at = 1; at <= 40; at += 1) underWay.begin(at, 0);
  underWay.end(30, 500, durations);
  for (let at = 41; at <= 1_000; at += 1) underWay.begin(at, at);
  t.is(underWay.last, 1_000);
  underWay.end(500, 1_500, durations);
  t.deepEqual(countsOf(durations), [31, 469]);
  underWay.end(1_000, 1_500, durations);
  t.deepEqual(countsOf(durations), [531, 469]);
  underWay.begin(1_001, 0);
  underWay.clear();
  underWay.end(2_000, 0, durations);
  t.is(countsOf(durations)[0], 531);
});

test("past its bound what begins is not measured, and nothing else goes wrong", (t) => {
  const durations = new Durations([1]);
  const underWay = new UnderWay();
  for (let at = 1; at <= 200_000; at += 1) underWay.begin(at, 0);
  t.is(underWay.last, 131_072);
  underWay.end(200_000, 1, durations);
  t.is(countsOf(durations)[0], 131_072);
});
