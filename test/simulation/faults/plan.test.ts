/** Occurrences of faults have numbers and randomness of their own: leaving some out leaves the others as they were. */
import test from "ava";
import { Recorder } from "../../../actors/testing/recorder.ts";
import type { AimedCrash } from "../../../actors/testing/world/boundaries.ts";
import { SimWorld } from "../../../actors/testing/world/sim-world.ts";
import { initialRecord } from "../../../machines/replica/registry/initial-record.ts";
import { shippedRules } from "../../../machines/replica/rules.ts";
import { Moments } from "../judge/moments.ts";
import { Oracle } from "../judge/oracle.ts";
import { Cluster } from "../service/cluster.ts";
import { Operator } from "../service/operator.ts";
import { RegistryOperator } from "../service/registry-operator.ts";
import { classOf, FaultPlan } from "./plan.ts";

function planFor(options: { only?: readonly number[]; forMs?: number; kinds?: readonly string[]; crash?: AimedCrash }) {
  const sim = new SimWorld({ seed: 11, service: "test", servers: ["alpha", "beta"] });
  const moments = new Moments();
  const oracle = new Oracle(
    () => null,
    () => undefined,
  );
  const idle = { stop: () => Promise.resolve(), ended: new Promise<never>(() => {}) };
  const cluster = new Cluster(sim, () => idle, new Recorder(() => sim.nowMs), moments, oracle);
  const outside = { clock: sim.clock(sim.startProcess("operator")), bus: sim.world(sim.startProcess("operator")).bus };
  const operator = new Operator({ service: "test", servers: cluster.names, moments, ...outside });
  const plan = new FaultPlan({
    sim,
    cluster,
    moments,
    operator,
    registryOperator: new RegistryOperator(sim, cluster, moments, shippedRules),
    burst: () => {},
    ask: () => {},
    integrator: sim.startProcess("integrator"),
    clients: [],
    rng: sim.rng.stream("faults"),
    faultClass: "within",
    suspicionMs: 200,
    forMs: options.forMs ?? 6_000,
    kinds: options.kinds ?? ["pause", "cutMain", "jumpClock"],
    only: options.only,
    crash: options.crash,
  });
  return { sim, plan, cluster };
}

/** What each occurrence told. */
async function toldBy(options: { only?: readonly number[] }) {
  const { sim } = planFor(options);
  await sim.scheduler.run(6_000);
  return new Map(sim.story.lines.map(({ fault, who, text, atMs }) => [fault, `${atMs} ${who} ${text}`]));
}

test("an occurrence is the same whichever others happen", async (t) => {
  const all = await toldBy({});
  t.true(all.size > 5);
  const numbers = [...all.keys()].filter((number) => number !== null);
  const chosen = [numbers[1] ?? 0, numbers[4] ?? 0];
  const some = await toldBy({ only: chosen });
  t.deepEqual([...some.keys()], chosen);
  for (const number of chosen) t.is(some.get(number), all.get(number));
});

test("a shorter fault phase leaves out the last occurrences and keeps the numbers", (t) => {
  const { occurrences } = planFor({}).plan;
  const shorter = planFor({ forMs: 3_000 }).plan.occurrences;
  t.true(shorter.length > 0 && shorter.length < occurrences.length);
  t.deepEqual(shorter, occurrences.slice(0, shorter.length));
  t.deepEqual(
    occurrences.map(({ number }) => number),
    occurrences.map((_, index) => index + 1),
  );
});

/** What hangs over a server, and whether it may come true now; null while nothing does. */
function hanging({ sim, cluster }: ReturnType<typeof planFor>) {
  for (const name of cluster.names) {
    const { disk } = sim.host(name);
    const plan = cluster.process(name)?.plan;
    if (plan) return { name, mayStrike: plan.mayStrike };
    if (disk.isFull || disk.failingSyncs + disk.failingWrites > 0) return { name, mayStrike: () => disk.mayFail() };
  }
  return null;
}

for (const kind of ["crashAtBoundary", "failDisk", "fillDisk"])
  test(`what was planned within the promise comes true within it, or not at all: ${kind}`, async (t) => {
    const world = planFor({ kinds: [kind], forMs: 60_000, crash: { what: "timer", when: "before" } });
    const { sim, cluster } = world;
    cluster.startAll();
    await sim.scheduler.run(1);
    const inSync = cluster.names.map((server) => ({ server, incarnation: `${server}-1` }));
    sim.registry.write({ ...initialRecord("test", "alpha", "h"), epoch: 2, inSync, durability: "memory" });
    await sim.scheduler.run(60_000, () => hanging(world) !== null);
    const found = hanging(world);
    t.true(found?.mayStrike());
    cluster.kill(cluster.names.find((name) => name !== found?.name) ?? "", "process");
    t.false(found?.mayStrike());
  });

test("what a fault would still do when the faults are over is not done: a server that was told to stop stays so", async (t) => {
  const { sim, plan, cluster } = planFor({ kinds: ["stopStart"] });
  cluster.startAll();
  const isAway = () => cluster.names.some((name) => !cluster.isRunning(name));
  await sim.scheduler.run(1);
  await sim.scheduler.run(6_000, isAway);
  t.true(isAway(), "one is to be started again");
  plan.healAll();
  await sim.scheduler.run(sim.nowMs + 10);
  t.false(isAway());
  for (const name of cluster.names) cluster.stop(name);
  await sim.scheduler.run(sim.nowMs + 6_000);
  t.true(cluster.allEnded());
});

test("named faults promise what they allow together", (t) => {
  t.is(classOf(["kill", "harmDisk"]), null);
  t.is(classOf(["rollBackRegistry", "kill"]), "registry");
  t.throws(() => classOf(["rollBackRegistry", "harmDisk"]), { message: /nothing is promised .* beside harmDisk/ });
  t.is(classOf(["kill", "killAll"]), "beyond");
  t.is(classOf(["restoreTwice"]), null);
  t.is(classOf(["restoreTwice", "kill"]), "beyond");
});
