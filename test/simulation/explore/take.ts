/**
 * What a choice does, by its name (choices.ts says which are open). What always holds: what is bounded is counted
 * here; the name under which a server takes an input says all of that input.
 */
import { type Counted, type Spent, timesOf } from "./bounds.ts";
import type { Turn } from "./turn.ts";

/** What can be done to a world. */
export interface ChangingWorld {
  readonly spent: Spent;
  /** Requests that were sent. */
  readonly requests: number;
  spend(what: Counted): void;
  /** `input`: its name, and all that it says. */
  turn(server: string, input: string, take: (turn: Turn) => void): void;
  deliver(server: string, letter: number): void;
  miss(server: string, peer: string): void;
  silence(server: string, other: string): void;
  snapshot(server: string): void;
  land(writeId: string): void;
  answer(writeId: string, isLate: boolean): void;
  read(server: string, revision: number): void;
}

type Take = (world: ChangingWorld, which: string, more: string) => void;

const takes: Readonly<Record<string, Take>> = {
  land: (world, writeId) => world.land(writeId),
  answer: (world, writeId) => world.answer(writeId, false),
  timeout(world, writeId) {
    world.spend("timeouts");
    world.answer(writeId, true);
  },

  hear: (world, server, letter) => world.deliver(server, Number(letter)),
  deliver: (world, server, letter) => world.deliver(server, Number(letter)),
  miss: (world, server, peer) => world.miss(server, peer),
  look: (world, server) => world.turn(server, "look", (turn) => turn.look()),
  disk: (world, server) => world.turn(server, "disk", (turn) => turn.doJob()),
  snapshot: (world, server) => world.snapshot(server),
  read: (world, server, revision) => world.read(server, Number(revision)),
  poll: (world, server) => world.turn(server, "poll", (turn) => turn.poll()),
  reread(world, server) {
    world.spend("reads");
    world.turn(server, "poll", (turn) => turn.poll());
  },

  request(world, server) {
    world.spend("requests");
    request(world, server, String(world.requests));
  },
  resend(world, server, id) {
    world.spend("resends");
    request(world, server, id);
  },
  query(world, server) {
    world.spend("queries");
    const id = `q${timesOf(world.spent, "queries")}`;
    world.turn(server, `query ${id}`, (turn) => turn.query(id));
  },

  start(world, server) {
    world.spend("starts");
    world.turn(server, "start", (turn) => turn.start());
  },
  stop(world, server) {
    world.spend("stops");
    world.turn(server, "stop", (turn) => turn.take((replica, nowMs) => replica.onStop(nowMs)));
  },
  switch(world, server) {
    world.spend("switches");
    world.turn(server, "switch", (turn) => turn.take((replica, nowMs) => void replica.onSwitch(nowMs)));
  },
  late(world, server) {
    world.spend("lates");
    world.turn(server, "late", (turn) => turn.late());
  },
  silence(world, server, other) {
    world.spend("silences");
    world.silence(server, other);
  },
  crash(world, server, when) {
    world.spend("crashes");
    world.turn(server, `crash ${when}`, (turn) => turn.crash(when === "late"));
  },
  fail(world, server) {
    world.spend("diskFailures");
    world.turn(server, "fail", (turn) => turn.failDisk());
  },
};

function request(world: ChangingWorld, server: string, id: string): void {
  world.turn(server, `request ${id}`, (turn) => turn.request(id));
}

/** By the choice's name: they are few, and taken millions of times. */
const known = new Map<string, (world: ChangingWorld) => void>();

export function takeChoice(choice: string, world: ChangingWorld): void {
  let take = known.get(choice);
  if (take === undefined) {
    take = taking(choice);
    known.set(choice, take);
  }
  take(world);
}

function taking(choice: string): (world: ChangingWorld) => void {
  const [what = "", which = "", more = ""] = choice.split(" ");
  const take = takes[what];
  if (take === undefined) throw new Error(`there is no choice "${what}"`);
  return (world) => take(world, which, more);
}
