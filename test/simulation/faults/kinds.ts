/**
 * Kinds of faults that stand alone, each with its mending. Within the promise, what may cost a server's memory or disk
 * happens only while every in-sync member lives; beyond it, at any time. Each tells what it does, for the story.
 */

import { brokerHost } from "../../../actors/testing/world/sim-broker.ts";
import { initialRecord } from "../../../machines/replica/registry/initial-record.ts";
import { crashAtBoundary } from "./boundary.ts";
import { combinedFaults } from "./combined.ts";
import {
  anyServer,
  cut,
  type FaultContext,
  type FaultKind,
  later,
  mayCrash,
  mayHarm,
  mayStrike,
  outageMs,
  target,
  twoServers,
} from "./context.ts";
import { natsFaults } from "./nats.ts";
import { operatedFaults } from "./operated.ts";
import { stagedFaults } from "./staged.ts";

function kill(context: FaultContext): void {
  const name = target(context);
  if (!mayCrash(context, name)) return;
  const kind = context.rng.chance(0.6) ? "process" : "machine";
  context.moments.count(kind === "process" ? "server killed" : "machine without power");
  context.cluster.kill(name, kind);
}

function pause(context: FaultContext): void {
  const { cluster, sim, moments } = context;
  const name = target(context);
  const forMs = outageMs(context);
  sim.tell(name, `is paused for ${forMs.toFixed(0)} ms`);
  moments.count("server paused");
  cluster.pause(name);
  later(context, forMs, () => cluster.resume(name));
}

function cutMain(context: FaultContext): void {
  const [a, b] = twoServers(context);
  const forMs = outageMs(context);
  const oneWay = context.rng.chance(0.3);
  context.moments.count(oneWay ? "main link cut one way" : "main link cut");
  context.sim.tell(a, `main link to ${b} is cut${oneWay ? " one way" : ""} for ${forMs.toFixed(0)} ms`);
  const there = [`main:${a}`, `main:${b}`] as const;
  cut(context, oneWay ? [there] : [there, [`main:${b}`, `main:${a}`]], forMs);
}

function flap(context: FaultContext): void {
  const [a, b] = twoServers(context);
  context.sim.tell(a, `main link to ${b} flaps`);
  for (let time = 0; time < context.rng.int(1, 6); time += 1)
    later(context, context.rng.between(0, 800), () => {
      context.moments.count("main link reset");
      context.sim.mainNetwork.reset(a, b);
    });
}

function cutNats(context: FaultContext): void {
  const name = target(context);
  const forMs = outageMs(context) * (context.rng.chance(0.3) ? 4 : 1);
  context.moments.count("NATS cut from one server");
  const oneWay = context.rng.chance(0.2);
  context.sim.tell(name, `is cut from NATS${oneWay ? " one way" : ""} for ${forMs.toFixed(0)} ms`);
  cut(
    context,
    oneWay
      ? [[name, brokerHost]]
      : [
          [name, brokerHost],
          [brokerHost, name],
        ],
    forMs,
  );
}

/** One server from everything: the others must take over, and it must not speak. */
function isolate(context: FaultContext): void {
  const name = target(context);
  const forMs = outageMs(context) * 2;
  context.sim.tell(name, `is cut from everything for ${forMs.toFixed(0)} ms`);
  context.moments.count("NATS cut from one server");
  context.moments.count("main link cut");
  const ways: [string, string][] = [
    [name, brokerHost],
    [brokerHost, name],
  ];
  for (const peer of context.cluster.names)
    if (peer !== name) ways.push([`main:${name}`, `main:${peer}`], [`main:${peer}`, `main:${name}`]);
  cut(context, ways, forMs);
}

function failsafeFaults({ sim, rng, moments }: FaultContext): void {
  moments.count("failsafe faulty");
  const { failsafeFaults } = sim;
  failsafeFaults.lossChance = rng.between(0, 0.2);
  failsafeFaults.repeatChance = rng.between(0, 0.2);
  failsafeFaults.delayChance = rng.between(0, 0.3);
  failsafeFaults.maxDelayMs = rng.pick([5, 30, 400]);
  sim.tell("failsafe", "from now on frames on the failsafe links are lost, repeated and late");
}

function brokerLoss({ sim, rng }: FaultContext): void {
  sim.broker.lossChance = rng.between(0, 0.05);
  sim.tell(brokerHost, `loses ${(100 * sim.broker.lossChance).toFixed(1)} % of its messages from now on`);
}

