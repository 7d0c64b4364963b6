/** The charts as they are placed: every state of every machine has a box of its own, and every transition a way. */
import test from "ava";
import { type Box, type Chart, inTwoLines, layoutCharts } from "../../deploy/console/layout.ts";
import { layoutInThread } from "../../deploy/console/layout-thread.ts";
import { skeletons } from "../../deploy/console/skeletons.ts";
import { type ChartState, readChart } from "../../machines/chart.ts";
import { machines } from "../../machines/charts.ts";

const charts: Promise<Chart[]> = layoutCharts();

function statesOf(machine: string): ChartState[] {
  const all: ChartState[] = [];
  const visit = (state: ChartState): void => {
    all.push(state);
    for (const child of state.states) visit(child);
  };
  const named = machines[machine];
  if (named !== undefined) visit(readChart(named.machine));
  return all;
}

const isInside = (inner: Box, outer: { x: number; y: number; width: number; height: number }) =>
  inner.x >= outer.x &&
  inner.y >= outer.y &&
  inner.x + inner.width <= outer.x + outer.width &&
  inner.y + inner.height <= outer.y + outer.height;
const parentOf = (path: string) => path.split(".").slice(0, -1).join(".");

test("every machine is there, and every state of each has one box", async (t) => {
  const all = await charts;
  t.deepEqual(
    all.map(({ machine }) => machine),
    Object.keys(machines),
  );
  for (const { machine, boxes } of all) {
    const states = statesOf(machine).filter(({ path }) => path !== "");
    t.deepEqual(boxes.map(({ path }) => path).sort(), states.map(({ path }) => path).sort(), machine);
    t.true(
      boxes.every(({ path, isLeaf }) => isLeaf === (states.find((state) => state.path === path)?.states.length === 0)),
    );
  }
});

test("no two boxes overlap but one that is around the other, and all are within the chart", async (t) => {
  for (const { machine, boxes, width, height } of await charts)
    for (const one of boxes) {
      const around = boxes.find(({ path }) => path === parentOf(one.path)) ?? { x: 0, y: 0, width, height };
      t.true(isInside(one, around), `${machine}: ${one.path} is inside`);
      for (const other of boxes) {
        if (one === other || one.path.startsWith(`${other.path}.`) || other.path.startsWith(`${one.path}.`)) continue;
        const isApart =
          one.x + one.width < other.x ||
          other.x + other.width < one.x ||
          one.y + one.height < other.y ||
          other.y + other.height < one.y;
        t.true(isApart, `${machine}: ${one.path} and ${other.path}`);
      }
    }
});

test("a box has room for its name and for every event that may be written into it", async (t) => {
  for (const { machine, boxes, ways } of await charts) {
    const leaves = boxes.filter(({ isLeaf }) => isLeaf);
    t.true(
      leaves.every(({ name, width }) => name.length * 8.2 < width),
      machine,
    );
    // An arrow and a space go before the first line.
    for (const line of ways.flatMap(({ events }) => events.flatMap(inTwoLines)))
      t.true(
        leaves.every(({ width }) => (line.length + 2) * 6.65 < width),
        `${machine}: ${line}`,
      );
  }
});

test("every transition of the definition is in one way, which ends in an innermost state; every way has its line", async (t) => {
  for (const { machine, boxes, ways } of await charts) {
    const edges = statesOf(machine).flatMap(({ edges }) => edges);
    t.is(ways.flatMap(({ events }) => events).length, edges.length, machine);
    for (const { event, from } of edges)
      t.true(
        ways.some((way) => way.from === from && way.events.some((label) => label.startsWith(event))),
        `${machine}: ${from} ${event}`,
      );
    t.is(new Set(ways.map(({ from, to }) => `${from} ${to}`)).size, ways.length);
    for (const { from, to, line } of ways) {
      t.true(
        boxes.some(({ path, isLeaf }) => path === to && isLeaf),
        `${machine}: ${from} → ${to}`,
      );
      if (from !== "" && from !== to) t.regex(line, /^M-?[\d.]+ -?[\d.]+ [LCQ]/, `${machine}: ${from} → ${to}`);
    }
  }
});

test("what gives a chart its shape is drawn from the definition: every way of a skeleton is one, and leads to every part", async (t) => {
  for (const { machine, ways } of await charts) {
    const skeleton = skeletons[machine] ?? [];
    for (const [from, to] of skeleton) {
      const way = ways.find((each) => each.from === from && each.to === to);
      t.true(way?.isSkeleton, `${machine}: ${from} → ${to}`);
    }
    t.is(ways.filter(({ isSkeleton }) => isSkeleton).length, skeleton.length, machine);
  }
});

test("the lifecycle is no wider than a screen", async (t) => {
  const lifecycle = (await charts).find(({ machine }) => machine === "lifecycle");
  t.true((lifecycle?.width ?? 9_999) <= 1_200, `${lifecycle?.width}`);
});

test("an event is broken at the dot that leaves the longer half shortest", (t) => {
  t.deepEqual(inTwoLines("primary.lost.others"), ["primary.", "lost.others"]);
  t.deepEqual(inTwoLines("close"), ["close"]);
});

test("on a thread of its own it is the same", async (t) => {
  t.deepEqual(await layoutInThread(), await charts);
});
