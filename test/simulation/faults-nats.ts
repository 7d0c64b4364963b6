/** What a cluster of NATS servers can do beyond going away: split in two (situation 38), and answer from an old leader (12). */
import { type FaultContext, type FaultKind, later, outageMs } from "./fault-context.ts";
import { brokerHost } from "./sim-broker.ts";

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

export const natsFaults: readonly FaultKind[] = [
  { name: "splitNats", class: "within", meanGapMs: 2_500, run: splitNats },
  { name: "staleReads", class: "within", meanGapMs: 2_000, run: staleReads },
];
