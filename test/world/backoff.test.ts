/** Trying again: longer each time, never all at once, and what worked for a moment only is no success; lines that could come without end. */
import test from "ava";
import { Backoff } from "../../actors/world/backoff.ts";
import type { Clock, Log } from "../../actors/world/ports.ts";
import { QuietLog } from "../../actors/world/quiet-log.ts";

function handClock(random = () => 0.5) {
  const clock = { atMs: 0, nowMs: () => clock.atMs, random };
  return { clock, world: clock as unknown as Clock };
}

test("18. what fails is tried again later each time, up to a limit: in eleven seconds not twenty times", (t) => {
  for (const random of [() => 0, () => 0.5, () => 0.999]) {
    const { clock, world } = handClock(random);
    const backoff = new Backoff(world, 50, 1_000);
    let tries = 0;
    while (clock.atMs < 11_000) {
      clock.atMs += backoff.next();
      tries += 1;
    }
    t.true(tries < 30 && tries > 10, `${tries}`);
  }
});

test("18. two that lost the same thing do not come back at the same time", (t) => {
  const delays = [0, 0.999].map((random) => new Backoff(handClock(() => random).world, 50, 1_000).next());
  t.deepEqual(delays, [25, 49.975]);
});

test("18. what worked for a while begins anew, what worked for a moment goes on", (t) => {
  const { clock, world } = handClock(() => 0.999_999);
  const backoff = new Backoff(world, 50, 1_000);
  const next = () => Math.round(backoff.next());
  t.deepEqual([next(), next(), next()], [50, 100, 200]);
  backoff.onWorks();
  clock.atMs += 100;
  t.is(next(), 400);
  backoff.onWorks();
  clock.atMs += 2_000;
  t.is(next(), 50);
});

test("18. a line that comes again and again is told once a minute, with how often it was left out; others are told", (t) => {
  const { clock, world } = handClock();
  const told: [string, unknown][] = [];
  const log = { warn: (fields: Record<string, unknown>, message: string) => told.push([message, fields.leftOut]) };
  const quiet = new QuietLog(world, log as unknown as Log);
  for (let n = 0; n < 1_000; n += 1) {
    quiet.warn("one", {}, "one");
    clock.atMs += 100;
  }
  quiet.warn("two", {}, "two");
  t.deepEqual(told, [
    ["one", undefined],
    ["one", 599],
    ["two", undefined],
  ]);
  // A stranger's own words make no more lines than there are kinds.
  for (let n = 0; n < 1_000; n += 1) quiet.warn(`stranger ${n}`, {}, "stranger");
  t.true(told.length < 40, `${told.length}`);
});
