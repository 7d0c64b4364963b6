/** The replica alone, explored: small scopes to their end, and rules that are broken in them are found. */
import { setImmediate } from "node:timers/promises";
import test from "ava";
import { type Rules, shippedRules } from "../../../machines/replica/rules.ts";
import type { Bounds } from "./bounds.ts";
import { type ExploreOptions, explore } from "./explore.ts";
import { confirming, forked, joining, scopes, unaware } from "./scopes.ts";
import { Visited } from "./visited.ts";

const pair = ["alpha", "beta"];

for (const { name, bounds } of scopes.filter(({ isQuick }) => isQuick))
  test.serial(`to the end: ${name}`, async (t) => {
    t.timeout(180_000);
    await setImmediate();
    const { isComplete, violation, states, depth } = explore(bounds);
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
    /invariant 10: alpha is alone .* has another log on its disk/,
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
    { isSettled: (revision, expected) => revision >= expected, settlesNothing: () => false },
    /invariant/,
  ],
  [
    "a query is answered without a proof (rule 5)",
    { requests: 1, silences: 1, queries: 1 },
    { isProven: () => true },
    /rule 5: alpha-1 answers a query without record 1/,
  ],
  [
    "one that was deposed and does not know it answers a query (rule 5)",
    { after: unaware, queries: 1 },
    { isProven: () => true },
    /rule 5: beta-1 answers a query without record 1/,
  ],
  [
    "one that was deposed and does not know it commits by itself (rule 5)",
    { after: unaware, requests: 1 },
    { commitPoint: (all, facts) => (facts.self === "beta-1" ? facts.last : shippedRules.commitPoint(all, facts)) },
    /invariant 3: beta-1 acknowledges another record 1/,
  ],
  ["duplicates are run again (rule 12)", { requests: 1, resends: 1 }, { isDuplicate: () => false }, /invariant 6/],
  ["a server exits while it is named (clean stop)", { stops: 1 }, { mayExit: () => true }, /clean stop: beta-1/],
  [
    "a joiner exits while its adding may land unseen (clean stop)",
    { after: joining, stops: 1 },
    { mayExit: (isNamed) => !isNamed },
    /clean stop: beta-2/,
  ],
  [
    "a joiner that stops waits for a primary that is gone (clean stop)",
    { after: joining, stops: 2 },
    { mayLetItselfGo: () => false },
    /clean stop: told to stop, and without an end: beta-2/,
  ],
  [
    "one that let itself go is taken in on the record that says so (rule 8, clean stop)",
    { after: confirming, stops: 1, silences: 1 },
    { mayTakeIn: () => true },
    /clean stop: beta-2 has exited/,
  ],
  [
    "a joiner is added while it holds only part (rule 8)",
    { after: joining },
    { mayBeAdded: () => true },
    /invariant 2: beta-2 is in sync .* does not hold record 1/,
  ],
  [
    "a restarted server is taken for its old incarnation (rule 1)",
    { requests: 1, crashes: 1, starts: 1 },
    {
      isSameMember: (one, other) => one.server === other.server,
      isNamed: (record, self) => record.inSync.some(({ server }) => server === self.server),
    },
    /invariant/,
  ],
  [
    "nothing is dropped at a fork, and confirms fit any hash (rules 4 and 7)",
    { after: forked, requests: 1 },
    {
      truncatesTo: (_, last) => last,
      confirmFits: (message, facts) => message.session === facts.session,
    },
    /an invariant does not hold/,
  ],
  [
    "records are taken from any epoch and session, and confirms fit any hash (rule 4)",
    { servers: ["alpha", "beta", "gamma"], after: ["request alpha", "crash alpha"], requests: 1 },
    {
      mirrorFits: () => true,
      confirmFits: (message, facts) => message.session === facts.session,
    },
    /an invariant does not hold/,
  ],
];

for (const [name, bounds, rules, found] of broken)
  test.serial(`found when broken: ${name}`, async (t) => {
    t.timeout(180_000);
    await setImmediate();
    const { violation } = explore({ servers: pair, ...bounds }, { rules, maxStates: 20_000 });
    t.regex(violation?.text ?? "nothing", found);
    t.log(violation?.path.join("\n") ?? "");
  });

const small: [name: string, bounds: Partial<Bounds>][] = [
  ["a silence, an answer that does not come in time", { silences: 1, timeouts: 1 }],
  ["a planned switch", { switches: 1 }],
  ["a server joins", { after: joining }],
  ["a server comes back with a record that was never committed", { after: forked }],
];

const more: typeof small = [
  ["a record, a crash", { requests: 1, crashes: 1 }],
  ["three servers, a crash", { servers: ["alpha", "beta", "gamma"], crashes: 1 }],
];
/** alpha is about to take a snapshot of beta, whose own record may be committed before. */
const nearSnapshot = "request beta, give alpha heartbeat, look alpha, give beta follow, give alpha decline".split(", ");
const snapshot = forked.concat(nearSnapshot);
const records: typeof small = [["two records", { requests: 2 }]];

/** What is seen on the way to any state, and how many states and steps there are. */
function all(bounds: Partial<Bounds>, options: ExploreOptions) {
  const outcomes = new Set<string>();
  const { states, steps, isComplete } = explore(
    { servers: pair, ...bounds },
    { ...options, onState: (world) => outcomes.add(world.outcome) },
  );
  return { states, steps, isComplete, outcomes: [...outcomes].sort() };
}

for (const [name, bounds] of [...small, ...more])
  test.serial(`the same whether steps are remembered or worked out anew: ${name}`, async (t) => {
    t.timeout(180_000);
    await setImmediate();
    const whole = all(bounds, { remembers: false });
    t.true(whole.isComplete);
    t.deepEqual(all(bounds, {}), whole);
    t.log(`${whole.states} states, ${whole.outcomes.length} outcomes`);
  });

const near: [name: string, bounds: Partial<Bounds>, maxDepth: number][] = [
  ["a snapshot", { after: snapshot }, 6],
  ["one stops, and the other is told to", { after: ["stop alpha"], stops: 1 }, 12],
];

for (const [name, bounds, maxDepth] of near)
  test.serial(`the same whether steps are remembered or worked out anew, the first ${maxDepth}: ${name}`, async (t) => {
    t.timeout(180_000);
    await setImmediate();
    t.deepEqual(all(bounds, { maxDepth }), all(bounds, { maxDepth, remembers: false }));
  });

test("no two states are taken for one, and each is known again", (t) => {
  const visited = new Visited(3);
  const sides = Array.from({ length: 30 }, (_, at) => at);
  const every = sides.flatMap((one) => sides.flatMap((two) => sides.map((three) => [one, two, three])));
  t.true(every.every((state) => visited.add(state)));
  t.false(every.some((state) => visited.add(state)));
  t.is(visited.count, every.length);
});

for (const [name, bounds] of [...small, ...records])
  test.serial(`the same outcomes when no message is forgotten: ${name}`, async (t) => {
    t.timeout(180_000);
    await setImmediate();
    const whole = all(bounds, { forgets: false });
    const { isComplete, outcomes, states } = all(bounds, {});
    t.true(whole.isComplete && isComplete);
    t.deepEqual(outcomes, whole.outcomes);
    t.log(`${whole.states} states, ${states} where messages are forgotten, ${outcomes.length} outcomes`);
  });
