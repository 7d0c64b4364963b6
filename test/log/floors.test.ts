/**
 * What was forgotten of whom, against a plain list of everything that was ever done (rule 12): nothing is done twice while
 * its stamp is accepted, a client is refused for its own stamps only, and all servers come to the same floors.
 */

import test from "ava";
import * as fc from "fast-check";
import { arrivalStamp } from "../../machines/codec/record.ts";
import { DuplicateTable } from "../../machines/log/duplicates.ts";
import { ClientFloors, type FloorRules } from "../../machines/log/floors.ts";
import { KeyHasher } from "../../machines/log/key-index.ts";
import { AheadClients } from "../../machines/replica/primary/ahead.ts";
import { type Rules, shippedRules } from "../../machines/replica/rules.ts";

type Judge = FloorRules & Pick<Rules, "maxAhead" | "isExpired">;

const noReply = new Uint8Array(0);
const maxFutureMs = 1_000;

/** One request of a client: `aheadMs` against the true time; honest clients have none. */
interface Step {
  readonly client: number;
  readonly aheadMs: number;
  readonly passMs: number;
  /** How many of the oldest replies are forgotten after it. */
  readonly forgets: number;
  /** It is sent again later, as the one that was done so many before it. */
  readonly again: number;
  readonly isUnstamped: boolean;
}

const wildClients = 12;
const step: fc.Arbitrary<Step> = fc.record({
  client: fc.nat(wildClients + 1),
  aheadMs: fc.integer({ min: -maxFutureMs, max: maxFutureMs }),
  passMs: fc.nat(20),
  forgets: fc.nat(3),
  again: fc.nat(40),
  isUnstamped: fc.boolean(),
});

/** A primary's table and its door, no more. */
class Door {
  table: DuplicateTable;
  ahead = new AheadClients();
  sequence = 0;
  readonly limit: number;
  readonly rules: Judge;

  constructor(limit: number, rules: Judge) {
    this.limit = limit;
    this.rules = rules;
    this.table = new DuplicateTable(new KeyHasher("test"), new ClientFloors(undefined, limit));
  }

  /** What becomes of one copy. */
  ask(client: string, id: string, stampMs: number | undefined, nowMs: number): "done" | "again" | "expired" | "ahead" {
    const { rules, table } = this;
    const key = `${client}\u0000${id}`;
    if (table.sequenceOf(key) > 0) return "again";
    if (stampMs !== undefined) {
      if (rules.isExpired(stampMs, table.floors.floorFor(client, rules))) return "expired";
      const requests = { done: table, begun: new Map() };
      if (stampMs > nowMs) {
        if (!this.ahead.admits(client, nowMs, rules.maxAhead(this.limit), requests)) return "ahead";
        this.ahead.count(client, stampMs);
      }
    }
    this.sequence += 1;
    table.remember(key, client, 0, stampMs ?? arrivalStamp(nowMs), this.sequence, noReply, 0, 0);
    return "done";
  }

  forget(count: number): void {
    const { oldest } = this.table;
    if (oldest !== null && count > 0) this.table.forget(oldest.sequence + count - 1, this.rules);
  }
}

/** Two honest clients among many whose clocks are off either way. What went wrong; empty: nothing. */
function play(steps: readonly Step[], limit: number, rules: Judge): string {
  const door = new Door(limit, rules);
  const done: { client: string; id: string; stampMs: number | undefined }[] = [];
  const lastStamp = new Map<string, number>();
  let nowMs = 10_000;
  for (const [index, { client, aheadMs, passMs, forgets, again, isUnstamped }] of steps.entries()) {
    nowMs += 1 + passMs;
    const isHonest = client >= wildClients;
    const name = isHonest ? `honest${client}` : `wild${client}`;
    const stampMs = isHonest ? nowMs : isUnstamped ? undefined : nowMs + aheadMs;
    const id = `${index}`;
    const outcome = door.ask(name, id, stampMs, nowMs);
    if (isHonest && outcome !== "done") return `${name} was told ${outcome}`;
    if (!isHonest && outcome === "expired" && (stampMs ?? 0) > (lastStamp.get(name) ?? -1) && aheadMs >= 0)
      return `${name} was told ${outcome}, and never stamped anything later`;
    if (outcome === "done") {
      done.push({ client: name, id, stampMs });
      if (stampMs !== undefined) lastStamp.set(name, Math.max(lastStamp.get(name) ?? -1, stampMs));
    }
    door.forget(forgets);
    const old = done[done.length - 1 - again];
    if (old?.stampMs === undefined) continue;
    // A copy that comes late: the reply, or a refusal, and never once more.
    if (door.ask(old.client, old.id, old.stampMs, nowMs) === "done") return `${old.client}/${old.id} was done twice`;
  }
  return "";
}

