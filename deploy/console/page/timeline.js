/**
 * What happened, the newest first; each is a button that shows everything as it was right after it. What always holds: no more
 * is kept than the server keeps; whoever reads further down, or has the focus on an entry, is not moved.
 */
import { byId, element, momentOf, setAttribute } from "./elements.js";

/** As the server keeps (deploy/console/timeline.ts). */
const maxEntries = 300;
const marks = { transition: "→", registry: "≡", silence: "∅", verdict: "✓", nats: "~", action: "▸", failover: "↷" };
const kinds = {
  transition: "transition",
  registry: "registry",
  silence: "silence",
  verdict: "verdict",
  nats: "NATS",
  action: "operator",
  failover: "failover",
};

/** The newest first. */
let entries = [];
let shownId = null;

/** `onChoose` gets an entry. */
export class TimelineList {
  constructor(onChoose) {
    this.onChoose = onChoose;
    this.list = byId("entries");
  }

  replace(all) {
    entries = all.toReversed();
    this.list.replaceChildren(...entries.map((entry) => this.row(entry)));
    this.mark(null);
  }

  add(entry) {
    entries = [entry, ...entries].slice(0, maxEntries);
    this.list.prepend(this.row(entry));
    while (this.list.children.length > maxEntries) this.list.lastChild.remove();
  }

  row(entry) {
    const { kind, server, what, why, atMs } = entry;
    const isBad =
      kind === "silence" ||
      kind === "nats" ||
      (kind === "verdict" && /\bnot?\b/.test(what)) ||
      (kind === "action" && what.endsWith(": failed"));
    const button = element(
      "button",
      { type: "button", class: "entry", "data-id": entry.id },
      element("span", { class: "time" }, momentOf(atMs)),
      element("span", { class: "kind", "aria-hidden": "true" }, kind === "verdict" && isBad ? "!" : marks[kind]),
      element(
        "span",
        { class: "text" },
        element("span", { class: "unseen" }, `${kinds[kind]}: `),
        server === "" ? "" : element("strong", {}, `${server} `),
        element("span", { class: "what" }, what),
        why === "" ? "" : element("span", { class: "reason" }, why),
      ),
    );
    button.addEventListener("click", () => this.onChoose(entry));
    return element("li", { class: `${kind}${isBad ? " bad" : ""}` }, button);
  }

  /** The entry whose moment is shown; null: now. */
  mark(id) {
    shownId = id;
    for (const button of this.list.querySelectorAll("button"))
      setAttribute(button, "aria-current", button.dataset.id === String(id) ? "true" : null);
  }

  /** The one before or after it; undefined: there is none. */
  neighbour(step) {
    const at = entries.findIndex(({ id }) => id === shownId);
    return at < 0 ? undefined : entries[at - step];
  }
}
