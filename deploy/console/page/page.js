/**
 * The console's page: one stream from its server, painted. What always holds: it decides nothing (what is shown was worked out by the
 * server, deploy/console/view.ts); what is old says so; it comes back by itself when the stream is cut.
 */
import { byId, element, numberText, setAttribute, setText, timeOf } from "./elements.js";
import { loadCharts, paintFigures } from "./figures.js";
import { drawPicture, pictureKey } from "./picture.js";

/** The server says something four times a second. */
const staleMs = 2_500;
const retryMs = 2_000;
const narrow = matchMedia("(max-width: 900px)");

let view = null;
let heardMs = performance.now();
let heardAtMs = Date.now();

function connect() {
  const stream = new EventSource("/live");
  const heard = (event) => {
    heardMs = performance.now();
    heardAtMs = Date.now();
    return JSON.parse(event.data);
  };
  stream.addEventListener("view", (event) => {
    view = heard(event);
    paint();
  });
  // A stream that was cut comes back by itself; one that was refused does not.
  stream.addEventListener("error", () => {
    if (stream.readyState === EventSource.CLOSED) setTimeout(connect, retryMs);
  });
}

function paint() {
  if (view === null) return;
  paintVerdict();
  paintPicture();
  paintFacts();
  paintServers();
  paintCharts();
  paintPulse();
}

const marks = { ready: "✓", degraded: "!", down: "✕", unknown: "…" };

function paintVerdict() {
  const { verdict, sentence, reasons, service } = view;
  setText(byId("service"), service);
  setAttribute(byId("verdict"), "data-verdict", verdict);
  setText(byId("mark"), marks[verdict]);
  setText(byId("sentence"), sentence);
  document.title = `${marks[verdict]} ${service}: ${sentence}`;
  const lines = reasons.map(({ server, message }) => (server === "" ? message : `${server}: ${message}`));
  const list = byId("reasons");
  while (list.children.length > lines.length) list.lastChild.remove();
  while (list.children.length < lines.length) list.append(element("li"));
  for (const [at, line] of lines.entries()) setText(list.children[at], line);
}

let paintedKey = "";
function paintPicture() {
  const key = pictureKey(view, narrow.matches);
  if (key === paintedKey) return;
  paintedKey = key;
  byId("picture").replaceChildren(drawPicture(view, narrow.matches));
}

function paintFacts() {
  const { mode, epoch, history, hot, inSync, requestsPerSecond } = view;
  const facts = [
    ["mode", mode ?? "unknown"],
    ["epoch", String(epoch)],
    ["hot", hot === "" ? "nobody" : hot],
    ["in sync", inSync.length === 0 ? "unknown" : inSync.join(", ")],
    ["requests per second", requestsPerSecond === null ? "not known" : numberText(roundedRate(requestsPerSecond))],
    ["history", history === "" ? "unknown" : history],
  ];
  paintList(byId("facts"), facts);
  byId("facts").lastChild.lastChild.classList.add("id");
}

const roundedRate = (value) => (value < 10 ? Math.round(value * 10) / 10 : Math.round(value));

/** Terms and what they are, made once. */
function paintList(list, facts) {
  facts.forEach(([term, text], at) => {
    if (list.children.length <= at) list.append(element("div", {}, element("dt", {}, term), element("dd", {})));
    const [title, value] = list.children[at].children;
    setText(title, term);
    setText(value, text);
  });
  while (list.children.length > facts.length) list.lastChild.remove();
}

const heats = { hot: "hot", warm: "warm", none: "not ready", silent: "silent" };

function paintServers() {
  const box = byId("servers");
  const names = view.servers.map(({ name, incarnation }) => `${name} ${incarnation}`);
  const there = [...box.children].map(({ dataset }) => dataset.key);
  if (JSON.stringify(names) !== JSON.stringify(there))
    box.replaceChildren(...view.servers.map((server, at) => card(server, names[at])));
  for (const [at, server] of view.servers.entries()) paintCard(box.children[at], server);
}

function card({ name }, key) {
  return element(
    "article",
    { class: "server", "data-key": key },
    element("h3", {}, element("span", { class: "name" }, name), element("span", { class: "badge" })),
    element("p", { class: "why" }),
    element("dl", { class: "figures" }),
  );
}

function paintCard(node, server) {
  const { heat, role, state, why, silentMs, sequence, committed, flushed, lag, links, pid, inFlight } = server;
  setAttribute(node, "class", `server ${heat}`);
  setText(
    node.querySelector(".badge"),
    heat === "none" ? role : heat === "silent" ? heats[heat] : `${heats[heat]} · ${role}`,
  );
  const silence = silentMs === null ? "not heard" : `silent for ${Math.round(silentMs / 100) / 10} s`;
  setText(node.querySelector(".why"), heat === "silent" ? `${silence}; ${why}` : `${state}: ${why}`);
  paintList(node.querySelector("dl"), [
    ["sequence", numberText(sequence)],
    ["committed", numberText(committed)],
    ["flushed", numberText(flushed)],
    ["lag", lag === null ? "–" : `${numberText(lag)} ${lag === 1 ? "record" : "records"}`],
    ["in flight", numberText(inFlight)],
    ["main link", links.main],
    ["failsafe link", links.failsafe],
    ["process", pid === null ? "–" : String(pid)],
  ]);
}

/** Whose charts are shown; null: nobody was chosen yet. */
let chosen = null;

function paintCharts() {
  const names = [...new Set(view.servers.map(({ name }) => name))];
  if (chosen === null || !names.includes(chosen)) chosen = view.hot !== "" ? view.hot : (names[0] ?? null);
  const box = byId("choice");
  const there = [...box.querySelectorAll("input")].map(({ value }) => value);
  if (JSON.stringify(there) !== JSON.stringify(names)) {
    for (const label of box.querySelectorAll("label")) label.remove();
    box.append(...names.map(choice));
  }
  for (const input of box.querySelectorAll("input")) input.checked = input.value === chosen;
  paintFigures(view.servers.find(({ name }) => name === chosen) ?? null);
}

function choice(name) {
  const input = element("input", { type: "radio", name: "server", value: name });
  input.addEventListener("change", () => {
    chosen = name;
    paint();
  });
  return element("label", {}, input, element("span", {}, name));
}

function paintPulse() {
  const isCut = performance.now() - heardMs > staleMs;
  const sinceMs = isCut ? heardAtMs : (view?.staleSinceMs ?? null);
  document.body.classList.toggle("stale", sinceMs !== null);
  setAttribute(byId("pulse"), "data-stale", sinceMs !== null);
  const cut = isCut ? "the console's server is not reached" : "";
  if (sinceMs !== null) setText(byId("pulse"), `stale since ${timeOf(sinceMs)}${cut === "" ? "" : ` · ${cut}`}`);
  else if (view !== null) setText(byId("pulse"), `live · ${timeOf(view.atMs)}`);
}

narrow.addEventListener("change", paint);
byId("all-ways").addEventListener("change", ({ target }) => byId("charts").classList.toggle("all", target.checked));
void loadCharts(paint);
setInterval(paintPulse, 500);
connect();
