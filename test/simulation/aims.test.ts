/** Plans made for a moment: that one comes, the rarest of all too. */
import test from "ava";
import { aimedAt } from "./aims.ts";
import { momentNames } from "./moments.ts";
import { runShipped } from "./shipped.ts";

test("each crash at a boundary has a plan that aims there and nowhere else", (t) => {
  const crashes = momentNames.filter((name) => /^crash (before|after) /.test(name));
  for (const name of crashes) {
    const { crash, faults } = aimedAt(name);
    t.is(`crash ${crash?.when} ${crash?.what}`, name);
    t.true(faults?.includes("crashAtBoundary"));
  }
  t.throws(() => aimedAt("no such moment"));
});

test("a seed that aims at the rarest moment comes to it", async (t) => {
  t.timeout(120_000);
  const aim = "crash before store.get";
  const report = await runShipped(10, { faults: undefined, mutation: undefined, aim });
  t.true((report.moments[aim] ?? 0) > 0);
  t.deepEqual(report.violations, [], report.story);
});
