/** Metrics as Prometheus reads them: every kind in its format, read anew each time; and what Node says of the process. */
import test from "ava";
import { openNodeClock } from "../../actors/world/clock-node.ts";
import { PrometheusText } from "../../actors/world/metrics-prometheus.ts";
import type { Metric } from "../../actors/world/ports.ts";
import { NodeProcess } from "../../actors/world/process-node.ts";
import { TestClock } from "../helpers/hand-world.ts";
import { until } from "../helpers/until.ts";

interface Source {
  readonly rows: number | null;
  readonly counts: readonly number[];
}

const metrics: readonly Metric<Source>[] = [
  {
    name: "test_rows",
    help: "Rows\nof it",
    type: "gauge",
    labels: [],
    read: ({ rows }) => (rows === null ? [] : [{ value: rows }]),
  },
  {
    name: "test_done_total",
    help: "Done",
    type: "counter",
    labels: ["kind"],
    read: ({ counts }) => counts.map((value, at) => ({ labels: { kind: `"${at}"\\` }, value })),
  },
  {
    name: "test_wait_seconds",
    help: "Waited",
    type: "histogram",
    read: ({ counts }) => ({ bounds: [0.5, 1], counts, sum: 7.5 }),
  },
];

const linesOf = (text: string) => text.split("\n").filter((line) => line !== "");

test("gauges, counters and histograms are told in Prometheus' format, with the labels of all", async (t) => {
  const prometheus = new PrometheusText(metrics, { server: "alpha" });
  t.regex(prometheus.contentType, /^text\/plain; version=0\.0\.4/);
  t.deepEqual(linesOf(await prometheus.text({ rows: 3, counts: [1, 2, 4] })), [
    "# HELP test_rows Rows\\nof it",
    "# TYPE test_rows gauge",
    'test_rows{server="alpha"} 3',
    "# HELP test_done_total Done",
    "# TYPE test_done_total counter",
    'test_done_total{kind="\\"0\\"\\\\",server="alpha"} 1',
    'test_done_total{kind="\\"1\\"\\\\",server="alpha"} 2',
    'test_done_total{kind="\\"2\\"\\\\",server="alpha"} 4',
    "# HELP test_wait_seconds Waited",
    "# TYPE test_wait_seconds histogram",
    'test_wait_seconds_bucket{le="0.5",server="alpha"} 1',
    'test_wait_seconds_bucket{le="1",server="alpha"} 3',
    'test_wait_seconds_bucket{le="+Inf",server="alpha"} 7',
    'test_wait_seconds_sum{server="alpha"} 7.5',
    'test_wait_seconds_count{server="alpha"} 7',
  ]);
});

test("each question is answered from its own source: nothing is left of the one before, and what is not known is not 0", async (t) => {
  const prometheus = new PrometheusText(metrics, {});
  const [first, second] = await Promise.all([
    prometheus.text({ rows: 3, counts: [1, 1, 1] }),
    prometheus.text({ rows: null, counts: [] }),
  ]);
  t.regex(first, /^test_rows 3$/m);
  t.notRegex(second, /^test_rows /m);
  t.notRegex(second, /^test_done_total\{/m);
  t.regex(second, /^test_wait_seconds_count 0$/m);
});

test("a name or a label that is none of Prometheus' is an error when it is made", (t) => {
  const gauge = { help: "x", type: "gauge", labels: [], read: () => [] } as const;
  t.throws(() => new PrometheusText([{ ...gauge, name: "a-b" }], {}));
  t.throws(() => new PrometheusText([{ ...gauge, name: "a", labels: ["b-c"] }], {}));
});

test("a main thread that does not return shows as its event loop's delay, for a while", async (t) => {
  const clock = new TestClock();
  const own = new NodeProcess(clock);
  t.teardown(() => own.stop());
  await until(() => own.facts.delaySeconds.max > 0, { withinMs: 30_000 });
  const untilMs = performance.now() + 400;
  while (performance.now() < untilMs);
  await until(() => own.facts.delaySeconds.max > 0.3, { withinMs: 30_000 });
  await clock.run(30_000);
  t.true(own.facts.delaySeconds.max > 0.3);
  t.true(own.facts.delaySeconds.max > 0.3, "also after a new time was begun");
  await clock.run(30_000);
  t.true(own.facts.delaySeconds.max > 0.3, "the last look at it");
  await until(() => own.facts.delaySeconds.max < 0.3, { withinMs: 30_000 });
});

test("what Node says of the process is in base units", (t) => {
  const own = new NodeProcess(openNodeClock());
  t.teardown(() => own.stop());
  const { cpuSeconds, residentBytes, heapBytes, startedAtSeconds } = own.facts;
  t.true(cpuSeconds > 0.01 && cpuSeconds < 3_600, String(cpuSeconds));
  t.true(residentBytes > heapBytes && heapBytes > 1_000_000);
  t.true(Math.abs(startedAtSeconds - (Date.now() / 1_000 - process.uptime())) < 5);
});
