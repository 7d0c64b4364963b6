/**
 * Lines of an adapter that strangers, or a peer that dials again and again, could bring about without end. What always holds:
 * the same line is told once in `quietMs`, with how often it was left out since.
 */
import type { Clock, Log, LogFields } from "./ports.ts";

const quietMs = 60_000;
/** Different lines that are told apart; beyond them they are told as if they were one. */
const maxKinds = 32;

export class QuietLog {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #told = new Map<string, { atMs: number; leftOut: number }>();

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  /** `kind`: what makes two lines the same. */
  warn(kind: string, fields: LogFields, message: string): void {
    const key = this.#told.has(kind) || this.#told.size < maxKinds ? kind : "";
    const before = this.#told.get(key);
    const nowMs = this.#clock.nowMs();
    if (before !== undefined && nowMs - before.atMs < quietMs) {
      before.leftOut += 1;
      return;
    }
    const leftOut = before?.leftOut ?? 0;
    this.#told.set(key, { atMs: nowMs, leftOut: 0 });
    this.#log.warn(leftOut > 0 ? { ...fields, leftOut } : fields, message);
  }
}
