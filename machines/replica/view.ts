/**
 * What most parts of the replica read of it; each file adds what it alone needs. What always holds: a part changes only
 * itself and what it is given to change, and says the rest in `out`.
 */
import type { Limits } from "../../schemas/settings.ts";
import type { Membership } from "./membership.ts";
import type { Outbox } from "./outbox.ts";
import type { OwnLog } from "./own-log.ts";
import type { Peers } from "./peers.ts";
import type { Rules } from "./rules.ts";
import type { ReplicaOptions } from "./types.ts";

export interface ReplicaView {
  readonly options: ReplicaOptions;
  readonly rules: Rules;
  readonly limits: Limits;
  /** This incarnation. */
  readonly self: string;
  readonly nowMs: number;
  /** The lifecycle's, with dots. */
  readonly state: string;
  readonly hot: boolean;
  readonly fenced: boolean;
  readonly stopping: boolean;
  readonly own: OwnLog;
  readonly peers: Peers;
  readonly membership: Membership;
  readonly out: Outbox[];
}
