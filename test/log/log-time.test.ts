/** The log's time (rule 20): it goes on from the log, follows a clock that can be believed, and is led nowhere by one that cannot. */
import test from "ava";
import * as fc from "fast-check";
import { LogTime } from "../../machines/replica/log/log-time.ts";
import { ServiceClock } from "../../machines/replica/peers/clocks.ts";
import { shippedRules } from "../../machines/replica/rules.ts";

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const limits = { maxClockStepMs: hourMs, skewMs: 5_000 };
/** A wall clock that is right, as of monotonic time 0. */
const origin = 1_764_000_000_000;

function started({ logged = origin, clocks = new ServiceClock() } = {}): LogTime {
  const time = new LogTime(shippedRules, limits, clocks, 0);
  time.onLog(logged, 0);
  return time;
}

test("where nothing was taken yet the wall clock is believed, whatever it shows", (t) => {
  t.is(started({ logged: 0 }).now(10, origin - dayMs), origin - dayMs);
});

test("it goes with a wall clock that is right, to the millisecond", (t) => {
  const time = started();
  for (const passed of [0, 1, 7.5, 3_000, 2 * dayMs])
    t.is(time.now(passed, Math.floor(origin + passed)), Math.floor(origin + passed));
});

test("a clock that is a day ahead is not followed: time goes on by the monotonic one until it is right again", (t) => {
  const time = started();
  t.is(time.now(1_000, origin + 1_000), origin + 1_000);
  t.is(time.now(2_000, origin + dayMs), origin + 2_000);
  t.is(time.now(12_000, origin + dayMs + 10_000), origin + 12_000);
  t.like(time.standing, { isHeld: true, apartMs: dayMs - 2_000 });
  t.is(time.now(13_000, origin + 13_000), origin + 13_000);
  t.like(time.standing, { isHeld: false, apartMs: 0 });
});

test("small steps do not add up to a large one", (t) => {
  const time = started();
  let taken = 0;
  for (let step = 1; step <= 100; step += 1) taken = time.now(step, origin + step + (step * hourMs) / 10);
  t.is(taken, origin + 100 + hourMs, "ten of them were followed");
});

test("an operator takes the clock for right, once: the next day ahead is asked about again", (t) => {
  const time = started();
  time.now(1_000, origin + dayMs);
  time.accept(2_000, origin + dayMs + 1_000);
  t.is(time.now(3_000, origin + dayMs + 2_000), origin + dayMs + 2_000);
  t.is(time.now(4_000, origin + 2 * dayMs), origin + dayMs + 3_000);
});

test("all were down for a week: another server's clock that says the same is enough", (t) => {
  const alone = started();
  t.is(alone.now(1_000, origin + 7 * dayMs), origin + 1_000);
  const clocks = new ServiceClock();
  clocks.onOther("beta", 500, origin + 7 * dayMs - 2_000);
  t.is(started({ clocks }).now(1_000, origin + 7 * dayMs), origin + 7 * dayMs);
  const slow = new ServiceClock();
  slow.onOther("beta", 500, origin + 7 * dayMs - 6_000);
  t.is(
    started({ clocks: slow }).now(1_000, origin + 7 * dayMs),
    origin + 1_000,
    "but not one that is behind by more than skewMs",
  );
});

test("behind the log's time a clock catches up: time goes at half speed, and does not stand still", (t) => {
  const time = started();
  t.is(time.now(1_000, origin - 9_000), origin + 500);
  t.is(time.now(11_000, origin + 1_000), origin + 5_500);
  t.is(time.now(21_000, origin + 11_000), origin + 11_000);
});

test("a server that follows counts the time in which nothing came", (t) => {
  const time = started();
  time.onLog(origin + 5_000, 5_000);
  const idle = 5 * hourMs;
  t.is(time.now(5_000 + idle, origin + 5_000 + idle + hourMs / 2), origin + 5_000 + idle + hourMs / 2);
});

test("it never falls and never gains more than the step, whatever the clocks do", (t) => {
  const move = fc.record({ passed: fc.nat(100_000), wall: fc.integer({ min: -2 * dayMs, max: 2 * dayMs }) });
  t.notThrows(() =>
    fc.assert(
      fc.property(fc.array(move, { maxLength: 40 }), (moves) => {
        const time = started();
        let nowMs = 0;
        let last = origin;
        for (const { passed, wall } of moves) {
          nowMs += passed;
          const taken = time.now(nowMs, origin + nowMs + wall);
          t.true(taken >= last);
          t.true(taken <= origin + nowMs + hourMs);
          t.true(taken >= last + Math.floor(passed / 2) - 1, "nor does it stand still");
          last = taken;
        }
      }),
    ),
  );
});
