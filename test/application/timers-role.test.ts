/** Timers when the role goes and comes back to a server whose state stayed: what was given to the intake and has no record is due again. */
import test from "ava";
import { z } from "zod";
import { defineApplication } from "../../actors/application/define.ts";
import { ApplicationState } from "../../actors/application/state.ts";
import { Timers } from "../../actors/application/timers.ts";
import type { Arrival } from "../../machines/replica/primary/intake.ts";
import { shippedRules } from "../../machines/replica/rules.ts";
import { timersName } from "../../schemas/timers.ts";
import { HandClock } from "../helpers/hot-and-warm.ts";

const application = defineApplication({
  name: "alarms",
  request: z.unknown(),
  result: z.unknown(),
  key: () => "k",
  tables: {},
  timers: { maxTimers: 10 },
  handle: () => null,
});

test("a timer that was fired and has no record is fired again when the role is back, and waits for nothing in between", (t) => {
  const clock = new HandClock();
  const state = new ApplicationState(application);
  const timer = { atMs: clock.wallMs(), key: "k", body: null, sequence: 7, nth: 0 };
  state.loadRow(state.table(timersName).part, "a", Buffer.from(JSON.stringify(timer)));
  const given: string[] = [];
  // It is in the intake behind its attempt record: neither run nor done, and known to the role that it was given to.
  let known = new Set<string>();
  const timers = new Timers({
    clock,
    mailbox: { after: (ms, run) => clock.after(ms, run), touch: () => undefined },
    rules: shippedRules,
    run: () => t.fail("nothing runs before its attempt is on record"),
    replica: {
      epoch: 1,
      inherited: 7,
      isDone: () => false,
      isKnown: (_client, id) => known.has(id),
      onRequest: ({ id, resend }: Arrival) => {
        given.push(`${id} ${resend}`);
        known.add(id);
        return null;
      },
      takesTimers: () => true,
      timeNow: (_nowMs, wallMs) => wallMs,
    },
  });
  const untilMs = clock.nowMs() + 10;
  timers.fire(state, untilMs);
  timers.fire(state, untilMs);
  t.deepEqual(given, ["a@7.0 true"], "once by one role, which may not be the first that does");
  timers.drop(state);
  t.is(clock.waiting, 0);
  known = new Set();
  // Due by the time that the role is back: another primary may have fired this one meanwhile.
  const later = { ...timer, atMs: clock.wallMs() + 5, sequence: 6 };
  state.loadRow(state.table(timersName).part, "b", Buffer.from(JSON.stringify(later)));
  clock.advance(5);
  timers.fire(state, clock.nowMs() + 10);
  t.deepEqual(given, ["a@7.0 true", "a@7.0 true", "b@6.0 true"]);
});
