/**
 * A replica's inside, for tests and the small world: what is behind the door, to be looked at. What ships comes in by the
 * door alone.
 */

import type { Core } from "../../machines/replica/core.ts";
import type { Follower } from "../../machines/replica/follower/follower.ts";
import type { Heartbeats } from "../../machines/replica/peers/heartbeat.ts";
import type { Primary } from "../../machines/replica/primary/primary.ts";
import type { Candidacy } from "../../machines/replica/registry/candidacy.ts";
import type { Consultation } from "../../machines/replica/registry/consultation.ts";
import type { Replica } from "../../machines/replica/replica.ts";
import type { Shutdown } from "../../machines/replica/shutdown.ts";

export interface Inside {
  readonly core: Core;
  readonly primary: Primary | null;
  readonly follower: Follower | null;
  readonly candidacy: Candidacy | null;
  readonly consultation: Consultation;
  readonly shutdown: Shutdown;
  readonly heartbeats: Heartbeats;
  readonly mustLook: boolean;
}

export function inside(replica: Replica): Inside {
  return replica as unknown as Inside;
}

/** Of a replica that must be the primary. */
export function primaryOf(replica: Replica): Primary {
  const { primary } = inside(replica);
  if (primary === null) throw new Error(`${replica.self} is not the primary: ${replica.state}`);
  return primary;
}
