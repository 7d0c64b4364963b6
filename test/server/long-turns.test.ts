/**
 * A burst of requests that is read without a pause: the turn is ended between two of them, so that others hear of this server
 * while its timers wait (rules 9, 15).
 */
import test from "ava";
import { Mailbox } from "../../actors/actor.ts";
import type { Clock } from "../../actors/world/ports.ts";

/** A clock that moves by hand, with what is to run soon. */
function handClock() {
  const soon: (() => void)[] = [];
  const clock = { atMs: 0, nowMs: () => clock.atMs, soon: (run: () => void) => soon.push(run) };
  return { clock, world: clock as unknown as Clock, soon };
}

test("7. inputs that come without a pause for longer than a turn may last are ended in between, whole, and once", (t) => {
  const { clock, world, soon } = handClock();
  const done: string[] = [];
  const handlers = {
    onTurnEnd: () => {
      done.push("end");
      // What comes from inside an end is part of it.
      if (done.length < 20) mailbox.input(() => done.push("inside"));
    },
    onError: (error: Error) => t.fail(error.message),
  };
  const mailbox: Mailbox = new Mailbox(world, handlers, { maxTurnMs: 50, onLongTurn: () => done.push("long") });
  for (const name of ["a", "b", "c", "d", "e"])
    mailbox.input(() => {
      clock.atMs += 20;
      done.push(name);
    });
  t.deepEqual(done, ["a", "b", "c", "long", "end", "inside", "d", "e"]);
  for (const run of soon.splice(0, 1)) run();
  t.deepEqual(done.slice(8), ["end", "inside"]);
});

test("7. a run of short inputs has one end, and an end that throws ends the life", (t) => {
  const { clock, world, soon } = handClock();
  const errors: string[] = [];
  let ends = 0;
  const handlers = {
    onTurnEnd: () => {
      ends += 1;
      if (ends === 2) throw new Error("in the middle");
    },
    onError: (error: Error) => errors.push(error.message),
  };
  const mailbox = new Mailbox(world, handlers, { maxTurnMs: 50, onLongTurn: () => {} });
  for (let n = 0; n < 100; n += 1) mailbox.input(() => {});
  for (const run of soon.splice(0)) run();
  t.is(ends, 1);
  for (let n = 0; n < 100; n += 1)
    mailbox.input(() => {
      clock.atMs += 1;
    });
  t.deepEqual([ends, errors, mailbox.isOpen], [2, ["in the middle"], false]);
});
