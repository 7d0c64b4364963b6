/** The figures of the last minutes: what is measured of a primary's counts, and what is kept, whoever makes up whatever. */
import test from "ava";
import { LatencyWatch } from "../../deploy/console/latency.ts";
import { maxSamples, Series } from "../../deploy/console/series.ts";
import type { View } from "../../deploy/console/view.ts";
import { answerBounds } from "../../schemas/status.ts";

/** So many requests in these buckets. */
const counted = (...of: readonly (readonly [bucket: number, count: number])[]) => {
  const counts = Array.from({ length: answerBounds.length + 1 }, () => 0);
  for (const [bucket, count] of of) counts[bucket] = count;
  return counts;
};

test("latency is that of the last seconds, by the counts of one process", (t) => {
  const watch = new LatencyWatch();
  t.is(watch.now(0), null);
  watch.note("1", counted([3, 1_000]), 0);
  t.is(watch.now(0), null, "one look shows nothing");
  watch.note("1", counted([3, 1_100]), 1_000);
  // Between 2.5 and 5 ms, spread evenly.
  t.deepEqual(watch.now(1_000), { median: 3.75, p99: 4.975 });
  watch.note("1", counted([3, 1_100], [6, 10]), 2_000);
  t.true((watch.now(2_000)?.p99 ?? 0) > 25);
  watch.note("1", counted([3, 1_100], [6, 10]), 3_500);
  watch.note("1", counted([3, 1_100], [6, 10]), 5_000);
  t.is(watch.now(5_100), null, "nothing was asked in the last three seconds");
  watch.note("2", counted([0, 5], [3, 9_000], [6, 10]), 5_200);
  t.is(watch.now(5_200), null, "another process has counts of its own");
  watch.note("2", counted([0, 15], [3, 9_000], [6, 10]), 5_400);
  t.deepEqual(watch.now(5_400), { median: 0.25, p99: 0.495 });
  watch.note("2", [1, 2, 3], 5_500);
  t.deepEqual(watch.now(5_500), { median: 0.25, p99: 0.495 }, "who counts otherwise says nothing");
});

test("what takes longer than the last bound counts as that; counts that fall are of nobody", (t) => {
  const watch = new LatencyWatch();
  watch.note("1", counted(), 0);
  watch.note("1", counted([answerBounds.length, 3]), 500);
  t.deepEqual(watch.now(500), { median: 30_000, p99: 30_000 });
  watch.note("1", counted([answerBounds.length, 1], [0, 100]), 600);
  watch.note("1", counted([0, 1]), 700);
  t.is(watch.now(700), null);
});

const viewOf = (more: Partial<View>): View =>
  ({
    atMs: 1,
    hot: "alpha",
    epoch: 3,
    verdict: "ready",
    requestsPerSecond: 5,
    latency: null,
    servers: [],
    ...more,
  }) as View;
const server = (name: string, residentBytes: number | null) => ({ name, residentBytes }) as View["servers"][number];

test("a sample says what is known, ten minutes are kept, and time that goes back goes on from there", (t) => {
  const series = new Series();
  const servers = [server("alpha", 1_000), server("beta", null)];
  t.deepEqual(series.sample(viewOf({ latency: { median: 1, p99: 2 }, servers })), {
    atMs: 1,
    requestsPerSecond: 5,
    medianMs: 1,
    p99Ms: 2,
    residentBytes: { alpha: 1_000 },
  });
  for (let second = 1; second <= maxSamples; second += 1) series.sample(viewOf({ atMs: second * 1_000 }));
  t.is(series.told.samples.length, maxSamples);
  t.is(series.told.samples[0]?.atMs, 1_000);
  series.sample(viewOf({ atMs: 2_500 }));
  t.deepEqual(
    series.told.samples.map(({ atMs }) => atMs),
    [1_000, 2_000, 2_500],
  );
  const many = Array.from({ length: 40 }, (_, at) => server(`s${at}`, 1));
  t.is(Object.keys(series.sample(viewOf({ atMs: 3_000, servers: many })).residentBytes).length, 16);
});

test("a mark is where the role has moved, and goes with its time", (t) => {
  const series = new Series();
  t.is(series.onView(viewOf({})), null, "who is first found has moved nowhere");
  t.is(series.onView(viewOf({ hot: "" })), null);
  t.is(series.onView(viewOf({ hot: "beta", verdict: "unknown" })), null);
  const mark = { atMs: 9, what: "beta took alpha's place, epoch 4" };
  t.deepEqual(series.onView(viewOf({ hot: "beta", epoch: 4, atMs: 9 })), mark);
  t.is(series.onView(viewOf({ hot: "beta", epoch: 4, atMs: 10 })), null);
  series.sample(viewOf({ atMs: 9 }));
  t.deepEqual(series.told.marks, [mark]);
  for (let second = 1; second <= maxSamples; second += 1) series.sample(viewOf({ atMs: 9 + second * 1_000 }));
  t.deepEqual(series.told.marks, []);
  for (let turn = 0; turn < 200; turn += 1) series.onView(viewOf({ hot: `s${turn}`, atMs: 700_000 }));
  t.is(series.told.marks.length, 64);
});
