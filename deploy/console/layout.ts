/**
 * A machine's chart with positions: boxes within boxes, and ways between them, read from the definition that decides
 * (machines/chart.ts) and placed by elkjs. What always holds: every state of the definition has one box, inside that of the state
 * around it and overlapping no other; every transition is in one way; nothing here knows a state by name.
 */
import elkModule, { type ElkExtendedEdge, type ElkNode } from "elkjs/lib/elk.bundled.js";
import { type ChartEdge, type ChartState, readChart } from "../../machines/chart.ts";
import { machines } from "../../machines/charts.ts";
import { skeletons } from "./skeletons.ts";

export interface Box {
  /** With dots. */
  readonly path: string;
  readonly name: string;
  readonly kind: ChartState["kind"];
  readonly isLeaf: boolean;
  /** The machine starts here, or whoever enters what is around it. */
  readonly isInitial: boolean;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** All transitions from one state to another. */
export interface Way {
  /** Empty: from any state. */
  readonly from: string;
  /** The innermost state that is entered. */
  readonly to: string;
  /** Event, and guard in brackets; one that needs no event has its guard alone. */
  readonly events: readonly string[];
  /** One of those that gave the chart its shape: as elkjs led it. */
  readonly isSkeleton: boolean;
  /** Of an SVG path; empty where it begins in any state, or stays. */
  readonly line: string;
}

export interface Chart {
  readonly machine: string;
  readonly decides: string;
  readonly width: number;
  readonly height: number;
  readonly boxes: readonly Box[];
  readonly ways: readonly Way[];
}

/** Letters are as wide, at most: names in 14 px, events in 11 px of a fixed width. */
const nameLetter = 9.2;
const eventLetter = 6.7;
const boxPadding = 9;
/** A name, and below it an event in two lines. */
const boxHeight = 58;
const titleHeight = 34;
/** Around the whole, for ways that go round. */
const margin = 20;

type Elk = InstanceType<typeof elkModule.default>;
/** A CommonJS module: its class is what it exports. */
const ElkClass = elkModule as unknown as new () => Elk;

export function layoutCharts(): Promise<Chart[]> {
  return Promise.all(Object.keys(machines).map(layoutChart));
}

export async function layoutChart(machine: string): Promise<Chart> {
  const named = machines[machine];
  if (named === undefined) throw new Error(`there is no machine ${machine}`);
  const root = readChart(named.machine);
  const states = new Map<string, ChartState>();
  const collect = (state: ChartState): void => {
    states.set(state.path, state);
    for (const child of state.states) collect(child);
  };
  collect(root);
  const ways = waysOf(states);
  const shape = skeletons[machine] ?? ways.filter(hasShape).map(({ from, to }) => [from, to] as const);
  const longest = Math.max(...ways.flatMap(({ events }) => events.flatMap(inTwoLines)).map(({ length }) => length));
  const graph = graphOf(root, longest);
  const placed = await new ElkClass().layout({
    ...graph,
    edges: shape.map(([from, to]) => ({ id: `${from}>${to}`, sources: [from], targets: [to] })),
  });
  const boxes = boxesOf(placed, states);
  const byPath = new Map(boxes.map((box) => [box.path, box]));
  const leaves = boxes.filter(({ isLeaf }) => isLeaf);
  const routes = routesOf(placed);
  const size = { width: Math.ceil(placed.width ?? 0), height: Math.ceil(placed.height ?? 0) };
  return {
    machine,
    decides: named.decides,
    ...size,
    boxes,
    ways: ways.map((way) => {
      const route = routes.get(`${way.from}>${way.to}`);
      return {
        ...way,
        isSkeleton: route !== undefined,
        line: route ?? curve(byPath.get(way.from), byPath.get(way.to), leaves, size),
      };
    }),
  };
}

type PlainWay = Pick<Way, "from" | "to" | "events">;

function waysOf(states: ReadonlyMap<string, ChartState>): PlainWay[] {
  const ways = new Map<string, { from: string; to: string; events: string[] }>();
  for (const edge of [...states.values()].flatMap(({ edges }) => edges)) {
    const to = innermost(states, edge.to);
    const key = `${edge.from}>${to}`;
    const way = ways.get(key) ?? { from: edge.from, to, events: [] };
    way.events.push(labelOf(edge));
    ways.set(key, way);
  }
  return [...ways.values()];
}

/** Where whoever enters this state is then. */
function innermost(states: ReadonlyMap<string, ChartState>, path: string): string {
  const initial = states.get(path)?.initial;
  return initial === undefined || path === "" ? path : innermost(states, initial);
}

function labelOf({ event, guard }: ChartEdge): string {
  const condition = guard === "" ? "" : `[${guard}]`;
  return event === "" ? condition || "at once" : [event, condition].filter((part) => part !== "").join(" ");
}

function hasShape({ from, to, events }: PlainWay): boolean {
  return from !== "" && from !== to && events.some((event) => !event.startsWith("["));
}

/** At the dot that leaves the longer half shortest. */
export function inTwoLines(event: string): string[] {
  const parts = event.split(/(?<=\.)/);
  const halves = parts.map((_, index) => [parts.slice(0, index).join(""), parts.slice(index).join("")]);
  const longer = (half: readonly string[]) => Math.max(...half.map(({ length }) => length));
  const [best = [event]] = halves.sort((one, other) => longer(one) - longer(other));
  return best.filter((half) => half !== "");
}

function graphOf(root: ChartState, longest: number): ElkNode {
  const layoutOptions = {
    "elk.algorithm": "layered",
    "elk.direction": "DOWN",
    "elk.hierarchyHandling": "INCLUDE_CHILDREN",
    "elk.edgeRouting": "ORTHOGONAL",
    "elk.spacing.nodeNode": "16",
    "elk.layered.spacing.nodeNodeBetweenLayers": "30",
    "elk.spacing.edgeNode": "12",
    "elk.layered.spacing.edgeNodeBetweenLayers": "12",
    "elk.padding": `[top=${margin},left=${margin},bottom=${margin},right=${margin}]`,
    "elk.layered.considerModelOrder.strategy": "NODES_AND_EDGES",
    "elk.layered.nodePlacement.strategy": "NETWORK_SIMPLEX",
    "elk.separateConnectedComponents": "true",
  };
  const node = (state: ChartState): ElkNode =>
    state.states.length === 0
      ? { id: state.path, width: leafWidth(state, longest), height: boxHeight }
      : {
          id: state.path,
          children: state.states.map(node),
          layoutOptions: { "elk.padding": `[top=${titleHeight},left=14,bottom=14,right=14]` },
        };
  return { id: "", layoutOptions, children: root.states.map(node) };
}

function leafWidth({ name }: ChartState, longest: number): number {
  return Math.ceil(2 * boxPadding + Math.max(name.length * nameLetter, (longest + 2) * eventLetter));
}

function boxesOf(placed: ElkNode, states: ReadonlyMap<string, ChartState>): Box[] {
  const initials = new Set([...states.values()].map(({ initial }) => initial));
  const boxes: Box[] = [];
  const visit = (node: ElkNode, left: number, top: number): void => {
    const [x, y] = [left + (node.x ?? 0), top + (node.y ?? 0)];
    const state = states.get(node.id);
    if (state !== undefined && node.id !== "")
      boxes.push({
        path: state.path,
        name: state.name,
        kind: state.kind,
        isLeaf: state.states.length === 0,
        isInitial: initials.has(state.path),
        x,
        y,
        width: node.width ?? 0,
        height: node.height ?? 0,
      });
    for (const child of node.children ?? []) visit(child, x, y);
  };
  visit(placed, 0, 0);
  return boxes;
}

/** Each route's points are told from the corner of whatever holds both ends. */
function routesOf(placed: ElkNode): Map<string, string> {
  const corners = new Map<string, { x: number; y: number }>();
  const edges: ElkExtendedEdge[] = [];
  const visit = (node: ElkNode, left: number, top: number): void => {
    const corner = { x: left + (node.x ?? 0), y: top + (node.y ?? 0) };
    corners.set(node.id, corner);
    edges.push(...(node.edges ?? []));
    for (const child of node.children ?? []) visit(child, corner.x, corner.y);
  };
  visit(placed, 0, 0);
  return new Map(
    edges.map((edge) => {
      const corner = corners.get((edge as { container?: string }).container ?? "") ?? { x: 0, y: 0 };
      const points = (edge.sections ?? []).flatMap(({ startPoint, bendPoints = [], endPoint }) => [
        startPoint,
        ...bendPoints,
        endPoint,
      ]);
      return [edge.id, rounded(points.map(({ x, y }) => ({ x: x + corner.x, y: y + corner.y })))];
    }),
  );
}

interface Size {
  readonly width: number;
  readonly height: number;
}

interface Point {
  readonly x: number;
  readonly y: number;
}

const cornerRadius = 7;

/** Straight lines with round corners. */
function rounded(points: readonly Point[]): string {
  const [first, ...rest] = points;
  if (first === undefined) return "";
  let line = `M${at(first)}`;
  let before = first;
  rest.forEach((point, index) => {
    const next = rest[index + 1];
    if (next === undefined) line += ` L${at(point)}`;
    else line += ` L${at(towards(point, before))} Q${at(point)} ${at(towards(point, next))}`;
    before = point;
  });
  return line;
}

function towards(from: Point, to: Point): Point {
  const length = Math.hypot(to.x - from.x, to.y - from.y);
  const part = length === 0 ? 0 : Math.min(cornerRadius, length / 2) / length;
  return { x: from.x + (to.x - from.x) * part, y: from.y + (to.y - from.y) * part };
}

const at = ({ x, y }: Point): string => `${round(x)} ${round(y)}`;
const round = (value: number): number => Math.round(value * 10) / 10;

/** From edge to edge: of a few bends the one that crosses the fewest other boxes, then the shortest. */
function curve(from: Box | undefined, to: Box | undefined, leaves: readonly Box[], size: Size): string {
  if (from === undefined || to === undefined || from === to) return "";
  // What it leaves may be around others, which it may cross.
  const others = leaves.filter((leaf) => !leaf.path.startsWith(`${from.path}.`));
  const [best] = bendsBetween(from, to)
    .map((bend) => ({ bend, cost: costOf(bend, others, size) }))
    .sort((one, other) => one.cost - other.cost);
  if (best === undefined) return "";
  const [start, first, second, end] = best.bend;
  return `M${at(start)} C${at(first)} ${at(second)} ${at(end)}`;
}

/** Start, two handles, end. */
type Bend = readonly [Point, Point, Point, Point];

const sides = [
  { x: 1, y: 0 },
  { x: -1, y: 0 },
  { x: 0, y: 1 },
  { x: 0, y: -1 },
] as const;

/** From each side to each side, more or less bent. */
function bendsBetween(from: Box, to: Box): Bend[] {
  const edge = ({ x, y, width, height }: Box, side: Point): Point => ({
    x: x + width / 2 + (side.x * width) / 2,
    y: y + height / 2 + (side.y * height) / 2,
  });
  return sides.flatMap((out) =>
    sides.flatMap((into) => {
      const [start, end] = [edge(from, out), edge(to, into)];
      const length = Math.hypot(end.x - start.x, end.y - start.y);
      return [0.35, 0.7].map((part): Bend => {
        const reach = Math.max(26, length * part);
        const handle = (point: Point, side: Point) => ({ x: point.x + side.x * reach, y: point.y + side.y * reach });
        return [start, handle(start, out), handle(end, into), end];
      });
    }),
  );
}

const samples = 32;

function costOf([start, first, second, end]: Bend, others: readonly Box[], { width, height }: Size): number {
  let before = start;
  let length = 0;
  let crossed = 0;
  for (let index = 1; index < samples; index += 1) {
    const t = index / samples;
    const [a, b, c, d] = [(1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t ** 2, t ** 3];
    const point = {
      x: a * start.x + b * first.x + c * second.x + d * end.x,
      y: a * start.y + b * first.y + c * second.y + d * end.y,
    };
    length += Math.hypot(point.x - before.x, point.y - before.y);
    if (others.some((box) => isInside(box, point))) crossed += 1;
    if (point.x < 3 || point.y < 3 || point.x > width - 3 || point.y > height - 3) crossed += 3;
    before = point;
  }
  return length + crossed * 200;
}

function isInside(box: Box, { x, y }: Point): boolean {
  return x > box.x && x < box.x + box.width && y > box.y && y < box.y + box.height;
}
