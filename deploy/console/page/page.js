/**
 * The console's page: one stream from its server, painted. What always holds: it decides nothing (what is shown was worked out by the
 * server, deploy/console/view.ts); what is old says so; it comes back by itself when the stream is cut.
 */
import { look, paintAction, paintActions, startActions } from "./actions.js";
import { byId, element, momentOf, numberText, setAttribute, setText, timeOf } from "./elements.js";
import { loadCharts, paintFigures } from "./figures.js";
import { drawPicture, pictureKey } from "./picture.js";
import { addMark, addSample, markMoment, replaceSeries, startPlots } from "./plots.js";
import { TimelineList } from "./timeline.js";

/** The server says something four times a second. */
const staleMs = 2_500;
const retryMs = 2_000;
const narrow = matchMedia("(max-width: 900px)");

/** What is shown: now, or the moment that was chosen. */
let view = null;
let now = null;
let then = null;
let heardMs = performance.now();
let heardAtMs = Date.now();

let retry = 0;

function connect() {
  const stream = new EventSource("/live");
  const heard = (event) => {
    heardMs = performance.now();
    heardAtMs = Date.now();
    return JSON.parse(event.data);
  };
  stream.addEventListener("view", (event) => {
    now = heard(event);
    paint();
  });
  stream.addEventListener("timeline", (event) => timeline.replace(heard(event)));
  stream.addEventListener("entry", (event) => timeline.add(heard(event)));
  stream.addEventListener("series", (event) => replaceSeries(heard(event)));
  stream.addEventListener("sample", (event) => addSample(heard(event)));
  stream.addEventListener("mark", (event) => addMark(heard(event)));
  stream.addEventListener("action", (event) => paintAction(heard(event)));
  // A stream that was cut comes back by itself; one that was refused does not: perhaps nobody is logged in any more.
  stream.addEventListener("error", () => {
    if (stream.readyState !== EventSource.CLOSED) return;
    clearTimeout(retry);
    retry = setTimeout(connect, retryMs);
    void look();
  });
}

/** Everything as it was right after this. */
async function goTo(entry) {
  try {
    const answer = await fetch(`/then/${entry.id}`);
    if (!answer.ok) throw new Error((await answer.text()).trim());
    then = await answer.json();
    setText(byId("then-what"), `${entry.server === "" ? "" : `${entry.server}: `}${entry.what}`);
    thenServer = entry.server;
    timeline.mark(entry.id);
  } catch (error) {
    setText(byId("then-what"), error.message);
  }
  setText(byId("then-when"), momentOf(entry.atMs));
  byId("then").hidden = false;
  setAttribute(byId("earlier"), "disabled", timeline.neighbour(-1) === undefined ? "" : null);
  setAttribute(byId("later"), "disabled", timeline.neighbour(1) === undefined ? "" : null);
  document.body.classList.add("past");
  markMoment(entry.atMs);
  paint();
}

function backToNow() {
  if (byId("then").hidden) return;
  then = null;
  byId("then").hidden = true;
  document.body.classList.remove("past");
  markMoment(null);
  timeline.mark(null);
  paint();
}

const timeline = new TimelineList(goTo);
const step = (by) => () => {
  const entry = timeline.neighbour(by);
  if (entry !== undefined) void goTo(entry);
};

function paint() {
  view = then ?? now;
  if (view === null) return;
  paintVerdict();
  paintPicture();
  paintFacts();
  paintActions(view.actions);
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
  document.title = now === null ? "Twinlog console" : `${marks[now.verdict]} ${now.service}: ${now.sentence}`;
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
  const { mode, epoch, history, hot, inSync, requestsPerSecond, latency } = view;
  const facts = [
    ["mode", mode ?? "unknown"],
    ["epoch", String(epoch)],
    ["hot", hot === "" ? "nobody" : hot],
    ["in sync", inSync.length === 0 ? "unknown" : inSync.join(", ")],
    ["requests per second", requestsPerSecond === null ? "not known" : numberText(roundedRate(requestsPerSecond))],
    ["latency", latency === null ? "not known" : `${msText(latency.median)} median, ${msText(latency.p99)} p99`],
    ["history", history === "" ? "unknown" : history],
  ];
  paintList(byId("facts"), facts);
  byId("facts").lastChild.lastChild.classList.add("id");
}

const msText = (ms) => `${ms < 10 ? Math.round(ms * 10) / 10 : Math.round(ms)} ms`;
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
  const { heat, role, state, why, silentMs, sequence, committed, flushed, lag, links, pid, inFlight, residentBytes } =
    server;
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
    ["memory", residentBytes === null ? "–" : `${numberText(Math.round(residentBytes / 1024 / 1024))} MiB`],
  ]);
}

/** Whose charts are shown; null: nobody was chosen, and they are those of whoever is hot. */
let chosen = null;
/** Who made the step whose moment is shown. */
let thenServer = "";

function paintCharts() {
  const names = [...new Set(view.servers.map(({ name }) => name))];
  const speaks = view.servers.find(({ heat }) => heat !== "silent")?.name ?? names[0];
  const wanted = then !== null && thenServer !== "" ? thenServer : chosen;
  const shown = names.includes(wanted) ? wanted : view.hot === "" ? speaks : view.hot;
  const box = byId("choice");
  const there = [...box.querySelectorAll("input")].map(({ value }) => value);
  if (JSON.stringify(there) !== JSON.stringify(names)) {
    for (const label of box.querySelectorAll("label")) label.remove();
    box.append(...names.map(choice));
  }
  for (const input of box.querySelectorAll("input")) input.checked = input.value === shown;
  paintFigures(view.servers.find(({ name }) => name === shown) ?? null);
}

function choice(name) {
  const input = element("input", { type: "radio", name: "server", value: name });
  input.addEventListener("change", () => {
    chosen = name;
    thenServer = "";
    paint();
  });
  return element("label", {}, input, element("span", {}, name));
}

function paintPulse() {
  const isCut = performance.now() - heardMs > staleMs;
  const sinceMs = isCut ? heardAtMs : (now?.staleSinceMs ?? null);
  document.body.classList.toggle("stale", sinceMs !== null);
  setAttribute(byId("pulse"), "data-stale", sinceMs !== null);
  const cut = isCut ? "the console's server is not reached" : "";
  if (sinceMs !== null) setText(byId("pulse"), `stale since ${timeOf(sinceMs)}${cut === "" ? "" : ` · ${cut}`}`);
  else if (now !== null) setText(byId("pulse"), `live · ${timeOf(now.atMs)}`);
}

narrow.addEventListener("change", paint);
byId("back").addEventListener("click", backToNow);
byId("earlier").addEventListener("click", step(-1));
byId("later").addEventListener("click", step(1));
document.addEventListener("keydown", ({ key }) => {
  if (key === "Escape") backToNow();
});
byId("all-ways").addEventListener("change", ({ target }) => byId("charts").classList.toggle("all", target.checked));
startActions(() => {
  clearTimeout(retry);
  connect();
});
startPlots();
void loadCharts(paint);
setInterval(paintPulse, 500);
connect();
