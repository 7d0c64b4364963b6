/**
 * Waits for a condition, not for a time: the only way in which a test of real processes waits.
 */
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";

/** A long run, beside which others work on the machine, may take longer for everything. A condition that holds ends each wait. */
const patience = Number(process.env.TWINLOG_PATIENCE ?? 1);

export type UntilOptions = { withinMs: number; everyMs?: number; waitedFor?: string };

/**
 * Asks again and again until `condition` returns something truthy, and returns that. A condition that throws is one that does not
 * hold yet. After `withinMs` the test fails and says what was waited for, with the last error as the cause.
 */
export async function until<T>(
  condition: () => T | Promise<T>,
  { withinMs, everyMs = 5, waitedFor = condition.toString() }: UntilOptions,
): Promise<NonNullable<T>> {
  const since = performance.now();
  for (;;) {
    let cause: unknown;
    try {
      const value = await condition();
      if (value) {
        return value;
      }
    } catch (error) {
      cause = error;
    }
    if (performance.now() - since >= patience * withinMs) {
      const why = cause instanceof Error ? ` (${cause.message})` : "";
      throw new Error(`waited ${patience * withinMs} ms in vain for: ${waitedFor}${why}`, { cause });
    }
    await delay(everyMs);
  }
}
