/** Two toy servers in a simulated world: links, broker and registry do to them what the real ones would. */
import test from "ava";
import type { SimProcess } from "../../../actors/testing/world/sim-process.ts";
import { SimWorld } from "../../../actors/testing/world/sim-world.ts";
import type { LinkHandlers, World } from "../../../actors/world/ports.ts";
import type { RegistryRecord, RegistryWrite } from "../../../schemas/registry.ts";

const record = (epoch: number, writeId: string): RegistryRecord => ({
  service: "toy",
  history: "h",
  epoch,
  mode: "normal",
  writeId,
  previousWriteId: "",
  primary: { server: "alpha", incarnation: "a" },
  inSync: [{ server: "alpha", incarnation: "a" }],
  durability: "memory",
  base: { sequence: 0, hash: 0 },
  schema: "s",
});

const hello = 250;

interface Toy {
  process: SimProcess;
  world: World;
  seen: string[];
}

/** Says what it sees, and answers every frame `n` with a frame `n+1` up to a limit. */
function startToy(sim: SimWorld, name: string, limit = 0): Toy {
  const process = sim.startProcess(name);
  const world = sim.world(process);
  const seen: string[] = [];
  const handlers = (kind: "main" | "failsafe"): LinkHandlers => ({
    onUp: (peer) => seen.push(`${kind} up ${peer}`),
    onDown: (peer, reason) => seen.push(`${kind} down ${peer} ${reason}`),
    onFrame: (peer, frame) => {
      const value = frame[0] ?? 0;
      if (value === hello) return;
      seen.push(`${kind} ${value}`);
      if (value < limit) world[kind].send(peer, [Uint8Array.of(value + 1)]);
    },
  });
  const begin = async () => {
    await world.store.open();
    await world.bus.start((connected) => seen.push(connected ? "bus up" : "bus down"));
    await world.main.start(handlers("main"));
    await world.failsafe.start(handlers("failsafe"));
    const peer = name === "alpha" ? "beta" : "alpha";
    const sayHello = () => {
      world.failsafe.send(peer, [Uint8Array.of(hello)]);
      world.clock.after(50, sayHello);
    };
    sayHello();
  };
  begin().catch((error: unknown) => seen.push(`error ${String(error)}`));
  return { process, world, seen };
}

async function pair(seed: number, limit = 0) {
  const sim = new SimWorld({ seed, service: "toy", servers: ["alpha", "beta"] });
  const alpha = startToy(sim, "alpha", limit);
  const beta = startToy(sim, "beta", limit);
  await sim.scheduler.run(1_000);
  return { sim, alpha, beta };
}

test("the same seed gives the same trace, another seed another one", async (t) => {
  const run = async (seed: number) => {
    const { sim, alpha } = await pair(seed, 200);
    alpha.world.main.send("beta", [Uint8Array.of(1)]);
    alpha.world.failsafe.send("beta", [Uint8Array.of(1)]);
    sim.failsafeFaults.lossChance = 0.01;
    await sim.scheduler.run(5_000);
    return `${sim.scheduler.traceHash} ${sim.scheduler.events}`;
  };
  t.is(await run(11), await run(11));
  t.not(await run(11), await run(12));
});

test("both links come up and carry frames; main keeps their order", async (t) => {
  const { sim, alpha, beta } = await pair(1);
  t.true(alpha.seen.includes("main up beta") && alpha.seen.includes("failsafe up beta"));
  for (let n = 0; n < 50; n += 1) t.true(alpha.world.main.send("beta", [Uint8Array.of(n)]));
  await sim.scheduler.run(2_000);
  const frames = beta.seen.filter((line) => /^main \d/.test(line));
  t.deepEqual(
    frames,
    Array.from({ length: 50 }, (_, n) => `main ${n}`),
  );
});

test("a killed peer is `closed` on main and `noResponders` on the failsafe; a paused or cut one is silent", async (t) => {
  const killed = await pair(2);
  killed.alpha.process.kill("process");
  await killed.sim.scheduler.run(1_050);
  killed.beta.world.failsafe.send("alpha", [Uint8Array.of(1)]);
  await killed.sim.scheduler.run(1_100);
  t.true(killed.beta.seen.includes("main down alpha closed"));
  t.true(killed.beta.seen.includes("failsafe down alpha noResponders"));

  const paused = await pair(2);
  paused.alpha.process.pause();
  paused.beta.world.failsafe.send("alpha", [Uint8Array.of(1)]);
  await paused.sim.scheduler.run(3_000);
  t.false(paused.beta.seen.some((line) => line.includes("down")));

  const cut = await pair(2);
  cut.sim.network.cut("main:alpha", "main:beta");
  cut.sim.network.cut("main:beta", "main:alpha");
  t.true(cut.beta.world.main.send("alpha", [Uint8Array.of(7)]));
  await cut.sim.scheduler.run(3_000);
  t.false([...cut.alpha.seen, ...cut.beta.seen].some((line) => line.includes("down") || line === "main 7"));
  cut.sim.network.healAll();
  await cut.sim.scheduler.run(4_000);
  t.true(cut.alpha.seen.includes("main 7"), "the frame waited in the connection");
});

test("a machine without power says nothing at once", async (t) => {
  const { sim, alpha, beta } = await pair(3);
  alpha.process.kill("machine");
  await sim.scheduler.run(1_400);
  t.false(beta.seen.includes("main down alpha closed"));
  await sim.scheduler.run(10_000);
  t.true(beta.seen.includes("main down alpha closed"));
});

