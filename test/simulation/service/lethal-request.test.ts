/** A request that kills: whom it kills, and what whoever runs it next knows of that (rule 17). */
import test from "ava";
import type { LastWords } from "../../../schemas/death.ts";
import { LethalRequest, type Run } from "./lethal-request.ts";

const run = (life: string, epoch: number, more: Partial<Run> = {}): Run => {
  return { request: "client1 5", life, history: "h1", epoch, ...more };
};

/** These runs have killed, in this order. */
function killedBy(...strikes: readonly (readonly [run: Run, isRecorded: boolean])[]) {
  const lethal = new LethalRequest();
  const words = { server: "", code: "handler", client: "client1", id: "5", bodyHash: 0, busyMs: 1_000 } as const;
  let next: LastWords | null = null;
  lethal.arm(() => next);
  for (const [struck, isRecorded] of strikes) {
    next = { ...words, life: struck.life, isRecorded };
    lethal.runs(struck.life, struck);
  }
  next = null;
  return lethal;
}

test("of a run with its attempt on record each later epoch of its history knows, told or not", (t) => {
  const lethal = killedBy([run("beta#1", 7), true], [run("alpha#2", 8), true]);
  t.is(lethal.known(run("beta#2", 9), []), 2);
  t.is(lethal.known(run("beta#2", 9), ["beta#1", "alpha#2"]), 2, "what tells of it counts it no second time");
  t.is(lethal.known(run("beta#2", 9, { history: "h2" }), ["beta#1", "alpha#2"]), 0, "no log of that history has it");
  t.is(lethal.known(run("beta#2", 9, { request: "client1 6" }), []), 0);
});

test("a deposed primary knows nothing of what killed after it", (t) => {
  const lethal = killedBy([run("beta#1", 7), true], [run("delta#1", 8), true]);
  t.is(lethal.known(run("alpha#1", 5), []), 0);
  t.is(lethal.known(run("gamma#1", 8), []), 1);
});

test("of what a deposed primary ran without a record, and stands in still, nobody knows before its end is told", (t) => {
  const lethal = killedBy([run("beta#1", 7), true], [run("alpha#1", 5), false]);
  t.is(lethal.known(run("delta#1", 8), ["beta#1"]), 1);
  t.is(lethal.known(run("delta#1", 8), ["beta#1", "alpha#1"]), 2);
});

test("the request that killed first goes on to kill, and no other does; one that has not killed never begins to", (t) => {
  const lethal = killedBy([run("alpha#1", 2), true]);
  lethal.disarm();
  let asked = 0;
  const kill = () => {
    asked += 1;
    return null;
  };
  t.false(lethal.runs("beta", run("beta#1", 3, { request: "client1 6" })));
  lethal.arm(kill);
  t.false(lethal.runs("beta", run("beta#1", 3)), "it was asked, and did not kill");
  t.is(asked, 1);
  lethal.disarm();
  t.false(lethal.runs("beta", run("beta#1", 3)));
  t.is(asked, 1);
});
