/**
 * The Clock port on Node: the one place of the product where time, timers and randomness come from.
 * What always holds: `nowMs` is monotonic, so a jump of the wall clock moves no deadline (situation 43); a cancelled
 * timer never runs.
 */
import { randomBytes } from "node:crypto";
import type { Clock, Timer } from "./ports.ts";

/** 16 bytes are 22 characters of base64url. */
const idBytes = 16;

export function openNodeClock(): Clock {
  return {
    nowMs: () => performance.now(),
    wallMs: () => Date.now(),
    after(delayMs: number, run: () => void): Timer {
      const timer = setTimeout(run, delayMs);
      return { cancel: () => clearTimeout(timer) };
    },
    soon(run: () => void): void {
      setImmediate(run);
    },
    randomId: () => randomBytes(idBytes).toString("base64url"),
    random: () => Math.random(),
  };
}
