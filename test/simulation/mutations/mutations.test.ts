/** Every rule has a mutation, every named decision is broken by one, and a handful are found here and now. */
import test from "ava";
import { shippedRules } from "../../../machines/replica/rules.ts";
import { explore } from "../explore/explore.ts";
import { runShipped } from "../run/shipped.ts";
import { mutations } from "./mutations.ts";

const numbered = Array.from({ length: 21 }, (_, index) => String(index + 1));

test("every rule of PROTOCOL.md has a mutation", (t) => {
  const rules = new Set(mutations.map(({ rule }) => rule));
  for (const rule of [...numbered, "registry", "start", "clean stop", "planned switch"]) t.true(rules.has(rule), rule);
});

test("every decision that has a name is broken by a mutation", (t) => {
  const broken = new Set(mutations.flatMap(({ rules }) => Object.keys(rules ?? {})));
  t.deepEqual(
    Object.keys(shippedRules).filter((name) => !broken.has(name)),
    [],
  );
});

test("no two mutations have one name", (t) => {
  t.is(new Set(mutations.map(({ name }) => name)).size, mutations.length);
});

/** Found within a few seeds: the whole table takes minutes (`npm run simulate -- --mutations`). */
const quick = [
  "a restarted server is taken for its old incarnation",
  "only the asked-for configuration counts",
  "replies leave above the commit point",
  "duplicates are run again",
  "a disk that is too old may go on alone",
  "a snapshot is adopted unproved",
];

for (const name of quick)
  test(`found: ${name}`, async (t) => {
    for (let seed = 1; seed <= 6; seed += 1) {
      const { violations } = await runShipped(seed, { faults: undefined, mutation: name });
      if (violations.length === 0) continue;
      const control = await runShipped(seed, { faults: undefined, mutation: name, isControl: true });
      t.deepEqual(control.violations, [], "what ships does not violate anything there");
      return;
    }
    t.fail("not in 6 seeds");
  });

for (const { name, scope, rules = {} } of mutations)
  if (scope !== undefined)
    test(`found in its scope, where what ships is clean: ${name}`, (t) => {
      const { violation, states } = explore(scope, { rules, maxStates: 5_000 });
      t.truthy(violation);
      t.is(explore(scope, { maxStates: 2 * states }).violation, null);
    });