const steps = fc.array(step, { minLength: 1, maxLength: 160, size: "max" });
const limits = fc.integer({ min: 2, max: 6 });

test("nothing is done twice while its stamp is accepted, and an honest client is never refused because of another's stamp", (t) => {
  const property = fc.property(steps, limits, (all, limit) => {
    t.is(play(all, limit, shippedRules), "");
  });
  t.notThrows(() => fc.assert(property, { numRuns: 500 }));
});

const broken: [what: string, rules: Partial<Judge>, finds: RegExp][] = [
  ["a floor is dropped without lifting the common one", { commonAfter: (commonMs) => commonMs }, /done twice/],
  ["the floor is what was forgotten last", { floorAfter: (_floorMs, forgottenMs) => forgottenMs }, /done twice/],
  [
    "one client's stamp is everybody's floor",
    { floorFor: (_own, _common, highestMs) => highestMs },
    /was told expired/,
  ],
  ["any number of clients may be ahead", { maxAhead: () => 1_000 }, /was told expired/],
];
for (const [what, rules, finds] of broken) {
  test(`the model tells where ${what}`, (t) => {
    let found = "";
    fc.check(
      fc.property(steps, limits, (all, limit) => {
        const wrong = play(all, limit, { ...shippedRules, ...rules });
        if (wrong !== "") found = wrong;
        return wrong === "";
      }),
      { numRuns: 2_000, seed: 8 },
    );
    t.regex(found, finds);
  });
}

const forgotten = fc.array(fc.record({ client: fc.nat(9), stampMs: fc.nat(400), isUnstamped: fc.boolean() }), {
  maxLength: 120,
  size: "max",
});

test("floors follow from what was forgotten, in its order, whatever was forgotten at once and whenever it was saved and read", (t) => {
  const property = fc.property(forgotten, limits, fc.array(fc.nat(120), { maxLength: 6 }), (all, limit, cuts) => {
    const fill = (table: DuplicateTable, from: number) => {
      for (const [index, { client, stampMs, isUnstamped }] of all.slice(from).entries()) {
        const stamp = isUnstamped ? arrivalStamp(stampMs) : stampMs;
        table.remember(`k${from + index}`, `c${client}`, 0, stamp, from + index + 1, noReply, 0, 0);
      }
    };
    const tableOf = (floors?: ClientFloors) =>
      new DuplicateTable(new KeyHasher("test"), floors ?? new ClientFloors(undefined, limit));
    const atOnce = tableOf();
    fill(atOnce, 0);
    atOnce.forget(all.length, shippedRules);
    let inSteps = tableOf();
    fill(inSteps, 0);
    let through = 0;
    for (const cut of [...cuts].sort((a, b) => a - b)) {
      inSteps.forget(cut, shippedRules);
      // Another life reads the floors, and a log that begins before what was forgotten last: what it forgets again changes nothing.
      through = Math.max(through, Math.min(cut, all.length));
      inSteps = tableOf(new ClientFloors(inSteps.floors.saved, limit));
      fill(inSteps, Math.max(0, through - 5));
      inSteps.forget(through, shippedRules);
    }
    inSteps = inSteps.clone();
    inSteps.forget(all.length, shippedRules);
    t.deepEqual(inSteps.floors.saved, atOnce.floors.saved);
    t.true(atOnce.floors.count <= limit);
  });
  t.notThrows(() => fc.assert(property, { numRuns: 300 }));
});

test("a request without a stamp lifts nobody's floor: the primary's clock may be a day fast", (t) => {
  const door = new Door(4, shippedRules);
  const dayMs = 86_400_000;
  t.is(door.ask("alice", "1", undefined, dayMs), "done");
  door.forget(1);
  t.is(door.ask("alice", "2", 5, 10), "done");
  t.is(door.ask("bob", "1", 5, 10), "done");
});

test("of more clients than have room the lower half loses its floors, and the common one is lifted to the highest of them", (t) => {
  const floors = new ClientFloors(undefined, 4);
  for (const [index, stampMs] of [30, 10, 50, 20, 40].entries())
    floors.forget(floors.remember(`c${index}`), stampMs, shippedRules);
  t.deepEqual(floors.saved, {
    commonMs: 30,
    highestMs: 50,
    clients: [
      ["c2", 50],
      ["c4", 40],
    ],
  });
  t.deepEqual(
    ["c0", "c1", "c2", "c3", "c4", "other"].map((client) => floors.floorFor(client, shippedRules)),
    [30, 30, 50, 30, 40, 30],
  );
});
