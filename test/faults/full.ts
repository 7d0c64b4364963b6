/**
 * `npm test` runs a quick part of the faults, `npm run faults` all of them. What cannot be run on a machine passes, and says
 * in its log that it was not run and why.
 */
import process from "node:process";
import type { ExecutionContext, TestFn } from "ava";

const isFull = process.env.TWINLOG_FAULTS === "full";

type Run = (t: ExecutionContext) => Promise<void>;

/** Registers the test where all faults are wanted. */
export function inFull(test: TestFn): (title: string, run: Run) => void {
  return (title, run) => {
    if (isFull) test.serial(title, run);
  };
}

export function notRun(t: ExecutionContext, why: string): void {
  t.log(`NOT RUN: ${why}`);
  t.pass();
}

/**
 * For tests of silence whose fault lasts until clients are answered: quick to act, and yet no server is suspected because the
 * machine is busy, since that would be a second failure beside the one that is tested.
 */
export const suspicionMs = 1_500;
export const ofSilence = { pace: "nervous", limits: { suspicionMs, stalledBackupMs: 2_000 } } as const;
