/** Plans made for a moment: that one comes, the rarest of all too. */
import test from "ava";
import { momentNames } from "../judge/moments.ts";
import { aimedAt } from "./aims.ts";
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

test("of a few seeds that aim at the rarest moment one comes to it", async (t) => {
  t.timeout(240_000);
  const aim = "crash before store.get";
  let times = 0;
  for (let seed = 1; seed <= 20 && times === 0; seed += 1) {
    const report = await runShipped(seed, { faults: undefined, mutation: undefined, aim });
    t.deepEqual(report.violations, [], report.story);
    times = report.moments[aim] ?? 0;
  }
  t.true(times > 0);
});
