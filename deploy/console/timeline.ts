/**
 * What happened, in its order: transitions, changes of the registry, what operators did, for how long a failover left clients without answers, servers that fell silent or speak again, and each turn of
 * the verdict; each with the view of its moment. What always holds: at most `maxEntries` are kept, the newest; numbers grow and
 * are never given twice.
 */
import type { View } from "./view.ts";

export const maxEntries = 300;

/** What is told of many things is cut off here: a name or reason is as long as whoever says it likes. */
const maxTextLength = 400;

export interface Entry {
  readonly id: number;
  /** Wall clock of who tells it, ms since 1970. */
  readonly atMs: number;
  readonly kind: "transition" | "registry" | "silence" | "verdict" | "nats" | "action" | "failover";
  /** Empty: of the service as a whole. */
  readonly server: string;
  /** What happened, in a line. */
  readonly what: string;
  readonly why: string;
}

export class Timeline {
  #entries: { readonly entry: Entry; readonly view: View }[] = [];
  #nextId = 1;

  /** The newest last. */
  get entries(): readonly Entry[] {
    return this.#entries.map(({ entry }) => entry);
  }

  add(told: Omit<Entry, "id">, view: View): Entry {
    const entry = { ...told, id: this.#nextId, what: cut(told.what), why: cut(told.why), server: cut(told.server) };
    this.#nextId += 1;
    this.#entries.push({ entry, view });
    if (this.#entries.length > maxEntries) this.#entries.shift();
    return entry;
  }

  /** As it was right after this; undefined: it is not kept any more, or never was. */
  viewAt(id: number): View | undefined {
    return this.#entries.find(({ entry }) => entry.id === id)?.view;
  }
}

function cut(text: string): string {
  return text.length <= maxTextLength ? text : `${text.slice(0, maxTextLength - 1)}…`;
}
