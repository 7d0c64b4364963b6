/**
 * The last minutes in three small plots: requests, latency, memory. Where the role moved, a line stands in each of them, and in words
 * below; a dashed one where the moment is that was chosen in the timeline.
 */
import { byId, element, momentOf, numberText, setAttribute, setText, timeOf } from "./elements.js";
import uPlot from "./uPlot.js";

/** As the console keeps them. */
const maxSamples = 600;
const height = 132;
const dashes = [[], [6, 4], [2, 3], [10, 3, 2, 3]];
const colours = ["--warm", "--good", "--soft", "--ink"];
const bytesInMiB = 1024 * 1024;

let samples = [];
let marks = [];
let chosenMs = null;

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const rounded = (value) => (value < 10 ? Math.round(value * 100) / 100 : Math.round(value));
const shown = (value) => (value === null || value === undefined ? "–" : numberText(rounded(value)));

/** `read`: null where it is not known. */
const kinds = [
  {
    title: "Requests per second",
    lines: () => [{ label: "requests", read: ({ requestsPerSecond }) => requestsPerSecond }],
  },
  {
    title: "Latency, ms",
    lines: () => [
      { label: "median", read: ({ medianMs }) => medianMs },
      { label: "p99", read: ({ p99Ms }) => p99Ms },
    ],
  },
  {
    title: "Memory, MiB",
    lines: () =>
      [...new Set(samples.flatMap(({ residentBytes }) => Object.keys(residentBytes)))].sort().map((name) => ({
        label: name,
        read: ({ residentBytes }) => (residentBytes[name] === undefined ? null : residentBytes[name] / bytesInMiB),
      })),
  },
];

class Plot {
  constructor(kind) {
    this.kind = kind;
    this.key = null;
    this.plot = null;
    this.box = element("div", { class: "plot", role: "img" });
    this.node = element("figure", {}, element("figcaption", {}, kind.title), this.box);
    new ResizeObserver(() => this.fit()).observe(this.box);
  }

  fit() {
    const width = this.box.clientWidth;
    if (this.plot !== null && width > 0 && width !== this.plot.width) this.plot.setSize({ width, height });
  }

  paint() {
    const lines = this.kind.lines();
    const data = [samples.map(({ atMs }) => atMs / 1_000), ...lines.map(({ read }) => samples.map(read))];
    const key = lines.map(({ label }) => label).join(" ");
    if (this.plot === null || key !== this.key) {
      this.plot?.destroy();
      this.plot = new uPlot(optionsOf(lines, this.box.clientWidth), data, this.box);
      this.key = key;
    } else this.plot.setData(data);
    setAttribute(this.box, "aria-label", `${this.kind.title}, the last minutes: ${inWords(lines)}`);
  }
}

function inWords(lines) {
  const told = lines.map(({ label, read }) => {
    const values = samples.map(read).filter((value) => value !== null);
    if (values.length === 0) return `${label} not known`;
    const last = read(samples.at(-1));
    return `${label} ${last === null ? "not known now" : `${shown(last)} now`}, from ${shown(Math.min(...values))} to ${shown(Math.max(...values))}`;
  });
  return told.length === 0 ? "not known" : told.join("; ");
}

function optionsOf(lines, width) {
  const axis = { stroke: () => css("--soft"), grid: { stroke: () => css("--line"), width: 1 }, ticks: { show: false } };
  const font = "11px system-ui, sans-serif";
  return {
    width: Math.max(width, 1),
    height,
    padding: [8, 8, 0, 0],
    cursor: { sync: { key: "minutes" }, drag: { x: false, y: false }, y: false },
    legend: { live: true },
    scales: { y: { range: (_plot, _low, high) => [0, high === null || high <= 0 ? 1 : high * 1.1] } },
    axes: [
      { ...axis, font, size: 26, space: 64, values: (_plot, splits) => timesOf(splits) },
      { ...axis, font, size: 46, values: (_plot, splits) => splits.map(shown) },
    ],
    series: [
      { label: "at", value: (_plot, at) => (at === null ? "now" : timeOf(at * 1_000)) },
      ...lines.map(({ label }, at) => ({
        label,
        stroke: () => css(colours[at % colours.length]),
        width: 1.5,
        dash: dashes[at % dashes.length],
        points: { show: false },
        spanGaps: false,
        value: (plot, value) => shown(value ?? plot.data[at + 1].at(-1)),
      })),
    ],
    hooks: { draw: [drawMarks] },
  };
}

/** To the minute, where they are that far apart. */
function timesOf(splits) {
  const isClose = splits.length > 1 && splits[1] - splits[0] < 60;
  return splits.map((at) => timeOf(at * 1_000).slice(0, isClose ? 8 : 5));
}

function drawMarks(plot) {
  for (const { atMs } of marks) drawLine(plot, atMs, css("--bad"), []);
  if (chosenMs !== null) drawLine(plot, chosenMs, css("--ink"), [4, 4]);
}

function drawLine(plot, atMs, colour, dash) {
  const { left, top, width, height: tall } = plot.bbox;
  const x = Math.round(plot.valToPos(atMs / 1_000, "x", true));
  if (x < left || x > left + width) return;
  const { ctx } = plot;
  ctx.save();
  ctx.strokeStyle = colour;
  ctx.lineWidth = 2;
  ctx.setLineDash(dash);
  ctx.beginPath();
  ctx.moveTo(x, top);
  ctx.lineTo(x, top + tall);
  ctx.stroke();
  ctx.restore();
}

const plots = kinds.map((kind) => new Plot(kind));

function paint() {
  const isKnown = samples.length > 1;
  setText(byId("minutes-note"), isKnown ? "" : "they are drawn as they come …");
  byId("plots").hidden = !isKnown;
  if (isKnown) for (const plot of plots) plot.paint();
}

function paintMarks() {
  byId("marks").replaceChildren(
    ...marks.map(({ atMs, what }) =>
      element("li", {}, element("time", { datetime: new Date(atMs).toISOString() }, momentOf(atMs)), ` ${what}`),
    ),
  );
  byId("marks").hidden = marks.length === 0;
}

export function startPlots() {
  byId("plots").append(...plots.map(({ node }) => node));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const { plot } of plots) plot?.redraw();
  });
}

export function replaceSeries(told) {
  samples = told.samples;
  marks = told.marks;
  paintMarks();
  paint();
}

export function addSample(sample) {
  // A clock that was set back: time goes on from there.
  samples = [...samples.filter(({ atMs }) => atMs < sample.atMs), sample].slice(-maxSamples);
  const [oldest] = samples;
  const kept = marks.filter(({ atMs }) => atMs >= oldest.atMs);
  if (kept.length !== marks.length) {
    marks = kept;
    paintMarks();
  }
  paint();
}

export function addMark(mark) {
  marks = [...marks, mark];
  paintMarks();
  paint();
}

/** Null: now. */
export function markMoment(atMs) {
  chosenMs = atMs;
  for (const { plot } of plots) plot?.redraw();
}
