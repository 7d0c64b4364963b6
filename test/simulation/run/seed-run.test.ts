/** The simulator's own test: a server that does everything wrong is found out, with a story; a quiet world is not. */
import test from "ava";
import { shippedRules } from "../../../machines/replica/rules.ts";
import { startToy } from "../service/toy-server.ts";
import { runSeed, type SeedOptions } from "./seed-run.ts";

const toy: SeedOptions = {
  rules: shippedRules,
  makeStart: (_, workload) => startToy(workload),
  init: (sim, plan) => {
    const members = plan.servers.map((server) => ({ server, incarnation: `${server}-1` }));
    sim.registry.write({
      service: "sim",
      history: "toy",
      epoch: 1,
      mode: "normal",
      writeId: "w",
      previousWriteId: "",
      primary: { server: "alpha", incarnation: "alpha-1" },
      inSync: members,
      durability: "memory",
      base: { sequence: 0, hash: 0 },
      schema: "",
    });
  },
};

test("a server that keeps nothing is found out within a few seeds, and the story says so", async (t) => {
  const found = new Set<string>();
  for (let seed = 1; seed <= 12 && !found.has("invariant 3"); seed += 1) {
    const report = await runSeed(seed, { ...toy, fixed: { faultMs: 4_000, faultClass: "beyond", stopsAtEnd: false } });
    for (const { of } of report.violations) found.add(of);
    if (report.violations.length > 0) t.regex(report.story, / !! /);
    t.true(report.lines.some(({ text }) => text === "the faults are over"));
  }
  t.true(found.has("invariant 3"), [...found].join(", "));
});

test("the same seed gives the same trace, twice in a row", async (t) => {
  const one = await runSeed(5, { ...toy, fixed: { faultMs: 1_000 } });
  const other = await runSeed(5, { ...toy, fixed: { faultMs: 1_000 } });
  t.is(one.traceHash, other.traceHash);
  t.is(one.events, other.events);
  t.deepEqual(one.moments, other.moments);
});

test("in a world without faults even that server's history is right", async (t) => {
  const report = await runSeed(3, {
    ...toy,
    fixed: { faultMs: 5_000, faults: [], servers: ["alpha", "beta"], stopsAtEnd: false, faultClass: "beyond" },
  });
  // It does not know what a reused id is.
  t.deepEqual(
    report.violations.filter(({ of }) => of !== "rule 12"),
    [],
  );
  t.true(report.check.acknowledged > 10);
});

test("the recorded history of a quiet seed is there for whoever asks for it", async (t) => {
  const fixed = { faultMs: 1_000, faults: [], servers: ["alpha", "beta"], faultClass: "beyond" } as const;
  const { violations, history } = await runSeed(3, { ...toy, fixed: { ...fixed, stopsAtEnd: false } });
  t.deepEqual(violations, []);
  t.is(history, "");
  const asked = await runSeed(3, { ...toy, fixed: { ...fixed, stopsAtEnd: false }, keepsHistory: true });
  t.true(asked.history.split("\n").every((line) => "type" in JSON.parse(line)));
});
