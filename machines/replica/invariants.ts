/**
 * What PROTOCOL.md's invariants say about one server, asserted after every turn while it runs (invariants 1, 2, 5, 8; rule 15):
 * a server in which one does not hold stops before it says anything more. Cheap: a few comparisons a turn.
 */
import type { Limits } from "../../schemas/settings.ts";
import type { Membership } from "./membership.ts";
import type { OwnLog } from "./own-log.ts";
import type { Peers } from "./peers.ts";

export interface InvariantView {
  readonly hot: boolean;
  readonly own: OwnLog;
  readonly membership: Membership;
  readonly peers: Peers;
  readonly limits: Pick<Limits, "maxInFlight">;
  readonly intake: { readonly inFlight: number };
  readonly applied: { readonly isLoaded: boolean; readonly requests: { readonly through: number } };
}

export class InvariantError extends Error {
  constructor(text: string) {
    super(`an invariant does not hold, this server stops: ${text}`);
    this.name = "InvariantError";
  }
}

function assert(holds: boolean, text: string): void {
  if (!holds) throw new InvariantError(text);
}

export class Invariants {
  #committed = 0;
  #epochSeen = 0;

  clone(): Invariants {
    const copy = new Invariants();
    copy.#committed = this.#committed;
    copy.#epochSeen = this.#epochSeen;
    return copy;
  }

  check({ hot, own, membership, peers, limits, intake, applied }: InvariantView): void {
    const { committed, synced, log } = own;
    assert(committed >= this.#committed, `the commit point fell from ${this.#committed} to ${committed}`);
    assert(committed <= log.last, `the commit point ${committed} is beyond the log's end ${log.last}`);
    assert(synced <= log.last, `${synced} records are on the disk, the log ends at ${log.last}`);
    assert(membership.epochSeen >= this.#epochSeen, `the accepted epoch fell to ${membership.epochSeen}`);
    this.#committed = committed;
    this.#epochSeen = membership.epochSeen;
    if (hot) {
      // What an earlier primary had begun comes on top of what this one takes.
      assert(intake.inFlight <= 2 * limits.maxInFlight, `${intake.inFlight} requests are in flight`);
      assert(membership.isPrimary, `hot, and epoch ${membership.epoch} has another primary`);
      for (const { name, session } of peers)
        assert((session?.confirmed ?? 0) <= log.last, `${name} confirmed what is not in this log`);
    } else if (applied.isLoaded)
      assert(applied.requests.through <= committed, `applied ${applied.requests.through}, committed ${committed}`);
  }
}
