/**
 * How often a `ready` may make a client send again what it has in flight. Whoever may publish there can say it, so it only
 * brings forward what would be sent again anyway. What always holds: however many there are and whatever they name, a few
 * count at once and then one in `refillMs`; one that is ignored costs no more than the usual wait for an answer.
 */
const atOnce = 4;
const refillMs = 5_000;

export class ReadyPace {
  #left = atOnce;
  #sinceMs = 0;

  passes(nowMs: number): boolean {
    const refilled = Math.floor((nowMs - this.#sinceMs) / refillMs);
    if (refilled > 0) {
      this.#left = Math.min(atOnce, this.#left + refilled);
      this.#sinceMs = nowMs;
    }
    if (this.#left === 0) return false;
    this.#left -= 1;
    return true;
  }
}
