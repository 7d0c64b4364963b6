/** The order of timers, against rows that are sorted each time. */
import test from "ava";
import * as fc from "fast-check";
import { TimerIndex } from "../../actors/application/timer-index.ts";
import type { Timer } from "../../schemas/timers.ts";

const move = fc.record({
  what: fc.constantFrom("put", "put", "delete", "fire", "putBack", "allBack"),
  id: fc.nat(12).map(String),
  atMs: fc.nat(20),
});

function isBefore(one: Timer, other: Timer): number {
  return one.atMs - other.atMs || one.sequence - other.sequence || one.nth - other.nth;
}

test("the next is always the first of the rows that are not fired", (t) => {
  const property = fc.property(fc.array(move, { maxLength: 120 }), (moves) => {
    const rows = new Map<string, Timer>();
    const index = new TimerIndex(rows);
    const fired = new Set<string>();
    const firedOnes: { id: string; timer: Timer }[] = [];
    moves.forEach(({ what, id, atMs }, sequence) => {
      if (what === "put") {
        const timer = { atMs, key: "", body: null, sequence, nth: 0 };
        rows.set(id, timer);
        index.put(id, timer);
        fired.delete(id);
      } else if (what === "delete" && rows.delete(id)) {
        index.delete(id);
        fired.delete(id);
      } else if (what === "fire" && index.next !== undefined) {
        firedOnes.push(index.next);
        fired.add(index.next.id);
        index.fire();
      } else if (what === "putBack") {
        const one = firedOnes.pop();
        if (one !== undefined && rows.get(one.id) === one.timer) {
          index.putBack(one);
          fired.delete(one.id);
        }
      } else if (what === "allBack") {
        index.putAllBack();
        fired.clear();
      }
      const waiting = [...rows].filter(([one]) => !fired.has(one)).sort(([, a], [, b]) => isBefore(a, b));
      t.is(index.next?.id, waiting[0]?.[0]);
      t.deepEqual(
        index.all.map(({ id: one }) => one),
        [...rows].sort(([, a], [, b]) => isBefore(a, b)).map(([one]) => one),
      );
    });
  });
  t.notThrows(() => fc.assert(property, { numRuns: 200 }));
});

test("timers that are set anew again and again leave no places behind", (t) => {
  const rows = new Map<string, Timer>();
  const index = new TimerIndex(rows);
  for (let sequence = 0; sequence < 100_000; sequence += 1) {
    const timer = { atMs: 1e12 + sequence, key: "", body: null, sequence, nth: 0 };
    rows.set("a", timer);
    index.put("a", timer);
  }
  t.true(index.places < 100);
});
