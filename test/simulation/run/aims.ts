/**
 * What a seed's plan must be for a moment to come: the last part of a run is spent on what was not met by then.
 *
 * What always holds: an aim only fixes parts of the plan, so that the same seed with the same aim gives the same trace.
 */

import type { BoundaryName } from "../../../actors/testing/world/boundaries.ts";
import { type Moment, momentNames } from "../judge/moments.ts";
import { type SeedPlan, serverNames } from "../service/seed-plan.ts";

/** Long enough for most kinds of faults to happen several times. */
const aimedFaultMs = 8_000;
const within = { faultClass: "within", faultMs: aimedFaultMs } as const;
const ofRegistry = { faultClass: "registry", faultMs: aimedFaultMs } as const;
const misbehaving = { misbehaving: 200 };

/** The log is cut inside a piece that is on the disk: forks, and pieces of which a part was confirmed in time. */
const cutInPiece: Partial<SeedPlan> = { confirm: "memory", flushMs: 1_000, clients: 4 };

/** By the fault that brings it; what is not here comes in most seeds. */
const plans: Partial<Record<Moment, Partial<SeedPlan>>> = {
  "two servers": { servers: serverNames.slice(0, 2) },
  "three servers": { servers: serverNames.slice(0, 3) },
  "four servers": { servers: serverNames },
  exchange: { workload: "exchange" },
  ledger: { workload: "ledger" },
  "server paused": { ...within, faults: ["pause"] },
  "newer version started": { ...within, faults: ["upgrade"] },
  "state migrated": { ...within, faults: ["upgrade", "switchRoles"] },
  "old program went hot": { ...within, faults: ["upgrade", "switchRoles", "kill"] },
  "server started twice": { ...within, faults: ["startTwice"] },
  "disk failed": { ...within, faults: ["failDisk"] },
  "disk full": { ...within, faults: ["fillDisk"] },
  "disk slow": { ...within, faults: ["slowDisk"] },
  "disk damaged": { ...within, faults: ["harmDisk"] },
  "old disk restored": { ...within, faults: ["harmDisk", "saveCopies"] },
  "disk lost": { ...within, faults: ["harmDisk"] },
  "main link cut one way": { ...within, faults: ["cutMain"] },
  "main link reset": { ...within, faults: ["flap"] },
  "failsafe faulty": { ...within, faults: ["failsafe"] },
  "broker crashed": { ...within, faults: ["crashBroker"] },
  "broker takes less": { ...within, faults: ["narrowBroker"] },
  "burst of requests": { ...within, faults: ["burst"] },
  "registry full": { ...within, faults: ["fillRegistry"] },
  "JetStream away": { ...within, faults: ["jetStream"] },
  "wall clock jumped": { ...within, faults: ["jumpClock"] },
  "operator: clock taken for right": { ...within, faults: ["acceptTime"] },
  "client's clock jumped": { ...within, faults: ["jumpClients"] },
  "NATS split in two": { ...within, faults: ["splitNats"], servers: serverNames.slice(0, 3) },
  "handler threw": misbehaving,
  "handler rejected": misbehaving,
  "handler never settled": misbehaving,
  "handler returned what is forbidden": misbehaving,
  "registry rolled back": { ...ofRegistry, faults: ["rollBackRegistry"] },
  "registry deleted": { ...ofRegistry, faults: ["deleteRegistry"] },
  "compare-and-set landed late": { ...within, faults: ["registry", "kill"] },
  "compare-and-set answer lost": { ...within, faults: ["registry", "kill"] },
  "new history": { faultClass: "beyond", faultMs: aimedFaultMs, faults: ["killAll"] },
  "store set aside": {
    faultClass: "beyond",
    confirm: "memory",
    servers: serverNames.slice(0, 2),
    faults: ["forceOlderCopy"],
    flushMs: 20,
  },
  "backup restored": { faultClass: "beyond", faultMs: 2 * aimedFaultMs, faults: ["restoreBackup"] },
  "operator: recovered by force": { faultClass: "beyond", faultMs: aimedFaultMs, faults: ["recoverByForce"] },
  "clean stop of all": { stopsAtEnd: true },
  "clean stop while one joins": { ...within, faults: ["flap"], stopsAtEnd: true },
  "uncommitted tail dropped": { ...within, faults: ["split"] },
};

/** The parts of a plan that an aim fixes. */
export function aimedAt(name: string): Partial<SeedPlan> {
  const moment = momentNames.find((one) => one === name);
  if (moment === undefined) throw new Error(`no moment is called ${name}`);
  if (!moment.startsWith("crash ") || moment.includes("I/O") || moment.includes("between")) return plans[moment] ?? {};
  const [, when, what] = moment.split(" ");
  const crash = { when: when as "before" | "after", what: what as BoundaryName };
  if (what === "store.get") return { ...within, ...cutInPiece, faults: ["crashAtBoundary", "split"], crash };
  return { ...within, faults: ["crashAtBoundary"], crash };
}
