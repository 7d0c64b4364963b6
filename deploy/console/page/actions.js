/**
 * What an operator does here: he logs in, chooses an action, is asked whether he means it, and sees how it goes on. What always holds:
 * what can be done, and why not, was worked out by the server; the cookie is out of a script's reach, and the token beside it stays in
 * this page's own storage, which no other port of this host reads; nothing is begun before the question was answered.
 */
import { byId, element, momentOf, setAttribute, setText, timeOf } from "./elements.js";

const tokenKey = "twinlog-token";
/** Whoever is logged in sees when it ends; a session that ended elsewhere is found out as late as this. */
const lookMs = 30_000;

let session = { acts: false, opens: true, name: null, endsAtMs: null };
/** What is asked about now. */
let asked = null;
let isLost = () => undefined;

/** `onOpened`: somebody logged in, where nothing is shown before that. */
export function startActions(onOpened) {
  isLost = onOpened;
  byId("open-log-in").addEventListener("click", openLogIn);
  byId("log-out").addEventListener("click", logOut);
  byId("log-in-form").addEventListener("submit", logIn);
  byId("log-in-cancel").addEventListener("click", () => byId("log-in").close());
  byId("ask-form").addEventListener("submit", begin);
  byId("ask-cancel").addEventListener("click", () => byId("ask").close());
  void look();
  setInterval(look, lookMs);
}

/** Who this is, and what may be seen. */
export async function look() {
  try {
    const answer = await fetch("/session", { headers: withToken() });
    if (!answer.ok) return;
    session = await answer.json();
    paintSession();
    if (!session.opens && !byId("log-in").open) openLogIn();
  } catch {
    // The console is away: the page says so.
  }
}

const withToken = () => {
  const token = sessionStorage.getItem(tokenKey);
  return token === null ? {} : { "Twinlog-Token": token };
};

async function post(path, body) {
  const headers = { "Content-Type": "application/json", ...withToken() };
  try {
    const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
    const isJson = answer.headers.get("Content-Type") === "application/json";
    const told = isJson ? await answer.json() : { why: (await answer.text()).trim() };
    return { ok: answer.ok, status: answer.status, told };
  } catch {
    return { ok: false, status: 0, told: { why: "the console is not reached" } };
  }
}

function openLogIn() {
  setText(byId("log-in-why"), "");
  byId("log-in-cancel").hidden = !session.opens;
  byId("log-in").showModal();
}

async function logIn(event) {
  event.preventDefault();
  const [name, password] = [byId("log-in-name"), byId("log-in-password")];
  setAttribute(byId("log-in-go"), "disabled", "");
  const { ok, told } = await post("/log-in", { name: name.value, password: password.value });
  setAttribute(byId("log-in-go"), "disabled", null);
  password.value = "";
  if (!ok) {
    setText(byId("log-in-why"), told.why);
    password.focus();
    return;
  }
  sessionStorage.setItem(tokenKey, told.token);
  const wasShut = !session.opens;
  byId("log-in").close();
  await look();
  if (wasShut) isLost();
}

async function logOut() {
  await post("/log-out", {});
  sessionStorage.removeItem(tokenKey);
  await look();
  // What only those may see who are logged in does not stay on the screen.
  if (!session.opens) location.reload();
}

function paintSession() {
  const { acts, name, endsAtMs } = session;
  byId("actions").hidden = !acts;
  byId("open-log-in").hidden = name !== null;
  byId("log-out").hidden = name === null;
  byId("verbs").hidden = name === null;
  setText(byId("who"), name === null ? "" : `as ${name}, until ${timeOf(endsAtMs)}`);
}

/** `offered`: with the view of now. */
export function paintActions(offered) {
  const box = byId("verbs");
  const verbs = offered.map(({ verb }) => verb);
  const there = [...box.children].map(({ dataset }) => dataset.verb);
  if (JSON.stringify(verbs) !== JSON.stringify(there)) box.replaceChildren(...offered.map(offer));
  for (const [at, { why }] of offered.entries()) {
    const [button, reason] = box.children[at].children;
    setAttribute(button, "aria-disabled", why === "" ? null : "true");
    setText(reason, why);
    box.children[at].offered = offered[at];
  }
}

function offer({ verb, label }) {
  const id = `why-${verb}`;
  const button = element("button", { type: "button", class: "verb", "aria-describedby": id }, label);
  button.addEventListener("click", () => {
    const { offered } = button.parentElement;
    if (offered.why === "") ask(offered);
  });
  return element("div", { class: "offer", "data-verb": verb }, button, element("span", { class: "not", id }));
}

function ask(offered) {
  asked = offered;
  setText(byId("ask-title"), offered.question);
  setText(byId("ask-cost"), offered.cost);
  setText(byId("ask-go"), offered.label);
  setText(byId("ask-why"), "");
  byId("ask-lasting").hidden = !offered.lasts;
  byId("ask").showModal();
}

async function begin(event) {
  event.preventDefault();
  const { verb, lasts } = asked;
  const forMs = Number(byId("ask-for").value);
  const { ok, status, told } = await post("/act", { verb, ...(lasts && forMs > 0 ? { forMs } : {}) });
  if (!ok && status !== 401) {
    setText(byId("ask-why"), told.why);
    return;
  }
  byId("ask").close();
  if (status !== 401) return;
  await look();
  openLogIn();
  setText(byId("log-in-why"), told.why);
}

const states = { "going on": "…", done: "✓", failed: "✕" };

/** The one that goes on, or the last one, whoever asked for it. */
export function paintAction({ label, by, atMs, state, lines }) {
  const box = byId("outcome");
  setAttribute(box, "data-state", state);
  box.replaceChildren(
    element(
      "p",
      {},
      element("span", { class: "sign", "aria-hidden": "true" }, states[state]),
      element("strong", {}, `${label} by ${by}: ${state}`),
      element("span", { class: "at" }, momentOf(atMs)),
    ),
    element("ol", {}, ...lines.map((line) => element("li", {}, line))),
  );
}
