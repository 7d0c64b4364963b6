/**
 * The state charts of one server: boxes and ways as its server laid them out, the active states lit, the ways in and out of the
 * present state drawn with their events, each event written into the box that it leads to or comes from. Another state's ways are
 * drawn while it is pointed at, has the focus, or is pinned.
 */
import { byId, drawn, element, setAttribute, setText, timeOf } from "./elements.js";

/** By machine. */
let charts = null;
const figures = new Map();
const retryMs = 2_000;
const cardPadding = 36;

export async function loadCharts(onLoad) {
  try {
    const answer = await fetch("/charts");
    if (!answer.ok) throw new Error(answer.statusText);
    charts = new Map((await answer.json()).map((chart) => [chart.machine, chart]));
    onLoad();
  } catch {
    setTimeout(() => loadCharts(onLoad), retryMs);
  }
}

/** `server`: null where there is nothing to draw. */
export function paintFigures(server) {
  const box = byId("charts");
  const machines =
    charts === null || server === null ? [] : server.machines.filter(({ machine }) => charts.has(machine));
  const keys = machines.map(({ machine, peer }) => `${machine} ${peer}`);
  setText(byId("charts-note"), noteOf(server));
  for (const [at, machine] of machines.entries()) {
    const figure = figures.get(keys[at]) ?? new Figure(charts.get(machine.machine), machine.peer);
    figures.set(keys[at], figure);
    if (box.children[at] !== figure.node) box.insertBefore(figure.node, box.children[at] ?? null);
    figure.paint(machine, server.heat);
  }
  while (box.children.length > keys.length) box.lastChild.remove();
}

function noteOf(server) {
  if (charts === null) return "the charts are being drawn …";
  if (server === null) return "no server is known";
  if (server.machines.length === 0) return `${server.name} was not heard yet`;
  return server.heat === "silent" ? `${server.name} is silent: this is what it said last` : "";
}

class Figure {
  constructor(chart, peer) {
    this.chart = chart;
    this.peer = peer;
    this.boxes = new Map();
    this.active = [];
    this.pointed = null;
    this.pinned = null;
    this.now = element("p", { class: "present" });
    this.last = element("p", { class: "last" });
    this.list = element("ul", { class: "ways" });
    this.summary = element("summary", {});
    this.over = drawn("g", { class: "over" });
    this.events = drawn("g", { class: "events" });
    this.svg = this.draw();
    const title = peer === "" ? chart.machine : `${chart.machine} to ${peer}`;
    this.scroll = element(
      "div",
      { class: "scroll", tabindex: 0, role: "region", "aria-label": `chart: ${title}` },
      this.svg,
    );
    this.node = element(
      "figure",
      { class: "chart", "data-machine": chart.machine },
      element(
        "figcaption",
        {},
        element("h3", {}, title),
        element("p", { class: "decides" }, chart.decides),
        this.now,
        this.last,
      ),
      this.scroll,
      element("details", {}, this.summary, this.list),
    );
    // Cards are as wide as their charts, and share a row where they fit.
    this.node.style.flexBasis = `${chart.width + cardPadding}px`;
  }

  draw() {
    const { width, height, boxes, ways } = this.chart;
    const svg = drawn("svg", {
      viewBox: `0 0 ${width} ${height}`,
      width,
      height,
      role: "group",
      "aria-label": "states",
    });
    const lines = (isSkeleton) =>
      drawn(
        "g",
        { class: isSkeleton ? "skeleton" : "others" },
        ...ways
          .filter((way) => way.line !== "" && way.isSkeleton === isSkeleton)
          .map(({ line }) => drawn("path", { d: line, class: "line", "marker-end": "url(#chart-head)" })),
      );
    const outer = boxes.filter(({ isLeaf }) => !isLeaf);
    const leaves = boxes.filter(({ isLeaf }) => isLeaf);
    svg.append(
      drawn("defs", {}, head()),
      ...outer.map((box) => this.outerBox(box)),
      lines(true),
      lines(false),
      ...leaves.map((box) => this.leafBox(box)),
      this.events,
      this.over,
    );
    svg.addEventListener("keydown", (event) => this.onKey(event));
    return svg;
  }

