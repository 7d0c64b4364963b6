/** What a mutation is: a rule of PROTOCOL.md, broken by name where the simulator composes a server. */
import type { World } from "../../../actors/world/ports.ts";
import type { Rules } from "../../../machines/replica/rules.ts";
import type { Bounds } from "../explore/bounds.ts";
import type { SeedPlan } from "../service/seed-plan.ts";

export interface Mutation {
  readonly name: string;
  /** Of PROTOCOL.md. */
  readonly rule: string;
  /** Other functions in place of those that ship. */
  readonly rules?: Partial<Rules>;
  /** Another world than the one that there is, for what is not decided in the replica. */
  readonly world?: (world: World) => World;
  /** The process is restarted where its lifecycle takes this step: a server that should have kept its memory loses it. */
  readonly restarts?: (event: string, from: string) => boolean;
  /** Where the rule matters: the rest of the plan is the seed's. */
  readonly plan?: Partial<SeedPlan>;
  /** Where whole servers seldom come to the moment, the replica alone is explored instead, with `rules` broken in it. */
  readonly scope?: Partial<Bounds> & Pick<Bounds, "servers">;
}

export const within = { faultClass: "within", confirm: "memory" } as const;
export const pair = { ...within, servers: ["alpha", "beta"] } as const;
export const three = { ...within, servers: ["alpha", "beta", "gamma"] } as const;
/** Both sides race for the registry and die at the worst moment. */
export const races = { ...pair, faults: ["split", "registry", "chase", "kill"] } as const;
export const deposals = { ...within, faults: ["split", "pause", "isolate", "kill"] } as const;
export const totalLoss = { ...pair, faultClass: "beyond", faults: ["killAll"] } as const;
/** Many scenes in one run, with requests in all of them. */
export const brisk = { heartbeatMs: 30, suspicionMs: 120, faultMs: 10_000, clients: 4 } as const;
