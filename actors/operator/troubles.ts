/**
 * The open troubles of one server, life after life (schemas/troubles.ts). Any actor, and whoever composes a life, raises or
 * clears one by its code; the status shows those that are open.
 *
 * What always holds: nothing is open under two messages; a raise and a clear are logged once each, and neither more than
 * once in `quietMs` for each code: what comes and goes faster is counted, and its last word is told when the time is over.
 */
import { type Trouble, type TroubleCode, type TroubleKind, troubleKinds } from "../../schemas/troubles.ts";
import type { Clock, Log } from "../world/ports.ts";

/** At most one line about a raise, and one about a clear, of each code in this time. */
export const quietMs = 60_000;

interface Entry {
  open: { message: string; readonly sinceMs: number; readonly raisedMs: number } | null;
  /** The last line said that it is open. */
  isToldOpen: boolean;
  raiseToldMs: number;
  clearToldMs: number;
  /** Raised since the last line about it. */
  times: number;
}

export class Troubles {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #entries = new Map<TroubleCode, Entry>();

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Raises the trouble with this message, or clears it with null. The same again changes nothing. */
  set(code: TroubleCode, message: string | null): void {
    const entry = this.#entries.get(code);
    if (message === null) {
      if (entry === undefined || entry.open === null) return;
      entry.open = null;
      this.#tell(code, entry);
      return;
    }
    if (entry?.open) {
      entry.open.message = message;
      return;
    }
    const raised = entry ?? newEntry();
    raised.open = { message, sinceMs: this.#clock.wallMs(), raisedMs: this.#clock.nowMs() };
    raised.times += 1;
    this.#entries.set(code, raised);
    this.#tell(code, raised);
  }

  /** The same for one that is open; raises none. */
  follow(code: TroubleCode, message: string | null): void {
    if (this.#entries.get(code)?.open) this.set(code, message);
  }

  /** In the order in which they were first raised. */
  get open(): Trouble[] {
    return [...this.#entries].flatMap(([code, { open }]) =>
      open === null ? [] : [{ code, message: open.message, sinceMs: open.sinceMs }],
    );
  }

  /** A life ended, and what troubled it with it. What the next one has too is not told again. */
  onLifeEnded(): void {
    for (const entry of this.#entries.values()) entry.open = null;
  }

  /** Now and then: what was held back is told when its time is over. */
  onTick(): void {
    for (const [code, entry] of this.#entries) this.#tell(code, entry);
  }

  #tell(code: TroubleCode, entry: Entry): void {
    const { open } = entry;
    const isOpen = open !== null;
    if (isOpen === entry.isToldOpen) return;
    const nowMs = this.#clock.nowMs();
    if (nowMs - (isOpen ? entry.raiseToldMs : entry.clearToldMs) < quietMs) return;
    const kind: TroubleKind = troubleKinds[code];
    const fields = { trouble: code, costs: kind.costs, ...(entry.times > 1 ? { times: entry.times } : {}) };
    entry.isToldOpen = isOpen;
    entry.times = 0;
    if (open === null) {
      entry.clearToldMs = nowMs;
      this.#log.info(fields, `over: ${kind.says}`);
      return;
    }
    entry.raiseToldMs = nowMs;
    if (kind.costs === "service") this.#log.error(fields, open.message);
    else this.#log.warn(fields, open.message);
  }
}

function newEntry(): Entry {
  const never = Number.NEGATIVE_INFINITY;
  return { open: null, isToldOpen: false, raiseToldMs: never, clearToldMs: never, times: 0 };
}
