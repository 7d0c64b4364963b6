/**
 * What a choice does, by its name (explore-choices.ts says which are open). What always holds: what is bounded is counted
 * here; the name under which a server takes an input says all of that input.
 */
import { type Counted, type Spent, timesOf } from "./explore-bounds.ts";
import type { Turn } from "./explore-turn.ts";

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

export function takeChoice(choice: string, world: ChangingWorld): void {
  const [what = "", which = "", more = ""] = choice.split(" ");
  switch (what) {
    case "land":
      world.land(which);
      return;
    case "answer":
      world.answer(which, false);
      return;
    case "timeout":
      world.spend("timeouts");
      world.answer(which, true);
      return;
    case "hear":
    case "deliver":
      world.deliver(which, Number(more));
      return;
    case "miss":
      world.miss(which, more);
      return;
    case "read":
      world.read(which, Number(more));
      return;
    case "snapshot":
      world.snapshot(which);
      return;
    default:
      takeOfServer(what, which, more, world);
  }
}

function takeOfServer(what: string, server: string, more: string, world: ChangingWorld): void {
  switch (what) {
    case "look":
      world.turn(server, what, (turn) => turn.look());
      return;
    case "disk":
      world.turn(server, what, (turn) => turn.doJob());
      return;
    case "poll":
      world.turn(server, what, (turn) => turn.poll());
      return;
    case "reread":
      world.spend("reads");
      world.turn(server, what, (turn) => turn.poll());
      return;
    case "start":
      world.spend("starts");
      world.turn(server, what, (turn) => turn.start());
      return;
    case "stop":
      world.spend("stops");
      world.turn(server, what, (turn) => turn.take((replica, nowMs) => replica.onStop(nowMs)));
      return;
    case "switch":
      world.spend("switches");
      world.turn(server, what, (turn) => turn.take((replica, nowMs) => void replica.onSwitch(nowMs)));
      return;
    case "silence":
      world.spend("silences");
      world.silence(server, more);
      return;
    case "crash":
      world.spend("crashes");
      world.turn(server, `crash ${more}`, (turn) => turn.crash(more === "late"));
      return;
    case "fail":
      world.spend("diskFailures");
      world.turn(server, what, (turn) => turn.failDisk());
      return;
    default:
      takeOfClient(what, server, more, world);
  }
}

function takeOfClient(what: string, server: string, more: string, world: ChangingWorld): void {
  switch (what) {
    case "request":
      world.spend("requests");
      request(server, String(world.requests), world);
      return;
    case "resend":
      world.spend("resends");
      request(server, more, world);
      return;
    case "query": {
      world.spend("queries");
      const id = `q${timesOf(world.spent, "queries")}`;
      world.turn(server, `query ${id}`, (turn) => turn.query(id));
      return;
    }
    default:
      throw new Error(`there is no choice "${what}"`);
  }
}

function request(server: string, id: string, world: ChangingWorld): void {
  world.turn(server, `request ${id}`, (turn) => turn.request(id));
}
