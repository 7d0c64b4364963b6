/** The seeded numbers: the same for a seed and a name, and one stream's draws never shift another's. */
import test from "ava";
import { Rng } from "../../../actors/testing/world/rng.ts";

const draw = (rng: Rng, count: number) => Array.from({ length: count }, () => rng.uint32());

test("the same seed and name give the same numbers, others give others", (t) => {
  t.deepEqual(draw(new Rng(7, "a"), 5), draw(new Rng(7, "a"), 5));
  t.notDeepEqual(draw(new Rng(7, "a"), 5), draw(new Rng(7, "b"), 5));
  t.notDeepEqual(draw(new Rng(7, "a"), 5), draw(new Rng(8, "a"), 5));
});

test("a stream does not depend on what was drawn before it or from another stream", (t) => {
  const fresh = new Rng(3);
  const used = new Rng(3);
  draw(used, 100);
  draw(used.stream("other"), 10);
  t.deepEqual(draw(fresh.stream("links"), 5), draw(used.stream("links"), 5));
});

test("numbers spread evenly enough to meet every branch", (t) => {
  const rng = new Rng(1);
  const counts = Array.from({ length: 10 }, () => 0);
  for (let i = 0; i < 10_000; i += 1) {
    const at = rng.below(10);
    counts[at] = (counts[at] ?? 0) + 1;
  }
  const mean = Array.from({ length: 10_000 }, () => rng.next()).reduce((a, b) => a + b) / 10_000;
  t.true(Math.abs(mean - 0.5) < 0.02);
  t.true(counts.every((count) => count > 500));
});