function crashBroker(context: FaultContext): void {
  const { sim, moments } = context;
  if (!sim.broker.isUp) return;
  moments.count("broker crashed");
  const forMs = outageMs(context);
  sim.tell(brokerHost, `dies, and is back in ${forMs.toFixed(0)} ms`);
  sim.broker.crash();
  later(context, forMs, () => sim.broker.restart());
}

function jetStreamAway(context: FaultContext): void {
  const { sim, moments } = context;
  moments.count("JetStream away");
  const forMs = 2 * outageMs(context);
  sim.tell(brokerHost, `JetStream is away for ${forMs.toFixed(0)} ms`);
  sim.registry.isAvailable = false;
  later(context, forMs, () => {
    sim.registry.isAvailable = true;
  });
}

function registryFaults({ sim, rng }: FaultContext): void {
  sim.registryFaults.lostAnswerChance = rng.between(0, 0.4);
  sim.registryFaults.lateChance = rng.between(0, 0.4);
  sim.registryFaults.maxLateMs = rng.pick([300, 1_500, 6_000]);
  sim.registryFaults.lostCallChance = rng.between(0, 0.2);
  sim.tell(brokerHost, "from now on calls of the registry are lost, late, or won without an answer");
}

function failDisk(context: FaultContext): void {
  const name = target(context);
  const { disk } = context.sim.host(name);
  if (!mayCrash(context, name)) return;
  context.moments.count("disk failed");
  context.sim.tell(name, "a disk error");
  disk.mayFail = () => mayStrike(context, name);
  if (context.rng.chance(0.6)) disk.failingSyncs = 1;
  else disk.failingWrites = 1;
}

function fillDisk(context: FaultContext): void {
  const name = anyServer(context);
  const { disk } = context.sim.host(name);
  if (!mayCrash(context, name)) return;
  context.moments.count("disk full");
  context.sim.tell(name, "its disk is full");
  disk.mayFail = () => mayStrike(context, name);
  disk.isFull = true;
  later(context, outageMs(context) * 2, () => {
    disk.isFull = false;
  });
}

function slowDisk(context: FaultContext): void {
  const name = anyServer(context);
  const { disk } = context.sim.host(name);
  disk.slowness = context.rng.pick([5, 50, 500]);
  const forMs = outageMs(context);
  context.moments.count("disk slow");
  context.sim.tell(name, `its disk takes ${disk.slowness} times as long for ${forMs.toFixed(0)} ms`);
  later(context, forMs, () => {
    disk.slowness = 1;
  });
}

function harmDisk(context: FaultContext): void {
  const { sim, cluster, rng, moments } = context;
  const name = anyServer(context);
  if (!mayHarm(context, name)) return;
  const { disk } = sim.host(name);
  const kind = rng.next();
  const isNeeded = !cluster.mayHarmDisk(name);
  cluster.kill(name, "process");
  if (kind < 0.5) {
    // The end of a log that is cut off cleanly is what no disk can tell of itself: never of the only one.
    const how = disk.damage(isNeeded ? ["middle", "flipped"] : ["middle", "truncated", "flipped"]);
    if (how !== null) moments.count("disk damaged");
    sim.tell(name, `its disk is damaged: ${how ?? "nothing to damage"}`);
  } else if (kind < 0.75 && !isNeeded) {
    if (disk.restoreCopy()) moments.count("old disk restored");
    sim.tell(name, "an old copy of its disk is put in place");
  } else {
    moments.count("disk lost");
    sim.tell(name, "its disk is lost");
    disk.wipe();
  }
}

function saveCopies({ sim, cluster, rng }: FaultContext): void {
  const name = rng.pick(cluster.names);
  sim.host(name).disk.saveCopy();
  sim.tell(name, "a copy of its disk is put aside");
}

function startTwice(context: FaultContext): void {
  const name = anyServer(context);
  if (!context.cluster.isRunning(name)) return;
  context.moments.count("server started twice");
  context.sim.tell(name, "is started a second time on the same disk");
  context.cluster.startTwice(name);
}

function jumpClock(context: FaultContext): void {
  const dayMs = 86_400_000;
  const name = anyServer(context);
  context.moments.count("wall clock jumped");
  const { wall } = context.sim.host(name);
  wall.offsetMs = context.rng.between(-dayMs, dayMs);
  context.sim.tell(name, `its wall clock jumps to ${(wall.offsetMs / 3_600_000).toFixed(1)} hours off`);
}

