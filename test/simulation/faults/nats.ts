/**
 * What a cluster of NATS servers can do beyond going away: split in two (situation 38), answer from an old leader
 * (situation 12), take less than before (situations 56 and 58), and forbid (situation 60).
 */

import { brokerHost, usualLimits } from "../../../actors/testing/world/sim-broker.ts";
import { cut, type FaultContext, type FaultKind, later, outageMs, target } from "./context.ts";

/** Of clients and integrators; servers are spread so that both sides have one. */
const minorityChance = 0.3;

/** Nothing passes between the sides, and JetStream goes on with the larger one; nobody's connection is closed. */
function splitNats(context: FaultContext): void {
  const { sim, cluster, rng, moments } = context;
  if (sim.broker.minority.size > 0) return;
  const servers = rng.shuffle([...cluster.names]);
  const cutOff = servers.slice(0, rng.int(1, servers.length - 1));
  const others = sim.broker.hosts.filter((host) => !cluster.names.includes(host) && rng.chance(minorityChance));
  const forMs = outageMs(context) * 2;
  moments.count("NATS split in two");
  sim.tell(
    brokerHost,
    `the cluster splits for ${forMs.toFixed(0)} ms; on the smaller side: ${[...cutOff, ...others].join(", ")}`,
  );
  sim.broker.minority = new Set([...cutOff, ...others]);
  later(context, forMs, () => sim.broker.join());
}

/** A leader that was replaced and does not know it answers reads with what it has, for a while. */
function staleReads(context: FaultContext): void {
  const { sim, rng } = context;
  const forMs = rng.between(100, 2_000);
  sim.tell(brokerHost, `an old leader of the registry answers some reads for ${forMs.toFixed(0)} ms`);
  sim.registry.staleReads = { version: sim.registry.current, chance: rng.between(0.2, 0.9) };
  later(context, forMs, () => {
    sim.registry.staleReads = null;
  });
}

const burstRequests = 150;

/** A client sends many requests at once: one turn makes more records than one message takes (situation 56). */
function burst(context: FaultContext): void {
  context.moments.count("burst of requests");
  context.sim.tell("a client", `sends ${burstRequests} requests at once`);
  context.burst(burstRequests);
}

/** The broker comes back and takes smaller messages, while it is all that two servers have; bursts before and after. */
function narrowBroker(context: FaultContext): void {
  const { sim, cluster, rng, moments, suspicionMs } = context;
  const { broker } = sim;
  const primary = cluster.record?.primary.server;
  if (!broker.isUp || broker.limits !== usualLimits || primary === undefined) return;
  const payloadBytes = rng.pick([4, 8, 24]) * 1024;
  broker.limits = { ...usualLimits, payloadBytes };
  const forMs = suspicionMs * rng.between(2, 6);
  moments.count("broker takes less");
  sim.tell(brokerHost, `dies, and is back with a max_payload of ${payloadBytes} for ${forMs.toFixed(0)} ms`);
  const peers = cluster.names.filter((name) => name !== primary);
  const ways = peers.flatMap((peer): [string, string][] => [
    [`main:${primary}`, `main:${peer}`],
    [`main:${peer}`, `main:${primary}`],
  ]);
  cut(context, ways, forMs);
  broker.crash();
  const backMs = rng.between(0.1, 0.5) * suspicionMs;
  later(context, backMs, () => broker.restart());
  for (const part of [0.2, 0.6]) later(context, backMs + part * (forMs - backMs), () => context.burst(burstRequests));
  later(context, forMs + rng.between(0, suspicionMs), () => broker.widen());
}

/** With the least, not even what stands in for a result is taken. */
const payloads = [230, 350, 350, 400, 1_000];
const lines = [usualLimits.lineBytes, usualLimits.lineBytes, 100, 85];

/** The broker comes back taking less than what is stored needs, and later as much as before (rules 13 and 15). */
function shrinkBroker(context: FaultContext): void {
  const { rng } = context;
  takesLess(context, { payloadBytes: rng.pick(payloads), lineBytes: rng.pick(lines) });
}

/** Many results do not fit, and what stands in for them does. */
function narrowResults(context: FaultContext): void {
  takesLess(context, { payloadBytes: context.rng.pick([300, 310, 320]), lineBytes: usualLimits.lineBytes });
}

function takesLess(context: FaultContext, limits: typeof usualLimits): void {
  const { sim, rng, moments } = context;
  const { broker } = sim;
  if (!broker.isUp || broker.limits !== usualLimits) return;
  const forMs = rng.between(500, 3_000);
  moments.count("broker takes less");
  sim.tell(
    brokerHost,
    `is started again for ${forMs.toFixed(0)} ms with max_payload ${limits.payloadBytes}, max_control_line ${limits.lineBytes}`,
  );
  broker.limits = limits;
  broker.crash();
  later(context, rng.between(5, 100), () => broker.restart());
  later(context, forMs, () => broker.widen());
}

/** A permission is lacking for a while: to publish results, replies or status, or to hear requests. */
function forbid(context: FaultContext): void {
  const { sim, cluster, rng } = context;
  const { forbidden } = sim.broker;
  const { service } = sim.options;
  const hosts = rng.chance(0.5) ? cluster.names : [target(context)];
  const [kind, prefix] = rng.pick([
    ["publish", `${service}.result.`],
    ["publish", `${service}.result.`],
    ["publish", `${service}.`],
    ["publish", "_INBOX.client"],
    ["subscribe", `${service}.request.`],
  ] as const);
  const forMs = outageMs(context) * 2;
  sim.tell(brokerHost, `forbids ${hosts.join(", ")} to ${kind} on ${prefix}> for ${forMs.toFixed(0)} ms`);
  const lacking = hosts.map((host) => ({ host, kind, prefix }));
  for (const one of lacking) forbidden.add(one);
  later(context, forMs, () => {
    for (const one of lacking) forbidden.delete(one);
  });
}

/** JetStream's storage is full for a while: the registry is read and takes no record (situation 62). */
function fillRegistry(context: FaultContext): void {
  const { sim, rng, moments } = context;
  const forMs = outageMs(context) * rng.pick([1, 3]);
  moments.count("registry full");
  sim.tell(brokerHost, `has no room for records of the registry for ${forMs.toFixed(0)} ms`);
  sim.registry.isFull = true;
  later(context, forMs, () => {
    sim.registry.isFull = false;
  });
}

export const natsFaults: readonly FaultKind[] = [
  { name: "narrowResults", class: "staged", meanGapMs: 1_500, run: narrowResults },
  { name: "shrinkBroker", class: "within", meanGapMs: 3_000, run: shrinkBroker },
  { name: "forbid", class: "within", meanGapMs: 2_500, run: forbid },
  { name: "splitNats", class: "within", meanGapMs: 2_500, run: splitNats },
  { name: "burst", class: "within", meanGapMs: 4_000, run: burst },
  { name: "narrowBroker", class: "within", meanGapMs: 4_000, run: narrowBroker },
  { name: "fillRegistry", class: "within", meanGapMs: 2_500, run: fillRegistry },
  { name: "staleReads", class: "within", meanGapMs: 2_000, run: staleReads },
];
