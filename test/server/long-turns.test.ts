/**
 * A burst of requests that is read without a pause: turns are ended between two of them, so that what follows is on its way while the
 * next are handled, and others hear of this server while its timers wait (rules 9, 15).
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

test("a turn ends after so many inputs, or so much time, between two of them; the last one when nothing more comes", (t) => {
  const { clock, world, soon } = handClock();
  const done: string[] = [];
  const handlers = {
    onTurnEnd: (goesOn: boolean) => done.push(goesOn ? "end" : "last"),
    onError: (error: Error) => t.fail(error.message),
  };
  const limits = { maxTurnInputs: 3, maxTurnMs: 10, maxRunMs: 1_000, onLongRun: () => t.fail() };
  const mailbox = new Mailbox(world, handlers, limits);
  const input = (name: string, ms = 0) =>
    mailbox.input(() => {
      clock.atMs += ms;
      done.push(name);
    });
  for (const name of ["a", "b", "c", "d"]) input(name);
  input("slow", 11);
  for (const name of ["e", "f"]) input(name);
  input("g", 10);
  input("h", 10);
  for (const run of soon.splice(0)) run();
  t.is(done.join(" "), "a b c end d slow end e f g end h last");
  clock.atMs += 500;
  input("i");
  t.is(done.at(-1), "i", "what passed while nothing came is no part of a turn");
});

test("7. inputs that come without a pause for longer than a run may last are ended in between, whole, and once", (t) => {
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
  const mailbox: Mailbox = new Mailbox(world, handlers, {
    maxTurnInputs: 100,
    maxTurnMs: 100,
    maxRunMs: 50,
    onLongRun: () => done.push("long"),
  });
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
  const mailbox = new Mailbox(world, handlers, {
    maxTurnInputs: 1_000,
    maxTurnMs: 50,
    maxRunMs: 1_000,
    onLongRun: () => {},
  });
  for (let n = 0; n < 100; n += 1) mailbox.input(() => {});
  for (const run of soon.splice(0)) run();
  t.is(ends, 1);
  for (let n = 0; n < 100; n += 1)
    mailbox.input(() => {
      clock.atMs += 1;
    });
  t.deepEqual([ends, errors, mailbox.isOpen], [2, ["in the middle"], false]);
});