  outerBox({ path, name, x, y, width, height }) {
    const node = drawn(
      "g",
      { class: "outer" },
      drawn("rect", { x, y, width, height, rx: 12, class: "outline" }),
      drawn("text", { x: x + 14, y: y + 22, class: "outer-name" }, name),
    );
    this.boxes.set(path, { node });
    return node;
  }

  leafBox({ path, name, kind, isInitial, x, y, width, height }) {
    const center = x + width / 2;
    const title = drawn("text", { x: center, y: y + height / 2 + 5, class: "state-name" }, name);
    const first = drawn("text", { x: center, y: y + 36, class: "event" });
    const second = drawn("text", { x: center, y: y + 49, class: "event" });
    const node = drawn(
      "g",
      { class: "leaf", role: "button", tabindex: -1, "aria-pressed": "false" },
      drawn("rect", { x, y, width, height, rx: 9, class: "body" }),
      kind === "final"
        ? drawn("rect", { x: x + 3, y: y + 3, width: width - 6, height: height - 6, rx: 7, class: "inner" })
        : "",
      isInitial ? drawn("circle", { cx: x + 10, cy: y + 10, r: 3.2, class: "initial" }) : "",
      title,
    );
    // Beside the button, not in it: a button's name is what is read in it.
    const told = drawn("g", { class: "told", "aria-hidden": "true" }, first, second);
    this.events.append(told);
    const point = (isPointed) => () => {
      this.pointed = isPointed ? path : null;
      this.paintWays();
    };
    node.addEventListener("pointerenter", point(true));
    node.addEventListener("pointerleave", point(false));
    node.addEventListener("focus", point(true));
    node.addEventListener("blur", point(false));
    node.addEventListener("click", () => this.pin(path));
    this.boxes.set(path, { node, title, told, first, second, y, height });
    return node;
  }

  get leaves() {
    return this.chart.boxes.filter(({ isLeaf }) => isLeaf).map(({ path }) => path);
  }

  pin(path) {
    this.pinned = this.pinned === path ? null : path;
    for (const leaf of this.leaves)
      setAttribute(this.boxes.get(leaf).node, "aria-pressed", String(leaf === this.pinned));
    this.paintWays();
  }

  onKey(event) {
    const { leaves } = this;
    const at = leaves.findIndex((path) => this.boxes.get(path).node === event.target);
    if (at < 0) return;
    const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
    if (event.key === "Enter" || event.key === " ") this.pin(leaves[at]);
    else if (event.key in steps)
      this.boxes.get(leaves[(at + steps[event.key] + leaves.length) % leaves.length]).node.focus();
    else return;
    event.preventDefault();
  }

  paint({ state, active, last }, heat) {
    setAttribute(this.node, "data-heat", heat);
    setText(this.now, state);
    setText(this.last, last === null ? "" : lastText(last));
    const isNew = active.join() !== this.active.join();
    if (!isNew) return;
    const before = new Set(this.active);
    this.active = active;
    for (const [path, { node }] of this.boxes) {
      const isActive = active.includes(path);
      node.classList.toggle("active", isActive);
      node.classList.toggle("lit", isActive && !before.has(path) && before.size > 0);
      if (isActive && node.getAttribute("role") === "button") setAttribute(node, "aria-current", "true");
      else node.removeAttribute("aria-current");
    }
    const leaves = this.leaves.filter((path) => active.includes(path));
    for (const path of this.leaves) {
      const { node } = this.boxes.get(path);
      if (document.activeElement !== node)
        setAttribute(node, "tabindex", path === (leaves[0] ?? this.leaves[0]) ? 0 : -1);
      setAttribute(node, "aria-label", this.sayState(path));
    }
    const out = this.waysOf(leaves).filter(({ isOut }) => isOut);
    setText(this.summary, `Ways from here: ${out.length}`);
    this.list.replaceChildren(...out.map((way) => element("li", {}, `${way.events.join(", ")} → ${way.to}`)));
    this.paintWays();
    this.bringToSight(leaves[0]);
  }

