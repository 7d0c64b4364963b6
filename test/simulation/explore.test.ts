/** The replica alone, explored: small scopes to their end, a larger one as far as the time allows. */
import test from "ava";
import { explore } from "./explore.ts";
import type { Bounds } from "./explore-world.ts";

const quiet: Bounds = {
  servers: ["alpha", "beta"],
  requests: 1,
  crashes: 0,
  silences: 0,
  timeouts: 0,
  ticks: 0,
  repeats: 0,
};

test("three records, every order of messages, to the end", (t) => {
  const { isComplete, violation, states } = explore({ ...quiet, requests: 3 }, { maxStates: 50_000, maxDepth: 100 });
  t.is(violation, null);
  t.true(isComplete);
  t.log(`${states} states`);
});

test("one server hears nobody for a while: every race for the registry, to the end", (t) => {
  t.timeout(180_000);
  const { isComplete, violation, states } = explore({ ...quiet, silences: 1 }, { maxStates: 50_000, maxDepth: 100 });
  t.is(violation, null);
  t.true(isComplete);
  t.log(`${states} states`);
});

for (const servers of [
  ["alpha", "beta"],
  ["alpha", "beta", "gamma"],
])
  test(`${servers.length} servers: crashes, silences and answers that do not come, the nearest states`, (t) => {
    t.timeout(180_000);
    const bounds: Bounds = { servers, requests: 3, crashes: 2, silences: 2, timeouts: 1, ticks: 0, repeats: 1 };
    const { violation, states, depth } = explore(bounds, { maxStates: 3_000, maxDepth: 100 });
    t.is(violation, null);
    t.log(`${states} states, ${depth} steps deep`);
  });

test("a rule that is broken is found", (t) => {
  t.timeout(180_000);
  const { violation } = explore(
    { ...quiet, silences: 1 },
    { maxStates: 50_000, maxDepth: 100, rules: { commitPoint: (_, { last }) => last } },
  );
  t.regex(violation?.text ?? "", /invariant/);
});
