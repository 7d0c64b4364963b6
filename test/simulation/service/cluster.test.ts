/** The supervisor of simulated servers, where a second process is started on a disk that is in use (situation 29). */
import test from "ava";
import { Recorder } from "../../../actors/testing/recorder.ts";
import { SimWorld } from "../../../actors/testing/world/sim-world.ts";
import { initialRecord } from "../../../machines/replica/registry/initial-record.ts";
import type { RegistryRecord } from "../../../schemas/registry.ts";
import { Moments } from "../judge/moments.ts";
import { Oracle } from "../judge/oracle.ts";
import { Cluster } from "./cluster.ts";
import type { ServerEnd } from "./running-server.ts";

/** Servers that do nothing but live, until they are told to stop or end as the test says. */
function clusterOf(...servers: string[]) {
  const sim = new SimWorld({ seed: 1, service: "test", servers });
  const oracle = new Oracle(
    () => null,
    () => undefined,
  );
  const lives = new Map<string, (end: ServerEnd) => void>();
  const stopped: string[] = [];
  const start = ({ incarnation }: { incarnation: string }) => ({
    stop: () => {
      stopped.push(incarnation);
      return Promise.resolve();
    },
    ended: new Promise<ServerEnd>((resolve) => {
      lives.set(incarnation, resolve);
    }),
  });
  const cluster = new Cluster(sim, start, new Recorder(() => sim.nowMs), new Moments(), oracle);
  const run = (forMs: number) => sim.scheduler.run(sim.nowMs + forMs);
  const end = async (incarnation: string, how: ServerEnd) => {
    lives.get(incarnation)?.(how);
    await run(1);
  };
  return { sim, cluster, run, end, stopped, begun: () => [...lives.keys()] };
}

async function twoOnOneDisk() {
  const all = clusterOf("alpha");
  all.cluster.start("alpha");
  await all.run(1);
  all.cluster.startTwice("alpha");
  await all.run(1);
  return all;
}

test("a second process that is refused leaves the first one alone, and its disk", async (t) => {
  const { sim, cluster, run, end, begun } = await twoOnOneDisk();
  for (let again = 0; again < 4; again += 1) {
    await end(begun().at(-1) ?? "", "fail");
    t.is(cluster.process("alpha")?.name, "alpha#1");
    cluster.startTwice("alpha");
    await run(1);
  }
  const { main } = sim.host("alpha").disk;
  await end(begun().at(-1) ?? "", "fail");
  await end("alpha-1", "restart");
  await run(5_000);
  t.is(cluster.process("alpha")?.name, "alpha#7", "one more is started when it has died");
  t.is(sim.host("alpha").disk.main, main, "no start of its own failed");
});

test("a second process that is there when the first one ends is the server, and no other is started", async (t) => {
  const { cluster, run, end, stopped, begun } = await twoOnOneDisk();
  await end("alpha-1", "exit");
  await run(5_000);
  t.deepEqual(begun(), ["alpha-1", "alpha-2"]);
  t.true(cluster.isRunning("alpha"));
  cluster.stop("alpha");
  await run(10);
  t.deepEqual(stopped, ["alpha-2"]);
  t.true(cluster.allEnded());
});

test("who stops a server stops the second process too, also one that has not begun", async (t) => {
  const { cluster, run, stopped } = await twoOnOneDisk();
  cluster.stop("alpha");
  await run(10);
  t.deepEqual(stopped, ["alpha-1", "alpha-2"]);
  t.true(cluster.allEnded());
  cluster.start("alpha");
  cluster.stop("alpha");
  await run(10);
  t.deepEqual(stopped, ["alpha-1", "alpha-2", "alpha-3"]);
  t.true(cluster.allEnded());
});

test("who kills a server, or takes it away, kills the second process too, and so does a loss of power", async (t) => {
  for (const kind of ["process", "machine"] as const) {
    const { cluster, run } = await twoOnOneDisk();
    cluster.kill("alpha", kind);
    t.true(cluster.allEnded());
    await run(5_000);
    t.is(cluster.process("alpha")?.name, "alpha#3");
  }
  const planned = await twoOnOneDisk();
  planned.cluster.process("alpha")?.kill("machine");
  t.true(planned.cluster.allEnded());
  const taken = await twoOnOneDisk();
  taken.cluster.takeAway("alpha", "process");
  await taken.run(5_000);
  t.true(taken.cluster.allEnded());
});

/** The registry counts on these incarnations from now on. */
function count(sim: SimWorld, epoch: number, ...incarnations: string[]): void {
  const inSync = incarnations.map((incarnation) => ({ server: incarnation.split("-")[0] ?? "", incarnation }));
  const durability: RegistryRecord["durability"] = inSync.length > 1 ? "memory" : "disk";
  const [primary] = inSync;
  if (primary === undefined) throw new Error("nobody is counted on");
  sim.registry.write({ ...initialRecord("test", "beta", "h"), epoch, primary, inSync, durability });
}

test("a crash that was planned may not strike once a dead server was taken in by what it had confirmed", async (t) => {
  const { sim, cluster, run } = clusterOf("alpha", "beta");
  cluster.startAll();
  await run(1);
  count(sim, 2, "beta-1");
  cluster.kill("alpha", "process");
  t.true(cluster.mayCrash("beta"), "nobody counts on the dead one");
  t.true(cluster.mayStrike("beta"));
  count(sim, 3, "beta-1", "alpha-1");
  t.false(cluster.mayStrike("beta"), "its memory is all that there is, and it is not synced");
  t.true(cluster.mayStrike("alpha"), "what died of it before is the one failure");
  await run(2_000);
  t.is(cluster.process("alpha")?.name, "alpha#2");
  t.false(cluster.mayStrike("beta"), "another life of it has nothing");
  count(sim, 4, "beta-1", "alpha-2");
  t.true(cluster.mayStrike("beta"));
});

test("one that is paused is there, one that never comes back is not", async (t) => {
  const { sim, cluster, run } = clusterOf("alpha", "beta");
  cluster.startAll();
  await run(1);
  count(sim, 2, "beta-1", "alpha-1");
  cluster.pause("alpha");
  t.false(cluster.mayCrash("beta"));
  t.true(cluster.mayStrike("beta"));
  cluster.block("alpha");
  t.false(cluster.mayStrike("beta"));
  t.true(cluster.mayStrike("alpha"));
});

test("what a server has asked for counts as well: it may land", async (t) => {
  const { sim, cluster, run } = clusterOf("alpha", "beta");
  cluster.startAll();
  await run(1);
  count(sim, 2, "beta-1");
  const asked = {
    ...(cluster.record as RegistryRecord),
    epoch: 3,
    inSync: [{ server: "alpha", incarnation: "alpha-1" }],
  };
  sim.registry.underWay.add({ record: asked, expectedRevision: sim.registry.current?.revision ?? 0 });
  t.true(cluster.mayStrike("beta"));
  cluster.kill("alpha", "process");
  t.false(cluster.mayStrike("beta"));
});
