/**
 * For how long nobody was answered where this server took over from a primary that was lost, as far as it can know: from that one's
 * last word to its own being ready. What always holds: by one clock that never jumps; at most a heartbeat more than the time in which
 * nobody answered, for so often the old primary spoke; less by as much as its last word was heard late.
 */
import type { Replica } from "../../machines/replica/replica.ts";
import type { ServerStatus } from "../../schemas/status.ts";
import { reasonOf } from "./meters.ts";

export type Failover = NonNullable<ServerStatus["failover"]>;

export class FailoverWatch {
  #isTakingOver = false;
  #done: Failover | null = null;

  /** By which it is the primary now; null: it came to be by another way. */
  get done(): Failover | null {
    return this.#done;
  }

  onEvent(from: string, to: string): void {
    const isHot = to.startsWith("hot.");
    if (isHot && from.startsWith("hot.")) return;
    this.#isTakingOver = isHot && reasonOf(from) === "lost";
    this.#done = null;
  }

  /** Null: it did not take over, or from one that it never heard. */
  onReady(lastWord: Replica["lastWord"], nowMs: number, wallMs: number): Failover | null {
    if (lastWord === null || !this.#isTakingOver) return null;
    this.#done = { from: lastWord.server, gapMs: Math.round(nowMs - lastWord.heardMs), readyAtMs: wallMs };
    return this.#done;
  }
}

export function failoverText({ from, gapMs, readyAtMs }: Failover, server: string): string {
  return (
    `clients were without answers for some ${gapMs} ms: from ${from}'s last word at ${timeOfDay(readyAtMs - gapMs)} ` +
    `until ${server} was ready at ${timeOfDay(readyAtMs)}, seen from ${server}`
  );
}

/** UTC, as dates are told elsewhere. */
function timeOfDay(wallMs: number): string {
  const part = (unitMs: number, most: number, digits: number) =>
    String(Math.floor(wallMs / unitMs) % most).padStart(digits, "0");
  return `${part(3_600_000, 24, 2)}:${part(60_000, 60, 2)}:${part(1_000, 60, 2)}.${part(1, 1_000, 3)}`;
}
