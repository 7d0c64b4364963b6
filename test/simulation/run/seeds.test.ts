/** The servers that ship, in simulated worlds that once showed a violation. `npm run simulate` runs as many more as one likes. */
import test from "ava";
import { scenesToKeep, seedsToKeep } from "./seeds.ts";
import { runShipped } from "./shipped.ts";

for (const { seed, once } of seedsToKeep) {
  test.serial(`seed ${seed} shows no violation (once: ${once})`, async (t) => {
    t.timeout(120_000);
    const report = await runShipped(seed, { faults: undefined, mutation: undefined });
    t.deepEqual(report.violations, [], report.story);
    t.true(report.check.acknowledged > 0);
  });
}

for (const { fault, seeds, once } of scenesToKeep)
  test.serial(`${fault} shows no violation (once: ${once})`, async (t) => {
    t.timeout(120_000);
    for (const seed of seeds) {
      const report = await runShipped(seed, { faults: [fault], mutation: undefined });
      t.deepEqual(report.violations, [], report.story);
    }
  });

test("a rule that is broken at composition is found out", async (t) => {
  t.timeout(120_000);
  const report = await runShipped(1, { faults: undefined, mutation: "replies leave above the commit point" });
  t.true(report.violations.some(({ of }) => of === "invariant 7"));
});
