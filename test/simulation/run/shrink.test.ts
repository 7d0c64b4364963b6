/** A failing seed is made small: what is not needed goes, what fails otherwise is not taken for it, the budget ends it. */
import test from "ava";
import { planOf, serverNames } from "../service/seed-plan.ts";
import type { SeedReport } from "./seed-run.ts";
import { type Remainder, type ShrinkOptions, shrink } from "./shrink.ts";

const occurrences = Array.from({ length: 40 }, (_, index) => ({ number: index + 1, kind: "kill", atMs: 100 * index }));

interface Asked {
  readonly only: readonly number[];
  readonly clients: number;
  readonly requests: number;
  readonly servers: number;
}

/** Runs that fail as `fails` says: with the invariant's name, or not. */
function worldWhere(fails: (asked: Asked) => string | null) {
  const remainders: Remainder[] = [];
  let nowMs = 0;
  const run = (remainder: Remainder): Promise<SeedReport> => {
    remainders.push(remainder);
    nowMs += 10;
    const plan = planOf(1, { servers: serverNames, clients: 4, faultMs: 8_000, ...remainder });
    const only = remainder.only ?? occurrences.map(({ number }) => number);
    const { clients, requests, servers } = plan;
    const of = fails({ only, clients, requests, servers: servers.length });
    const report = {
      seed: 1,
      plan,
      occurrences: occurrences.filter(({ number, atMs }) => only.includes(number) && atMs < plan.faultMs),
      violations: of === null ? [] : [{ of, text: "", atMs: 0 }],
    };
    return Promise.resolve(report as unknown as SeedReport);
  };
  const options: ShrinkOptions = { run, budgetMs: 100_000, nowMs: () => nowMs };
  return { run, options, remainders };
}

test("two faults of forty, one client, few requests and two servers are left", async (t) => {
  const { run, options, remainders } = worldWhere(({ only, requests }) =>
    only.includes(3) && only.includes(17) && requests >= 3 ? "invariant 4" : null,
  );
  const { remainder, report, runs } = await shrink(await run({}), options);
  t.deepEqual(remainder.only, [3, 17]);
  t.is(remainder.clients, 1);
  t.is(remainder.requests, 4);
  t.is(remainder.servers?.length, 2);
  t.is(remainder.faultMs, 1_700);
  t.is(report.violations[0]?.of, "invariant 4");
  t.is(runs, remainders.length - 1);
  t.true(runs < 100, `${runs} runs`);
});

test("what fails in another way is not the same failure", async (t) => {
  const { run, options } = worldWhere(({ only }) => (only.includes(9) ? "invariant 3" : "invariant 10"));
  const { remainder } = await shrink(await run({}), options);
  t.deepEqual(remainder.only, [9]);
});

test("what fails without any fault is left without any", async (t) => {
  const { run, options } = worldWhere(() => "invariant 7");
  const { remainder } = await shrink(await run({}), options);
  t.deepEqual(remainder.only, []);
});

test("the budget ends the search, and what it has found by then counts", async (t) => {
  const { run, options, remainders } = worldWhere(({ only }) => (only.includes(20) ? "invariant 2" : null));
  const { remainder } = await shrink(await run({}), { ...options, budgetMs: 50 });
  t.is(remainders.length, 6);
  t.true(remainder.only?.includes(20));
  t.true((remainder.only?.length ?? 40) < 40);
});
