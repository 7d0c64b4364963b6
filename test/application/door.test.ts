/** More comes than a server can handle: clients have their turns one after another, and the one that sends most waits longest (rule 15, situation 138). */
import test from "ava";
import * as fc from "fast-check";
import { Door } from "../../actors/application/door.ts";
import type { BusMessage, Clock } from "../../actors/world/ports.ts";
import { shippedRules } from "../../machines/replica/rules.ts";
import { runs } from "../helpers/property-runs.ts";

/** Handling one message takes a millisecond. */
function makeDoor(limits: { maxMessages?: number; maxBytes?: number; serveMs?: number } = {}) {
  let atMs = 0;
  const handled: string[] = [];
  const turnedAway: string[] = [];
  const state = { isOpen: true };
  const text = ({ data }: BusMessage) => Buffer.from(data).toString().trimEnd();
  const door = new Door({
    clock: { nowMs: () => atMs } as Clock,
    rules: shippedRules,
    maxMessages: 1_000,
    maxBytes: 1_000_000,
    serveMs: 100,
    ...limits,
    isOpen: () => state.isOpen,
    handle: (message, isQuery) => {
      atMs += 1;
      handled.push(`${text(message)}${isQuery ? "?" : ""}`);
    },
    turnAway: (message) => turnedAway.push(text(message)),
  });
  /** `client` and a number; the bytes are of a buffer that is used again, as a socket's are. */
  const arrive = (name: string, isQuery = false, bytes = name.length) => {
    const data = Buffer.from(name.padEnd(bytes));
    door.arrive({ subject: `s.request.key.${name.split("-")[0]}`, data, reply: "r" }, isQuery);
    data.fill(0);
  };
  const taken = () => handled.splice(0);
  return { door, arrive, taken, turnedAway, state };
}

test("while runs are short every message is handled as it comes", (t) => {
  const { door, arrive, taken } = makeDoor({ maxMessages: 1 });
  for (const name of ["a-1", "a-2", "b-1"]) arrive(name);
  arrive("b-2", true);
  t.deepEqual(taken(), ["a-1", "a-2", "b-1", "b-2?"]);
  door.serve();
  t.deepEqual([door.waiting, taken()], [0, []]);
});

test("after a long run messages wait until all is read, and then each client has one in each round, in its own order", (t) => {
  const { door, arrive, taken } = makeDoor();
  arrive("flood-0");
  door.onLongRun();
  for (let at = 1; at <= 4; at += 1) arrive(`flood-${at}`);
  arrive("a-1");
  arrive("b-1");
  t.deepEqual(taken(), ["flood-0"]);
  arrive("b-2", true);
  arrive("flood-5");
  t.is(door.waiting, 8);
  door.serve();
  t.deepEqual(taken(), ["flood-1", "a-1", "b-1", "flood-2", "b-2?", "flood-3", "flood-4", "flood-5"]);
  arrive("a-2");
  t.deepEqual(taken(), ["a-2"], "nothing waits: as it comes again");
});

test("a turn handles for so long, and a quarter of that where much came; who came meanwhile has his turn", (t) => {
  const { door, arrive, taken } = makeDoor({ serveMs: 8, maxBytes: 10_000_000 });
  door.onLongRun();
  for (let at = 0; at < 50; at += 1) arrive(`flood-${at}`, false, 30_000);
  door.serve();
  t.is(taken().length, 2, "more than a mebibyte came at once");
  door.serve();
  t.is(taken().length, 8);
  arrive("a-1");
  arrive("b-1");
  door.serve();
  t.deepEqual(taken().slice(0, 4), ["flood-10", "a-1", "b-1", "flood-11"]);
  t.is(door.waiting, 34);
});

test("past the number that may wait the one that has most is turned away, and others are let in", (t) => {
  const { door, arrive, turnedAway } = makeDoor({ maxMessages: 80 });
  door.onLongRun();
  for (let at = 0; at < 100; at += 1) arrive(`flood-${at}`);
  t.is(door.waiting, 80);
  t.is(turnedAway.length, 20);
  for (let at = 0; at < 10; at += 1) arrive(`polite${at}-1`);
  t.is(door.waiting, 90);
  arrive("flood-100");
  arrive("late-1");
  t.deepEqual(turnedAway.slice(20), ["flood-100", "late-1"], "an eighth above the limit, and no more");
});

test("past the bytes that may wait, too", (t) => {
  const { door, arrive, turnedAway } = makeDoor({ maxBytes: 80_000 });
  door.onLongRun();
  for (let at = 0; at < 10; at += 1) arrive(`flood-${at}`, false, 10_000);
  t.is(door.waiting, 7);
  t.deepEqual(turnedAway, ["flood-7", "flood-8", "flood-9"]);
  for (let at = 0; at < 10; at += 1) arrive(`polite${at}-1`, false, 500);
  t.is(door.waiting, 17);
});

test("what has left the door is no longer its client's", (t) => {
  const { door, arrive, turnedAway } = makeDoor({ maxBytes: 80_000, serveMs: 5 });
  door.onLongRun();
  for (let at = 0; at < 7; at += 1) arrive(`a-${at}`, false, 10_000);
  door.serve();
  t.is(door.waiting, 2);
  for (let at = 0; at < 7; at += 1) arrive(`b-${at}`, false, 10_000);
  t.deepEqual(turnedAway, ["b-6"]);
  arrive("a-7", false, 2_000);
  t.is(door.waiting, 9);
});

test("an error that ends the life ends the round; nothing that waits outlives the role", (t) => {
  const { door, arrive, taken, state } = makeDoor();
  door.onLongRun();
  for (let at = 0; at < 4; at += 1) arrive(`a-${at}`);
  state.isOpen = false;
  door.serve();
  t.deepEqual(taken(), []);
  state.isOpen = true;
  door.close();
  t.is(door.waiting, 0);
  arrive("a-4");
  door.serve();
  t.deepEqual(taken(), ["a-4"]);
});

const clients = ["flood", "a", "b", "c"];
const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ client: fc.constantFrom("flood", ...clients), bytes: fc.integer({ min: 8, max: 400 }) }),
  },
  { weight: 1, arbitrary: fc.constantFrom("serve" as const, "long" as const) },
);

test("whatever comes in whatever order: of each client all is handled in its order or turned away, and who waits is let through in time", (t) => {
  const property = fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
    const { door, arrive, taken, turnedAway } = makeDoor({ maxMessages: 24, maxBytes: 6_000, serveMs: 5 });
    const handled: string[] = [];
    let made = 0;
    for (const one of steps) {
      if (one === "long") door.onLongRun();
      else if (one === "serve") door.serve();
      else {
        made += 1;
        arrive(`${one.client}-${String(made).padStart(5, "0")}`, false, one.bytes);
      }
      handled.push(...taken());
      if (door.waiting > 27) return false;
    }
    for (let round = 0; round < 100; round += 1) door.serve();
    handled.push(...taken());
    const isInOrder = clients.every((client) => {
      const own = handled.filter((name) => name.startsWith(`${client}-`));
      return own.every((name, at) => at === 0 || (own[at - 1] as string) < name);
    });
    return isInOrder && door.waiting === 0 && new Set([...handled, ...turnedAway]).size === made;
  });
  t.notThrows(() => fc.assert(property, { numRuns: runs(300) }));
});
