/** The replica alone, explored: small scopes to their end, and rules that are broken in them are found. */
import test from "ava";
import type { Rules } from "../../machines/replica/rules.ts";
import { explore } from "./explore.ts";
import type { Bounds } from "./explore-bounds.ts";

const pair = ["alpha", "beta"];

const scopes: Record<string, Partial<Bounds>> = {
  "three records, every order of messages": { requests: 3 },
  "a silence: every race for the registry": { requests: 1, silences: 1 },
  "a crash": { requests: 2, crashes: 1 },
};

for (const [name, bounds] of Object.entries(scopes))
  test(`${name}, to the end`, (t) => {
    t.timeout(180_000);
    const { isComplete, violation, states, depth } = explore({ servers: pair, ...bounds });
    t.is(violation, null);
    t.true(isComplete);
    t.log(`${states} states, ${depth} steps deep`);
  });

const broken: [name: string, bounds: Partial<Bounds>, rules: Partial<Rules>, found: RegExp][] = [
  [
    "everything is committed at once (rule 5)",
    { requests: 1 },
    { commitPoint: (_, { last }) => last },
    /invariant 2: beta-1 is in sync .* does not hold record 1/,
  ],
  [
    "asks to be alone before its log is synced (rule 2)",
    { requests: 1, silences: 1 },
    { isSyncedForCas: () => true },
    /invariant 2: alpha is alone .* is not on its disk/,
  ],
  [
    "an open compare-and-set does not count (rule 3)",
    { requests: 1, silences: 1, timeouts: 1 },
    { configurations: (settled) => [settled] },
    /invariant 2: .* alone/,
  ],
  [
    "only the asked-for configuration counts (rule 3)",
    { requests: 1, silences: 1, timeouts: 1 },
    { configurations: (settled, open) => [open ?? settled] },
    /invariant 2: beta-1 is in sync/,
  ],
  [
    "the old value settles an unknown compare-and-set (rule 3)",
    { requests: 1, silences: 1, timeouts: 1 },
    { isSettled: (revision, expected) => revision >= expected },
    /invariant/,
  ],
  [
    "a query is answered without a proof (rule 5)",
    { requests: 1, silences: 1, queries: 1 },
    { isProven: () => true },
    /rule 5: alpha-1 answers a query without record 1/,
  ],
  ["duplicates are run again (rule 12)", { requests: 1, resends: 1 }, { isDuplicate: () => false }, /invariant 6/],
  ["a server exits while it is named (clean stop)", { stops: 1 }, { mayExit: () => true }, /clean stop: beta-1/],
];

for (const [name, bounds, rules, found] of broken)
  test(`found when broken: ${name}`, (t) => {
    t.timeout(180_000);
    const { violation } = explore({ servers: pair, ...bounds }, { rules, maxStates: 20_000 });
    t.regex(violation?.text ?? "nothing", found);
    t.log(violation?.path.join("\n") ?? "");
  });