test("a restarted process is connected again, on both links", async (t) => {
  const { sim, alpha, beta } = await pair(4);
  alpha.process.kill();
  await sim.scheduler.run(2_000);
  beta.seen.length = 0;
  const again = startToy(sim, "alpha");
  await sim.scheduler.run(3_000);
  t.true(beta.seen.includes("main up alpha"));
  t.true(again.seen.includes("main up beta") && again.seen.includes("failsafe up beta"));
});

test("the failsafe loses, repeats and reorders when it is told to", async (t) => {
  const { sim, alpha, beta } = await pair(5);
  Object.assign(sim.failsafeFaults, { lossChance: 0.2, repeatChance: 0.2, delayChance: 0.3 });
  for (let n = 0; n < 100; n += 1) alpha.world.failsafe.send("beta", [Uint8Array.of(n)]);
  await sim.scheduler.run(2_000);
  const frames = beta.seen.filter((line) => /^failsafe \d/.test(line)).map((line) => Number(line.split(" ")[1]));
  t.true(new Set(frames).size < 100 && frames.length > new Set(frames).size);
  t.notDeepEqual(
    frames,
    [...frames].sort((a, b) => a - b),
  );
});

test("the broker's death disconnects all; subscriptions are renewed; nothing published meanwhile arrives", async (t) => {
  const { sim, alpha, beta } = await pair(6);
  const heard: string[] = [];
  beta.world.bus.subscribe("toy.*.x", (message) => heard.push(Buffer.from(message.data).toString()));
  await sim.scheduler.run(1_100);
  alpha.world.bus.publish("toy.a.x", Buffer.from("one"));
  await sim.scheduler.run(1_200);
  sim.broker.crash();
  await sim.scheduler.run(1_300);
  t.true(alpha.seen.includes("bus down") && alpha.seen.includes("failsafe down beta disconnected"));
  t.false(alpha.world.bus.publish("toy.a.x", Buffer.from("two")));
  sim.broker.restart();
  await sim.scheduler.run(2_000);
  t.true(alpha.world.bus.publish("toy.a.x", Buffer.from("three")));
  await sim.scheduler.run(2_100);
  t.deepEqual(heard, ["one", "three"]);
});

test("a request that nobody listens to is answered with status 503, to its sender only", async (t) => {
  const { sim, alpha, beta } = await pair(7);
  const heard: unknown[] = [];
  alpha.world.bus.subscribe("inbox.a", (message) => heard.push(message.status));
  beta.world.bus.subscribe("inbox.a", (message) => heard.push(`beta ${message.status}`));
  await sim.scheduler.run(1_100);
  alpha.world.bus.publish("toy.nobody", Buffer.from("?"), undefined, "inbox.a");
  await sim.scheduler.run(1_200);
  t.deepEqual(heard, [503]);
});

test("of two compare-and-sets on one revision one wins; the answer may be lost or land late", async (t) => {
  const { sim, alpha, beta } = await pair(8);
  const outcomes: RegistryWrite[] = [];
  const send = (toy: Toy, epoch: number, revision: number) => {
    const cas = toy.world.registry.compareAndSet(record(epoch, `${toy.process.name} ${epoch}`), revision);
    cas.then(
      (outcome) => outcomes.push(outcome),
      () => t.fail(),
    );
  };
  sim.registry.write(record(0, "init"));
  send(alpha, 1, 1);
  send(beta, 1, 1);
  await sim.scheduler.run(1_500);
  t.deepEqual(outcomes.map(({ outcome }) => outcome).sort(), ["lost", "won"]);

  outcomes.length = 0;
  sim.registryFaults.lostAnswerChance = 1;
  send(alpha, 2, 2);
  await sim.scheduler.run(4_000);
  t.is(outcomes[0]?.outcome, "unknown");
  t.is(sim.registry.current?.record.epoch, 2, "it was won all the same");

  outcomes.length = 0;
  Object.assign(sim.registryFaults, { lostAnswerChance: 0, lateChance: 1, maxLateMs: 60_000 });
  send(alpha, 3, 3);
  await sim.scheduler.run(5_500);
  t.is(outcomes[0]?.outcome, "unknown");
  t.is(sim.registry.current?.record.epoch, 2);
  alpha.process.kill("machine");
  await sim.scheduler.run(70_000);
  t.is(sim.registry.current?.record.epoch, 3, "it lands after its sender's death");
});

test("while the broker is away a read is unavailable and a write unknown, never lost", async (t) => {
  const { sim, alpha } = await pair(9);
  sim.registry.write(record(0, "init"));
  sim.registry.isAvailable = false;
  const outcomes: string[] = [];
  const ask = () => {
    for (const call of [alpha.world.registry.read(), alpha.world.registry.compareAndSet(record(1, "x"), 1)])
      call.then(
        ({ outcome }) => outcomes.push(outcome),
        () => t.fail(),
      );
  };
  ask();
  await sim.scheduler.run(4_000);
  sim.broker.crash();
  await sim.scheduler.run(5_000);
  ask();
  await sim.scheduler.run(8_000);
  t.deepEqual(outcomes, ["unavailable", "unknown", "unavailable", "unknown"]);
});