  /** Where the chart is larger than its room. Whoever is in it is left alone. */
  bringToSight(path) {
    const box = this.chart.boxes.find((one) => one.path === path);
    if (box === undefined || this.node.contains(document.activeElement)) return;
    this.scroll.scrollLeft = box.x + box.width / 2 - this.scroll.clientWidth / 2;
    this.scroll.scrollTop = box.y + box.height / 2 - this.scroll.clientHeight / 2;
  }

  sayState(path) {
    const out = this.waysOf([path]).filter(({ isOut }) => isOut);
    const ways = out.map(({ events, to }) => `${events.join(" or ")} to ${to}`).join("; ");
    return `${path}${this.active.includes(path) ? ", active" : ""}. ${ways === "" ? "No way out" : `Ways out: ${ways}`}`;
  }

  /** In and out of these states; a way of what is around them is theirs. */
  waysOf(leaves) {
    const isOf = (from) => from === "" || leaves.some((leaf) => leaf === from || leaf.startsWith(`${from}.`));
    const isFinal = (leaf) => this.chart.boxes.some(({ path, kind }) => path === leaf && kind === "final");
    return this.chart.ways.flatMap((way) => {
      const isOut = isOf(way.from) && !leaves.every(isFinal);
      const isIn = leaves.includes(way.to) && way.from !== "";
      return isOut ? [{ ...way, isOut }] : isIn ? [{ ...way, isOut: false }] : [];
    });
  }

  paintWays() {
    const asked = this.pointed ?? this.pinned;
    const leaves = asked === null ? this.leaves.filter((path) => this.active.includes(path)) : [asked];
    const ways = this.waysOf(leaves);
    this.node.classList.toggle("asked", asked !== null);
    this.over.replaceChildren(
      ...ways
        .filter(({ line }) => line !== "")
        .map(({ line, isOut }) =>
          drawn("path", { d: line, class: isOut ? "goes" : "comes", "marker-end": "url(#chart-head)" }),
        ),
    );
    const told = new Map();
    for (const { isOut, from, to, events } of ways) {
      const path = isOut ? to : from;
      if (!told.get(path)?.isOut && !leaves.includes(path)) told.set(path, { isOut, events });
    }
    for (const path of this.leaves) this.paintEvent(this.boxes.get(path), told.get(path), leaves.includes(path));
  }

  paintEvent({ node, title, told: texts, first, second, y, height }, told, isAsked) {
    texts.classList.toggle("comes", told?.isOut === false);
    node.classList.toggle("goes", told?.isOut === true);
    node.classList.toggle("comes", told?.isOut === false);
    node.classList.toggle("asked", isAsked);
    const [one = "", two = ""] = told === undefined ? [] : inTwoLines(told.events);
    setText(first, one === "" ? "" : `${told.isOut ? "→" : "←"} ${one}`);
    setText(second, two);
    setAttribute(title, "y", told === undefined ? y + height / 2 + 5 : y + 20);
  }
}

/** As the layout reckoned (inTwoLines in deploy/console/layout.ts). */
function inTwoLines([event, ...more]) {
  const parts = event.split(/(?<=\.)/);
  const halves = parts.map((_, index) => [parts.slice(0, index).join(""), parts.slice(index).join("")]);
  const longer = (half) => Math.max(...half.map(({ length }) => length));
  const [[one, two]] = halves.sort((first, second) => longer(first) - longer(second));
  const count = more.length === 0 ? "" : ` +${more.length}`;
  return one === "" ? [`${two}${count}`] : [one, `${two}${count}`];
}

function lastText({ event, from, to, why, atMs }) {
  const by = event === "" ? "" : ` by ${event}`;
  return `${timeOf(atMs, true)}  ${from} → ${to}${by}${why === "" ? "" : `: ${why}`}`;
}

function head() {
  return drawn(
    "marker",
    { id: "chart-head", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" },
    drawn("path", { d: "M1 1 7 4 1 7", class: "head" }),
  );
}