/** A client's clock is off from now on, by hours or by little, or right again; its monotonic clock knows nothing of it. */
function jumpClients({ sim, rng, moments, clients }: FaultContext): void {
  const dayMs = 86_400_000;
  const name = rng.pick(clients);
  const offsets = [0, rng.between(-dayMs, dayMs), rng.between(-600_000, 600_000), rng.between(-20_000, 20_000)];
  const offsetMs = rng.pick(offsets);
  moments.count("client's clock jumped");
  sim.host(name).wall.offsetMs = offsetMs;
  sim.tell(name, `its wall clock jumps to ${(offsetMs / 1_000).toFixed(1)} s off`);
}

function rollBackRegistry({ sim, rng, moments }: FaultContext): void {
  const steps = rng.int(1, 2);
  if (sim.registry.versions.length <= steps) return;
  moments.count("registry rolled back");
  sim.tell(brokerHost, `the registry goes back by ${steps}`);
  sim.registry.rollBack(steps);
}

function deleteRegistry({ sim, moments }: FaultContext): void {
  moments.count("registry deleted");
  sim.tell(brokerHost, "the registry's bucket is deleted");
  sim.registry.remove();
}

/** The store of JetStream is lost, and somebody creates the service once more (situation 54). */
function createAgain({ sim, cluster, moments, number }: FaultContext): void {
  moments.count("registry deleted");
  sim.registry.remove();
  sim.tell("operator", "creates the service once more, in a registry that has lost it");
  const record = initialRecord(sim.options.service, cluster.names[0] ?? "", `again${number}`);
  sim.onRegistryWritten(sim.registry.write(record), "operator", false);
}

/** In the middle of it all, an operator looks whether the registry must be put back. */
function restoreRegistry({ registryOperator }: FaultContext): void {
  registryOperator.restore();
}

function killAll(context: FaultContext): void {
  const { cluster, moments, rng } = context;
  for (const name of rng.shuffle([...cluster.names]))
    later(context, rng.between(0, 300), () => {
      moments.count("server killed");
      cluster.kill(name, rng.chance(0.7) ? "machine" : "process");
    });
}

export const faultKinds: readonly FaultKind[] = [
  { name: "kill", class: "within", meanGapMs: 2_500, run: kill },
  { name: "crashAtBoundary", class: "within", meanGapMs: 600, run: crashAtBoundary },
  { name: "pause", class: "within", meanGapMs: 2_500, run: pause },
  { name: "cutMain", class: "within", meanGapMs: 2_000, run: cutMain },
  { name: "flap", class: "within", meanGapMs: 2_500, run: flap },
  { name: "cutNats", class: "within", meanGapMs: 3_000, run: cutNats },
  { name: "isolate", class: "within", meanGapMs: 3_500, run: isolate },
  { name: "failsafe", class: "within", meanGapMs: 4_000, run: failsafeFaults },
  { name: "brokerLoss", class: "within", meanGapMs: 4_000, run: brokerLoss },
  { name: "crashBroker", class: "within", meanGapMs: 5_000, run: crashBroker },
  { name: "jetStream", class: "within", meanGapMs: 5_000, run: jetStreamAway },
  { name: "registry", class: "within", meanGapMs: 3_000, run: registryFaults },
  { name: "failDisk", class: "within", meanGapMs: 3_500, run: failDisk },
  { name: "fillDisk", class: "within", meanGapMs: 5_000, run: fillDisk },
  { name: "slowDisk", class: "within", meanGapMs: 4_000, run: slowDisk },
  { name: "harmDisk", class: "within", meanGapMs: 4_000, run: harmDisk },
  { name: "saveCopies", class: "within", meanGapMs: 2_000, run: saveCopies },
  { name: "startTwice", class: "within", meanGapMs: 5_000, run: startTwice },
  { name: "jumpClock", class: "within", meanGapMs: 5_000, run: jumpClock },
  { name: "jumpClients", class: "within", meanGapMs: 1_000, run: jumpClients },
  { name: "rollBackRegistry", class: "registry", meanGapMs: 3_000, run: rollBackRegistry },
  { name: "deleteRegistry", class: "registry", meanGapMs: 20_000, run: deleteRegistry },
  { name: "createAgain", class: "registry", meanGapMs: 12_000, run: createAgain },
  { name: "restoreRegistry", class: "registry", meanGapMs: 1_500, run: restoreRegistry },
  { name: "killAll", class: "beyond", meanGapMs: 5_000, run: killAll },
  ...combinedFaults,
  ...stagedFaults,
  ...operatedFaults,
  ...natsFaults,
];
