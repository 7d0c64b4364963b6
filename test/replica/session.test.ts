/** A follower's session as its primary counts it: what is sent, what is confirmed, and what is owed (rules 4, 10, 15). */
import test from "ava";
import { Session } from "../../machines/replica/primary/session.ts";
import { shippedRules } from "../../machines/replica/rules.ts";

const confirm = (sequence: number, probe = 0) => ({
  type: "confirm" as const,
  session: "s",
  epoch: 2,
  from: "beta.1",
  to: "alpha.1",
  sequence,
  hash: 0,
  probe,
  gap: false,
});

test("the window is full with two small messages, with sixteen large ones, or with its bytes, and opens with their confirms", (t) => {
  const session = new Session("s", "beta.1", 0, 0);
  const large = 8 * 1024;
  session.onSent(1, 1, 100, 0);
  t.true(session.hasWindow(1_000_000, 100));
  for (let last = 2; last <= 15; last += 1) session.onSent(1, last, 100, 0);
  t.false(session.hasWindow(1_000_000, large - 1), "a small one waits for more");
  t.true(session.hasWindow(1_501, large));
  t.false(session.hasWindow(1_500, large), "what is on its way is counted in bytes as well");
  session.onSent(1, 18, 100, 0);
  t.false(session.hasWindow(1_000_000, large));
  t.is(session.roundTripMs, Number.POSITIVE_INFINITY);
  session.onConfirm(confirm(3, 1), 10);
  t.is(session.roundTripMs, 10);
  t.true(session.hasWindow(1_301, large));
  t.false(session.hasWindow(1_300, large));
  t.deepEqual([session.sent, session.confirmed, session.confirmedEpoch, session.echoed], [18, 3, 2, 1]);
  session.onConfirm({ ...confirm(1), epoch: 2 }, 20);
  t.is(session.confirmed, 3, "it only rises");
  session.onConfirm(confirm(15), 30);
  t.true(session.hasWindow(1_000_000, 1), "one is left on its way");
});

test("what is sent again goes from the last confirmed record, by a new link too, and is no progress", (t) => {
  const session = new Session("s", "beta.1", 2, 0);
  session.use("main", 0, shippedRules);
  session.onSent(0, 6, 100, 0);
  session.onConfirm(confirm(4), 10);
  session.use("failsafe", 50, shippedRules);
  t.is(session.sent, 4);
  session.noteLevel(60);
  t.is(session.stalledMs(70), 60, "level, but about to be sent again");
  session.onSent(0, 6, 100, 0);
  t.false(session.isLate(60, 20), "it was just sent again");
  t.true(session.isLate(71, 20));
});

test("a record that does not fit shuts the window until its link takes more", (t) => {
  const session = new Session("s", "beta.1", 0, 0);
  session.onTooLarge({ sequence: 1, bytes: 500 });
  session.onRoom(499);
  t.true(session.isOwed);
  t.false(session.hasWindow(1_000, 1));
  session.noteLevel(90);
  t.is(session.stalledMs(90), 90, "it stalls meanwhile");
  session.onRoom(500);
  t.true(session.hasWindow(1_000, 1));
  t.false(session.isOwed);
});
